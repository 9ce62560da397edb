"""Nodes whose reads carry no sigma are named, and so is a sigma below the converter's step."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hilep.calibration.quantisation import (
    converter_step,
    largest_sigma_of_one_code,
    without_quantisation,
)
from hilep.calibration.sigma import sigma_of_pairs, sigma_of_reads
from hilep.errors import BadInputError
from hilep.reading import SATURATED


def test_every_bad_node_is_named_and_left_out():
    generator = np.random.default_rng(9)
    free, nudged = generator.normal(size=(2, 50, 7))
    free[3, 1] = math.nan
    nudged[:, 2] = 0.5
    nudged[7, 4] = math.inf
    status = np.zeros(7, np.uint8)
    status[3], status[5] = SATURATED, 2
    found = sigma_of_pairs(free, nudged, status=status)
    assert found.states == (
        "good",
        "not finite",
        "constant",
        "saturated",
        "not finite",
        "flagged",
        "good",
    )
    assert found.pooled is not None
    assert found.pooled.nodes == 2
    good = sigma_of_pairs(free[:, [0, 6]], nudged[:, [0, 6]])
    assert good.pooled == found.pooled
    assert np.isnan(found.per_node.sigma_v[[1, 2, 3, 4, 5]]).all()
    text = "\n".join(found.problems)
    for phrase in ("nodes 1, 4", "node 2", "node 3", "node 5"):
        assert phrase in text


def test_a_read_at_the_end_of_the_range_is_saturated():
    generator = np.random.default_rng(10)
    volts = np.clip(generator.normal(0, 0.4, size=(200, 3)), -5, 1.0)
    found = sigma_of_reads(volts, range_v=(-5, 1.0))
    assert found.states == ("saturated",) * 3
    assert found.pooled is None
    assert any("no node" in line for line in found.problems)


@pytest.mark.parametrize("reads", [0, 1])
def test_too_few_reads_are_named(reads):
    found = sigma_of_pairs(np.zeros((reads, 2)), np.zeros((reads, 2)))
    assert found.states == ("too few reads",) * 2
    assert found.pooled is None
    assert np.isnan(found.per_node.sigma_v).all()


def test_all_nodes_dead():
    found = sigma_of_reads(np.full((30, 4), 0.25))
    assert found.states == ("constant",) * 4
    assert found.pooled is None
    assert np.isnan(found.per_node.high_v).all()


def test_mixed_ranges_are_not_pooled():
    generator = np.random.default_rng(11)
    volts = generator.normal(size=(30, 3))
    found = sigma_of_reads(volts, ranges_v=[0.2, 0.2, 2.0])
    assert found.pooled is None
    assert any("different ranges" in line for line in found.problems)
    assert sigma_of_reads(volts, ranges_v=[0.2, 0.2, 0.2]).pooled is not None


@pytest.mark.parametrize(
    ("free", "nudged", "options"),
    [
        (np.zeros(5), np.zeros(5), {}),
        (np.zeros((5, 2)), np.zeros((4, 2)), {}),
        (np.zeros((5, 0)), np.zeros((5, 0)), {}),
        (np.zeros((5, 2)), np.zeros((5, 2)), {"step_v": -1.0}),
        (np.zeros((5, 2)), np.zeros((5, 2)), {"step_v": [1.0, 2.0, 3.0]}),
        (np.ones((5, 2)), np.zeros((5, 2)), {"confidence": 1.0}),
        (np.zeros((5, 2)), np.zeros((5, 2)), {"status": np.zeros(3, np.uint8)}),
        ([["a"]], [["b"]], {}),
    ],
)
def test_wrong_arguments_are_refused(free, nudged, options):
    with pytest.raises(BadInputError):
        sigma_of_pairs(free, nudged, **options)


# The converter's step.


@pytest.mark.parametrize("step", [1e-7, 3.05e-4, 0.5])
def test_the_step_shows_in_the_reads(step):
    """Through gain and offset, from two codes to hundreds; none shows in continuous reads."""
    generator = np.random.default_rng(12)
    for width in (0.3, 1, 30):
        codes = np.rint(generator.normal(7.3, width, size=(400, 3)))
        volts = 1.00013 * step * codes + 0.7 * step
        assert converter_step(volts) == pytest.approx(1.00013 * step, rel=1e-6)
    assert np.isnan(converter_step(generator.normal(size=(400, 3)))).all()
    assert np.isnan(converter_step(np.full((10, 1), 2.5))).all()


def test_a_step_whose_smallest_gap_is_missing():
    """Codes 0, 2, 5 only: the gaps 2 and 3 have a common step of 1."""
    volts = np.array([0.0, 2, 5, 2, 0, 5, 5, 2])[:, None] * 1e-3
    assert converter_step(volts)[0] == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("sigma", "state"), [(0.05, None), (0.3, "unresolved"), (0.75, "quantised"), (3.0, "good")]
)
def test_sigma_below_the_step_is_named_never_zero(sigma, state):
    """Sigma in steps; the interval of an unresolved node still holds the true one."""
    generator = np.random.default_rng(13)
    step = 2e-6
    for offset in (0.0, 0.2, 0.5):
        free, nudged = (np.rint(generator.normal(offset, sigma, size=(500, 4))) for _ in range(2))
        found = sigma_of_pairs(step * free, step * nudged, step_v=step)
        states = {state} if state else {"constant", "unresolved"}
        assert set(found.states) <= states
        estimates = found.per_node.sigma_v
        assert not (estimates == 0).any()
        assert (found.per_node.high_v > sigma * step).all()
        if state in (None, "unresolved"):
            assert (found.per_node.low_v == 0).all()
            assert found.pooled is None
        else:
            assert found.pooled is not None
            share = math.hypot(sigma, math.sqrt(1 / 12) if sigma < 3 else 0)
            assert found.pooled.sigma_v == pytest.approx(share * step, rel=0.1)


def test_one_code_bounds_sigma():
    """At the bound, all reads in the middle of one code happen with probability 2.5 %."""
    from scipy.stats import norm

    for reads in (2, 20, 2000):
        high = largest_sigma_of_one_code(reads, 1e-3)
        inside = norm.cdf(5e-4, scale=high) - norm.cdf(-5e-4, scale=high)
        assert inside**reads == pytest.approx(0.025, rel=1e-9)


def test_sheppard_takes_the_converters_share_off():
    """From half a step up, within 2 % over 2e6 reads."""
    generator = np.random.default_rng(14)
    for sigma in (0.5, 1.0, 4.0):
        s = np.rint(generator.normal(0.25, sigma, 2_000_000)).std()
        assert without_quantisation(s, 1.0) == pytest.approx(sigma, rel=0.02)
    assert without_quantisation(0.1, 1.0) == 0
