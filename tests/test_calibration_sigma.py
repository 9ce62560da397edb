"""Sigma: unbiased, and its intervals hold it as often as they say."""

from __future__ import annotations

import math

import GTC
import numpy as np
import pytest
from scipy.signal import lfilter

from hilep.calibration.degrees import degrees_of_freedom, pooled_degrees_of_freedom
from hilep.calibration.intervals import c4, sigma_intervals
from hilep.calibration.sigma import sigma_of_pairs, sigma_of_reads

CALIBRATIONS = 20_000
FIVE_ERRORS = 5 * math.sqrt(0.95 * 0.05 / CALIBRATIONS)
"""Five standard errors of a coverage of 0.95: a right program fails once in 1.7e6 seeds."""


def coverage(volts: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Which columns' intervals hold sigma, from reads (n, calibrations)."""
    found = sigma_intervals(volts.var(axis=0, ddof=1), degrees_of_freedom(volts))
    return (found.low_v <= sigma) & (found.high_v >= sigma)


def test_coverage_per_node():
    """20,000 Gaussian calibrations of 5 to 200 reads hold sigma in 95 % +- five errors (0.77 %)."""
    generator = np.random.default_rng(1)
    sizes = np.unique(np.geomspace(5, 200, 25).round().astype(int))
    held = np.concatenate(
        [coverage(generator.normal(size=(n, CALIBRATIONS // len(sizes) + 1))) for n in sizes]
    )
    assert held.size >= CALIBRATIONS
    assert abs(held.mean() - 0.95) < FIVE_ERRORS


def test_coverage_pooled():
    """3,000 Gaussian calibrations of 5 to 200 reads and 2 to 30 nodes: 95 % +- five errors (2 %).

    `benchmarks/interval_coverage.py` does 20,000.
    """
    generator = np.random.default_rng(2)
    held = 0
    for _ in range(3000):
        n, nodes = (
            round(math.exp(generator.uniform(math.log(a), math.log(b))))
            for a, b in ((5, 200), (2, 30))
        )
        volts = generator.normal(size=(n, nodes))
        found = sigma_intervals(volts.var(axis=0, ddof=1).mean(), pooled_degrees_of_freedom(volts))
        held += bool(found.low_v <= 1 <= found.high_v)
    assert abs(held / 3000 - 0.95) < 5 * math.sqrt(0.95 * 0.05 / 3000)


def telegraph(generator: np.random.Generator, reads: int, columns: int, flip: float) -> np.ndarray:
    signs = 1 - 2 * (generator.random((reads, columns)) < flip)
    return generator.choice([-1.0, 1.0], size=columns) * np.cumprod(signs, axis=0)


@pytest.mark.parametrize(
    "noise", ["Laplace", "telegraph with noise", "telegraph pairs", "AR(1) 0.5", "AR(1) -0.5"]
)
def test_coverage_of_other_noise_at_200_reads(noise):
    """Law: 92 to 98 %. 20,000 columns know a coverage to 0.2 %, one standard error."""
    generator = np.random.default_rng(3)
    shape = (200, CALIBRATIONS)
    if noise == "Laplace":
        volts = generator.laplace(size=shape) / math.sqrt(2)
    elif noise == "telegraph with noise":
        volts = (
            telegraph(generator, *shape, 0.1) + 0.5 * generator.normal(size=shape)
        ) / math.sqrt(1.25)
    elif noise == "telegraph pairs":
        volts = (telegraph(generator, *shape, 0.2) - telegraph(generator, *shape, 0.2)) / math.sqrt(
            2
        )
    else:
        phi = float(noise.split()[1])
        drawn = generator.normal(size=(300, CALIBRATIONS))
        volts = lfilter([1.0], [1.0, -phi], drawn, axis=0)[100:] * math.sqrt(1 - phi**2)
    held = coverage(volts).mean()
    assert 0.92 < held < 0.98
    plain = sigma_intervals(volts.var(axis=0, ddof=1), 199)
    ignored = ((plain.low_v <= 1) & (plain.high_v >= 1)).mean()
    # What the effective degrees of freedom are for: to come closer than n - 1 does.
    assert abs(held - 0.95) < abs(ignored - 0.95) or abs(held - 0.95) < 0.02


def test_variance_and_corrected_deviation_are_unbiased():
    """1e5 draws: means within 4 standard errors, 24 checks (1.5e-3 under another seed)."""
    generator = np.random.default_rng(4)
    for n in (2, 3, 5, 20):
        volts = generator.normal(0, 2.5e-6, size=(n, 100_000))
        found = sigma_intervals(volts.var(axis=0, ddof=1), n - 1)
        for values, truth in ((found.variance_v2, 2.5e-6**2), (found.sigma_v, 2.5e-6)):
            error = values.std(ddof=1) / math.sqrt(values.size)
            assert abs(values.mean() - truth) < 4 * error
    # Without the correction five reads give 0.94 sigma.
    assert c4(4.0) == pytest.approx(0.9399856, abs=1e-7)


def test_pairs_cancel_what_both_phases_share():
    """A drift of 100 sigma over the record stays in each phase's sigma and leaves sigma_v alone."""
    generator = np.random.default_rng(5)
    drift = np.linspace(0, 100, 500)[:, None]
    free = drift + generator.normal(size=(500, 4))
    nudged = drift + 0.3 + generator.normal(size=(500, 4))
    pairs = sigma_of_pairs(free, nudged)
    assert pairs.pooled is not None
    assert pairs.pooled.low_v < 1 < pairs.pooled.high_v
    assert pairs.problems == ()
    alone = sigma_of_reads(free)
    assert alone.pooled is not None
    assert alone.pooled.sigma_v > 20


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_sigma_scales_with_the_volts(scale):
    generator = np.random.default_rng(6)
    free, nudged = generator.laplace(size=(2, 60, 5))
    one = sigma_of_pairs(free, nudged)
    other = sigma_of_pairs(scale * free, scale * nudged)
    assert other.per_node.sigma_v == pytest.approx(scale * one.per_node.sigma_v, rel=1e-9)
    assert other.per_node.high_v == pytest.approx(scale * one.per_node.high_v, rel=1e-9)
    assert other.pooled is not None
    assert one.pooled is not None
    assert other.pooled.high_v == pytest.approx(scale * one.pooled.high_v, rel=1e-9)


def test_pooled_degrees_of_freedom_of_shared_and_unequal_noise():
    """(n - 1) (tr C)^2 / tr C^2 within 10 % at 4,000 reads: 1 node's worth if all is shared."""
    generator = np.random.default_rng(7)
    own = generator.normal(size=(4000, 20))
    shared = generator.normal(size=(4000, 1))
    assert pooled_degrees_of_freedom(own) == pytest.approx(20 * 3999, rel=0.1)
    half = (own + shared) / math.sqrt(2)
    expected = 400 / (20 + 380 * 0.25) * 3999
    assert pooled_degrees_of_freedom(half) == pytest.approx(expected, rel=0.1)
    assert pooled_degrees_of_freedom(1e-6 * own + shared) == pytest.approx(3999, rel=0.1)
    sizes = np.linspace(0.2, 2, 20)
    expected = (sizes**2).sum() ** 2 / (sizes**4).sum() * 3999
    assert pooled_degrees_of_freedom(own * sizes) == pytest.approx(expected, rel=0.1)


def test_uncertainty_of_a_mean_agrees_with_gtc():
    """sigma/sqrt(N) and its degrees of freedom are GTC's Type A estimate."""
    generator = np.random.default_rng(8)
    for n in (5, 12, 19):
        reads = generator.normal(3.0, 0.2, n)
        oracle = GTC.ta.estimate(list(reads))
        found = sigma_of_reads(reads[:, None])
        s = math.sqrt(found.per_node.variance_v2[0])
        assert s / math.sqrt(n) == pytest.approx(oracle.u, rel=1e-12)
        assert found.per_node.degrees_of_freedom[0] == oracle.df
