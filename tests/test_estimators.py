"""The three estimators of dV_second^2 - dV_first^2: what each expects, equal sigma or not."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import programmed, simulated

from hilep.errors import BadInputError
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.reading import Contrast, Reading
from hilep.rule import LearningRule

NETWORK = Network((4, 3, 2), "none", "none")
BATCH, READS, TRIALS = 2, 4, 6_000
ETA = 2.0


def rule(estimator: str, network: Network = NETWORK, reads: int = READS, **options):
    layers = len(network.shapes)
    return LearningRule(
        network, 1.0, [ETA] * layers, [1.0] * layers, estimator, reads=reads, **options
    )


def dense(update) -> np.ndarray:
    return np.concatenate([layer.dense().ravel() for layer in update.layers])


def exact(x, first, second) -> np.ndarray:
    """-(eta / 2 beta) times the sum over the batch of dV_second^2 - dV_first^2, cell by cell."""
    parts = []
    for k, post in enumerate(NETWORK.slices):
        pre = (x, x) if k == 0 else (first[:, NETWORK.slices[0]], second[:, NETWORK.slices[0]])
        change = (pre[1][:, :, None] - second[:, None, post]) ** 2
        change -= (pre[0][:, :, None] - first[:, None, post]) ** 2
        parts.append((-0.5 * ETA * change.sum(axis=0)).ravel())
    return np.concatenate(parts)


def bias_of(per_node: np.ndarray, clamped: np.ndarray | float) -> np.ndarray:
    """The same for a change that is a sum of one number per node."""
    parts = []
    for k, post in enumerate(NETWORK.slices):
        pre = np.broadcast_to(clamped, (4,)) if k == 0 else per_node[NETWORK.slices[0]]
        parts.append((-0.5 * ETA * BATCH * (pre[:, None] + per_node[post])).ravel())
    return np.concatenate(parts)


@pytest.mark.parametrize("noisy_inputs", [False, True])
@pytest.mark.parametrize("estimator", ["square-of-means", "mean-of-squares", "unbiased"])
@pytest.mark.parametrize("unequal", [False, True])
def test_expectation_of_each_estimator(estimator, unequal, noisy_inputs):
    """Mean over 6,000 draws within 5 standard errors of theory at each of 18 cells (1e-5)."""
    generator = np.random.default_rng(11)
    x = generator.normal(0, 2, (BATCH, 4))
    first_v, second_v = generator.normal(0, 1, (2, BATCH, 5))
    sigma_1 = generator.uniform(0.2, 0.4, 5)
    sigma_2 = generator.uniform(0.5, 0.9, 5) if unequal else sigma_1
    input_1, input_2 = (0.3, 0.6 if unequal else 0.3) if noisy_inputs else (0.0, 0.0)
    learning = rule(estimator)
    total = np.zeros((TRIALS, 18))
    for trial in range(TRIALS):
        phases = []
        for volts, sigma, s_in in ((first_v, sigma_1, input_1), (second_v, sigma_2, input_2)):
            reads = volts + sigma * generator.standard_normal((READS, BATCH, 5))
            inputs = x + s_in * generator.standard_normal((READS, BATCH, 4))
            phases.append(Reading.of_samples(reads, inputs if noisy_inputs else None))
        contrast = Contrast(x, *phases, phases[0].mean[:, 3:])
        total[trial] = sum(dense(block) for block in learning.blocks(contrast))
    excess = sigma_2**2 - sigma_1**2
    excess_in = input_2**2 - input_1**2
    expected = exact(x, first_v, second_v)
    if estimator == "mean-of-squares":
        expected = expected + bias_of(excess, excess_in)
    elif estimator == "square-of-means":
        expected = expected + bias_of(excess / READS, excess_in / READS)
    error = total.std(axis=0, ddof=1) / np.sqrt(TRIALS)
    z = (total.mean(axis=0) - expected) / error
    assert np.abs(z).max() < 5
    if unequal and estimator != "unbiased":
        # The test can tell: without the bias the expectation would be missed.
        wrong = (total.mean(axis=0) - exact(x, first_v, second_v)) / error
        assert np.abs(wrong).max() > 10


def test_the_square_of_means_has_less_variance_than_the_mean_of_squares():
    """With cells' common noise removed: ratio of variances over 4,000 draws, well below 1."""
    generator = np.random.default_rng(12)
    x = generator.normal(0, 0.1, (BATCH, 4))
    volts = generator.normal(0, 0.1, (2, BATCH, 5))
    updates = {"square-of-means": [], "mean-of-squares": []}
    for _ in range(4_000):
        phases = [
            Reading.of_samples(v + 0.5 * generator.standard_normal((READS, BATCH, 5)))
            for v in volts
        ]
        contrast = Contrast(x, *phases, phases[0].mean[:, 3:])
        for name, kept in updates.items():
            kept.append(sum(dense(b) for b in rule(name).blocks(contrast)))
    variance = {name: np.var(kept, axis=0) for name, kept in updates.items()}
    assert (variance["square-of-means"] < 0.6 * variance["mean-of-squares"]).all()


@pytest.mark.parametrize("clamped_sigma_v", [0.0, 0.01])
@pytest.mark.parametrize("kind", ["current", "spring"])
def test_samples_in_blocks_give_the_update_of_all_samples_at_once(
    monkeypatch, clamped_sigma_v, kind
):
    """A simulator that draws 40 reads in blocks of 3 returns what it returns in one block."""
    from hilep.simulators.ideal import SimulatedCrossbar

    network = Network((4, 3, 2), "split", "current")
    generator = np.random.default_rng(13)
    x, t = generator.normal(0, 2, (BATCH, 4)), generator.normal(0, 1, (BATCH, 2))
    nudging = Nudging.of("positive", kind, 0.2, "half-sum", 2)
    learning = rule("mean-of-squares", network, 40)
    found = []
    for block in (3, 1_000):
        monkeypatch.setattr(SimulatedCrossbar, "_block", lambda self, inputs, n=block: n)
        device = simulated(network, sigma_v=0.1, clamped_sigma_v=clamped_sigma_v, sweeps=5)
        programmed(network, np.random.default_rng(14), device)
        pair = device.free_and_nudged(x, t, nudging, 40, "samples")
        updates = list(learning.blocks(pair))
        # A second look at the samples sees the same ones; a look begun does not move the streams.
        before = device.state()
        next(iter(pair.sample_blocks()))
        assert device.state() == before
        again = sum(dense(u) for u in learning.blocks(pair))
        np.testing.assert_array_equal(sum(dense(u) for u in updates), again)
        # Known inputs: the first layer's part comes once, in a block of its own.
        assert len(updates) == (14 if block == 3 else 1) + (clamped_sigma_v == 0)
        device.update(updates)
        found.append(np.concatenate([g.ravel() for g in device.conductances()]))
        following = device.free_and_nudged(x, t, nudging, 2, "samples").first.mean
    if not clamped_sigma_v:
        # One stream, drawn in the same order whatever the blocks.
        np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    assert np.isfinite(following).all()


def test_n_equal_reads_change_nothing():
    """Without noise all estimators and any N give the same update."""
    network = Network((4, 3, 2), "split", "row")
    generator = np.random.default_rng(15)
    x, t = generator.normal(0, 2, (BATCH, 4)), generator.normal(0, 1, (BATCH, 2))
    device = simulated(network)
    programmed(network, np.random.default_rng(14), device)
    nudging = Nudging.of("centered", "current", 0.2, "half-sum", 2)
    updates = []
    for estimator, reads in (
        ("square-of-means", 1),
        ("square-of-means", 7),
        ("mean-of-squares", 1),
        ("mean-of-squares", 7),
        ("unbiased", 2),
    ):
        learning = rule(estimator, network, reads)
        pair = device.free_and_nudged(x, t, nudging, reads, learning.statistic)
        updates.append(sum(dense(u) for u in learning.blocks(pair)))
    for update in updates[1:]:
        np.testing.assert_allclose(update, updates[0], rtol=1e-9, atol=1e-15)


def test_the_unbiased_estimator_needs_two_reads():
    with pytest.raises(BadInputError, match="reads >= 2"):
        rule("unbiased", reads=1)
