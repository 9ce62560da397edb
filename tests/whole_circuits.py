"""Random whole circuits, and whether a solution of one is one."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import random_bias, random_conductances

from hilep.network import Network
from hilep.simulators.circuit.nodal import NodalSolution
from hilep.simulators.circuit.rectifiers import IdealDiode, JunctionDiode, PrecisionRectifier
from hilep.simulators.circuit.wiring import Wiring

LINES = Wiring(word_ohm=0.03, bit_ohm=0.07, source_ohm=0.2, meter_ohm=50.0)
RECTIFIERS = (
    IdealDiode(),
    IdealDiode(bias_v=0.3),
    JunctionDiode(),
    JunctionDiode(ideality=1e-5),
    JunctionDiode(series_ohm=0.1, leakage_siemens=1e-3, bias_v=0.5),
    PrecisionRectifier(on_ohm=0.01, off_siemens=1e-3, offset_v=0.02, bias_v=0.1),
)


class CubicLaw:
    """A cell whose current grows as the cube of its volts: i = g v (1 + v^2)."""

    def current(self, volts, siemens):
        return siemens * volts * (1 + volts**2), siemens * (1 + 3 * volts**2)

    def content(self, volts, siemens):
        return siemens * volts**2 * (0.5 + volts**2 / 4)


def drawn(network: Network, seed: int, scale: float = 1.0):
    """Random conductances, bias currents and inputs."""
    generator = np.random.default_rng(seed)
    conductances = [scale * g for g in random_conductances(network, generator, zeros=0.1)]
    bias = random_bias(network, generator)
    return conductances, bias, generator.normal(0, 4, network.inputs), generator


def unbalanced(solution: NodalSolution) -> np.ndarray:
    """Sum of the currents at every node that nothing holds, over their magnitudes."""
    graph, volts = solution.graph, solution.volts
    leaving, magnitude = np.zeros(volts.size), np.zeros(volts.size)
    currents = (solution.resistor_amps, solution.spring_amps, solution.cell_amps)
    for branches, amps in zip((graph.resistors, graph.springs, graph.cells), currents, strict=True):
        for nodes, sign in ((branches.start, 1), (branches.end, -1)):
            np.add.at(leaving, nodes, sign * amps)
            np.add.at(magnitude, nodes, np.abs(amps))
    for nodes, amps in (
        (graph.free, solution.rectifier_amps),
        (graph.source_nodes, graph.source_amps),
    ):
        np.add.at(leaving, nodes, -amps)
        np.add.at(magnitude, nodes, np.abs(amps))
    for before, after in zip(graph.amplifier_inputs, graph.amplifier_outputs, strict=True):
        assert volts[after] == pytest.approx(graph.voltage_gain * volts[before], rel=1e-15)
        leaving[before] += graph.current_gain * leaving[after]
        magnitude[before] += graph.current_gain * magnitude[after]
    held = np.concatenate([graph.fixed, graph.amplifier_outputs])
    np.testing.assert_array_equal(volts[graph.fixed], graph.fixed_volts)
    off = np.abs(leaving) / np.where(magnitude > 0, magnitude, 1)
    off[held] = 0
    return off


def obeys_its_law(solution: NodalSolution) -> None:
    """Every cell and every rectifier carries the current of its law at its volts."""
    graph, volts = solution.graph, solution.volts
    across = volts[graph.cells.start] - volts[graph.cells.end]
    law = graph.cell_law
    amps = graph.cells.siemens * across
    if law is not None:
        amps, _ = law.current(across, graph.cells.siemens)
    np.testing.assert_allclose(solution.cell_amps, amps, rtol=1e-12)
    p = graph.polarity
    u, i = (p * volts[graph.free])[p != 0], (p * solution.rectifier_amps)[p != 0]
    rectifier = graph.rectifier
    if isinstance(rectifier, IdealDiode):
        assert np.all(u >= rectifier.bias_v - 1e-13)
        assert np.all(i >= -1e-13)
        assert np.all((u <= rectifier.bias_v + 1e-13) | (i == 0))
    else:
        np.testing.assert_allclose(i, rectifier.current(u)[0], rtol=1e-12)
    assert not solution.rectifier_amps[p == 0].any()
