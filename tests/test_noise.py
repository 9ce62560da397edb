"""Read noise: eq. (8) for one read, eq. (11) for N, and what a converter does to it.

Each random test is seeded; its threshold is stated with the chance that a correct program fails it
for a fresh seed.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from circuits import SOLVERS, programmed, simulated
from scipy import stats

from hilep.errors import BadInputError
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.simulators.noise import SATURATED, Converter, ReadNoise

NETWORK = Network((6, 5, 3), "split", "current")
SIGMA = 1e-3
FALSE_ALARM = 1e-6


def device_with(sigma=SIGMA, seed=1, **options):
    device = simulated(NETWORK, sigma_v=sigma, seed=seed, **options)
    programmed(NETWORK, np.random.default_rng(0), device)
    return device


def clamped(device):
    device.clamp(np.random.default_rng(2).normal(0, 5, 6))
    return device


def sigma_interval(reads: int) -> tuple[float, float]:
    """Where s / sigma lies with probability 1 - FALSE_ALARM, from chi-square."""
    freedom = reads - 1
    tails = stats.chi2.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], freedom)
    return tuple(np.sqrt(tails / freedom))


def normal_bound(draws: int) -> float:
    """What the largest of `draws` standard normal numbers exceeds with FALSE_ALARM."""
    return float(stats.norm.isf(FALSE_ALARM / (2 * draws)))


def test_reads_are_unbiased_with_standard_deviation_sigma():
    """Mean within the normal bound and s within chi-square's, at every node (chance 2e-6 each)."""
    true = clamped(device_with(0.0)).read().mean
    reads = 20_000
    volts = clamped(device_with()).read(reads).volts
    assert volts.shape == (reads, NETWORK.free_nodes)
    z = (volts.mean(axis=0) - true) / (SIGMA / np.sqrt(reads))
    assert np.abs(z).max() < normal_bound(z.size)
    low, high = sigma_interval(reads)
    ratio = volts.std(axis=0, ddof=1) / SIGMA
    assert low < ratio.min()
    assert ratio.max() < high


def test_sigma_may_differ_from_node_to_node():
    sigma = np.linspace(0.0, 2e-3, NETWORK.free_nodes)
    true = clamped(device_with(0.0)).read().mean
    volts = clamped(device_with(sigma)).read(20_000).volts
    np.testing.assert_array_equal(volts[:, 0], np.full(20_000, true[0]))
    low, high = sigma_interval(20_000)
    ratio = volts[:, 1:].std(axis=0, ddof=1) / sigma[1:]
    assert low < ratio.min()
    assert ratio.max() < high


def test_noise_is_independent_across_nodes_phases_and_images():
    """All correlations of 2 phases x 4 images x 8 nodes over 4,000 updates (chance 1e-6)."""
    device = device_with(tolerance=None, sweeps=5)
    generator = np.random.default_rng(5)
    x, t = generator.normal(0, 5, (4, 6)), generator.normal(0, 1, (4, 3))
    nudging = Nudging.of("positive", "spring", 0.1, "half-sum", 3)
    draws = []
    for _ in range(4_000):
        pair = device.free_and_nudged(x, t, nudging)
        draws.append(np.concatenate([pair.first.mean.ravel(), pair.second.mean.ravel()]))
    draws = np.array(draws)
    correlation = np.corrcoef(draws.T)
    np.fill_diagonal(correlation, 0.0)
    pairs = correlation.size
    bound = np.tanh(normal_bound(pairs) / np.sqrt(len(draws) - 3))
    assert np.abs(correlation).max() < bound
    following = [np.corrcoef(c[:-1], c[1:])[0, 1] for c in draws.T]
    assert np.abs(following).max() < np.tanh(normal_bound(len(following)) / np.sqrt(3_990))


@pytest.mark.parametrize("count", [4, 25])
@pytest.mark.parametrize("statistic", ["mean", "variance", "samples"])
def test_n_reads_give_sigma_over_the_square_root_of_n(count, statistic):
    """Whether the simulator draws every read or only their moments (chance 2e-6 each)."""
    device = device_with(tolerance=None, sweeps=5)
    true = device_with(0.0, tolerance=None, sweeps=5)
    generator = np.random.default_rng(6)
    x, t = generator.normal(0, 5, (50, 6)), generator.normal(0, 1, (50, 3))
    nudging = Nudging.of("positive", "spring", 0.1, "half-sum", 3)
    exact = true.free_and_nudged(x, t, nudging)
    errors, variances = [], []
    for _ in range(30):
        pair = device.free_and_nudged(x, t, nudging, count, statistic)
        assert pair.first.count == count
        for phase, want in ((pair.first, exact.first), (pair.second, exact.second)):
            errors.append(phase.mean - want.mean)
            if statistic != "mean":
                variances.append(phase.variance)
    errors = np.array(errors).ravel() / (SIGMA / np.sqrt(count))
    low, high = sigma_interval(errors.size + 1)
    assert low < np.sqrt((errors**2).mean()) < high
    assert abs(errors.mean()) * np.sqrt(errors.size) < normal_bound(1)
    if variances:
        freedom = np.size(variances) * (count - 1)
        low, high = sigma_interval(freedom + 1)
        assert low < np.sqrt(np.mean(variances)) / SIGMA < high


def test_moments_follow_the_law_of_the_reads_they_stand_for():
    """Kolmogorov-Smirnov: mean and variance drawn at once against those of 6 single reads."""
    network = Network((2, 4_000), bias="none")
    volts = np.zeros(4_000)
    drawn = ReadNoise(network, SIGMA, np.random.default_rng(7)).moments(
        volts, 6, "first", None, "variance"
    )
    single = ReadNoise(network, SIGMA, np.random.default_rng(8)).samples(volts, 6, "first", None)
    for a, b in ((drawn.mean, single.mean), (drawn.variance, single.variance)):
        assert stats.ks_2samp(a, b).pvalue > FALSE_ALARM


@pytest.mark.parametrize("solver", SOLVERS)
def test_read_noise_enters_the_injected_current(solver):
    """i = beta (target - output as read in the free phase): its spread is beta sigma / sqrt(N)."""
    device = device_with(tolerance=None, sweeps=5)
    generator = np.random.default_rng(9)
    x, t = generator.normal(0, 5, (500, 6)), generator.normal(0, 1, (500, 3))
    beta, count = 0.4, 9
    nudging = Nudging.of("positive", "current", beta, "half-sum", 3)
    pair = device.free_and_nudged(x, t, nudging, count)
    np.testing.assert_allclose(pair.amps, beta * (t - pair.free_outputs), rtol=1e-12)
    quiet = device_with(0.0, tolerance=None, sweeps=5).free_and_nudged(x, t, nudging, count)
    spread = (pair.amps - quiet.amps).ravel() / (beta * SIGMA / np.sqrt(count))
    low, high = sigma_interval(spread.size + 1)
    assert low < np.sqrt((spread**2).mean()) < high


def test_clamped_nodes_are_read_only_where_asked():
    x = np.random.default_rng(3).normal(0, 5, 6)
    known = device_with()
    known.clamp(x)
    assert known.read(3).clamped is None
    noisy = device_with(clamped_sigma_v=2e-3)
    noisy.clamp(x)
    reads = noisy.read(20_000).clamped.volts
    low, high = sigma_interval(20_000)
    ratio = (reads - x).std(axis=0, ddof=1) / 2e-3
    assert low < ratio.min()
    assert ratio.max() < high


def test_reads_outside_training_do_not_change_what_training_draws():
    generator = np.random.default_rng(5)
    x, t = generator.normal(0, 5, (4, 6)), generator.normal(0, 1, (4, 3))
    nudging = Nudging.of("positive", "spring", 0.1, "half-sum", 3)
    undisturbed, disturbed = device_with(), device_with()
    for _ in range(3):
        a = undisturbed.free_and_nudged(x, t, nudging)
        disturbed.read_batch(x, 7)
        b = disturbed.free_and_nudged(x, t, nudging)
        np.testing.assert_array_equal(a.second.mean, b.second.mean)


def test_a_restored_state_repeats_the_reads_bit_for_bit():
    device = clamped(device_with())
    device.read(3)
    kept = json.loads(json.dumps(device.state()))
    first = device.read(5).volts
    device.restore(kept)
    np.testing.assert_array_equal(device.read(5).volts, first)


@pytest.mark.parametrize("statistic", ["mean", "variance", "samples"])
def test_a_converter_rounds_every_single_read(statistic):
    """Reads sit on codes, and the mean of N reads on codes over N."""
    converter = Converter(bits=10, range_v=20.0)
    device = device_with(0.05, converter=converter)
    generator = np.random.default_rng(5)
    x, t = generator.normal(0, 5, (4, 6)), generator.normal(0, 1, (4, 3))
    nudging = Nudging.of("positive", "spring", 0.1, "half-sum", 3)
    pair = device.free_and_nudged(x, t, nudging, 4, statistic)
    codes = pair.first.mean / converter.step_v * 4
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-9)


def test_a_converter_without_noise_repeats_itself_whatever_n_is():
    """Below half a step without dither, N reads are one read: eq. (11) fails, visibly."""
    device = clamped(device_with(0.0, converter=Converter(8, 20.0)))
    volts = device.read(50).volts
    assert np.ptp(volts, axis=0).max() == 0.0


def test_a_converter_at_its_end_says_so():
    device = clamped(device_with(0.0, converter=Converter(8, 0.01)))
    reading = device.read(2)
    true = clamped(device_with(0.0)).read().mean
    beyond = np.abs(true) > 0.011
    assert beyond.any()
    assert (reading.status[beyond] == SATURATED).all()
    assert np.abs(reading.mean).max() <= 0.01


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sigma_v": -1.0}, "sigma_v"),
        ({"sigma_v": np.nan}, "sigma_v"),
        ({"sigma_v": [1e-3] * 3}, "sigma_v"),
        ({"clamped_sigma_v": -1.0}, "clamped_sigma_v"),
    ],
)
def test_bad_noise_is_refused(options, told):
    given = {"sigma_v": 0.0, "generator": np.random.default_rng(0), **options}
    with pytest.raises(BadInputError, match=told):
        ReadNoise(NETWORK, **given)


@pytest.mark.parametrize(("bits", "range_v"), [(0, 1.0), (33, 1.0), (8, 0.0), (8, np.inf)])
def test_a_bad_converter_is_refused(bits, range_v):
    with pytest.raises(BadInputError, match="adc"):
        Converter(bits, range_v)
