"""The backend "circuit": its keys in `[device]` and how they become a crossbar."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hilep.backends import Backend, Relaxation
from hilep.config import NotNegative, Positive, Section
from hilep.crossbar import Crossbar
from hilep.network import Network
from hilep.simulators.circuit.rectifiers import (
    IdealDiode,
    JunctionDiode,
    PrecisionRectifier,
    Rectifier,
)
from hilep.simulators.circuit.wiring import Wiring
from hilep.simulators.reading_options import ReadingOptions

Finite = Annotated[float, Field(allow_inf_nan=False)]


class JunctionOptions(Section):
    """Keys of `[device.junction]`: see `hilep.simulators.circuit.rectifiers.JunctionDiode`."""

    saturation_a: Positive = 1e-12
    ideality: Positive = 1.0
    kelvin: Positive = 300.0
    series_ohm: NotNegative = 0.0
    leakage_siemens: NotNegative = 0.0
    bias_v: Finite = 0.0


class PrecisionOptions(Section):
    """Keys of `[device.precision]`: see `PrecisionRectifier`."""

    on_ohm: Positive = 1.0
    off_siemens: NotNegative = 0.0
    offset_v: Finite = 0.0
    bias_v: Finite = 0.0

    @model_validator(mode="after")
    def _rectifies(self) -> PrecisionOptions:
        if self.off_siemens * self.on_ohm >= 1:
            raise ValueError(
                "device.precision.off_siemens: expected siemens below 1/on_ohm, got "
                f"{self.off_siemens}"
            )
        return self


class CircuitOptions(ReadingOptions):
    """Keys of `[device]` for `backend = "circuit"`, besides those of `ReadingOptions`.

    Attributes:
        word_ohm, bit_ohm, source_ohm, meter_ohm, node_farads: see `Wiring`; ideal
            unless given.
        nonlinearity: of the hidden nodes that have a polarity.
        junction: of "junction".
        precision: of "precision".
        settle_s: seconds from each change to its read; unless given, until nothing moves.
    """

    word_ohm: NotNegative = 0.0
    bit_ohm: NotNegative = 0.0
    source_ohm: NotNegative = 0.0
    meter_ohm: Positive | None = None
    node_farads: NotNegative = 0.0
    nonlinearity: Literal["ideal", "junction", "precision"] = "ideal"
    junction: JunctionOptions | None = None
    precision: PrecisionOptions | None = None
    settle_s: Positive | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> CircuitOptions:
        for kind in ("junction", "precision"):
            if getattr(self, kind) is not None and self.nonlinearity != kind:
                raise ValueError(
                    f'device.{kind}: given, but device.nonlinearity is "{self.nonlinearity}"'
                )
        if self.cells is not None and self.cells.law is not None and self.thermal is not None:
            raise ValueError(
                "device.cells.bandwidth_hz: no thermal noise is known for cells with nonlinearity_v"
            )
        return self

    def rectifier(self) -> Rectifier:
        """Return the rectifier of every hidden node."""
        if self.nonlinearity == "junction":
            return JunctionDiode(**(self.junction or JunctionOptions()).model_dump())
        if self.nonlinearity == "precision":
            return PrecisionRectifier(**(self.precision or PrecisionOptions()).model_dump())
        return IdealDiode()

    def wiring(self) -> Wiring:
        """Return the resistances and capacitances around the cells."""
        meter_ohm = math.inf if self.meter_ohm is None else self.meter_ohm
        return Wiring(self.word_ohm, self.bit_ohm, self.source_ohm, meter_ohm, self.node_farads)


def build(network: Network, options: CircuitOptions, relaxation: Relaxation) -> Crossbar:
    """Return the circuit that `options` describe; it needs no number of sweeps."""
    from hilep.simulators.circuit.crossbar import CircuitCrossbar
    from hilep.simulators.circuit.solver import CircuitSolver

    cells = options.imperfect(network)
    law = None if options.cells is None else options.cells.law
    inside = network if cells is None else cells.open(network)
    solver = CircuitSolver(inside, options.wiring(), options.rectifier(), law)
    return CircuitCrossbar(
        network, options.noise(network), solver, cells, options.thermal, options.settle_s
    )


CIRCUIT = Backend(CircuitOptions, build)
