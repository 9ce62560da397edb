"""A kind of cell: which imperfections it has."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import BadInputError
from hilep.simulators.cells.ageing import Ageing
from hilep.simulators.cells.faults import Faults
from hilep.simulators.cells.flicker import Flicker
from hilep.simulators.cells.levels import Levels
from hilep.simulators.cells.pulses import PulseResponse
from hilep.simulators.cells.window import Window
from hilep.simulators.cells.writing import WriteGain, WriteNoise

ALLOWED_DEVIATIONS = 5.0
"""Standard deviations of writing by which a cell may miss its target and still be as asked."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A kind of cell; the default is ideal.

    Attributes:
        window: the conductances it can be given.
        levels: of the programming circuit, or None for any conductance.
        write_noise: error of each closed-loop write.
        write_gain: error that a cell repeats in all of its writes.
        pulses: response to open-loop pulses; None where it takes none.
        ageing: drift or retention.
        flicker: 1/f fluctuation.
        faults: stuck and dead cells.
        tolerance_siemens: how far a write may miss before it has failed; None for half a level and
            `ALLOWED_DEVIATIONS` of its noise and gain.

    Raises:
        BadInputError: for levels, pulses or stuck-high cells in a window without an upper bound,
            or a tolerance below 0.
    """

    window: Window = field(default_factory=Window)
    levels: Levels | None = None
    write_noise: WriteNoise = field(default_factory=WriteNoise)
    write_gain: WriteGain = field(default_factory=WriteGain)
    pulses: PulseResponse | None = None
    ageing: Ageing | None = None
    flicker: Flicker | None = None
    faults: Faults = field(default_factory=Faults)
    tolerance_siemens: float | None = None

    def __post_init__(self) -> None:
        if self.levels is not None:
            self.window.require_finite("levels")
        if self.pulses is not None:
            self.window.require_finite("pulses")
        self.faults.check_window(self.window)
        if self.tolerance_siemens is not None and not self.tolerance_siemens >= 0:
            raise BadInputError(
                f"device.cells.write_tolerance_siemens: expected >= 0, got {self.tolerance_siemens}"
            )

    def tolerance(self, targets: Doubles) -> Doubles:
        """Return how far a write of each target may miss, siemens, () or as `targets`."""
        if self.tolerance_siemens is not None:
            return np.asarray(self.tolerance_siemens)
        noise, gain = self.write_noise, self.write_gain.spread
        spread = np.asarray(0.0)
        if noise.siemens or noise.relative or gain:
            spread = np.hypot(noise.deviation(targets), gain * targets)
        step = 0.0 if self.levels is None else self.levels.step_siemens(self.window)
        # Halfway between two levels, rounding decides; the last digits are no failure.
        return np.asarray(ALLOWED_DEVIATIONS * spread + step * (0.5 + 1e-9))
