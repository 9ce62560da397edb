"""Laws of the budget of a mean of N reads: GTC is the oracle for what is combined."""

import dataclasses
import datetime
import math

import numpy as np
import pytest
from test_calibration_files import measured, whole

from hilep.calibration.allan import allan_deviation
from hilep.calibration.budget import Budget, Contribution, budget, deviation_of_means
from hilep.calibration.channels import calibrate_channel
from hilep.errors import BadInputError


def named(found):
    return {part.name: part for part in found.contributions}


def test_combined_uncertainty_and_degrees_are_those_of_gtc():
    """GTC: the sum of uncertain numbers, its u and its degrees of freedom."""
    gtc = pytest.importorskip("GTC", reason="needs GTC: install hilep[test]")
    parts = (
        Contribution("a", "A", 3e-6, 12.0, ""),
        Contribution("b", "A", 2e-6, 5.0, ""),
        Contribution("c", "B", 1e-6, math.inf, ""),
        Contribution("d", "B", 0.0, math.inf, ""),
    )
    found = Budget(4, parts, ())
    total = sum(gtc.ureal(0.0, part.u_v, part.degrees_of_freedom) for part in parts[:3])
    assert found.u_v == pytest.approx(gtc.uncertainty(total), rel=1e-12)
    assert found.degrees_of_freedom == pytest.approx(gtc.dof(total), rel=1e-12)
    assert found.coverage_factor == pytest.approx(gtc.reporting.k_factor(gtc.dof(total)), rel=1e-6)
    assert sum(found.shares()) == pytest.approx(1.0)
    assert found.shares()[0] == pytest.approx(9 / 14)


def test_white_reads_leave_sigma_over_the_root_of_n():
    calibration = measured(pairs=200, reads=1024)
    for reads in (1, 4, 16):
        found = budget(calibration, reads)
        pooled = calibration.sigma.pooled
        assert named(found)["read noise"].u_v == pytest.approx(pooled.sigma_v / math.sqrt(reads))
        assert named(found)["read noise"].degrees_of_freedom == pooled.degrees_of_freedom
        assert found.u_v == pytest.approx(1e-4 / math.sqrt(reads), rel=0.15)
        assert "settling: not measured" in found.missing


def test_drift_is_what_the_means_vary_beyond_white_noise():
    def walking(generator, count, nudged):
        steps = 2e-5 * generator.standard_normal((count, 8))
        return np.cumsum(steps, axis=0) + 1e-4 * generator.standard_normal((count, 8))

    calibration = measured(noise=walking, pairs=200, reads=1024)
    found = budget(calibration, 64)
    deviations = calibration.allan.at_delay
    deviation, _ = deviation_of_means(deviations, 64)
    assert found.u_v == pytest.approx(deviation, rel=1e-9)
    assert (
        found.shares()[[part.name for part in found.contributions].index("drift and flicker")] > 0.8
    )
    beyond = budget(calibration, 1000)
    assert "drift and flicker" not in named(beyond)
    assert any(line.startswith("drift and flicker over N = 1000") for line in beyond.missing)


def test_the_deviation_between_two_measured_n_lies_on_a_straight_line_of_logarithms():
    record = np.random.default_rng(0).standard_normal(4096)
    deviation = allan_deviation(record)
    at = {n: deviation_of_means((deviation,), n)[0] for n in (4, 6, 8)}
    share = math.log(6 / 4) / math.log(2)
    assert at[6] == pytest.approx(at[4] ** (1 - share) * at[8] ** share)
    assert deviation_of_means((deviation,), 5000) is None
    assert deviation_of_means((), 1) is None
    both = deviation_of_means((deviation, deviation), 4)
    assert both[0] == pytest.approx(at[4])
    assert both[1] == pytest.approx(2 * deviation.degrees_of_freedom[2])


def test_gain_and_offset_are_those_of_the_worst_reader():
    """GTC: (output - offset) / gain at the largest mean voltage, gain and offset correlated."""
    gtc = pytest.importorskip("GTC", reason="needs GTC: install hilep[test]")
    calibration = whole()
    inputs, generator = np.linspace(0, 1, 9), np.random.default_rng(4)

    def channel(noise, role):
        return calibrate_channel(
            "x", inputs, inputs + noise * generator.standard_normal(9), role=role,
            reference="made up", measured=datetime.date(2026, 1, 2), u_reference_offset=1e-6,
        )  # fmt: skip

    worse = channel(1e-3, "reader")
    channels = (channel(1e-5, "reader"), worse, channel(1.0, "source"))
    found = named(budget(dataclasses.replace(calibration, channels=channels), 4))["gain and offset"]
    volts = np.abs(calibration.reads.free[:, calibration.judged].mean(axis=0)).max()
    uncertain = []
    for sign in (1, -1):
        gain, offset = gtc.multiple_ureal(
            [worse.gain, worse.offset], [worse.u_gain, worse.u_offset], 7
        )
        gtc.set_correlation(worse.covariance[0, 1] / worse.u_gain / worse.u_offset, gain, offset)
        output = worse.gain * sign * volts + worse.offset
        uncertain.append(gtc.uncertainty((output - offset) / gain))
    assert found.u_v == pytest.approx(max(uncertain), rel=1e-9)
    without = budget(dataclasses.replace(calibration, channels=channels[2:]), 4)
    assert "gain and offset" not in named(without)


def test_settling_is_a_limit_and_a_step_is_a_rectangle():
    calibration = whole()
    found = named(budget(calibration, 4))
    tolerance = calibration.settling.delay.tolerance_v
    assert found["settling"].u_v == pytest.approx(tolerance / math.sqrt(3))
    assert math.isinf(found["settling"].degrees_of_freedom)
    step = 1e-4

    def rounded(generator, count, nudged):
        return step * np.round(1e-4 * generator.standard_normal((count, 8)) / step)

    coarse = measured(noise=rounded, pairs=400)
    found = named(budget(coarse, 9))
    assert found["converter's step"].u_v == pytest.approx(step / math.sqrt(12 * 9), rel=1e-3)
    both = math.hypot(found["converter's step"].u_v, found["read noise"].u_v)
    assert both == pytest.approx(coarse.sigma.pooled.sigma_v / 3)


def test_without_a_sigma_there_is_no_budget():
    def dead(generator, count, nudged):
        return np.zeros((count, 8))

    with pytest.raises(BadInputError, match="no pooled sigma"):
        budget(measured(noise=dead), 1)
    with pytest.raises(BadInputError):
        budget(measured(), 0)
