"""Lines in the spectrum of reads: mains, and whatever else is periodic."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles, checked
from hilep.calibration.autocorrelation import deviations
from hilep.errors import BadInputError

MAINS_HZ = (50.0, 60.0)
_HARMONICS = 5
_NEIGHBOURS = 24
_DRIFT = 2e-3


@dataclass(frozen=True, slots=True)
class Line:
    """A line in the periodogram.

    Attributes:
        cycles_per_read: its frequency, 0 to 1/2, as the reads show it (aliased).
        amplitude_v: volts, half of peak to peak.
        p_value: of so strong a line in noise, over all frequencies looked at.
        mains_hz: the mains harmonic that shows there, such as 50 or 100; NaN where it is none or
            the interval between reads is not known.
    """

    cycles_per_read: float
    amplitude_v: float
    p_value: float
    mains_hz: float


def periodogram(volts: ArrayLike, interval_s: float | None = None) -> tuple[Doubles, Doubles]:
    """Return frequencies and one-sided power spectral density of reads (n,), mean removed.

    Returns:
        frequencies in hertz and density in volts squared per hertz; without an interval in cycles
        per read and volts squared times reads.
    """
    from scipy.signal import periodogram as of

    record = checked(volts, (None,), "periodogram: reads in volts").astype(np.float64)
    rate = 1.0 if interval_s is None else 1 / interval_s
    frequencies, density = of(deviations(record), fs=rate, detrend=False)
    return frequencies, density


def aliased(frequency_hz: float, interval_s: float) -> float:
    """Return where a frequency shows in reads at an interval, cycles per read from 0 to 1/2."""
    cycles = (frequency_hz * interval_s) % 1.0
    return min(cycles, 1.0 - cycles)


def unseen_mains(reads: int, interval_s: float) -> tuple[float, ...]:
    """Return the mains frequencies, hertz, that fall on zero and so look like an offset."""
    return tuple(hz for hz in MAINS_HZ if aliased(hz, interval_s) * reads < 1)


def lines(
    volts: ArrayLike, interval_s: float | None = None, false_alarms: float = 0.01
) -> tuple[Line, ...]:
    """Return the lines that stand out of their neighbourhood, strongest first.

    Each ordinate over the mean of its neighbours is F-distributed with 2 and 2 K degrees of
    freedom in Gaussian noise, whose spectrum may slope. Half of the false alarms go to the mains'
    harmonics, where the interval is known, so that a weak mains line is found.

    Args:
        volts: reads (n,) at equal intervals.
        interval_s: seconds between reads, or None.
        false_alarms: probability of any line in Gaussian noise.

    Raises:
        BadInputError: for fewer than 32 reads, reads that are not finite, or an interval <= 0.
    """
    record = checked(volts, (None,), "lines: reads in volts").astype(np.float64)
    n = record.shape[0]
    if n < 32 or (interval_s is not None and not interval_s > 0):
        raise BadInputError(
            f"lines: expected at least 32 reads and an interval above 0 s, got {n}, {interval_s}"
        )
    centred = deviations(record)
    if not np.ptp(centred) > 0:
        return ()
    power = np.abs(np.fft.rfft(centred)) ** 2
    bins = np.arange(3, (n + 1) // 2)
    p_values = _p_values(power, bins)
    budget = false_alarms if interval_s is None else false_alarms / 2
    blind = p_values * bins.size
    found = {int(bins[k]): (float(blind[k]), math.nan) for k in np.flatnonzero(blind < budget)}
    if interval_s is not None:
        mains = _mains_bins(n, interval_s, bins)
        tried = sum(len(near) for near in mains.values())
        for hz, near in mains.items():
            for k in near:
                p = float(p_values[k - bins[0]]) * tried
                if p < budget:
                    found[k] = (min(p, found.get(k, (1.0, hz))[0]), hz)
    return _described(centred, power, found)


def _p_values(power: Doubles, bins: NDArray[np.int64]) -> Doubles:
    """Return the probability of each ordinate given its neighbours, one frequency at a time."""
    sums = np.concatenate([[0.0], np.cumsum(power)])
    # Neighbours on both sides as far as the lower end allows, the two next to the line left out,
    # because a line between two ordinates leaks into them.
    width = np.minimum(_NEIGHBOURS, np.maximum(bins - 3, 1))
    last = power.size - 1
    low, high = bins - 2 - width, np.minimum(bins + 2 + width, last - 1)
    low = np.maximum(low, 1)
    outer = sums[high + 1] - sums[low]
    inner_low, inner_high = np.maximum(bins - 2, 1), np.minimum(bins + 2, last - 1)
    inner = sums[inner_high + 1] - sums[inner_low]
    count = (high - low + 1) - (inner_high - inner_low + 1)
    mean = np.maximum(outer - inner, 1e-14 * sums[-1]) / np.maximum(count, 1)
    ratio = power[bins] / mean
    return np.asarray(np.where(count > 0, (1 + ratio / count) ** -count, 1.0), dtype=np.float64)


def _mains_bins(n: int, interval_s: float, bins: NDArray[np.int64]) -> dict[float, list[int]]:
    """Return the ordinates at which each harmonic of the mains can show."""
    out: dict[float, list[int]] = {}
    for base in MAINS_HZ:
        for harmonic in range(1, _HARMONICS + 1):
            hz = base * harmonic
            at = [aliased(hz * shift, interval_s) * n for shift in (1 - _DRIFT, 1.0, 1 + _DRIFT)]
            near = range(math.floor(min(at)), math.ceil(max(at)) + 1)
            # Where the mains' own wander covers much of the spectrum it names nothing.
            if len(near) <= max(4, bins.size // 20):
                out[hz] = [k for k in near if bins[0] <= k <= bins[-1]]
    return out


def _described(
    centred: Doubles, power: Doubles, found: dict[int, tuple[float, float]]
) -> tuple[Line, ...]:
    n = centred.shape[0]
    out = []
    taken: set[int] = set()
    for k in sorted(found, key=lambda k: -power[k]):
        if taken.intersection(range(k - 2, k + 3)):
            continue
        taken.add(k)
        # Between ordinates a line shows up to a third too small: look closer.
        cycles = (k + np.linspace(-0.5, 0.5, 41)) / n
        waves = np.exp(-2j * np.pi * np.outer(cycles, np.arange(n)))
        heights = np.abs(waves @ centred)
        best = int(heights.argmax())
        p, hz = found[k]
        out.append(Line(float(cycles[best]), float(2 * heights[best] / n), min(p, 1.0), hz))
    return tuple(out)
