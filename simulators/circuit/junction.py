"""A junction with resistance in series, solved in closed form, without units.

With q = j / saturation_a, x = drop / slope_v and c = series * saturation_a / slope_v the law is

    ln(1 + q) + c q = x.

z = c (1 + q) meets ln z + z = x + c + ln c, so that z is the Wright omega function of the right
side (Corless and Jeffrey, "The Wright omega function", 2002).
"""

from __future__ import annotations

import numpy as np

from hilep.arrays import Doubles

NEAR = 0.5
"""|q| below which q is polished by itself: 1 + q holds only its leading digits."""
NEARER = 0.05
"""|x| / (1 + c) below which the series about 0 is the better start of polishing."""
SERIES = 0.25
"""|q| below which q - ln(1 + q) is summed as a series."""
TERMS = 10
"""Of the series in (q / (2 + q))^2 <= 1/49, enough for double precision."""


def series_junction(x: Doubles, c: Doubles) -> tuple[Doubles, Doubles]:
    """Return q and dq/dx, elementwise.

    Args:
        x: drop over slope_v.
        c: series resistance over the junction's at 0 V, > 0, of the same shape.
    """
    from scipy.special import wrightomega

    x, c = np.asarray(x, np.float64), np.asarray(c, np.float64)
    with np.errstate(over="ignore"):
        z = wrightomega(x + c + np.log(c))
        # ln(1 + q) = x + c - z keeps its digits while z is small, z / c while it is large.
        small = z < 1
        y = np.where(small, np.exp(np.where(small, x + c - z, 0.0)), z / c)
        slope = np.where(small, y, z / c) / (1.0 + z)
    q = y - 1.0
    near = np.abs(q) < NEAR
    if near.any():
        q[near] = _polished(q[near], x[near], c[near])
    return q, slope


def _polished(q: Doubles, x: Doubles, c: Doubles) -> Doubles:
    """Return q after two Newton steps on the law, whose two terms have the same sign."""
    first = x / (1.0 + c)
    q = np.where(np.abs(first) < NEARER, first * (1.0 + 0.5 * first / (1.0 + c)), q)
    for _ in range(2):
        q = q - (np.log1p(q) + c * q - x) / (1.0 / (1.0 + q) + c)
    return q


def log_excess(q: Doubles, x: Doubles, c: float) -> Doubles:
    """Return q - ln(1 + q), elementwise, without cancellation near 0.

    Args:
        q: as the law has it.
        x: from which q was found; near -1 it holds ln(1 + q), q does not.
        c: the law's, 0 without series resistance.
    """
    q = np.asarray(q, np.float64)
    near = np.abs(q) < SERIES
    s = np.where(near, q / (2.0 + np.where(near, q, 0.0)), 0.0)
    total = np.zeros_like(s)
    for k in range(TERMS, 0, -1):
        total = total * s * s + 1.0 / (2 * k + 1)
    # q = 2 s / (1 - s) and ln(1 + q) = 2 artanh s.
    series = s * (np.where(near, q, 0.0) - 2.0 * s * s * total)
    # A float's largest number, because infinity less infinity is no number.
    large = q - np.log1p(np.clip(q, -SERIES, np.finfo(np.float64).max))
    direct = np.where(q > 0, large, q - (x - c * np.minimum(q, 0.0)))
    return np.where(near, series, direct)
