"""The whole circuit's operating point obeys Kirchhoff's law and the law of every element."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from whole_circuits import LINES, RECTIFIERS, CubicLaw, drawn, obeys_its_law, unbalanced

from hilep.network import Network
from hilep.simulators.cells.conduction import SinhLaw
from hilep.simulators.circuit import bounded
from hilep.simulators.circuit.equations import Equations
from hilep.simulators.circuit.graph import circuit_graph
from hilep.simulators.circuit.nodal import solve
from hilep.simulators.circuit.rectifiers import PrecisionRectifier
from hilep.simulators.circuit.wiring import Wiring


@pytest.mark.parametrize("rectifier", RECTIFIERS, ids=str)
@pytest.mark.parametrize("law", [None, CubicLaw(), SinhLaw(0.7)], ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("wiring", [Wiring(), LINES], ids=["ideal", "lines"])
def test_kirchhoffs_law_holds_at_every_node(rectifier, law, wiring):
    for seed, (layers, gains) in enumerate(
        [((4, 3, 2), (1.0, 1.0)), ((6, 5, 4, 3), (3.0, 0.5)), ((3, 2), (2.0, 2.0))]
    ):
        network = Network(
            layers,
            "split",
            ("current", "row", "none")[seed],
            voltage_gain=gains[0],
            current_gain=gains[1],
        )
        conductances, bias, x, generator = drawn(network, seed)
        amps = generator.normal(0, 1, network.outputs)
        aims = {"targets": generator.normal(0, 1, network.outputs)}
        for phase in ({}, {"amps": amps}, {"spring_siemens": 0.4, **aims}):
            graph = circuit_graph(
                network,
                conductances,
                bias,
                x,
                wiring=wiring,
                rectifier=rectifier,
                cell_law=law,
                **phase,
            )
            solution = solve(graph)
            assert unbalanced(solution).max() < 1e-10
            obeys_its_law(solution)


def test_steep_cells_are_reached_by_raising_the_sources():
    """Cells over forty times their v0, for which Newton's method from 0 V overflows."""
    network = Network((6, 5, 3), "split", "row")
    conductances, _, x, _ = drawn(network, 6)
    graph = circuit_graph(network, conductances, None, 3 * x, wiring=LINES, cell_law=SinhLaw(0.05))
    solution = solve(graph)
    assert unbalanced(solution).max() < 1e-10
    obeys_its_law(solution)


@pytest.mark.parametrize("rectifier", [RECTIFIERS[2], *RECTIFIERS[4:]], ids=str)
def test_the_weighted_law_is_the_slope_of_the_cocontent(rectifier):
    network = Network((3, 3, 2, 2), "split", "row", voltage_gain=2.0, current_gain=0.5)
    conductances, _, x, generator = drawn(network, 7)
    law = SinhLaw(0.5)
    graph = circuit_graph(
        network, conductances, None, x, wiring=LINES, rectifier=rectifier, cell_law=law
    )
    equations = Equations(graph)

    def content(unknowns):
        volts = equations.volts(unknowns)
        total = 0.0
        for b in (graph.resistors, graph.cells):
            across = volts[b.start] - volts[b.end]
            each = 0.5 * b.siemens * across**2
            if b is graph.cells:
                each = law.content(across, b.siemens)
            total += float(b.weight @ each)
        p, free = graph.polarity, volts[graph.free]
        at = p != 0
        weight = network.node_weights
        total += float(weight[at] @ rectifier.content((p * free)[at]))
        return total - float((graph.source_weight * graph.source_amps) @ volts[graph.source_nodes])

    at = generator.normal(0, 0.3, equations.size)
    now = equations.currents(at)
    jacobian = equations.jacobian(now).toarray()
    step = 1e-6
    for k in range(equations.size):
        ahead, behind = at.copy(), at.copy()
        ahead[k] += step
        behind[k] -= step
        slope = (content(ahead) - content(behind)) / (2 * step)
        assert slope == pytest.approx(now.leaving[k], rel=1e-5, abs=1e-7)
        both = equations.currents(ahead).leaving - equations.currents(behind).leaving
        np.testing.assert_allclose(jacobian[:, k], both / (2 * step), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(jacobian, jacobian.T, rtol=1e-14)


def test_single_pivots_find_the_same_diodes(monkeypatch):
    network = Network((20, 16, 8, 5), "split", "current")
    conductances, bias, x, _ = drawn(network, 8)
    graph = circuit_graph(network, conductances, bias, x)
    expected = solve(graph)
    assert 0.1 < np.mean(expected.free_volts[:24] == 0) < 0.9
    monkeypatch.setattr(bounded, "PATIENCE", 0)
    single = solve(graph)
    np.testing.assert_allclose(single.free_volts, expected.free_volts, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rectifier", RECTIFIERS, ids=str)
def test_a_start_from_the_answer_ends_there(rectifier):
    network = Network((8, 6, 4), "split", "current")
    conductances, bias, x, _ = drawn(network, 9)
    graph = circuit_graph(network, conductances, bias, x, rectifier=rectifier)
    cold = solve(graph)
    warm = solve(graph, cold)
    assert warm.steps <= 2
    np.testing.assert_allclose(warm.volts, cold.volts, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scales", [(1e-6, 1e-3), (1e6, 1e3), (1e-12, 1.0)], ids=str)
def test_only_ratios_count(scales):
    """Conductances times a and volts times s: the same circuit, its volts times s."""
    a, s = scales
    network = Network((8, 6, 4, 3), "split", "row", bias_v=1.0)
    scaled = Network((8, 6, 4, 3), "split", "row", bias_v=s)
    conductances, _, x, generator = drawn(network, 10)
    amps = generator.normal(0, 1, 3)
    wiring = replace(LINES, word_ohm=0.03 / a, bit_ohm=0.07 / a, source_ohm=0.2 / a)
    rectifier = PrecisionRectifier(0.01, 1e-3, 0.02, 0.1)
    other = PrecisionRectifier(0.01 / a, 1e-3 * a, 0.02 * s, 0.1 * s)
    one = circuit_graph(
        network, conductances, None, x, wiring=LINES, rectifier=rectifier, amps=amps
    )
    two = circuit_graph(
        scaled,
        [a * g for g in conductances],
        None,
        s * x,
        wiring=replace(wiring, meter_ohm=50 / a),
        rectifier=other,
        amps=a * s * amps,
    )
    expected = s * solve(one).volts
    np.testing.assert_allclose(
        solve(two).volts, expected, rtol=0, atol=1e-11 * np.abs(expected).max()
    )
