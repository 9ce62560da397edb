"""A circuit reduced to its free nodes: against the ideal network and against all nodes at once."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import random_conductances
from dense_lines import Resistors

from hilep.errors import BadInputError
from hilep.network import Network
from hilep.simulators.circuit.graph import circuit_graph
from hilep.simulators.circuit.nodal import solve
from hilep.simulators.circuit.reduction import port_network
from hilep.simulators.circuit.wiring import Wiring

WIRINGS = [
    Wiring(word_ohm=0.02, bit_ohm=0.03, source_ohm=0.3, meter_ohm=20.0),
    Wiring(word_ohm=0.02),
    Wiring(bit_ohm=0.03),
    Wiring(source_ohm=0.3, meter_ohm=20.0),
    Wiring(meter_ohm=20.0),
    Wiring(),
]


def drawn(network: Network, seed=0, zeros=0.1):
    generator = np.random.default_rng(seed)
    conductances = random_conductances(network, generator, zeros)
    return conductances, generator.normal(size=(3, network.inputs)), generator


def square(own):
    return np.diag(own) if own.ndim == 1 else own


def admittance(network, ports):
    """All free nodes' `own` and `joined` as one matrix."""
    matrix = np.zeros((network.free_nodes,) * 2)
    for nodes, own in zip(network.slices, ports.own, strict=True):
        matrix[nodes, nodes] = square(own)
    for before, after, joined in zip(
        network.slices[:-1], network.slices[1:], ports.joined, strict=True
    ):
        matrix[before, after] = -joined
        matrix[after, before] = -joined.T
    return matrix


def free_volts(network, reduction, inputs):
    """Volts of a network without rectifiers."""
    return np.linalg.solve(admittance(network, reduction.ports), reduction.inflow(inputs).T).T


@pytest.mark.parametrize("bias", ["none", "row"])
def test_without_lines_it_is_the_ideal_network(bias):
    network = Network((5, 4, 3, 2), bias=bias, bias_v=0.7)
    g, inputs, _ = drawn(network)
    reduction = port_network(network, g)
    for k, own in enumerate(reduction.ports.own):
        total = g[k].sum(axis=0)
        if k < 2:
            total = total + g[k + 1][: network.layers[k + 1]].sum(axis=1)
        assert own.ndim == 1
        np.testing.assert_allclose(own, total, rtol=1e-14)
    for k, joined in enumerate(reduction.ports.joined):
        np.testing.assert_array_equal(joined, g[k + 1][: network.layers[k + 1]])
    expected = np.zeros((3, network.free_nodes))
    for k, nodes in enumerate(network.slices):
        pre = inputs if k == 0 else np.zeros((3, network.layers[k]))
        expected[:, nodes] = network.with_bias_rows(pre) @ g[k]
    np.testing.assert_allclose(reduction.inflow(inputs), expected, rtol=1e-13, atol=1e-14)
    assert (reduction.ports.weight == 1).all()


@pytest.mark.parametrize("wiring", WIRINGS)
def test_free_nodes_are_at_the_volts_of_the_whole_circuit(wiring):
    network = Network((4, 5, 3, 6), diodes="none", bias="row", bias_v=1.3)
    g, inputs, _ = drawn(network, seed=1)
    circuit = Resistors()
    sources = [f"x{k}" for k in range(4)] + ["bp", "bn", "0"]
    before = [f"x{k}" for k in range(4)]
    free: list[str] = []
    for layer, siemens in enumerate(g):
        after = [f"n{layer}_{k}" for k in range(siemens.shape[1])]
        lead = np.full(len(siemens), wiring.source_ohm)
        if layer:
            lead[: len(before)] = 0
        pre = [*before, "bp", "bn"]
        circuit.array(siemens, wiring.word_ohm, wiring.bit_ohm, lead, pre, after, layer)
        for name in after:
            circuit.conductance(name, "0", wiring.meter_siemens)
        free += after
        before = after
    known = np.hstack([inputs, np.tile([1.3, -1.3, 0.0], (3, 1))])
    volts = circuit.volts(sources, known)
    expected = np.array([volts[circuit.node(name)] for name in free]).T
    reduction = port_network(network, g, wiring)
    np.testing.assert_allclose(free_volts(network, reduction, inputs), expected, rtol=1e-11)
    for layer, solution in enumerate(reduction.lines(inputs, expected)):
        for i, j in np.ndindex(g[layer].shape):
            word, bit = (volts[circuit.node((kind, layer, i, j))] for kind in "wb")
            np.testing.assert_allclose(solution.word_volts[:, i, j], word, rtol=1e-11, atol=1e-13)
            np.testing.assert_allclose(solution.bit_volts[:, i, j], bit, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_amplifiers_are_those_of_the_whole_circuit(wiring):
    network = Network(
        (4, 5, 3, 6), diodes="none", bias="row", bias_v=1.3, voltage_gain=3.0, current_gain=0.4
    )
    g, inputs, _ = drawn(network, seed=2)
    reduction = port_network(network, g, wiring)
    matrix = admittance(network, reduction.ports)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > 0
    got = free_volts(network, reduction, inputs)
    for image, x in enumerate(inputs):
        expected = solve(circuit_graph(network, g, None, x, wiring=wiring)).free_volts
        np.testing.assert_allclose(got[image], expected, rtol=1e-9)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_nodes_of_a_layer_are_joined_by_lines_alone(wiring):
    network = Network((4, 5, 3), bias="row")
    g, _, _ = drawn(network, seed=3)
    hidden, outputs = port_network(network, g, wiring).ports.own
    words = wiring.word_ohm > 0 or wiring.source_ohm > 0
    assert hidden.ndim == 1 + (words or wiring.bit_ohm > 0)
    assert outputs.ndim == 1 + words


@pytest.mark.parametrize("ohm", [0.0, 0.1])
def test_nodes_that_nothing_holds_are_named(ohm):
    network = Network((2, 3, 3, 3), bias="none")
    g = [np.zeros(shape) for shape in network.shapes]
    g[0][0, 0] = g[1][0, 1] = 1.0  # x0, h1_0 and h2_1
    g[1][2, 2] = g[2][2, 0] = g[2][2, 1] = 1.0  # h1_2, h2_2, y0 and y1
    reduction = port_network(network, g, Wiring(word_ohm=ohm, bit_ohm=ohm))
    assert reduction.unjoined == ("h1_1", "h2_0", "y2")
    assert reduction.islands == (("h1_2", "h2_2", "y0", "y1"),)
    alone = np.isin(np.arange(9), [1, 3, 8])
    np.testing.assert_array_equal(admittance(network, reduction.ports).any(axis=1), ~alone)
    held = port_network(network, g, Wiring(word_ohm=ohm, bit_ohm=ohm, meter_ohm=1e9))
    assert held.unjoined == held.islands == ()
    whole = [np.ones(shape) for shape in network.shapes]
    assert port_network(network, whole).islands == ()


def test_bad_input_is_named():
    network = Network((2, 3, 1), bias="none")
    g = [np.ones(shape) for shape in network.shapes]
    with pytest.raises(BadInputError, match="expected 2 layers"):
        port_network(network, g[:1])
    with pytest.raises(BadInputError, match=r"layer 1: expected shape \(3, 1\)"):
        port_network(network, [g[0], g[0]])
    with pytest.raises(BadInputError, match="expected >= 0"):
        port_network(network, [-g[0], g[1]])
    reduction = port_network(network, g)
    with pytest.raises(BadInputError, match="circuit inputs"):
        reduction.inflow([[1.0]])
    with pytest.raises(BadInputError, match="circuit volts"):
        reduction.lines([[1.0, 2.0]], [[1.0]])
