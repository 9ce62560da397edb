"""A line search on a convex function of which only the slope is looked at."""

from __future__ import annotations

import math
from collections.abc import Callable

MOST_LOOKS = 100
ENOUGH = 0.5
"""A slope that has fallen to this fraction of the first ends the search."""
LONGEST = 1024.0


def length_along(slope: Callable[[float], float], longer: bool) -> float:
    """Return the length, near 1 if possible, at which a convex function is lower than at 0.

    Slopes, unlike values, keep their accuracy near the minimum. One that is not finite counts as
    uphill, because only far beyond the minimum does a current overflow.

    Args:
        slope: the derivative at a length; below 0 at 0 but for rounding.
        longer: whether lengths beyond 1 are allowed.
    """
    first = slope(0.0)
    if not first < 0:
        return 1.0
    enough = -ENOUGH * first
    low, high = 0.0, math.inf
    length = 1.0
    for _ in range(MOST_LOOKS):
        here = slope(length)
        if abs(here) <= enough:
            return length
        if here < 0:
            low = length
            if not longer or length >= LONGEST:
                return length
        else:
            high = length
            if high - low <= 0.1 * low:
                return low
        length = 2 * low if math.isinf(high) else 0.5 * (low + high)
    return low
