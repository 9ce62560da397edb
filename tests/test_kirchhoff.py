"""Equilibrium: Kirchhoff's current law and the diode conditions, for any depth and polarity."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import SOLVERS, programmed, simulated
from hypothesis import given, settings
from hypothesis import strategies as st

from hilep import kirchhoff
from hilep.errors import NotSettledError
from hilep.network import Network


@st.composite
def networks(draw) -> Network:
    layers = draw(st.lists(st.integers(1, 9), min_size=2, max_size=5))
    diodes = [
        draw(
            st.sampled_from(["relu", "split", "none"])
            | st.lists(st.sampled_from([-1, 0, 1]), min_size=n, max_size=n)
        )
        for n in layers[1:-1]
    ]
    return Network(tuple(layers), diodes, draw(st.sampled_from(["none", "current", "row"])))


@pytest.mark.parametrize("solver", SOLVERS)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    network=networks(),
    seed=st.integers(0, 2**32 - 1),
    zeros=st.sampled_from([0.0, 0.3, 1.0]),
    nudge=st.sampled_from(["free", "current", "spring", "negative spring", "clamp"]),
)
def test_relaxed_voltages_obey_kirchhoff_and_the_diodes(solver, network, seed, zeros, nudge):
    generator = np.random.default_rng(seed)
    device = simulated(network, solver)
    conductances, bias = programmed(network, generator, device, zeros)
    inputs = generator.normal(0, 5, network.inputs)
    targets = generator.normal(0, 1, network.outputs)
    device.clamp(inputs)
    told = {}
    if nudge == "current":
        told = {"amps": device.nudge(targets)}
    elif nudge == "spring":
        device.nudge_spring(0.7, targets)
        told = {"spring_siemens": 0.7, "targets": targets}
    elif nudge == "negative spring":
        weakest = float(conductances[-1].sum(axis=0).min())
        if weakest == 0:
            return
        device.nudge_spring(-0.4 * weakest, targets)
        told = {"spring_siemens": -0.4 * weakest, "targets": targets}
    elif nudge == "clamp":
        device.nudge_spring(np.inf, targets)
        told = {"spring_siemens": np.inf}
    try:
        volts = device.read().mean
    except NotSettledError:
        # A negative spring may exceed what an output sees through floating hidden nodes.
        assert nudge == "negative spring"
        return
    if nudge == "clamp":
        np.testing.assert_array_equal(volts[network.output_slice], targets)
    off = kirchhoff.residual(network, conductances, bias, inputs, volts, **told)
    assert np.all(np.isfinite(volts))
    assert off.max() <= 1e-12


def test_residual_sees_a_wrong_voltage_at_every_node():
    network = Network((5, 4, 3, 2), "split", "row")
    generator = np.random.default_rng(1)
    device = simulated(network)
    conductances, bias = programmed(network, generator, device)
    inputs = generator.normal(0, 5, 5)
    device.clamp(inputs)
    volts = device.read().mean
    for node in range(network.free_nodes):
        moved = volts.copy()
        moved[node] += 0.1
        off = kirchhoff.residual(network, conductances, bias, inputs, moved)
        assert off[0, node] > 1e-3, f"node {node}"


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("bias", ["row", "current", "none"])
def test_a_linear_network_equals_the_solution_of_its_node_equations(solver, bias):
    """Without diodes: G V = i, assembled from the circuit's resistors one by one."""
    network = Network((4, 3, 5, 2), "none", bias, bias_v=1.7)
    generator = np.random.default_rng(2)
    device = simulated(network, solver)
    conductances, currents = programmed(network, generator, device)
    inputs = generator.normal(0, 3, 4)
    device.clamp(inputs)
    amps = generator.normal(0, 0.5, 2)
    device.nudge(amps)
    free = network.free_nodes
    matrix, into = np.zeros((free, free)), np.zeros(free)
    if currents is not None:
        into += currents
    into[network.output_slice] += amps
    for k, g in enumerate(conductances):
        for i in range(g.shape[0]):
            for j in range(g.shape[1]):
                post = network.slices[k].start + j
                matrix[post, post] += g[i, j]
                if i >= network.layers[k]:
                    into[post] += g[i, j] * (1.7, -1.7)[i - network.layers[k]]
                elif k == 0:
                    into[post] += g[i, j] * inputs[i]
                else:
                    pre = network.slices[k - 1].start + i
                    matrix[pre, pre] += g[i, j]
                    matrix[pre, post] -= g[i, j]
                    matrix[post, pre] -= g[i, j]
    np.testing.assert_allclose(device.read().mean, np.linalg.solve(matrix, into), rtol=1e-11)


def test_a_bias_row_is_not_a_bias_current():
    """A row adds its conductance to the node, so equal currents at 0 V give unequal voltages."""
    generator = np.random.default_rng(3)
    inputs = generator.normal(0, 3, 4)
    with_row = Network((4, 2), bias="row", bias_v=2.0)
    g = generator.uniform(0.1, 1.0, (6, 2))
    device = simulated(with_row)
    device.program([g])
    device.clamp(inputs)
    row = device.read().mean
    with_current = Network((4, 2), bias="current")
    device = simulated(with_current)
    device.program([g[:4]], 2.0 * (g[4] - g[5]))
    device.clamp(inputs)
    current = device.read().mean
    np.testing.assert_allclose(row * g.sum(axis=0), current * g[:4].sum(axis=0), rtol=1e-13)
    assert np.abs(row - current).min() > 1e-3


@pytest.mark.parametrize("solver", SOLVERS)
def test_five_sweeps_are_eq_6_written_out(solver):
    """The paper's relaxation: hidden, then output, from 0 V; the nudged phase from the free one."""
    network = Network((6, 4, 3), "relu", "current")
    generator = np.random.default_rng(4)
    device = simulated(network, solver, sweeps=5)
    (first, second), bias = programmed(network, generator, device)
    x, t = generator.normal(0, 4, 6), generator.normal(0, 1, 3)
    h, y = np.zeros(4), np.zeros(3)

    def sweep(h, y, siemens):
        total = first.sum(axis=0) + second.sum(axis=1)
        h = np.maximum((x @ first + y @ second.T + bias[:4]) / total, 0)
        y = (h @ second + bias[4:] + siemens * t) / (second.sum(axis=0) + siemens)
        return h, y

    for _ in range(5):
        h, y = sweep(h, y, 0.0)
    device.clamp(x)
    np.testing.assert_allclose(device.read().mean, np.concatenate([h, y]), rtol=1e-13)
    for _ in range(5):
        h, y = sweep(h, y, 0.3)
    device.nudge_spring(0.3, t)
    np.testing.assert_allclose(device.read().mean, np.concatenate([h, y]), rtol=1e-13)
