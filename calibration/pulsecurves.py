"""Potentiation and depression: what single pulses do, as `simulators.cells.pulses` means it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import BadInputError

_LEAST = 0.05
"""Share of the first step below which a step says nothing of noise."""
_STRAIGHT = 1e-9


@dataclass(frozen=True, slots=True)
class PulseCurves:
    """What pulses did to some cells; 95 % intervals are over cells, NaN for fewer than 2.

    The window that nonlinearity and pulses refer to is the network's.

    Attributes:
        cells: layer, row and column of each (cells, 3).
        directions: of each pulse, +1 or -1 (pulses,).
        siemens: before and after each pulse (pulses + 1, cells); NaN from where a cell gave up.
        step_up_siemens, step_up_siemens_low, step_up_siemens_high: mean rise by a pulse up.
        step_down_siemens, step_down_siemens_low, step_down_siemens_high: mean fall by one down.
        pulses, pulses_low, pulses_high: P, across the window, of both directions together.
        nonlinearity_up, nonlinearity_up_low, nonlinearity_up_high: a of potentiation.
        nonlinearity_down, nonlinearity_down_low, nonlinearity_down_high: b of depression.
        asymmetry, asymmetry_low, asymmetry_high: a pulse up counts 1 + this, one down 1 - this.
        cycle_noise, cycle_noise_low, cycle_noise_high: standard deviation of what one pulse counts,
            with the noise of reads in it.
    """

    cells: NDArray[np.int64]
    directions: NDArray[np.int64]
    siemens: Doubles
    step_up_siemens: float
    step_up_siemens_low: float
    step_up_siemens_high: float
    step_down_siemens: float
    step_down_siemens_low: float
    step_down_siemens_high: float
    pulses: float
    pulses_low: float
    pulses_high: float
    nonlinearity_up: float
    nonlinearity_up_low: float
    nonlinearity_up_high: float
    nonlinearity_down: float
    nonlinearity_down_low: float
    nonlinearity_down_high: float
    asymmetry: float
    asymmetry_low: float
    asymmetry_high: float
    cycle_noise: float
    cycle_noise_low: float
    cycle_noise_high: float


def pulse_curves(
    cells: NDArray[np.int64],
    directions: NDArray[np.int64],
    siemens: Doubles,
    low: float,
    high: float,
) -> PulseCurves:
    """Return what curves say.

    In that model a step falls linearly with the place in the window, from that at its near end; the
    line is fitted to each cell, steps weighed by what they should be.

    Args:
        cells: layer, row and column of each (cells, 3).
        directions: +1 or -1 for each pulse (pulses,).
        siemens: before and after each pulse (pulses + 1, cells).
        low: of the window, siemens.
        high: its finite other end.

    Raises:
        BadInputError: for arrays that do not belong together, or no window.
    """
    if siemens.shape != (len(directions) + 1, len(cells)):
        raise BadInputError(
            f"pulse curves: expected siemens of {len(directions)} pulses and {len(cells)} cells, "
            f"got {siemens.shape}"
        )
    if not (math.isfinite(high) and high > low):
        raise BadInputError(f"pulse curves: expected a finite window, got {low:g} to {high:g} S")
    span = high - low
    place = (siemens - low) / span
    rises = directions > 0
    up = _fits(place[:-1][rises], place[1:][rises])
    down = _fits(1 - place[:-1][~rises], 1 - place[1:][~rises])
    total = up.rate + down.rate
    # A share of 0 where nothing moves at all has no side.
    side = np.divide(up.rate - down.rate, total, out=np.full(len(cells), np.nan), where=total > 0)
    pulses, of_rate = _mean(total / 2)
    square, of_square = _mean((up.variance + down.variance) / 2)
    numbers = (
        *_flat(_mean(up.step * span)),
        *_flat(_mean(down.step * span)),
        _inverse(pulses),
        *(_inverse(end) for end in reversed(of_rate)),
        *_flat(_mean(up.bend)),
        *_flat(_mean(down.bend)),
        *_flat(_mean(side)),
        *(math.sqrt(max(value, 0.0)) for value in (square, *of_square)),
    )
    return PulseCurves(cells, directions, siemens, *numbers)


@dataclass(frozen=True, slots=True)
class _Fits:
    """Of each cell (cells,): mean step, bend, pulses to the one, variance of what one counts."""

    step: Doubles
    bend: Doubles
    rate: Doubles
    variance: Doubles


def _fits(before: Doubles, after: Doubles) -> _Fits:
    """Fit the cells of one direction, places from 0 where pulses leave from (pulses, cells)."""
    found = np.array(
        [_fit(start, end) for start, end in zip(before.T, after.T, strict=True)], np.float64
    ).reshape(-1, 4)
    return _Fits(*found.T)


def _fit(before: Doubles, after: Doubles) -> tuple[float, float, float, float]:
    good = np.isfinite(before) & np.isfinite(after)
    x, steps = before[good], (after - before)[good]
    if len(x) < 3:
        return (math.nan,) * 4
    mean = float(steps.mean())
    # A step that the end of the window may have cut short is not of the model's line.
    free = x < 1 - 2 * abs(float(np.median(steps)))
    x, steps = x[free], steps[free]
    if len(x) < 3 or not np.ptp(x) > 0:
        return mean, math.nan, math.nan, math.nan
    expected = np.ones(len(x))
    first = slope = 0.0
    for _ in range(4):
        slope, first = np.polyfit(x, steps, 1, w=1 / expected).tolist()
        if not first > 0:
            return mean, math.nan, math.nan, math.nan
        expected = np.maximum(first + slope * x, _LEAST * first)
    tells = first + slope * x > _LEAST * first
    off = (steps / expected - 1)[tells]
    variance = float(off @ off) / (len(off) - 2) if len(off) > 2 else math.nan
    share = -slope / first
    if share >= 1:
        return mean, math.nan, math.nan, variance
    if abs(share) < _STRAIGHT:
        return mean, share, first, variance
    bend = -math.log1p(-share)
    return mean, bend, -math.log1p(-share * first) / bend, variance


def _mean(values: Doubles) -> tuple[float, tuple[float, float]]:
    """Return the mean over cells that could tell, and its 95 % interval."""
    from scipy.stats import t

    known = values[np.isfinite(values)]
    if not len(known):
        return math.nan, (math.nan, math.nan)
    mean = float(known.mean())
    if len(known) < 2:
        return mean, (math.nan, math.nan)
    half = float(t.ppf(0.975, len(known) - 1) * known.std(ddof=1)) / math.sqrt(len(known))
    return mean, (mean - half, mean + half)


def _flat(found: tuple[float, tuple[float, float]]) -> tuple[float, float, float]:
    return found[0], *found[1]


def _inverse(value: float) -> float:
    return 1 / value if value > 0 else math.nan
