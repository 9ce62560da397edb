"""Lines in the spectrum: found, named where they are mains, and rarely where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from test_calibration_certified import LEW, numbers

from hilep.calibration.autocorrelation import effective_reads
from hilep.calibration.independence import independence
from hilep.calibration.spectrum import aliased, lines, periodogram, unseen_mains


def test_the_line_that_hides_from_the_effective_reads_of_nist_lew():
    """The beam's oscillation at 0.30 cycles per read (e-Handbook, 1.4.2.5.2), to half a line."""
    data = numbers(LEW)
    assert effective_reads(data) > data.size
    found = lines(data)
    assert found[0].cycles_per_read == pytest.approx(0.3025, abs=0.5 / 200)
    # A sine that held all the variance would have sqrt(2) s = 392.
    assert 0.8 * 392 < found[0].amplitude_v < 392
    assert independence(data).independent is False


@pytest.mark.parametrize("hz", [50.0, 60.0, 150.0])
@pytest.mark.parametrize("interval", [1e-3, 0.0137])
def test_mains_is_found_and_named(hz, interval):
    """A line of 0.25 sigma in 4,000 reads stands 125 times above the noise, aliased or not."""
    generator = np.random.default_rng(8)
    time = interval * np.arange(4000)
    for phase in (0.0, 1.0):
        volts = 2e-6 * (generator.normal(size=4000) + 0.25 * np.sin(2 * np.pi * hz * time + phase))
        found = lines(volts, interval)
        assert found[0].mains_hz == hz
        assert found[0].cycles_per_read == pytest.approx(aliased(hz, interval), abs=1e-4)
        assert found[0].amplitude_v == pytest.approx(0.5e-6, rel=0.25)


def test_a_weak_mains_line_is_found_where_a_blind_search_misses_it():
    """Lines 9 times above the noise: found as mains more often than without the interval."""
    generator = np.random.default_rng(9)
    time = 1e-3 * np.arange(4000)
    known = blind = 0
    for _ in range(100):
        volts = generator.normal(size=4000) + 0.085 * np.sin(2 * np.pi * 50 * time)
        known += any(line.mains_hz == 50 for line in lines(volts, 1e-3))
        blind += bool(lines(volts))
    assert known > blind + 10


def test_lines_keep_their_false_alarms_on_sloping_noise():
    """AR(1) and random walk: 5 % asked for, 600 records; five standard errors more are 9.5 %."""
    generator = np.random.default_rng(10)
    for phi in (0.0, 0.7, 1.0):
        alarms = sum(
            bool(lines(lfilter([1.0], [1.0, -phi], generator.normal(size=600)), 0.003, 0.05))
            for _ in range(600)
        )
        assert alarms / 600 < 0.095, phi


def test_mains_that_falls_on_zero_is_said():
    assert unseen_mains(1000, 0.02) == (50.0,)
    assert unseen_mains(1000, 0.1) == (50.0, 60.0)
    assert unseen_mains(1000, 0.0137) == ()


def test_periodogram_holds_the_variance():
    """Parseval: density times resolution sums to the variance."""
    generator = np.random.default_rng(11)
    volts = generator.normal(5.0, 1e-6, size=1001)
    frequencies, density = periodogram(volts, 0.01)
    assert frequencies[-1] == pytest.approx(50, rel=1e-2)
    assert density.sum() * (frequencies[1] - frequencies[0]) == pytest.approx(volts.var(), rel=1e-6)
