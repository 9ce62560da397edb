"""Whether the free and the nudged phase have the same sigma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.calibration.autocorrelation import LEAST_READS, autocorrelation, deviations
from hilep.calibration.nodes import table
from hilep.errors import BadInputError


@dataclass(frozen=True, slots=True)
class PhaseAgreement:
    """A comparison of the two phases' standard deviations.

    Attributes:
        agree: True, False, or "cannot tell" where even a ratio of 1.5 would have been missed.
        ratio: sigma of the nudged phase over that of the free one (nodes,).
        ratio_low: lower end of its interval (nodes,).
        ratio_high: upper end (nodes,).
        p_values: of each node, before any correction for their number (nodes,).
    """

    agree: bool | Literal["cannot tell"]
    ratio: Doubles
    ratio_low: Doubles
    ratio_high: Doubles
    p_values: Doubles


def phases_agree(
    free: ArrayLike, nudged: ArrayLike, false_alarms: float = 0.01, confidence: float = 0.95
) -> PhaseAgreement:
    """Test whether sigma is the same in both phases.

    An F test needs independent phases and white reads. Here equal variances are the same as no
    correlation between free + nudged and free - nudged (Pitman 1939, Morgan 1939), which holds
    where drift and noise are common to a pair. That correlation is judged by the variance that
    its own terms show, autocorrelation and kurtosis included.

    Args:
        free: reads (n, nodes) in volts, in the order taken.
        nudged: reads (n, nodes) in volts, row k taken next to row k of `free`.
        false_alarms: probability of `agree` False over all nodes where sigma is the same.
        confidence: of the interval of each ratio.

    Raises:
        BadInputError: for arrays of different shapes, reads that are not finite or constant, or
            fewer than 20 pairs.
    """
    from scipy.stats import t

    a, b = table(free, "free reads"), table(nudged, "nudged reads")
    if a.shape != b.shape or a.shape[0] < LEAST_READS:
        raise BadInputError(
            f"phases: expected at least {LEAST_READS} pairs of the same nodes, "
            f"got {a.shape} and {b.shape}"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise BadInputError("phases: expected finite reads; leave out what the sigma report names")
    u, v = deviations(a), deviations(b)
    if not (np.ptp(u, axis=0) > 0).all() or not (np.ptp(v, axis=0) > 0).all():
        raise BadInputError("phases: expected reads that vary in both phases of every node")
    n = a.shape[0]
    first, second = (u**2).sum(axis=0) / (n - 1), (v**2).sum(axis=0) / (n - 1)
    ratio = np.sqrt(second / first)
    # Each pair's share in log(second / first): the pseudo-values of the jackknife.
    kept = n / (n - 1)
    with np.errstate(divide="ignore"):
        left = np.log((v**2).sum(axis=0) - kept * v**2) - np.log((u**2).sum(axis=0) - kept * u**2)
    share = -(n - 1) * left
    spread = np.sqrt(share.var(axis=0, ddof=1) * _clustering(share) / n)
    # Few pairs show too little of heavy tails: Student's t with a quarter of n is safe.
    degrees = n / 4
    statistic = 2 * np.log(ratio) / spread
    p_values = 2 * t.sf(np.abs(statistic), degrees)
    width = t.isf((1 - confidence) / 2, degrees) * spread
    agree: bool | Literal["cannot tell"] = bool(p_values.min() * p_values.size > false_alarms)
    needed = t.isf(false_alarms / (2 * p_values.size), degrees) * spread
    if agree and bool((needed > 2 * np.log(1.5)).any()):
        agree = "cannot tell"
    low, high = ratio * np.exp(-width / 2), ratio * np.exp(width / 2)
    return PhaseAgreement(agree, ratio, low, high, p_values)


def _clustering(shares: Doubles) -> Doubles:
    """Return 1 + 2 sum r_k of the shares over the leading lags whose r_k stand out, >= 1."""
    n = shares.shape[0]
    correlations = autocorrelation(shares, n // 4)[1:]
    leading = np.cumprod(correlations > 1 / np.sqrt(n), axis=0)
    return np.asarray(1 + 2 * (correlations * leading).sum(axis=0), dtype=np.float64)
