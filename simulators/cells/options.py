"""The keys of `[device.cells]` and how they become cells."""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from hilep.config import Count, NotNegative, Positive, Section
from hilep.errors import BadInputError
from hilep.network import Network
from hilep.simulators.cells.ageing import Ageing, Drift, Retention
from hilep.simulators.cells.array import CellArray
from hilep.simulators.cells.cell import Cell
from hilep.simulators.cells.conduction import SinhLaw
from hilep.simulators.cells.faults import Faults
from hilep.simulators.cells.flicker import Flicker
from hilep.simulators.cells.levels import Levels
from hilep.simulators.cells.pulses import STEEPEST, PulseResponse
from hilep.simulators.cells.thermal import ThermalNoise
from hilep.simulators.cells.window import Window
from hilep.simulators.cells.writing import WriteGain, WriteNoise

Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Spread: TypeAlias = Annotated[float, Field(ge=0, le=1e6)]
Bend: TypeAlias = Annotated[float, Field(ge=-STEEPEST, le=STEEPEST)]
StuckCell: TypeAlias = Annotated[
    list[Annotated[float, Field(ge=0, allow_inf_nan=False)]], Field(min_length=4, max_length=4)
]
Line: TypeAlias = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]

_NEEDS = {
    "pulse_nonlinearity_up": "pulses",
    "pulse_nonlinearity_down": "pulses",
    "pulse_asymmetry": "pulses",
    "pulse_cycle_noise": "pulses",
    "pulse_device_spread": "pulses",
    "pulse_nonlinearity_spread": "pulses",
    "retention_rest_siemens": "retention_s",
}

_BESIDES = {
    "write_tolerance_siemens",
    "drift_reference_s",
    "flicker_octaves",
    "flicker_period_s",
    "nonlinearity_v",
    "read_s",
    "update_s",
    "temperature_k",
    "bandwidth_hz",
}
"""Keys that alone leave what cells hold as it is."""


class CellOptions(Section):
    """Keys of `[device.cells]`; the defaults are ideal cells.

    Attributes:
        g_min_siemens, g_max_siemens: nominal window of the cells; the network's unless given, and
            within it.
        g_min_spread, g_max_spread: of the bounds between cells, relative. No cell leaves the
            network's window.
        levels: of the programming circuit.
        write_noise_siemens, write_noise_relative: error of each write, fresh; see `WriteNoise`.
        device_spread_relative: error that a cell repeats in all of its writes; see `WriteGain`.
        write_tolerance_siemens: how far a write may miss before it has failed; see `Cell`.
        deadband_siemens: smaller changes are owed until they have added up, and so is what a write
            misses its target by; see `hilep.owed`. Unless given, a change is written at once.
        programming: how a backend applies an update: "write" (closed loop) or "pulses" (open loop).
        pulses: across the window; see `PulseResponse` for these and the next six.
        pulse_nonlinearity_up, pulse_nonlinearity_down, pulse_asymmetry: shape of the response.
        pulse_cycle_noise, pulse_device_spread, pulse_nonlinearity_spread: how it varies.
        stuck_low, stuck_high: fractions of cells stuck at a bound, or at
            `stuck_low_siemens` and `stuck_high_siemens`.
        stuck_cells: cells known to be stuck, a list of [layer, row, column, siemens].
        dead_rows, dead_columns: fraction of lines, or a list of [layer, line].
        drift_exponent, drift_spread, drift_reference_s: see `Drift`; an exponent and a spread of 0
            are no drift.
        retention_s, retention_rest_siemens: see `Retention`; rest at g_min unless given.
        flicker_relative, flicker_octaves, flicker_period_s: see `Flicker`; 0 is none.
        nonlinearity_v: see `SinhLaw`; ohmic unless given.
        read_s, update_s: how much time a read and an update take on the cells' clock.
        temperature_k, bandwidth_hz: see `ThermalNoise`; a bandwidth of 0 is no noise.
    """

    g_min_siemens: NotNegative | None = None
    g_max_siemens: Positive | None = None
    g_min_spread: Spread = 0.0
    g_max_spread: Spread = 0.0
    levels: Annotated[int, Field(ge=2, le=2**32)] | None = None
    write_noise_siemens: NotNegative = 0.0
    write_noise_relative: Spread = 0.0
    device_spread_relative: Spread = 0.0
    write_tolerance_siemens: NotNegative | None = None
    deadband_siemens: NotNegative | None = None
    programming: Literal["write", "pulses"] = "write"
    pulses: Positive | None = None
    pulse_nonlinearity_up: Bend = 0.0
    pulse_nonlinearity_down: Bend = 0.0
    pulse_asymmetry: Annotated[float, Field(gt=-1, lt=1)] = 0.0
    pulse_cycle_noise: Spread = 0.0
    pulse_device_spread: Spread = 0.0
    pulse_nonlinearity_spread: Spread = 0.0
    stuck_low: Fraction = 0.0
    stuck_high: Fraction = 0.0
    stuck_low_siemens: NotNegative | None = None
    stuck_high_siemens: NotNegative | None = None
    stuck_cells: list[StuckCell] | None = None
    dead_rows: Fraction | list[Line] = 0.0
    dead_columns: Fraction | list[Line] = 0.0
    drift_exponent: NotNegative = 0.0
    drift_spread: Spread = 0.0
    drift_reference_s: Positive = 1.0
    retention_s: Positive | None = None
    retention_rest_siemens: NotNegative | None = None
    flicker_relative: Spread = 0.0
    flicker_octaves: Annotated[Count, Field(le=64)] = 16
    flicker_period_s: Positive = 1.0
    nonlinearity_v: Positive | None = None
    read_s: NotNegative = 0.0
    update_s: NotNegative = 0.0
    temperature_k: NotNegative = 300.0
    bandwidth_hz: NotNegative = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> CellOptions:
        if self.programming == "pulses" and self.pulses is None:
            raise ValueError('programming = "pulses" needs pulses, the number across the window')
        if self.programming == "pulses" and self.deadband_siemens is not None:
            raise ValueError(
                'deadband_siemens needs programming = "write": what open-loop pulses achieve is '
                "not known, nor what is owed"
            )
        for key, needed in _NEEDS.items():
            if getattr(self, key) and getattr(self, needed) is None:
                raise ValueError(f"{key} is given without {needed}")
        if self.drifts and self.retention_s is not None:
            raise ValueError("give drift or retention, not both")
        if any(part % 1 for cell in self.stuck_cells or () for part in cell[:3]):
            raise ValueError("stuck_cells: expected whole numbers of layer, row and column")
        if self.stuck_low + self.stuck_high > 1:
            raise ValueError("stuck_low and stuck_high add up to more than 1")
        return self

    @property
    def ideal(self) -> bool:
        """Whether cells always conduct exactly what was asked, so that no `CellArray` is needed.

        The current-voltage law and thermal noise are not part of this.
        """
        return all(
            getattr(self, key) == field.default
            for key, field in type(self).model_fields.items()
            if key not in _BESIDES
        )

    @property
    def drifts(self) -> bool:
        """Whether any cell drifts."""
        return self.drift_exponent > 0 or self.drift_spread > 0

    @property
    def law(self) -> SinhLaw | None:
        """The current-voltage law, None for ohmic cells."""
        return None if self.nonlinearity_v is None else SinhLaw(self.nonlinearity_v)

    @property
    def thermal(self) -> ThermalNoise | None:
        """Thermal noise of reads, or None."""
        noise = ThermalNoise(self.temperature_k, self.bandwidth_hz)
        return noise if noise.watts > 0 else None

    def cell(self, network: Network) -> Cell:
        """Return the kind of cell that these keys describe.

        Raises:
            BadInputError: for a window beyond the network's, or a model that needs an upper bound
                where there is none.
        """
        window = self._window(network)
        response = None
        if self.pulses is not None:
            response = PulseResponse(
                self.pulses,
                self.pulse_nonlinearity_up,
                self.pulse_nonlinearity_down,
                self.pulse_asymmetry,
                self.pulse_cycle_noise,
                self.pulse_device_spread,
                self.pulse_nonlinearity_spread,
            )
        ageing: Ageing | None = None
        if self.drifts:
            ageing = Drift(self.drift_exponent, self.drift_spread, self.drift_reference_s)
        elif self.retention_s is not None:
            rest = self.retention_rest_siemens
            ageing = Retention(self.retention_s, window.g_min_siemens if rest is None else rest)
        flicker = None
        if self.flicker_relative:
            flicker = Flicker(self.flicker_relative, self.flicker_octaves, self.flicker_period_s)
        return Cell(
            window,
            None if self.levels is None else Levels(self.levels),
            WriteNoise(self.write_noise_siemens, self.write_noise_relative),
            WriteGain(self.device_spread_relative),
            response,
            ageing,
            flicker,
            Faults(
                self.stuck_low,
                self.stuck_high,
                _lines(self.dead_rows),
                _lines(self.dead_columns),
                self.stuck_low_siemens,
                self.stuck_high_siemens,
                tuple((int(a), int(b), int(c), g) for a, b, c, g in self.stuck_cells or ()),
            ),
            self.write_tolerance_siemens,
        )

    def _window(self, network: Network) -> Window:
        least, most = network.g_min_siemens, network.g_max_siemens
        low = least if self.g_min_siemens is None else self.g_min_siemens
        high = most if self.g_max_siemens is None else self.g_max_siemens
        if not least <= low < high <= most or math.isinf(low):
            raise BadInputError(
                "device.cells.g_min_siemens, g_max_siemens: expected min < max within the "
                f"network's window, {least} to {most} S, got {low} and {high}"
            )
        return Window(low, high, self.g_min_spread, self.g_max_spread, least, most)


def _lines(given: float | list[list[int]]) -> float | list[tuple[int, int]]:
    if isinstance(given, list):
        return [(line[0], line[1]) for line in given]
    return given


def build(network: Network, options: CellOptions, seed: int = 0) -> CellArray:
    """Return the cells of a network's arrays.

    Raises:
        BadInputError: see `CellOptions.cell` and `CellArray`.
    """
    return CellArray(network.shapes, options.cell(network), seed)
