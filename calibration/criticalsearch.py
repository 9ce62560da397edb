"""The search for a critical sigma: bracket it, then halve the brackets of both ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from hilep.arrays import Doubles
from hilep.calibration.criticalsigma import (
    Criterion,
    CriticalSigma,
    NoCriticalSigmaError,
    critical_sigma,
)
from hilep.errors import BadInputError

Measure: TypeAlias = Callable[[float, int], Doubles]
"""Returns the accuracies (trials,) of the first so many trials at a sigma in volts."""

SCREENED = 3
"""Trials that decide where to look; every trial counts at the sigmas that decide the result."""
MOST_STEPS = 20


def search(
    measure: Measure,
    start_v: float,
    trials: int,
    criterion: Criterion,
    resolution: float = 1.25,
) -> CriticalSigma:
    """Return the critical sigma from as few trials as it takes.

    Sigma 0 is tried first. Steps of four with few trials bracket the critical sigma, then each end
    of its interval is halved, on a logarithmic scale, with all trials.

    Args:
        measure: runs trials; the same seeds at every sigma.
        start_v: volts to begin at.
        trials: at each sigma that counts.
        criterion: what training has to reach.
        resolution: ratio of the sigmas between which each end of the interval is interpolated.

    Raises:
        BadInputError: for too few trials, or a start or resolution that is none.
        NoCriticalSigmaError: where the threshold is not reached at sigma 0, or not certainly at
            any sigma tried, or still reached at the largest.
    """
    if not (math.isfinite(start_v) and start_v > 0 and math.isfinite(resolution)):
        raise BadInputError(f"critical sigma: expected a start above 0 V, got {start_v}")
    if not resolution > 1:
        raise BadInputError(f"critical sigma: expected a resolution above 1, got {resolution}")
    found: dict[float, Doubles] = {}

    def limits(sigma_v: float) -> tuple[float, float, float]:
        if sigma_v not in found:
            found[sigma_v] = measure(sigma_v, trials)
        low, value, high = criterion.limits(found[sigma_v][None, :])
        return float(low[0]), float(value[0]), float(high[0])

    if trials < criterion.least_trials:
        raise BadInputError(
            f"critical sigma: needs at least {criterion.least_trials} trials, got {trials}"
        )
    wanted = criterion.wanted
    low, value, _ = limits(0.0)
    if low < wanted:
        what = "reached" if value < wanted else "certain"
        raise NoCriticalSigmaError(
            f"accuracy {criterion.threshold:g} is not {what} even at sigma = 0 V: mean accuracy "
            f"{found[0.0].mean():.3g}, {np.count_nonzero(found[0.0] >= criterion.threshold)} of "
            f"{trials} trials reach it"
        )
    bottom = _bracketed(measure, start_v, criterion)
    top = 4 * bottom
    for _ in range(MOST_STEPS):
        if limits(bottom)[0] >= wanted:
            break
        bottom /= 2
    for _ in range(MOST_STEPS):
        if limits(top)[2] < wanted:
            break
        top *= 2
    for _ in range(MOST_STEPS):
        volts = np.array(sorted(s for s in found if s > 0))
        bands = np.array([limits(float(s)) for s in volts])
        gaps = []
        below = np.flatnonzero(bands[:, 0] < wanted)
        if below.size and below[0] > 0:
            gaps.append((volts[below[0] - 1], volts[below[0]]))
        above = np.flatnonzero(bands[:, 2] >= wanted)
        if above.size and above[-1] + 1 < volts.size:
            gaps.append((volts[above[-1]], volts[above[-1] + 1]))
        wide = [(a, b) for a, b in gaps if b / a > resolution]
        if not wide:
            break
        a, b = max(wide, key=lambda gap: gap[1] / gap[0])
        limits(math.sqrt(a * b))
    return critical_sigma(list(found), np.stack(list(found.values())), criterion)


def _bracketed(measure: Measure, start_v: float, criterion: Criterion) -> float:
    """Return a sigma at which a few trials are good enough and at four times which they are not."""

    def good(sigma_v: float) -> bool:
        few = measure(sigma_v, SCREENED)
        reached = few if criterion.share is None else few >= criterion.threshold
        return bool(reached.mean() >= criterion.wanted)

    step = 4.0 if good(start_v) else 0.25
    sigma_v = start_v
    for _ in range(MOST_STEPS):
        sigma_v *= step
        if good(sigma_v) != (step > 1):
            return sigma_v / step if step > 1 else sigma_v
    where = "still" if step > 1 else "not"
    raise NoCriticalSigmaError(
        f"accuracy {criterion.threshold:g} is {where} reached at sigma = {sigma_v:.3g} V, "
        f"{MOST_STEPS} steps of four from the start"
    )
