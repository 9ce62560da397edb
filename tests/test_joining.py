"""Laws of readings that become one: every read counts once, in its order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hilep.joining import in_succession, pooled
from hilep.reading import SATURATED, Reading


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_portions_are_one_reading_of_all_reads(sizes):
    generator = np.random.default_rng(len(sizes))
    volts = 1e3 + generator.normal(size=(sum(sizes), 3))
    clamped = generator.normal(size=(sum(sizes), 2))
    ends = np.cumsum(sizes)
    parts = [
        Reading.of_samples(volts[end - size : end], clamped[end - size : end], float(end))
        for size, end in zip(sizes, ends, strict=True)
    ]
    whole = in_succession(parts)
    np.testing.assert_array_equal(whole.volts, volts)
    np.testing.assert_array_equal(whole.clamped.volts, clamped)
    assert whole.time_s == ends[-1]
    assert whole.count == sum(sizes)
    joined = parts[0]
    for part in parts[1:]:
        joined = pooled(joined, part)
    assert joined.count == whole.count
    np.testing.assert_allclose(joined.mean, whole.mean, rtol=1e-14)
    if whole.count > 1:
        np.testing.assert_allclose(joined.variance, whole.variance, rtol=1e-9)
        np.testing.assert_allclose(joined.clamped.variance, whole.clamped.variance, rtol=1e-9)


def test_status_bits_add_up_and_an_unknown_variance_stays_unknown():
    good = Reading(np.zeros(2), 3)
    bad = Reading(np.zeros(2), 1, status=np.array([0, SATURATED], np.uint8))
    worse = Reading(np.zeros(2), 1, status=np.array([2, 0], np.uint8))
    whole = in_succession([good, bad, worse])
    assert whole.status.tolist() == [2, SATURATED]
    assert whole.variance is None
    assert in_succession([good, good]).status is None
    single = in_succession([bad, worse])
    assert single.variance.tolist() == [0, 0]
