"""Circuits without a certain operating point are refused, by the name of the node."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from whole_circuits import drawn, obeys_its_law

from hilep.errors import BadInputError, FloatingNodeError, NotSettledError
from hilep.network import Network
from hilep.simulators.cells.conduction import SinhLaw
from hilep.simulators.circuit.graph import CircuitGraph, circuit_graph
from hilep.simulators.circuit.nodal import solve
from hilep.simulators.circuit.rectifiers import IdealDiode, JunctionDiode, PrecisionRectifier
from hilep.simulators.circuit.wiring import Wiring


def plain(g=((1.0, 0.5), (0.5, 1.0)), **told) -> CircuitGraph:
    return circuit_graph(Network((2, 2), bias="none"), [np.array(g)], None, [1.0, -1.0], **told)


def test_nodes_that_nothing_holds_are_named():
    with pytest.raises(FloatingNodeError, match="y1 to a source or to ground"):
        solve(plain(((1.0, 0.0), (0.5, 0.0))))
    network = Network((2, 3, 2), "none", "none")
    first = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    second = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    with pytest.raises(FloatingNodeError, match="h1_1, h1_2, y1 to"):
        solve(circuit_graph(network, [first, second], None, [1.0, 1.0]))
    held = Wiring(meter_ohm=1e6)
    assert solve(plain(((1.0, 0.0), (0.5, 0.0)), wiring=held)).volts_of("y1") == 0


def test_a_leak_alone_holds_a_node():
    network = Network((1, 1, 1), "relu", "current")
    told = (network, [[[0.0]], [[1.0]]], [1e-3, 0.0], [0.0])
    with pytest.raises(FloatingNodeError, match="h1_0, y0"):
        solve(circuit_graph(*told, rectifier=JunctionDiode()))
    for law in (JunctionDiode(leakage_siemens=1e-3), PrecisionRectifier(off_siemens=1e-3)):
        solution = solve(circuit_graph(*told, rectifier=law))
        assert solution.volts_of("y0") == pytest.approx(1.0, rel=1e-8)
        obeys_its_law(solution)


@pytest.mark.parametrize("siemens", [0.0, -1.0, np.nan, np.inf])
def test_conductances_that_are_none_are_named(siemens):
    graph = plain()
    cells = replace(graph.cells, siemens=np.array([1.0, siemens, 1.0, 1.0]))
    with pytest.raises(BadInputError, match="between x0 and y1, expected finite siemens > 0"):
        solve(replace(graph, cells=cells))
    with pytest.raises(BadInputError, match="inf S between x0 and w0_0_0"):
        solve(plain(wiring=Wiring(word_ohm=1e-320)))


def test_a_spring_that_cancels_the_conductances_is_named():
    aims = {"targets": [0.0, 0.0]}
    with pytest.raises(NotSettledError, match="y0"):
        solve(plain(spring_siemens=-1.5, **aims))
    with pytest.raises(NotSettledError, match="no stable solution at y"):
        solve(plain(spring_siemens=-2.0, **aims))
    below = solve(plain(spring_siemens=-1.0, **aims))
    np.testing.assert_allclose(below.free_volts, [1.0, -1.0], rtol=1e-14)


def test_lines_too_good_for_the_arithmetic_are_refused_or_right():
    """A segment of 1e-18 of a cell's resistance leaves nothing of the cell in a float64 sum."""
    network = Network((3, 2), bias="none")
    conductances, _, x, _ = drawn(network, 11)
    ideal = solve(circuit_graph(network, conductances, None, x)).free_volts
    for ohm in 10.0 ** np.arange(-3, -12, -1):
        wiring = Wiring(word_ohm=ohm, bit_ohm=ohm)
        volts = solve(circuit_graph(network, conductances, None, x, wiring=wiring)).free_volts
        np.testing.assert_allclose(volts, ideal, rtol=0, atol=20 * ohm)
    wiring = Wiring(word_ohm=1e-18, bit_ohm=1e-18)
    with pytest.raises(NotSettledError, match=r"ill-conditioned|unique|stable"):
        solve(circuit_graph(network, conductances, None, x, wiring=wiring))


def test_a_current_beyond_float64_is_named():
    with pytest.raises(NotSettledError, match="beyond float64"):
        solve(plain(cell_law=SinhLaw(1e-4)))


def test_bad_input_is_named():
    graph = plain()
    other = solve(circuit_graph(Network((2, 3), bias="none"), [np.ones((2, 3))], None, [1, 1]))
    with pytest.raises(BadInputError, match="other nodes"):
        solve(graph, other)
    with pytest.raises(BadInputError, match="'y7'"):
        solve(graph).volts_of("y7")
    with pytest.raises(BadInputError, match="spring"):
        plain(spring_siemens=1.0)
    with pytest.raises(BadInputError, match="both"):
        plain(spring_siemens=1.0, targets=[0.0, 0.0], amps=[0.0, 0.0])


def test_a_diode_whose_current_rounding_hides_does_not_hide_that_its_node_is_undecided():
    """Segments 1e17 better than the cells drown the current that tells whether a diode holds."""
    network = Network((1, 1, 1), "relu", "none", voltage_gain=4.0, current_gain=0.04)
    cells = [np.array([[4e-9]]), np.array([[1e-9]])]
    told = (network, cells, None, [1.0])
    joined = solve(circuit_graph(*told, rectifier=IdealDiode(0.5), wiring=Wiring(meter_ohm=1e9)))
    assert joined.volts_of("h1_0") > 0.7
    wiring = Wiring(word_ohm=4e-9, meter_ohm=1e9)
    with pytest.raises(NotSettledError, match=r"ill-conditioned|unique|stable"):
        solve(circuit_graph(*told, rectifier=IdealDiode(0.5), wiring=wiring))
