"""What is refused before anything is sent, and what a number becomes on its way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilep.instruments.acquisition import Acquisition
from hilep.instruments.errors import RangeLimitError
from hilep.instruments.smu import (
    Capability,
    Setup,
    Span,
    achieved_level,
    check_pulse,
    checked_setup,
)
from hilep.instruments.status import (
    INVALID,
    OVERRANGE,
    SATURATED,
    names_of,
    without_sentinels,
)
from hilep.instruments.values import nearest_step, number

CAN = Capability(
    spans={
        "V": (Span(0.2, 5e-6), Span(2.0, 5e-5), Span(20.0, 5e-4), Span(200.0, 5e-3)),
        "A": (Span(1e-6, 5e-11), Span(1e-5, 5e-10), Span(1e-4, 5e-9), Span(1.0, 5e-5)),
    },
    headroom=1.05,
    envelope=((21.0, 1.05), (210.0, 0.105)),
    least_limit=1e-3,
    nplc=(0.01, 10.0),
    least_pulse_s=1e-3,
)


def volts(limit: float = 1e-5, full: float = 200.0, measure: float | None = None) -> Setup:
    return checked_setup(CAN, "V", limit, full, measure, 1.0, False, "a")


def amps(limit: float = 0.5, full: float = 1e-6) -> Setup:
    return checked_setup(CAN, "A", limit, full, None, 1.0, False, "a")


def test_25_nanoamperes_stay_25_nanoamperes() -> None:
    achieved = achieved_level(amps(), 25e-9, "a")
    assert achieved == 25e-9
    assert float(number(achieved)) == 25e-9


@given(st.floats(-1e30, 1e30, allow_nan=False))
def test_a_number_is_sent_with_ten_digits(value: float) -> None:
    assert math.isclose(float(number(value)), value, rel_tol=5.1e-10, abs_tol=1e-300)


@given(st.integers(-40_000, 40_000), st.sampled_from([5e-6, 5e-11, 2e-14, 1e-3]))
def test_a_multiple_of_the_step_is_kept_exactly(count: int, step: float) -> None:
    level = count * step
    found = nearest_step(level, step)
    assert math.isclose(found, level, rel_tol=1e-12)
    assert nearest_step(found, step) == found


@given(st.floats(-0.2, 0.2))
def test_the_achieved_level_is_within_half_a_step(level: float) -> None:
    assert abs(nearest_step(level, 5e-6) - level) <= 2.5e-6 * (1 + 1e-9)


def test_300_volts_on_the_200_volt_range_are_refused() -> None:
    with pytest.raises(RangeLimitError, match=r"300.*210 V.*200 V range"):
        achieved_level(volts(), 300.0, "a")


@pytest.mark.parametrize("level", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(level: float) -> None:
    with pytest.raises(RangeLimitError):
        achieved_level(volts(), level, "a")
    with pytest.raises(RangeLimitError):
        number(level)
    with pytest.raises(RangeLimitError):
        volts(limit=level)


def test_a_voltage_below_the_resolution_is_refused_and_a_current_becomes_zero() -> None:
    with pytest.raises(RangeLimitError, match="below the resolution"):
        achieved_level(volts(), 1e-3, "a")
    assert achieved_level(volts(), 0.0, "a") == 0
    assert achieved_level(amps(), 1e-12, "a") == 0


@pytest.mark.parametrize("limit", [0.0, -1e-6, 1e-13, 2.0])
def test_a_limit_must_be_positive_and_within_the_model(limit: float) -> None:
    with pytest.raises(RangeLimitError, match="limit"):
        volts(limit=limit)


def test_a_limit_beyond_its_measuring_range_would_be_ignored() -> None:
    with pytest.raises(RangeLimitError, match="limit"):
        volts(limit=5e-5, measure=1e-5)


def test_the_measuring_range_holds_the_limit() -> None:
    assert volts(limit=1.05e-5).measure.full == 1e-5
    assert volts(limit=1.06e-5).measure.full == 1e-4


def test_a_range_that_the_model_lacks_lists_the_others() -> None:
    with pytest.raises(RangeLimitError, match=r"0.2, 2, 20, 200 V"):
        volts(full=5.0)


def test_volts_and_amperes_together_stay_in_the_quadrants() -> None:
    with pytest.raises(RangeLimitError, match=r"210 V with 0\.105 A"):
        volts(limit=0.5)
    assert volts(limit=0.5, full=20.0).limit == 0.5


@pytest.mark.parametrize(
    ("setup", "height", "seconds", "limit"),
    [
        (amps(), 1.0, 0.01, 1e-5),
        (volts(), 300.0, 0.01, 1e-5),
        (volts(), 1.0, 1e-6, 1e-5),
        (volts(), 1.0, math.nan, 1e-5),
        (volts(), 1.0, 0.01, 1e-3),
        (volts(), 1.0, 0.01, 0.0),
    ],
    ids=["sources current", "too high", "too short", "no time", "limit ignored", "no limit"],
)
def test_a_pulse_is_checked(setup: Setup, height: float, seconds: float, limit: float) -> None:
    with pytest.raises(RangeLimitError):
        check_pulse(CAN, setup, height, seconds, limit, "a")


def test_sentinels_become_nan_with_a_status() -> None:
    values, status = without_sentinels(
        np.array([0.31, 9.9e37, -9.9e37, 9.91e37, np.nan, np.inf, -1e-12])
    )
    assert np.isfinite(values).tolist() == [True, False, False, False, False, False, True]
    over = OVERRANGE | SATURATED
    assert status.tolist() == [0, over, over, INVALID, INVALID, over, 0]
    assert names_of(over) == "saturated, over-range"
    assert names_of(0) == "good"


def test_an_acquisition_of_uneven_arrays_is_refused() -> None:
    with pytest.raises(ValueError, match="amps"):
        Acquisition(
            ("a",),
            np.zeros((2, 1)),
            np.zeros((1, 1)),
            np.zeros((2, 1)),
            np.zeros((2, 1), np.uint8),
        )
