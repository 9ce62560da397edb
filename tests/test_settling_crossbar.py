"""Law: a circuit with capacitance moves to its equilibrium with its own time constants; and what
the learning rule does on circuits, whose lines it does not see."""

from __future__ import annotations

import numpy as np
import pytest

from hilep.backends import Relaxation
from hilep.network import Network
from hilep.nudging import Nudging, beta_difference, loss_of
from hilep.rule import LearningRule
from hilep.simulators.circuit.options import CIRCUIT
from hilep.simulators.circuit.response import time_constants

NETWORK = Network((4, 5, 3), "split", "current")
INPUTS = np.array([3.0, -2.0, 1.0, 4.0])
TARGETS = np.array([1.0, -1.0, 0.5])
FARADS = 1e-9
PRECISION = {"nonlinearity": "precision", "precision": {"on_ohm": 0.05}}
JUNCTION = {
    "nonlinearity": "junction",
    "junction": {"saturation_a": 1e-6, "series_ohm": 0.1, "bias_v": 0.3},
}
LINES = {"word_ohm": 0.02, "bit_ohm": 0.03, "source_ohm": 0.1, "meter_ohm": 50.0}


def circuit(network=NETWORK, seed=3, **keys):
    device = CIRCUIT.build(network, CIRCUIT.options.model_validate(keys), Relaxation())
    generator = np.random.default_rng(seed)
    conductances = [generator.uniform(0.05, 1.0, shape) for shape in network.shapes]
    bias = generator.normal(0, 0.3, network.free_nodes) if network.bias == "current" else None
    device.program(conductances, bias)
    return device


def slowest(device, volts):
    """The longest time constant about `volts`."""
    ports, polarity = device.ports(), device.network.polarity
    return time_constants(ports, polarity, device.rectifier, FARADS, volts)[0]


# In time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [{}, JUNCTION, PRECISION, LINES], ids=str)
def test_a_step_ends_at_the_equilibrium(law):
    device = circuit(node_farads=FARADS, **law)
    device.clamp(INPUTS)
    rest = circuit(**law)
    rest.clamp(INPUTS)
    volts = rest.read().mean
    tau = slowest(device, volts)
    moved = device.response([0.0, 40 * tau])
    np.testing.assert_array_equal(moved[0], 0.0)
    assert np.abs(moved[1] - volts).max() <= 1e-5 * np.abs(volts).max()
    device.read()
    device.nudge_spring(0.5, TARGETS)
    rest.nudge_spring(0.5, TARGETS)
    pulled = rest.read().mean
    moved = device.response([0.0, 40 * tau])
    np.testing.assert_allclose(moved[0], volts, rtol=1e-9, atol=1e-12)
    assert np.abs(moved[1] - pulled).max() <= 1e-5 * np.abs(pulled).max()


@pytest.mark.parametrize("law", [{}, JUNCTION, PRECISION, LINES], ids=str)
def test_what_is_left_of_a_step_falls_with_the_longest_time_constant(law):
    """By e in one time constant, once the faster ones are over; a small step switches no diode."""
    device = circuit(node_farads=FARADS, **law)
    device.clamp(INPUTS)
    volts = device.read().mean
    tau = slowest(device, volts)
    device.nudge(np.array([1e-3, -1e-3, 1e-3]))
    rest = circuit(**law)
    rest.clamp(INPUTS)
    rest.nudge(np.array([1e-3, -1e-3, 1e-3]))
    pulled = rest.read().mean
    left = np.abs(device.response(np.array([5.0, 6.0]) * tau) - pulled).max(axis=1)
    assert left[0] / left[1] == pytest.approx(np.e, rel=0.1)


def test_one_node_charges_exponentially():
    device = circuit(Network((3, 1), bias="none"), node_farads=FARADS)
    device.clamp([1.0, 2.0, -4.0])
    (g,) = device.conductances()
    tau = FARADS / g.sum()
    rest = float(g[:, 0] @ [1.0, 2.0, -4.0] / g.sum())
    times = np.array([0.1, 1.0, 3.0]) * tau
    expected = rest * (1 - np.exp(-times / tau))
    np.testing.assert_allclose(device.response(times)[:, 0], expected, rtol=1e-4)


def test_a_response_leaves_the_circuit_where_it_is():
    device = circuit(node_farads=FARADS, settle_s=1e-9)
    device.clamp(INPUTS)
    device.read()
    first = device.response([1e-9, 2e-9])
    np.testing.assert_array_equal(device.response([1e-9, 2e-9]), first)
    np.testing.assert_allclose(device.read().mean, first[0], rtol=1e-5)
    np.testing.assert_allclose(device.read().mean, first[1], rtol=1e-5)


def test_a_response_begins_where_a_batch_ended():
    """As if its images had been read one by one."""
    batch = np.array([INPUTS, -INPUTS])
    nudging = Nudging.of("positive", "spring", 0.5, "half-sum", 3)
    one, many, pairs = (circuit(node_farads=FARADS) for _ in range(3))
    one.clamp(-INPUTS)
    volts = one.read().mean
    many.read_batch(batch)
    pair = pairs.free_and_nudged(batch, np.tile(TARGETS, (2, 1)), nudging)
    np.testing.assert_allclose(many.response([0.0])[0], volts, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        pairs.response([0.0])[0], pair.second.mean[1], rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("law", [{}, JUNCTION], ids=str)
def test_reads_lag_behind_a_short_wait_and_not_behind_a_long_one(law):
    rest = circuit(**law)
    rest.clamp(INPUTS)
    volts = rest.read().mean
    size = np.abs(volts).max()
    device = circuit(node_farads=FARADS, **law)
    tau = slowest(device, volts)
    lags = []
    for wait in (0.01, 1.0, 40.0):
        device = circuit(node_farads=FARADS, settle_s=wait * tau, **law)
        device.clamp(INPUTS)
        lags.append(np.abs(device.read().mean - volts).max() / size)
    assert lags[0] > 0.5
    assert lags[0] > lags[1] > 1e-3
    assert lags[2] < 1e-5


def test_phases_and_batches_that_do_not_wait_begin_where_the_last_one_ended():
    """Read by read, image by image: what verbs one at a time would have found."""
    batch, targets = np.array([INPUTS, -INPUTS, 2 * INPUTS]), np.tile(TARGETS, (3, 1))
    nudging = Nudging.of("positive", "spring", 0.5, "half-sum", 3)
    device, plain = (circuit(node_farads=FARADS, settle_s=1e-9) for _ in range(2))
    pair = device.free_and_nudged(batch, targets, nudging)
    for image in range(3):
        plain.clamp(batch[image])
        free = plain.read().mean
        plain.nudge_spring(0.5, targets[image])
        np.testing.assert_array_equal(pair.first.mean[image], free)
        np.testing.assert_array_equal(pair.second.mean[image], plain.read().mean)
    found = device.read_batch(batch)
    for image in range(3):
        plain.clamp(batch[image])
        np.testing.assert_array_equal(found.mean[image], plain.read().mean)


# Learning -----------------------------------------------------------------------------------------

BATCH = np.random.default_rng(8).normal(0, 6, (3, 4))
AIMS = np.random.default_rng(9).normal(0, 1, (3, 3))


def loss_at(network, conductances, bias, keys):
    device = circuit(network, **keys)
    device.program(conductances, bias)
    outputs = device.read_batch(BATCH).mean[:, network.output_slice]
    return float(loss_of(outputs, AIMS, "half-sum").sum())


def update_and_gradient(network, keys, beta=1e-5):
    """The rule's update, centred, and minus the loss's gradient, each as one vector."""
    device = circuit(network, **keys)
    nudging = Nudging.of("centered", "spring", beta, "half-sum", network.outputs)
    layers = len(network.shapes)
    rule = LearningRule(network, beta_difference("centered", beta), [1.0] * layers, [1.0] * layers)
    (update,) = rule.blocks(device.free_and_nudged(BATCH, AIMS, nudging, 1, rule.statistic))
    conductances = [g.copy() for g in device.conductances()]
    bias = device.bias_currents().copy()
    step, slopes = 1e-5, []
    for array in (*conductances, bias):
        for entry in np.ndindex(array.shape):
            values, kept = [], array[entry]
            for sign in (1, -1):
                array[entry] = kept + sign * step
                values.append(loss_at(network, conductances, bias, keys))
            array[entry] = kept
            slopes.append((values[1] - values[0]) / (2 * step))
    found = [layer.dense().ravel() for layer in update.layers]
    return np.concatenate([*found, update.bias_currents]), np.array(slopes)


@pytest.mark.parametrize("gains", [(1.0, 1.0), (4.0, 0.25), (2.0, 1.0)], ids=str)
@pytest.mark.parametrize(
    "keys",
    [{}, JUNCTION, {**PRECISION, "meter_ohm": 20.0}, {"meter_ohm": 50.0}],
    ids=["ideal", "junction", "precision and meters", "meters"],
)
def test_without_line_resistance_the_update_is_the_gradient(keys, gains):
    """Whatever rectifies the hidden nodes, meters and amplifiers included."""
    network = Network((4, 5, 3), "split", "current", voltage_gain=gains[0], current_gain=gains[1])
    update, gradient = update_and_gradient(network, keys)
    assert np.abs(update - gradient).max() <= 1e-5 * np.abs(gradient).max()


@pytest.mark.parametrize("gains", [(1.0, 1.0), (2.0, 0.5)], ids=str)
@pytest.mark.parametrize("law", [{}, JUNCTION], ids=["ideal", "junction"])
@pytest.mark.parametrize("line", ["word_ohm", "bit_ohm", "source_ohm"])
def test_the_error_of_the_update_is_proportional_to_the_resistance_of_lines(line, law, gains):
    """The rule takes a cell's ends to be at the nodes; what drops along the line is missed.

    Ten times less resistance, ten times less error; and it points downhill still.
    """
    network = Network((4, 5, 3), "split", "current", voltage_gain=gains[0], current_gain=gains[1])
    errors = []
    for ohm in (1e-2, 1e-3):
        update, gradient = update_and_gradient(network, {**law, line: ohm})
        errors.append(np.abs(update - gradient).max() / np.abs(gradient).max())
        assert update @ gradient > 0.9 * np.linalg.norm(update) * np.linalg.norm(gradient)
    assert errors[0] < 0.3
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.2)
