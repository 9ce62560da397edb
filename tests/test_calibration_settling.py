"""Time constants and the delay: against known circuits, GTC, and the sample's own noise."""

from __future__ import annotations

import math

import GTC
import numpy as np
import pytest

from hilep.calibration.delay import settling_delay, suffices
from hilep.calibration.settling import step_response
from hilep.errors import BadInputError

TIME = np.linspace(0, 1e-3, 400)
NOISE = np.random.default_rng(5).normal(size=400)


def step(final: float, *parts: tuple[float, float], time: np.ndarray = TIME) -> np.ndarray:
    return final + sum(a * np.exp(-time / tau) for a, tau in parts)


@pytest.mark.parametrize("volts", [1.0, -1.0])
@pytest.mark.parametrize("scale", [1e-6, 1.0])
def test_one_time_constant(volts, scale):
    generator = np.random.default_rng(1)
    record = scale * (step(0.3, (volts, 1.2e-4)) + 0.01 * generator.normal(size=400))
    found = step_response(TIME, record)
    assert found.time_constants_s.size == 1
    # 400 points at 1 % of the step fix each to within about 1 %: five of the stated errors.
    assert abs(found.time_constants_s[0] - 1.2e-4) < 5 * found.u_time_constants_s[0]
    assert found.u_time_constants_s[0] < 0.02 * 1.2e-4
    assert abs(found.final_v - 0.3 * scale) < 5 * found.u_final_v
    assert found.residual_sd_v == pytest.approx(0.01 * scale, rel=0.2)


def test_two_time_constants():
    generator = np.random.default_rng(2)
    record = step(0.0, (-1.0, 2e-4), (-0.6, 1.5e-5)) + 0.002 * generator.normal(size=400)
    found = step_response(TIME, record)
    assert found.time_constants_s == pytest.approx([2e-4, 1.5e-5], rel=0.05)
    assert found.amplitudes_v == pytest.approx([-1.0, -0.6], rel=0.05)


def test_without_noise_the_fit_is_exact():
    one = step_response(TIME, step(1.0, (0.5, 1e-4)))
    assert one.time_constants_s == pytest.approx([1e-4], rel=1e-9)
    two = step_response(TIME, step(1.0, (0.5, 2e-4), (0.5, 2e-5)))
    assert two.time_constants_s == pytest.approx([2e-4, 2e-5], rel=1e-6)


def test_a_known_start_is_used():
    generator = np.random.default_rng(3)
    late = TIME[40:]
    record = step(0.0, (-1.0, 2e-4), (-1.0, 2e-5), time=late) + 1e-3 * generator.normal(size=360)
    found = step_response(late, record, constants=2, initial_v=-2.0)
    assert found.amplitudes_v.sum() + found.final_v == pytest.approx(-2.0, rel=1e-12)
    assert found.time_constants_s[0] == pytest.approx(2e-4, rel=0.05)


def test_stated_uncertainty_is_the_scatter():
    """Of 300 records 95 % hold tau within t u: five standard errors are 6.3 %."""
    generator = np.random.default_rng(4)
    held = 0
    for _ in range(300):
        record = step(0.3, (1.0, 1.2e-4), time=TIME[::10]) + 0.02 * generator.normal(size=40)
        found = step_response(TIME[::10], record, constants=1)
        held += abs(found.time_constants_s[0] - 1.2e-4) < 2.03 * found.u_time_constants_s[0]
    assert abs(held / 300 - 0.95) < 0.063


@pytest.mark.parametrize(
    ("time", "volts", "options"),
    [
        (TIME, np.ones(400), {}),
        (TIME[:3], np.array([0.0, 0.5, 0.7]), {}),
        (TIME, np.append(np.ones(399), math.nan), {}),
        (TIME, TIME[:10], {}),
        (TIME, TIME, {}),
        (TIME, NOISE, {}),
        (TIME, step(0.0, (1.0, 1e-4)) + 0.05 * NOISE, {"constants": 2}),
        (TIME, step(0.0, (1.0, 1e-4)), {"constants": 3}),
    ],
)
def test_records_that_fix_no_time_constant_are_refused(time, volts, options):
    """A constant, too few points, NaN, a straight line, mere noise, one constant taken for two."""
    with pytest.raises(BadInputError, match="settling"):
        step_response(time, volts, **options)


def test_delay_of_one_time_constant_agrees_with_gtc():
    """tau ln(|a| / tolerance), and its uncertainty with the fit's correlation."""
    generator = np.random.default_rng(6)
    found = step_response(TIME, step(0.0, (-0.8, 1e-4)) + 0.01 * generator.normal(size=400))
    delay = settling_delay([found], sigma_v=1e-3, reads=25)
    assert delay.tolerance_v == pytest.approx(0.1 * 1e-3 / 5)
    degrees = found.degrees_of_freedom
    u_amplitude, u_log = np.sqrt(np.diag(found.covariance))
    correlation = found.covariance[0, 1] / (u_amplitude * u_log)
    amplitude, log_tau = GTC.multiple_ureal(
        [found.amplitudes_v[0], math.log(found.time_constants_s[0])], [u_amplitude, u_log], degrees
    )
    GTC.set_correlation(correlation, amplitude, log_tau)
    oracle = GTC.exp(log_tau) * GTC.log(-amplitude / delay.tolerance_v)
    assert delay.delay_s == pytest.approx(oracle.x, rel=1e-9)
    assert delay.u_delay_s == pytest.approx(oracle.u, rel=1e-9)
    assert delay.high_s == pytest.approx(delay.delay_s + delay.u_delay_s * 1.966, rel=1e-3)


def test_delay_within_5_percent_of_the_circuit():
    """Clamp and nudge, two time constants, noise of 1e-3: the residual at the delay is as asked."""
    generator = np.random.default_rng(7)
    clamp = [(1.0, 1.5e-4), (0.5, 1e-5)]
    nudge = [(-0.02, 1.2e-4)]
    responses = [
        step_response(TIME, step(0.0, *clamp) + 1e-3 * generator.normal(size=400)),
        step_response(TIME, step(0.0, *nudge) + 2e-5 * generator.normal(size=400)),
    ]
    found = settling_delay(responses, sigma_v=1e-3, reads=100)
    grid = np.linspace(0, 5e-3, 500_001)
    left = sum(np.abs(a) * np.exp(-grid / tau) for a, tau in clamp + nudge)
    true = grid[np.argmax(left < 0.1 * 1e-3 / 10)]
    assert found.delay_s == pytest.approx(true, rel=0.05)
    assert found.high_s > found.delay_s
    assert settling_delay(responses, sigma_v=1e3, reads=1).delay_s == 0
    # Longer for more reads: ln 10 of the slowest constant for a hundred times as many.
    more = settling_delay(responses, sigma_v=1e-3, reads=10_000)
    assert more.delay_s - found.delay_s == pytest.approx(1.5e-4 * math.log(10), rel=0.05)
    for sigma, reads in ((0.0, 1), (math.nan, 1), (1.0, 0)):
        with pytest.raises(BadInputError):
            settling_delay(responses, sigma, reads)


def test_suffices():
    """True where shown, False where shown, and otherwise no verdict."""
    generator = np.random.default_rng(8)
    reads = 1e-3 * generator.normal(size=(2, 4000))
    assert suffices(reads[0], reads[1], 1e-4) is True
    assert suffices(reads[0] + 3e-4, reads[1], 1e-4) is False
    assert suffices(reads[0][:20], reads[1][:20], 1e-4) == "cannot tell"
    assert suffices(np.ones(5), np.ones(5), 1e-9) is True
    with pytest.raises(BadInputError):
        suffices(reads[0][:1], reads[1], 1e-4)


def test_suffices_errs_on_the_safe_side():
    """At exactly the tolerance True comes in 5 %: 2,000 trials, five errors more are 7.5 %."""
    generator = np.random.default_rng(9)
    yes = sum(
        suffices(generator.normal(1, 1, 200), generator.normal(0, 2, 100), 1.0) is True
        for _ in range(2000)
    )
    assert 0.02 < yes / 2000 < 0.075
