"""The whole circuit agrees with other ways to the same voltages."""

from __future__ import annotations

import numpy as np
import pytest
from whole_circuits import LINES, CubicLaw, drawn

from hilep.network import Network
from hilep.simulators.cells.conduction import SinhLaw
from hilep.simulators.circuit.graph import circuit_graph
from hilep.simulators.circuit.nodal import solve
from hilep.simulators.circuit.wiring import Wiring
from hilep.testing.equilibrium import equilibrium


@pytest.mark.parametrize("bias", ["none", "current", "row"])
@pytest.mark.parametrize(
    "layers", [(5, 3), (4, 3, 2), (8, 6, 4, 3), (20, 16, 5), (6, 5, 4, 3, 2)], ids=str
)
def test_without_lines_it_is_the_ideal_network(layers, bias):
    for seed, diodes in enumerate(("relu", "split", "none")):
        network = Network(layers, diodes, bias, bias_v=1.5)
        conductances, currents, x, generator = drawn(network, seed)
        aims = {"targets": generator.normal(0, 1, network.outputs)}
        for phase in (
            {},
            {"amps": generator.normal(0, 1, network.outputs)},
            {"spring_siemens": 0.7, **aims},
            {"spring_siemens": -0.05, **aims},
            {"spring_siemens": np.inf, **aims},
        ):
            theirs = equilibrium(network, conductances, currents, x, **phase)
            ours = solve(circuit_graph(network, conductances, currents, x, **phase)).free_volts
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.parametrize("gains", [(2.0, 2.0), (3.0, 0.5), (0.25, 8.0)])
def test_amplifiers_are_those_of_the_ideal_network(gains):
    network = Network((6, 5, 4, 3), "split", "row", voltage_gain=gains[0], current_gain=gains[1])
    conductances, _, x, generator = drawn(network, 0)
    for phase in ({}, {"amps": generator.normal(0, 1, 3)}):
        theirs = equilibrium(network, conductances, None, x, **phase)
        ours = solve(circuit_graph(network, conductances, None, x, **phase)).free_volts
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())


def one_array(g, x, bias_v, wiring) -> np.ndarray:
    """Output volts of one array with lines and bias rows, every segment written out."""
    n, m = g.shape
    sources = [*x, bias_v, -bias_v]
    size = 2 * n * m + m
    matrix, right = np.zeros((size, size)), np.zeros(size)

    def word(i, j):
        return i * m + j

    def bit(i, j):
        return n * m + i * m + j if i < n else 2 * n * m + j

    def join(a, b, siemens):
        matrix[[a, b], [a, b]] += siemens
        matrix[[a, b], [b, a]] -= siemens

    for i in range(n):
        lead = 1 / (wiring.source_ohm + wiring.word_ohm)
        matrix[word(i, 0), word(i, 0)] += lead
        right[word(i, 0)] += lead * sources[i]
        for j in range(m):
            join(word(i, j), bit(i, j), g[i, j])
            join(bit(i, j), bit(i + 1, j), 1 / wiring.bit_ohm)
            if j + 1 < m:
                join(word(i, j), word(i, j + 1), 1 / wiring.word_ohm)
    for j in range(m):
        matrix[bit(n, j), bit(n, j)] += 1 / wiring.meter_ohm
    return np.linalg.solve(matrix, right)[-m:]


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (2, 4), (5, 5)], ids=str)
def test_lines_are_where_the_wiring_says(shape):
    network = Network(shape, bias="row", bias_v=2.0)
    conductances, _, x, _ = drawn(network, 3)
    conductances[0] += 0.05
    graph = circuit_graph(network, conductances, None, x, wiring=LINES)
    expected = one_array(conductances[0], x, 2.0, LINES)
    np.testing.assert_allclose(solve(graph).free_volts, expected, rtol=1e-11)


@pytest.mark.parametrize("name", ["word_ohm", "bit_ohm", "source_ohm"])
def test_a_resistance_towards_zero_is_a_node_merged(name):
    """One line at a time, so that every combination of merged and split nodes is met."""
    network = Network((4, 3, 2), "split", "row")
    conductances, _, x, _ = drawn(network, 4)
    rest = {"word_ohm": 0.02, "bit_ohm": 0.03, "source_ohm": 0.1, name: 0.0}
    merged = solve(circuit_graph(network, conductances, None, x, wiring=Wiring(**rest)))
    rest[name] = 1e-9
    split = solve(circuit_graph(network, conductances, None, x, wiring=Wiring(**rest)))
    assert len(split.graph.nodes) >= len(merged.graph.nodes)
    np.testing.assert_allclose(split.free_volts, merged.free_volts, rtol=0, atol=1e-6)


@pytest.mark.parametrize("law", [CubicLaw(), SinhLaw(0.5)], ids=lambda x: type(x).__name__)
def test_nonlinear_cells_agree_with_a_general_root_finder(law):
    from scipy.optimize import root

    network = Network((4, 3, 2), "none", "current")
    conductances, bias, x, _ = drawn(network, 5)
    x = x / 4
    first, second = conductances

    def leaving(v):
        h, y = v[:3], v[3:]
        into_h, _ = law.current(x[:, None] - h, first)
        into_y, _ = law.current(h[:, None] - y, second)
        return np.concatenate([into_y.sum(1) - into_h.sum(0), -into_y.sum(0)]) - bias

    expected = root(leaving, np.zeros(5), tol=1e-14)
    assert np.abs(expected.fun).max() < 1e-9
    solution = solve(circuit_graph(network, conductances, bias, x, cell_law=law))
    np.testing.assert_allclose(solution.free_volts, expected.x, rtol=0, atol=1e-9)
