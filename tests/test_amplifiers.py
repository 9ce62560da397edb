"""Bidirectional amplifiers: the rule stays the gradient, and an amplified network is an ideal one.

With A the voltage gain and B the current gain, node volts of free layer m over A^m, conductances of
array k times (A B)^k and currents into layer m times B^m are those of a network without amplifiers.
"""

from __future__ import annotations

import numpy as np
import pytest
from circuits import SOLVERS, PlainBench, random_bias, random_conductances, simulated
from scipy.linalg import hadamard

from hilep import kirchhoff
from hilep.config import Config, validated
from hilep.errors import BadInputError, ConfigError, UnsupportedError
from hilep.network import Network
from hilep.nudging import Nudging, beta_difference, loss_of
from hilep.reading import Contrast, Reading
from hilep.rule import LearningRule
from hilep.testing import equilibrium

GAINS = [(4.0, 0.25), (4.0, 4.0), (2.0, 1.0)]
SHAPES = [
    ((6, 5, 3), "split", "current"),
    ((6, 5, 3), "relu", "row"),
    ((6, 5, 4, 3), "split", "current"),
    ((5, 4, 3, 4, 2), ["relu", [1, -1, 0], "none"], "row"),
]


def amplified(layers, diodes, bias, gains) -> Network:
    return Network(layers, diodes, bias, bias_v=1.5, voltage_gain=gains[0], current_gain=gains[1])


def settled(network, conductances, bias, inputs, amps=None, spring=0.0, targets=None) -> np.ndarray:
    """The exact volts of every image (batch, n_free)."""
    return np.stack(
        [
            equilibrium(
                network,
                conductances,
                bias,
                row,
                amps=None if amps is None else amps[k],
                spring_siemens=spring,
                targets=None if targets is None else targets[k],
            )
            for k, row in enumerate(inputs)
        ]
    )


def problem(network: Network, batch: int = 2):
    """Random conductances, biases, inputs and targets, with no diode about to switch."""
    hidden = slice(0, network.output_slice.start)
    for seed in range(100):
        generator = np.random.default_rng(seed)
        conductances = random_conductances(network, generator)
        bias = random_bias(network, generator)
        inputs = generator.normal(0, 6, (batch, network.inputs))
        targets = generator.normal(0, 1, (batch, network.outputs))
        volts = np.abs(settled(network, conductances, bias, inputs)[:, hidden])
        live = volts[volts > 0]
        # Not all of a layer at 0 V either: nothing would then reach the layers before it.
        lives = all((volts[:, s] > 0).any() for s in network.slices[:-1])
        if lives and live.min() > 0.01 * np.median(live):
            return conductances, bias, inputs, targets
    raise AssertionError("no problem found")


def exact_update(network, conductances, bias, inputs, targets, kind, beta):
    """The centred update at two exact equilibria."""
    out = network.output_slice
    free = settled(network, conductances, bias, inputs)
    readings = []
    for sign in (-1, 1):
        if kind == "current":
            nudge = {"amps": sign * beta * (targets - free[:, out])}
        else:
            nudge = {"spring": sign * beta, "targets": targets}
        readings.append(Reading(settled(network, conductances, bias, inputs, **nudge), 1))
    rule = ruled(network, "centered", beta)
    (update,) = rule.blocks(Contrast(inputs, *readings, free[:, out]))
    return update


def ruled(network, variant, beta, **more) -> LearningRule:
    layers = len(network.shapes)
    return LearningRule(
        network, beta_difference(variant, beta), [1.0] * layers, [1.0] * layers, **more
    )


def slopes(function, values: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Centred differences of `function` with respect to every entry of `values`, in place."""
    gradient = np.zeros_like(values)
    for cell in np.ndindex(*values.shape):
        kept = values[cell]
        sides = []
        for sign in (1, -1):
            values[cell] = kept + sign * step
            sides.append(function())
        values[cell] = kept
        gradient[cell] = (sides[0] - sides[1]) / (2 * step)
    return gradient


# The gradient -----------------------------------------------------------------------------------


@pytest.mark.parametrize("gains", GAINS)
@pytest.mark.parametrize(("layers", "diodes", "bias"), SHAPES)
@pytest.mark.parametrize("kind", ["current", "spring"])
def test_the_update_is_minus_the_gradient_of_the_loss(layers, diodes, bias, gains, kind):
    network = amplified(layers, diodes, bias, gains)
    conductances, currents, inputs, targets = problem(network)
    update = exact_update(network, conductances, currents, inputs, targets, kind, 1e-5)

    def loss() -> float:
        outputs = settled(network, conductances, currents, inputs)[:, network.output_slice]
        return float(loss_of(outputs, targets, "half-sum").sum())

    for g, layer in zip(conductances, update.layers, strict=True):
        gradient = slopes(loss, g)
        scale = np.abs(gradient).max()
        assert scale > 0
        np.testing.assert_allclose(layer.dense(), -gradient, rtol=1e-5, atol=1e-5 * scale)
    if currents is not None:
        gradient = slopes(loss, currents)
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(update.bias_currents, -gradient, rtol=1e-5, atol=1e-5 * scale)


def energy(network, conductances, bias, inputs, volts) -> float:
    """Of the circuit, with layers weighted so that its gradient is Kirchhoff's law."""
    layers = [inputs, *(volts[:, s] for s in network.slices)]
    total = 0.0
    for k, (g, weight) in enumerate(zip(conductances, network.weights, strict=True)):
        pre = network.with_bias_rows(network.pre_gain(k) * layers[k])
        drop = pre[:, :, None] - layers[k + 1][:, None, :]
        total += 0.5 * weight * float((g * drop**2).sum())
    return total - float((network.node_weights * bias * volts).sum())


@pytest.mark.parametrize("gains", GAINS)
def test_contrastive_hebbian_learning_descends_the_energy_in_units_of_the_outputs(gains):
    """Its function is E(clamped) - E(free), over the weight of the outputs."""
    network = amplified((6, 5, 4, 3), "split", "current", gains)
    conductances, bias, inputs, targets = problem(network)

    def phases() -> tuple[np.ndarray, np.ndarray]:
        free = settled(network, conductances, bias, inputs)
        return free, settled(network, conductances, bias, inputs, spring=np.inf, targets=targets)

    def contrast() -> float:
        free, clamped = (energy(network, conductances, bias, inputs, v) for v in phases())
        return (clamped - free) / network.weights[-1]

    free, clamped = phases()
    pair = Contrast(inputs, Reading(free, 1), Reading(clamped, 1), free[:, network.output_slice])
    (update,) = ruled(network, "chl", 1.0).blocks(pair)
    for g, layer in zip(conductances, update.layers, strict=True):
        gradient = slopes(contrast, g)
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(layer.dense(), -gradient, rtol=1e-5, atol=1e-5 * scale)
    gradient = slopes(contrast, bias)
    np.testing.assert_allclose(
        update.bias_currents, -gradient, rtol=1e-5, atol=1e-5 * np.abs(gradient).max()
    )


@pytest.mark.parametrize("bias", ["none", "row"])
def test_read_noise_enters_an_amplified_array_with_the_square_of_the_gain(bias):
    """Reads whose errors are uncorrelated over the N reads show each estimator's bias exactly.

    The mean of squares exceeds the square of means by A^2 e_i^2 + e_j^2, of a bias row by e_j^2;
    "unbiased" subtracts that, as the reads' own variance estimates it, over N.
    """
    gain, reads = 4.0, 8
    network = amplified((3, 4, 3), "none", bias, (gain, 0.5))
    generator = np.random.default_rng(1)
    inputs = generator.normal(size=(1, 3))
    pattern = hadamard(reads)[:, 1:, None].transpose(0, 2, 1)
    errors = generator.uniform(0.1, 1.0, (2, 7))
    readings = [Reading.of_samples(generator.normal(size=7) + pattern * e) for e in errors]
    contrast = Contrast(inputs, *readings, readings[0].mean[:, 4:])

    def dense(estimator):
        rule = ruled(network, "positive", 0.5, estimator=estimator, reads=reads)
        blocks = list(rule.blocks(contrast))
        return [sum(b.layers[k].dense() for b in blocks) for k in range(2)]

    grown = errors[1] ** 2 - errors[0] ** 2
    rows = np.zeros(network.bias_rows)
    pre = (np.zeros(network.shapes[0][0]), np.concatenate([gain**2 * grown[:4], rows]))
    post = grown[:4], grown[4:]
    plain, squares, unbiased = map(dense, ("square-of-means", "mean-of-squares", "unbiased"))
    for k in range(2):
        added = -network.shares[k] * (pre[k][:, None] + post[k])
        np.testing.assert_allclose(squares[k] - plain[k], added, atol=1e-11)
        np.testing.assert_allclose(unbiased[k] - plain[k], -added / (reads - 1), atol=1e-11)


# The ideal network in other units ---------------------------------------------------------------


def trained(network, solver, unit, *, bias, variant, kind, estimator, reads, dtype):
    """Train with every quantity in units of `unit`: volts, siemens and amperes per layer.

    Returns:
        volts of the second phases, conductances and bias currents, in those units.
    """
    volts, siemens, amps = unit
    per_node = np.repeat(volts, network.layers[1:])
    device = simulated(
        network, solver, sigma_v=0.02 / per_node, clamped_sigma_v=0.01, dtype=dtype, sweeps=12
    )
    generator = np.random.default_rng(4)
    conductances = [g.astype(np.float32) for g in random_conductances(network, generator)]
    currents = generator.normal(0, 0.25, network.free_nodes)
    into = np.repeat(amps, network.layers[1:])
    device.program(
        [g * s for g, s in zip(conductances, siemens, strict=True)],
        currents * into if bias == "current" else None,
    )
    beta = 2.0**-6 * siemens[-1]
    rule = LearningRule(
        network,
        beta_difference(variant, beta),
        [2.0**-12 * s**2 * volts[-1] ** 2 for s in siemens],
        [2.0**-12 * a**2 * volts[-1] ** 2 for a in amps],
        estimator,
        "sum",
        reads,
    )
    nudging = Nudging.of(variant, kind, beta, "half-sum", network.outputs)
    seen = []
    for _ in range(8):
        half = generator.normal(0, 4, (4, 4))
        inputs = np.concatenate([half, -half], axis=1)
        targets = np.eye(3)[generator.integers(0, 3, 4)] / volts[-1]
        pair = device.free_and_nudged(inputs, targets, nudging, reads, rule.statistic)
        seen.append(pair.second.mean * per_node)
        device.update(rule.blocks(pair), None)
    cells = [np.asarray(g, float) / s for g, s in zip(device.conductances(), siemens, strict=True)]
    return np.array(seen), cells, device.bias_currents() / into


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("gains", GAINS)
@pytest.mark.parametrize(
    ("bias", "variant", "kind", "estimator", "reads", "dtype"),
    [
        ("current", "positive", "spring", "square-of-means", 1, np.float64),
        ("none", "positive", "current", "mean-of-squares", 3, np.float64),
        ("current", "centered", "current", "unbiased", 2, np.float32),
        ("current", "chl", "clamp", "square-of-means", 1, np.float64),
    ],
)
def test_training_with_amplifiers_is_training_without_in_other_units(
    solver, gains, bias, variant, kind, estimator, reads, dtype
):
    """Bit for bit, read noise included, where the gains and their roots are powers of two."""
    told = {
        "bias": bias,
        "variant": variant,
        "kind": kind,
        "estimator": estimator,
        "reads": reads,
        "dtype": dtype,
    }
    layers = (8, 7, 5, 3)
    a, b = gains
    here = trained(amplified(layers, "split", bias, gains), solver, (np.ones(3),) * 3, **told)
    unit = tuple(np.array([base**m for m in range(3)]) for base in (a, a * b, b))
    there = trained(Network(layers, "split", bias), solver, unit, **told)
    exact = gains != (2.0, 1.0)
    for ours, theirs in zip(
        (here[0], *here[1], here[2]), (there[0], *there[1], there[2]), strict=True
    ):
        if exact:
            np.testing.assert_array_equal(ours, theirs)
        else:
            tolerance = 1e-10 if dtype is np.float64 else 1e-4
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    assert np.ptp(here[0][:, 0, -1]) > 0


def test_gains_of_one_over_each_other_lift_layer_m_by_the_gain_to_the_m():
    """The decay of voltages with depth is a factor per layer, and A = 1 / B cancels it."""
    layers, generator = (20, *(12,) * 6, 4), np.random.default_rng(3)
    inputs = generator.normal(size=(3, 20))
    volts = {}
    for gain in (1.0, 4.0):
        network = amplified(layers, "split", "none", (gain, 1 / gain))
        device = simulated(network, tolerance=1e-12)
        device.program(random_conductances(network, np.random.default_rng(5)))
        volts[gain] = device.read_batch(inputs).mean
    for m, nodes in enumerate(network.slices):
        np.testing.assert_array_equal(volts[4.0][:, nodes], 4.0**m * volts[1.0][:, nodes])
    first, last = network.slices[0], network.output_slice
    decay = {
        gain: np.abs(v[:, last]).max() / np.abs(v[:, first]).max() for gain, v in volts.items()
    }
    assert decay[1.0] < 1e-3
    assert decay[4.0] == 4.0**6 * decay[1.0]


# Equilibrium ------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("gains", [*GAINS, (0.5, 3.0)])
@pytest.mark.parametrize(("layers", "diodes", "bias"), SHAPES)
def test_a_simulated_network_settles_where_kirchhoffs_law_holds(
    layers, diodes, bias, gains, solver
):
    network = amplified(layers, diodes, bias, gains)
    conductances, currents, inputs, targets = problem(network)
    device = simulated(network, solver)
    device.program(conductances, currents)
    for amps, spring in ((None, 0.0), (targets, 0.0), (None, 0.5), (None, np.inf)):
        aims = targets if spring else None
        exact = settled(network, conductances, currents, inputs, amps, spring, aims)
        off = kirchhoff.residual(
            network,
            conductances,
            currents,
            inputs,
            exact,
            amps=amps,
            spring_siemens=spring,
            targets=aims,
        )
        assert off.max() <= 1e-12
        # Gains that nothing heeds would pass the comparison below.
        plain = Network(layers, diodes, bias, bias_v=1.5)
        there = settled(plain, conductances, currents, inputs, amps, spring, aims)
        assert np.abs(there - exact).max() > 1e-3
        for k in range(len(inputs)):
            device.clamp(inputs[k])
            if amps is not None:
                device.nudge(amps[k])
            if spring:
                device.nudge_spring(spring, targets[k])
            np.testing.assert_allclose(device.read().mean, exact[k], atol=1e-9)


def test_without_hidden_nodes_there_is_nothing_to_amplify():
    here, there = (amplified((5, 3), "split", "row", gains) for gains in ((1.0, 1.0), (4.0, 0.5)))
    results = []
    for network in (here, there):
        device = simulated(network)
        generator = np.random.default_rng(2)
        device.program(random_conductances(network, generator))
        inputs, targets = generator.normal(size=(2, 5)), generator.normal(size=(2, 3))
        nudging = Nudging.of("positive", "spring", 0.5, "half-sum", 3)
        pair = device.free_and_nudged(inputs, targets, nudging)
        device.update(ruled(network, "positive", 0.5).blocks(pair))
        results.append((pair.second.mean, device.conductances()[0]))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# Refusals and configuration ---------------------------------------------------------------------


@pytest.mark.parametrize("key", ["voltage_gain", "current_gain"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e200])
def test_a_gain_that_is_not_positive_and_finite_is_refused(key, value):
    with pytest.raises(BadInputError, match=key):
        Network((4, 3, 2), **{key: value})
    if value != 1e200:
        with pytest.raises(ConfigError, match=f"network.{key}"):
            validated({"network": {key: value}}, "file")


def test_gains_whose_powers_leave_the_range_are_refused():
    Network((4, 3, 2), voltage_gain=1e30, current_gain=1e-30)
    with pytest.raises(BadInputError, match="over all 3 hidden layers"):
        Network((4, 3, 3, 3, 2), voltage_gain=1e30, current_gain=1e-30)


def test_a_device_without_amplifiers_refuses_before_anything_is_clamped():
    nudging = Nudging("current", (0.0, 1.0))
    for gains in ((4.0, 1.0), (1.0, 0.25)):
        bench = PlainBench(simulated(amplified((4, 3, 2), "split", "none", gains)))
        with pytest.raises(UnsupportedError, match=r"network\.voltage_gain, current_gain"):
            bench.require(nudging)
    PlainBench(simulated(Network((4, 3, 2)))).require(nudging)


def test_the_gains_of_a_configuration_come_back_from_its_text():
    config = validated({"network": {"voltage_gain": 4, "current_gain": 0.25}}, "file")
    again = Config.from_json(config.to_json())
    network = again.network.network()
    assert (network.voltage_gain, network.current_gain) == (4.0, 0.25)
    assert network.weights == (1.0, 1 / 16)
    assert network.shares == (16.0, 1.0)
    assert network.amplified
    assert not Network((4, 3, 2)).amplified
    assert Network((4, 3, 2)).weights == Network((4, 3, 2)).shares == (1.0, 1.0)
