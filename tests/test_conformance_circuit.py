"""The conformance suite against circuits: ideal ones, which it knows, and others by their law."""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.backends import Relaxation
from hilep.crossbar import Crossbar
from hilep.network import Network
from hilep.simulators.circuit.crossbar import CircuitCrossbar
from hilep.simulators.circuit.graph import circuit_graph
from hilep.simulators.circuit.nodal import solve
from hilep.simulators.circuit.options import CIRCUIT
from hilep.testing import CrossbarLaws

GAINS = ((1.0, 1.0), (4.0, 0.25), (2.0, 1.0))


class Circuit(CrossbarLaws):
    """The circuit backend through its entry point."""

    options: ClassVar[dict[str, Any]] = {}

    def build(self, network: Network) -> Crossbar:
        keys = {"sigma_v": self.sigma_v, **self.options}
        options = CIRCUIT.options.model_validate(keys)
        return CIRCUIT.build(network, options, Relaxation())


class TestIdeal(Circuit):
    """Without wires and with ideal diodes it is the ideal network, to 1e-10."""

    tolerance = 1e-10
    gains = GAINS


class TestIdealAtTheScaleOfThePaper(Circuit):
    volts = 500.0
    siemens = 1.0
    tolerance = 1e-10


class TestWithNoise(Circuit):
    options: ClassVar[dict[str, Any]] = {"seed": 3, "clamped_noise": True}
    sigma_v = 1e-3
    layers = ((6, 5, 3),)


class OwnLaw(Circuit):
    """Held to the whole-circuit nodal analysis, which knows lines, meters and rectifiers."""

    layers = ((6, 5, 3), (4, 3))

    def expected(
        self,
        device: Crossbar,
        inputs: ArrayLike,
        *,
        amps: ArrayLike | None = None,
        spring_siemens: float = 0.0,
        targets: ArrayLike | None = None,
    ) -> Doubles:
        assert isinstance(device, CircuitCrossbar)
        graph = circuit_graph(
            device.network,
            device.conductances(),
            device.bias_currents(),
            inputs,
            wiring=device.solver.wiring,
            rectifier=device.rectifier,
            cell_law=device.solver.cell_law,
            amps=amps,
            spring_siemens=spring_siemens,
            targets=targets,
        )
        return solve(graph).free_volts


class TestLines(OwnLaw):
    options: ClassVar[dict[str, Any]] = {
        "word_ohm": 2e3,
        "bit_ohm": 1e3,
        "source_ohm": 5e3,
        "meter_ohm": 1e8,
    }
    gains = GAINS


class TestJunctions(OwnLaw):
    small_step = 1e-3
    options: ClassVar[dict[str, Any]] = {
        "nonlinearity": "junction",
        "junction": {"saturation_a": 1e-12, "series_ohm": 1e3, "bias_v": 0.3},
    }


class TestPrecisionRectifiers(OwnLaw):
    small_step = 1e-3
    options: ClassVar[dict[str, Any]] = {
        "nonlinearity": "precision",
        "precision": {"on_ohm": 100.0, "offset_v": 1e-3},
        "bit_ohm": 1e3,
    }


class TestNonlinearCells(OwnLaw):
    small_step = 1e-3
    options: ClassVar[dict[str, Any]] = {"cells": {"nonlinearity_v": 1.0}, "word_ohm": 1e3}
    layers = ((4, 3, 2),)


class TestAfterATime(Circuit):
    """Thirty time constants are as good as forever."""

    options: ClassVar[dict[str, Any]] = {"node_farads": 1e-12, "settle_s": 3e-5}
    layers = ((3, 2),)
    bias_kinds = ("current",)
    tolerance = 1e-5
