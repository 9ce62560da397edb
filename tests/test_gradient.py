"""Equilibrium Propagation's update is the gradient: against finite differences of the loss."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import random_bias, random_conductances, simulated

from hilep.network import Network
from hilep.nudging import Nudging, beta_difference, loss_of
from hilep.rule import LearningRule

CASES = [
    ("positive", "spring"),
    ("positive", "current"),
    ("negative", "spring"),
    ("negative", "current"),
    ("centered", "spring"),
    ("centered", "current"),
]
NETWORKS = [
    Network((5, 3), bias="current"),
    Network((6, 5, 3), "relu", "current"),
    Network((6, 5, 3), "split", "row", bias_v=1.5),
    Network((6, 5, 4, 3), "split", "current"),
    Network((6, 4, 5, 4, 2), ["relu", [1, -1, 0, -1, 1], "none"], "row"),
]
BETA = {"positive": 1e-6, "negative": 1e-6, "centered": 1e-4}


def away_from_switching(network: Network, device, inputs: np.ndarray) -> bool:
    """Whether no hidden node is within 1 % of the typical voltage of switching its diode."""
    volts = np.abs(device.read_batch(inputs).mean[:, : network.output_slice.start])
    live = volts[volts > 0]
    return live.size == 0 or float(live.min()) > 0.01 * float(np.median(live))


def problem(network: Network, batch: int = 3):
    """Random conductances, biases, inputs and targets, with no diode about to switch."""
    for seed in range(100):
        generator = np.random.default_rng(seed)
        device = simulated(network, sweeps=400)
        conductances = random_conductances(network, generator)
        bias = random_bias(network, generator)
        device.program(conductances, bias)
        inputs = generator.normal(0, 6, (batch, network.inputs))
        targets = generator.normal(0, 1, (batch, network.outputs))
        if away_from_switching(network, device, inputs):
            return device, conductances, bias, inputs, targets
    raise AssertionError("no problem found")


def loss_at(network, conductances, bias, inputs, targets, loss) -> float:
    device = simulated(network, sweeps=400)
    device.program(conductances, bias)
    outputs = device.read_batch(inputs).mean[:, network.output_slice]
    return float(loss_of(outputs, targets, loss).sum())


def update_of(network, device, inputs, targets, variant, kind, beta, loss="half-sum", **rule):
    nudging = Nudging.of(variant, kind, beta, loss, network.outputs)
    layers = len(network.shapes)
    learning = LearningRule(
        network, beta_difference(variant, beta), [1.0] * layers, [1.0] * layers, **rule
    )
    contrast = device.free_and_nudged(inputs, targets, nudging, 1, learning.statistic)
    (update,) = learning.blocks(contrast)
    return update


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: "-".join(map(str, n.layers)))
@pytest.mark.parametrize(("variant", "kind"), CASES)
@pytest.mark.parametrize("loss", ["half-sum", "mean"])
def test_update_is_minus_the_gradient_to_five_digits(network, variant, kind, loss):
    device, conductances, bias, inputs, targets = problem(network)
    update = update_of(network, device, inputs, targets, variant, kind, BETA[variant], loss)
    step = 1e-5
    for layer, g in enumerate(conductances):
        gradient = np.zeros_like(g)
        for cell in np.ndindex(*g.shape):
            values = []
            for sign in (1, -1):
                moved = [a.copy() for a in conductances]
                moved[layer][cell] += sign * step
                values.append(loss_at(network, moved, bias, inputs, targets, loss))
            gradient[cell] = (values[0] - values[1]) / (2 * step)
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(
            update.layers[layer].dense(), -gradient, rtol=1e-5, atol=1e-5 * scale
        )
    if bias is not None:
        gradient = np.zeros_like(bias)
        for node in range(bias.size):
            values = []
            for sign in (1, -1):
                moved_bias = bias.copy()
                moved_bias[node] += sign * step
                values.append(loss_at(network, conductances, moved_bias, inputs, targets, loss))
            gradient[node] = (values[0] - values[1]) / (2 * step)
        np.testing.assert_allclose(
            update.bias_currents, -gradient, rtol=1e-5, atol=1e-5 * np.abs(gradient).max()
        )


def energy(network, conductances, bias, inputs, volts) -> float:
    """Half the power in the resistors, less the bias currents' part: what a circuit minimises."""
    layers = [inputs, *(volts[:, s] for s in network.slices)]
    total = 0.0
    for k, g in enumerate(conductances):
        pre = network.with_bias_rows(layers[k])
        drop = pre[:, :, None] - layers[k + 1][:, None, :]
        total += 0.5 * float((g * drop**2).sum())
    if bias is not None:
        total -= float((bias * volts).sum())
    return total


def test_contrastive_hebbian_learning_descends_its_own_function():
    """With clamped outputs the update is minus the gradient of E(clamped) - E(free)."""
    network = Network((6, 5, 3), "split", "current")
    device, conductances, bias, inputs, targets = problem(network)
    update = update_of(network, device, inputs, targets, "chl", "clamp", 1.0)

    def contrast(g, b) -> float:
        device = simulated(network, sweeps=400)
        device.program(g, b)
        pair = device.free_and_nudged(
            inputs, targets, Nudging.of("chl", "clamp", 1.0, "half-sum", 3)
        )
        np.testing.assert_array_equal(pair.second.mean[:, network.output_slice], targets)
        return energy(network, g, b, inputs, pair.second.mean) - energy(
            network, g, b, inputs, pair.first.mean
        )

    step = 1e-5
    for layer in range(2):
        for cell in ((0, 0), (2, 1), (4, 2)):
            up = [g.copy() for g in conductances]
            down = [g.copy() for g in conductances]
            up[layer][cell] += step
            down[layer][cell] -= step
            slope = (contrast(up, bias) - contrast(down, bias)) / (2 * step)
            assert update.layers[layer].dense()[cell] == pytest.approx(-slope, rel=1e-5, abs=1e-7)
    for node in range(network.free_nodes):
        moved = np.eye(network.free_nodes)[node] * step
        slope = (contrast(conductances, bias + moved) - contrast(conductances, bias - moved)) / (
            2 * step
        )
        assert update.bias_currents[node] == pytest.approx(-slope, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("variant", "kind"), [*CASES, ("chl", "clamp")])
def test_the_sign_is_descent(variant, kind):
    """A small step along the update lowers the loss; eq. (7)'s printed sign raises it."""
    network = Network((6, 5, 3), "split", "current")
    device, conductances, bias, inputs, targets = problem(network)
    beta = 1e-4 if variant != "chl" else 1.0
    update = update_of(network, device, inputs, targets, variant, kind, beta)
    before = loss_at(network, conductances, bias, inputs, targets, "half-sum")
    for sign, lower in ((1, True), (-1, False)):
        step = sign * 1e-3
        moved = [
            g + step * layer.dense() for g, layer in zip(conductances, update.layers, strict=True)
        ]
        after = loss_at(
            network, moved, bias + step * update.bias_currents, inputs, targets, "half-sum"
        )
        assert (after < before) == lower


def test_the_mean_over_a_batch_is_the_sum_divided_by_its_size():
    network = Network((6, 5, 3), "split", "current")
    device, _, _, inputs, targets = problem(network, batch=4)
    summed = update_of(network, device, inputs, targets, "positive", "spring", 0.1)
    mean = update_of(network, device, inputs, targets, "positive", "spring", 0.1, reduction="mean")
    for a, b in zip(summed.layers, mean.layers, strict=True):
        np.testing.assert_allclose(a.dense(), 4 * b.dense(), rtol=1e-12)
    np.testing.assert_allclose(summed.bias_currents, 4 * mean.bias_currents, rtol=1e-12)


def test_spring_and_current_differ_by_one_plus_beta_over_the_output_conductance():
    """Without hidden nodes the two nudges move an output by beta e / (G + beta) and beta e / G."""
    network = Network((5, 3), bias="none")
    device, (g,), _, inputs, targets = problem(network)
    moves = []
    for kind in ("spring", "current"):
        pair = device.free_and_nudged(
            inputs, targets, Nudging.of("positive", kind, 0.8, "half-sum", 3)
        )
        moves.append(pair.second.mean - pair.first.mean)
    np.testing.assert_allclose(moves[1] / moves[0], 1 + 0.8 / g.sum(axis=0) * np.ones((3, 1)))
