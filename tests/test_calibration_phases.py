"""The two phases against each other, the nodes together, and the bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from hilep.calibration.covariance import common_mode, edge_sigma, node_covariance, pair_noise
from hilep.calibration.intervals import bootstrap_interval
from hilep.calibration.phases import phases_agree
from hilep.errors import BadInputError


def test_phases_agree_keeps_its_false_alarms():
    """1 % asked for; 2,000 records each: at most 1 % + five errors (2.1 %)."""
    generator = np.random.default_rng(14)
    for name in ("white", "walk", "Laplace", "AR"):
        alarms = 0
        for _ in range(2000):
            free, nudged = generator.normal(size=(2, 60, 2))
            if name == "walk":
                shared = np.cumsum(generator.normal(size=(60, 2)), axis=0)
                free, nudged = free + shared, nudged + shared
            elif name == "Laplace":
                free, nudged = generator.laplace(size=(2, 60, 2))
            elif name == "AR":
                drawn = generator.normal(size=(2, 80, 2))
                free, nudged = lfilter([1.0], [1.0, -0.5], drawn, axis=1)[:, 20:]
            alarms += phases_agree(free, nudged).agree is False
        assert alarms / 2000 < 0.01 + 5 * math.sqrt(0.01 * 0.99 / 2000), name


def test_phases_that_differ_are_told_apart():
    """Sigma 1 and 1.5 at 400 pairs under a common drift; the interval holds the ratio."""
    generator = np.random.default_rng(15)
    for _ in range(20):
        free, nudged = generator.normal(size=(2, 400, 3)) * np.array([1, 1.5])[:, None, None]
        found = phases_agree(free, nudged)
        assert found.agree is False
        assert (found.ratio_low < 1.8).all()
        assert (found.ratio_high > 1.3).all()
    few = phases_agree(*generator.normal(size=(2, 25, 3)))
    assert few.agree == "cannot tell"
    with pytest.raises(BadInputError):
        phases_agree(*generator.normal(size=(2, 10, 3)))


def test_ratio_of_phases_is_held_by_its_interval():
    """95 % asked for over 3,000 nodes of 200 pairs: within five errors above 93 %."""
    generator = np.random.default_rng(16)
    free, nudged = generator.normal(size=(2, 200, 3000)) * np.array([1, 1.2])[:, None, None]
    found = phases_agree(free, nudged)
    held = ((found.ratio_low < 1.2) & (found.ratio_high > 1.2)).mean()
    assert 0.93 < held < 0.97


def test_common_mode_cancels_in_edges():
    """Var(Vi - Vj) = Cii + Cjj - 2 Cij exactly, and shared noise of 10 leaves sqrt(2) sigma."""
    generator = np.random.default_rng(17)
    shared = 10 * generator.normal(size=(2, 2000, 1))
    free, nudged = shared + generator.normal(size=(2, 2000, 4))
    noise = pair_noise(free, nudged)
    covariance = node_covariance(noise)
    edges = [(0, 1), (2, 3), (-1, 2), (1, -1)]
    found = edge_sigma(noise, edges)
    padded = np.pad(covariance, (0, 1))
    for value, (i, j) in zip(found.variance_v2, edges, strict=True):
        exact = padded[i, i] + padded[j, j] - 2 * padded[i, j]
        assert value == pytest.approx(exact, rel=1e-9)
    assert found.sigma_v[:2] == pytest.approx(math.sqrt(2), rel=0.1)
    assert found.sigma_v[2:] == pytest.approx(math.sqrt(101), rel=0.1)
    assert common_mode(noise) == pytest.approx(100 / 101, abs=0.01)
    assert abs(common_mode(generator.normal(size=(5000, 4)))) < 0.05
    with pytest.raises(BadInputError):
        edge_sigma(noise, [(0, 4)])
    with pytest.raises(BadInputError):
        edge_sigma(noise, [(1, 1)])


def test_bootstrap_interval_of_a_skewed_distribution():
    """200 exponential records of 150 reads: a nominal 95 % holds the true sigma in over 83 %.

    The plain chi-square interval does so in about 70 %.
    """
    generator = np.random.default_rng(18)
    held = 0
    for _ in range(200):
        reads = generator.exponential(2.0, 150)
        low, high = bootstrap_interval(reads, generator, resamples=299)
        held += low < 2.0 < high
    assert held / 200 > 0.83
    blocks = np.repeat(generator.normal(size=300), 4)
    wide = np.subtract(*bootstrap_interval(blocks, generator, block=4, resamples=299))
    narrow = np.subtract(*bootstrap_interval(blocks, generator, block=1, resamples=299))
    assert abs(wide) > 1.4 * abs(narrow)
    with pytest.raises(BadInputError):
        bootstrap_interval(np.ones(50), generator)
