"""Gain and offset: GTC is the oracle for every uncertainty that is stated."""

from __future__ import annotations

import datetime
import math
import sys

import GTC
import numpy as np
import pytest

from hilep.calibration.channels import calibrate_channel, released_nudge
from hilep.errors import BadInputError, MissingExtraError

DAY = datetime.date(2026, 3, 1)
POINTS = np.linspace(-10, 10, 21)


def calibrated(outputs: np.ndarray, role: str = "reader", inputs: np.ndarray = POINTS, **options):
    return calibrate_channel(
        "ai3", inputs, outputs, role=role, reference="SMU 12345", measured=DAY, **options
    )


def line_of_gtc(inputs: np.ndarray, outputs: np.ndarray):
    fitted = GTC.ta.line_fit(list(inputs), list(outputs))
    return fitted.a_b


def test_type_a_agrees_with_gtc():
    generator = np.random.default_rng(1)
    inputs = POINTS + 4.0
    outputs = 1.002 * inputs - 0.01 + 1e-3 * generator.normal(size=21)
    found = calibrated(outputs, inputs=inputs)
    offset, gain = line_of_gtc(inputs, outputs)
    assert (found.gain, found.offset) == pytest.approx((gain.x, offset.x), rel=1e-12)
    assert (found.u_gain, found.u_offset) == pytest.approx((gain.u, offset.u), rel=1e-10)
    correlation = found.covariance[0, 1] / (found.u_gain * found.u_offset)
    assert correlation == pytest.approx(GTC.get_correlation(gain, offset), rel=1e-9)
    assert found.degrees_of_freedom == pytest.approx((gain.df, offset.df))
    true, u = found.corrected_with_uncertainty([2.5, -7.0], [1e-4, 0.0])
    for k, (reading, own) in enumerate(((2.5, 1e-4), (-7.0, 0.0))):
        oracle = (GTC.ureal(reading, own) - offset) / gain
        assert true[k] == pytest.approx(oracle.x, rel=1e-12)
        assert u[k] == pytest.approx(oracle.u, rel=1e-9)
    assert found.corrected([2.5, -7.0]) == pytest.approx(true, rel=1e-14)


@pytest.mark.parametrize("role", ["reader", "source"])
def test_type_b_agrees_with_gtc(role):
    """The reference's errors are common to all points: on the inputs of a reader, or the outputs
    of a source."""
    generator = np.random.default_rng(2)
    outputs = 0.98 * POINTS + 0.05 + 1e-3 * generator.normal(size=21)
    found = calibrated(outputs, role, u_reference_gain=5e-4, u_reference_offset=3e-4)
    intercept, slope = line_of_gtc(POINTS, outputs)
    gain_error, offset_error = GTC.ureal(0, 5e-4), GTC.ureal(0, 3e-4)
    if role == "reader":
        gain = slope / (1 + gain_error)
        offset = intercept - gain * offset_error
    else:
        gain = slope * (1 + gain_error)
        offset = intercept * (1 + gain_error) + offset_error
    assert (found.u_gain, found.u_offset) == pytest.approx((gain.u, offset.u), rel=1e-9)
    assert found.covariance[0, 1] == pytest.approx(
        GTC.get_covariance(gain, offset), rel=1e-6, abs=1e-18
    )
    assert found.degrees_of_freedom == pytest.approx((gain.df, offset.df), rel=1e-6)
    _, u = found.corrected_with_uncertainty(4.0, 2e-4)
    assert float(u) == pytest.approx(((GTC.ureal(4.0, 2e-4) - offset) / gain).u, rel=1e-9)


def test_known_gain_and_offset_come_back():
    """Of 400 channels 95 % hold the true gain within t u: five standard errors are 5.5 %."""
    generator = np.random.default_rng(3)
    held = np.zeros(2)
    for _ in range(400):
        gain, offset = generator.normal(1, 1e-2), generator.normal(0, 1e-2)
        found = calibrated(gain * POINTS + offset + 1e-3 * generator.normal(size=21))
        held += [
            abs(found.gain - gain) < 2.093 * found.u_gain,
            abs(found.offset - offset) < 2.093 * found.u_offset,
        ]
    assert (np.abs(held / 400 - 0.95) < 0.055).all()


def test_a_perfect_channel_has_only_the_references_uncertainty():
    found = calibrated(POINTS.copy(), u_reference_gain=1e-4)
    assert (found.gain, found.offset) == pytest.approx((1, 0), abs=1e-14)
    assert found.u_gain == pytest.approx(1e-4, rel=1e-6)
    exact = calibrated(POINTS.copy())
    assert exact.u_gain < 1e-9
    assert exact.corrected_with_uncertainty(3.0)[1] < 1e-8


def test_expiry():
    found = calibrated(1.01 * POINTS, valid_days=90)
    assert found.warning(DAY) is None
    assert found.warning(DAY + datetime.timedelta(days=89)) is None
    late = found.warning(DAY + datetime.timedelta(days=90))
    assert late is not None
    assert "ai3" in late
    assert "2026-05-30" in late
    assert found.warning(DAY - datetime.timedelta(days=1)) is not None


@pytest.mark.parametrize(
    ("inputs", "outputs", "options"),
    [
        ([0, 1], [0, 1], {}),
        ([1, 1, 1], [0, 1, 2], {}),
        ([0, 1, 2], [3, 3, 3], {}),
        ([0, 1, math.nan], [0, 1, 2], {}),
        ([0, 1, 2], [0, 1], {}),
        ([0, 1, 2], [0, 1, 2], {"u_reference_gain": -1}),
        ([0, 1, 2], [0, 1, 2], {"valid_days": 0}),
        ([0, 1, 2], [0, 1, 2], {"role": "meter"}),
    ],
)
def test_wrong_points_are_refused_and_the_channel_named(inputs, outputs, options):
    with pytest.raises(BadInputError, match="ai3"):
        calibrated(np.array(outputs), inputs=np.array(inputs), **options)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uncertainties", None)
    monkeypatch.setitem(sys.modules, "uncertainties.unumpy", None)
    with pytest.raises(MissingExtraError, match=r"hilep\[calibration\]"):
        calibrated(POINTS)


def test_released_nudge_agrees_with_gtc():
    generator = np.random.default_rng(4)
    amps = 1e-9 * generator.normal(size=(12, 3)) + [0.0, 5e-9, 0.0]
    found = released_nudge(amps, smallest_nudge_a=1e-6, u_offset_a=2e-10)
    for k in range(3):
        oracle = GTC.ta.estimate(list(amps[:, k])) + GTC.ureal(0, 2e-10)
        assert found.amps[k] == pytest.approx(oracle.x, rel=1e-9)
        assert found.u_amps[k] == pytest.approx(oracle.u, rel=1e-12)
        assert found.degrees_of_freedom[k] == pytest.approx(oracle.df, rel=1e-9)
    assert found.released == (True, False, True)
    assert (found.share > np.abs(found.amps) / 1e-6).all()
    with pytest.raises(BadInputError):
        released_nudge(amps[:1], 1e-6)
    with pytest.raises(BadInputError):
        released_nudge(amps, 0.0)


def test_released_nudge_keeps_its_false_alarms():
    """1 % over ten outputs: of 2,000 trials five standard errors more are 2.1 %."""
    generator = np.random.default_rng(5)
    alarms = sum(
        not all(released_nudge(generator.normal(size=(8, 10)), 1.0).released) for _ in range(2000)
    )
    assert 0.002 < alarms / 2000 < 0.021
