"""Independence: the stated law of the verdict, the parts of the noise, and what N is worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import fftconvolve, lfilter

from hilep.calibration.allan import interleaving_gain, mean_difference_deviation
from hilep.calibration.autocorrelation import autocorrelation, effective_reads
from hilep.calibration.independence import BLOCKS, independence
from hilep.calibration.noiseparts import NoiseParts, noise_parts
from hilep.errors import BadInputError


def flicker(generator: np.random.Generator, n: int) -> np.ndarray:
    """1/f noise by fractional summation of order 1/2 (Kasdin 1995), of unit driving noise."""
    k = np.arange(1, n)
    response = np.concatenate([[1.0], np.cumprod((k - 0.5) / k)])
    return fftconvolve(generator.normal(size=2 * n), response)[n : 2 * n]


def correlated(generator: np.random.Generator, kind: str, n: int) -> np.ndarray:
    if kind == "flicker":
        return flicker(generator, n)
    if kind == "walk":
        return np.cumsum(generator.normal(size=n))
    if kind == "drift":
        return np.linspace(0, 1, n)
    if kind == "telegraph":
        return np.cumprod(1.0 - 2.0 * (generator.random(n) < 0.02))
    phi = float(kind)
    return lfilter([1.0], [1.0, -phi], generator.normal(size=n + 2000))[2000:]


# The law of the verdict.


@pytest.mark.parametrize("n", [20, 64, 128, 640, 2000])
def test_false_alarms_on_white_noise(n):
    """1 % or fewer asked for; 1,500 records: five standard errors more are 2.3 %."""
    generator = np.random.default_rng(n)
    alarms = sum(
        independence(generator.normal(size=n), interval_s=0.003).independent is False
        for _ in range(1500)
    )
    assert alarms / 1500 < 0.01 + 5 * math.sqrt(0.01 * 0.99 / 1500)


def test_false_alarms_do_not_grow_with_the_nodes():
    """1 % over all 40 nodes; 200 records: five standard errors more are 4.5 %."""
    generator = np.random.default_rng(2)
    alarms = sum(
        independence(generator.normal(size=(256, 40))).independent is False for _ in range(200)
    )
    assert alarms / 200 < 0.045


@pytest.mark.parametrize("kind", ["flicker", "walk", "drift", "telegraph", "0.9", "0.99"])
@pytest.mark.parametrize("reads", [8, 32])
def test_correlated_noise_twice_the_white_one_is_found(kind, reads):
    """64 blocks of N whose correlated means vary by twice white/N: found in 99 %.

    200 records: 99 % less five standard errors would be 95.5 %; measured are 99.9 % and more.
    """
    generator = np.random.default_rng(3)
    n = BLOCKS * reads
    found = 0
    for _ in range(200):
        slow = correlated(generator, kind, n)
        between = slow.reshape(BLOCKS, reads).mean(axis=1).var(ddof=1)
        slow *= math.sqrt(2 / reads / between)
        verdict = independence(slow + generator.normal(size=n), reads=reads)
        found += verdict.independent is False
    assert found / 200 >= 0.98


def test_short_records_cannot_tell():
    generator = np.random.default_rng(4)
    for n, reads in ((60, None), (127, None), (64 * 50 - 1, 50)):
        found = independence(generator.normal(size=n), reads=reads)
        assert found.independent == "cannot tell"
        assert any("needed" in line for line in found.why)
    enough = independence(generator.normal(size=64 * 50), reads=50)
    assert enough.independent is True
    assert enough.tested_reads == 50
    assert 50 in enough.ladder
    assert enough.max_useful_reads == 50
    assert enough.limited_by_record


def test_a_short_record_can_still_show_dependence():
    generator = np.random.default_rng(5)
    found = independence(np.cumsum(generator.normal(size=60)), reads=1000)
    assert found.independent is False
    assert found.lag_1[0] > 0.6


def test_the_guilty_node_is_named():
    generator = np.random.default_rng(6)
    volts = generator.normal(size=(2048, 5))
    volts[:, 3] += np.cumsum(0.1 * generator.normal(size=2048))
    found = independence(volts)
    assert found.independent is False
    assert found.why
    assert all(line.startswith("node 3:") for line in found.why)


@pytest.mark.parametrize(
    ("volts", "reads"),
    [
        (np.zeros(100), None),
        (np.arange(10.0), None),
        (np.full((50, 2), math.nan), None),
        (np.arange(100.0), 0),
        (np.zeros((0, 3)), None),
    ],
)
def test_records_without_a_verdict_are_refused(volts, reads):
    with pytest.raises(BadInputError):
        independence(volts, reads=reads)


def test_effective_reads_of_an_ar_process():
    """n (1 - phi) / (1 + phi) within 10 % for 1e5 reads; white reads count as themselves."""
    generator = np.random.default_rng(7)
    white = generator.normal(size=100_000)
    assert effective_reads(white) == pytest.approx(100_000, rel=0.1)
    for phi in (0.5, 0.9, -0.5):
        record = lfilter([1.0], [1.0, -phi], white)
        assert effective_reads(record) == pytest.approx(1e5 * (1 - phi) / (1 + phi), rel=0.1)
        assert autocorrelation(record, 3)[1:] == pytest.approx(phi ** np.arange(1, 4), abs=0.02)


def test_anticorrelated_reads_are_dependent_too():
    """Their mean is better than sigma/sqrt(N), and eq. (11) still does not hold."""
    exact = independence(np.array([1.0, -1.0] * 500))
    assert exact.independent is False
    assert exact.effective_reads[0] > 1000
    generator = np.random.default_rng(16)
    noisy = independence(np.diff(generator.normal(size=1001)))
    assert noisy.independent is False
    assert noisy.lag_1[0] == pytest.approx(-0.5, abs=0.15)


# Noise parts and what N is worth.


@pytest.mark.parametrize(
    ("white", "slow", "kind"),
    [(1, 0, "none"), (1, 0.1, "flicker"), (1, 0.02, "walk"), (1, 5, "drift")],
)
def test_parts_give_the_deviation_of_means(white, slow, kind):
    """The model's sigma of N-read means against that of many records, within 25 %."""
    generator = np.random.default_rng(12)
    n = 1 << 14
    records = []
    for _ in range(8):
        record = white * generator.normal(size=n)
        if slow:
            record = record + slow * correlated(generator, kind, n)
        records.append(record)
    measured = np.sqrt(
        np.mean(
            [[mean_difference_deviation(r, m) ** 2 for m in (1, 16, 256)] for r in records], axis=0
        )
    )
    models = [noise_parts(record) for record in records]
    modelled = np.sqrt(np.mean([part.variance_v2([1, 16, 256]) for part in models], axis=0))
    assert modelled == pytest.approx(measured, rel=0.25)
    assert np.median([part.white_v for part in models]) == pytest.approx(white, rel=0.1)


def test_variance_of_each_part_is_exact():
    """Half the variance of the difference of two means of N, from the covariance of 2 N reads."""
    for m in (1, 2, 7, 40):
        weights = np.repeat([-1 / m, 1 / m], m)
        time = np.arange(2 * m)
        walk = np.minimum.outer(time + 1.0, time + 1.0)
        burst = np.exp(-np.abs(np.subtract.outer(time, time)) / 12.5)
        exact = {
            "white_v": weights @ weights / 2,
            "walk_v": weights @ walk @ weights / 2,
            "drift_v": (weights @ time) ** 2 / 2,
            "burst_v": weights @ burst @ weights / 2,
        }
        for part, variance in exact.items():
            sizes = dict.fromkeys(("white_v", "flicker_v", "walk_v", "drift_v", "burst_v"), 0.0)
            model = NoiseParts(**(sizes | {part: 3.0}), burst_reads=12.5)
            assert model.variance_v2(m) == pytest.approx(9 * variance, rel=1e-9)
            assert model.sigma_of_mean_v([m])[0] == pytest.approx(3 * math.sqrt(variance))


def test_burst_part_of_an_ar_process():
    """White 1 and AR(1) of sd 1 with 50 reads' memory: both come back within a third."""
    generator = np.random.default_rng(13)
    phi = math.exp(-1 / 50)
    slow = correlated(generator, str(phi), 1 << 16) * math.sqrt(1 - phi**2)
    parts = noise_parts(generator.normal(size=1 << 16) + slow)
    assert parts.white_v == pytest.approx(1, rel=0.05)
    assert parts.burst_v == pytest.approx(1, rel=1 / 3)
    assert parts.burst_reads == pytest.approx(50, rel=0.5)


def test_max_useful_reads_of_white_and_flicker_noise():
    """Where both variances are equal: N = 1 / (2 ln 2 h) for white 1 and Allan floor 2 ln 2 h."""
    generator = np.random.default_rng(14)
    found = []
    for _ in range(10):
        record = generator.normal(size=1 << 14) + 0.25 * flicker(generator, 1 << 14)
        verdict = independence(record)
        assert verdict.independent is False
        assert not verdict.limited_by_record
        found.append(verdict.max_useful_reads)
    # Fractional summation of unit noise has the spectral density 1 / (2 pi f).
    floor = 0.25**2 * 2 * math.log(2) / math.pi
    assert np.median(found) == pytest.approx(1 / floor, rel=0.4)


def test_interleaving_gains_against_drift_and_nothing_on_white_noise():
    generator = np.random.default_rng(15)
    white = generator.normal(size=(20_000, 3))
    assert interleaving_gain(white, 50, 50) == pytest.approx(1, abs=0.15)
    walk = white + np.cumsum(0.1 * generator.normal(size=(20_000, 3)), axis=0)
    assert (interleaving_gain(walk, 50, 50) > 2).all()


def test_deviation_at_a_delay():
    """A linear drift d per read moves means that lie D reads apart by d D, exactly."""
    ramp = 0.5 * np.arange(1000.0)
    for delay in (10, 100, 400):
        assert mean_difference_deviation(ramp, 10, delay) == pytest.approx(
            0.5 * delay / math.sqrt(2)
        )
    with pytest.raises(BadInputError):
        mean_difference_deviation(ramp, 600)
