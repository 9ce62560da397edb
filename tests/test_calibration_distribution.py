"""Normality, equality of sigma over nodes, outliers: false alarms as stated, and what they find."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from hilep.calibration.distribution import homogeneity, normality, outliers, thinned
from hilep.errors import BadInputError

RECORDS = 1000
MOST = 0.01 + 5 * math.sqrt(0.01 * 0.99 / RECORDS)
"""Of 1 % false alarms over 1,000 records, plus five standard errors: 2.6 %."""


def test_false_alarms_on_white_gaussian_reads():
    generator = np.random.default_rng(1)
    alarms = np.zeros(3)
    for _ in range(RECORDS):
        volts = 3e-6 * generator.normal(size=(40, 5)) + 0.2
        alarms += [not normality(volts).holds, not homogeneity(volts).holds, outliers(volts).any()]
    assert (alarms / RECORDS < MOST).all()


def test_homogeneity_keeps_its_false_alarms_on_other_noise():
    """Laplace reads leave Bartlett for Levene; AR(1) reads are thinned first."""
    generator = np.random.default_rng(2)
    heavy = correlated = 0
    for _ in range(RECORDS):
        heavy += not homogeneity(generator.laplace(size=(200, 4))).holds
        drawn = generator.normal(size=(260, 4))
        correlated += not homogeneity(lfilter([1.0], [1.0, -0.7], drawn, axis=0)[60:]).holds
    assert heavy / RECORDS < MOST
    assert correlated / RECORDS < MOST
    assert homogeneity(generator.laplace(size=(400, 4))).test == "Levene (median)"
    assert homogeneity(generator.normal(size=(400, 4))).test == "Bartlett"


def test_an_unlike_node_is_found():
    """One node of ten with 1.5 sigma, 200 reads: Bartlett misses it less than once in 1e6."""
    generator = np.random.default_rng(3)
    volts = generator.normal(size=(200, 10))
    volts[:, 4] *= 1.5
    assert not homogeneity(volts).holds
    volts = generator.laplace(size=(800, 10))
    volts[:, 4] *= 2
    assert not homogeneity(volts).holds


@pytest.mark.parametrize("reads", [500, 6000])
def test_other_distributions_are_found(reads):
    generator = np.random.default_rng(4)
    for volts in (generator.exponential(size=(reads, 2)), generator.uniform(size=(reads, 2))):
        found = normality(volts)
        assert not found.holds
        assert found.reads == reads


def test_correlated_reads_are_thinned():
    generator = np.random.default_rng(5)
    drawn = generator.normal(size=(3000, 2))
    correlated = lfilter([1.0], [1.0, -0.9], drawn, axis=0)
    assert 80 < thinned(correlated).shape[0] < 400
    assert thinned(drawn).shape[0] == 3000


def test_outliers_are_named_read_by_read():
    """Several at once must not hide each other."""
    generator = np.random.default_rng(6)
    volts = 1e-6 * generator.normal(size=(100, 4)) + 5.0
    volts[[3, 50, 51, 52], 1] += 1e-5
    volts[80, 3] -= 1e-5
    expected = np.zeros((100, 4), dtype=bool)
    expected[[3, 50, 51, 52], 1] = expected[80, 3] = True
    assert (outliers(volts) == expected).all()


@pytest.mark.parametrize("test", [normality, homogeneity, outliers])
def test_reads_that_carry_no_verdict_are_refused(test):
    generator = np.random.default_rng(7)
    volts = generator.normal(size=(50, 3))
    volts[3, 1] = math.nan
    with pytest.raises(BadInputError):
        test(volts)
    with pytest.raises(BadInputError):
        test(generator.normal(size=(5, 3)))
    with pytest.raises(BadInputError):
        test(np.ones((50, 3)))
    with pytest.raises(BadInputError):
        homogeneity(generator.normal(size=(50, 1)))
