"""Normality of reads, equality of sigma over nodes, and outliers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.calibration.autocorrelation import deviations, effective_reads
from hilep.errors import BadInputError


def _checked(noise_v: Doubles, least: int, what: str) -> None:
    if noise_v.ndim != 2 or noise_v.shape[0] < least:
        raise BadInputError(
            f"{what}: expected volts (reads, nodes) with at least {least} reads, "
            f"got {noise_v.shape}"
        )
    if not np.isfinite(noise_v).all() or not (np.ptp(noise_v, axis=0) > 0).all():
        raise BadInputError(f"{what}: expected finite reads that vary at every node")


def thinned(noise_v: Doubles) -> Doubles:
    """Return every k-th read (n / k, nodes), k so large that what is left is independent."""
    if noise_v.shape[0] < 20:
        return noise_v
    effective = float(np.min(effective_reads(noise_v)))
    reads = noise_v.shape[0]
    # White reads scatter around k = 1; only a plain correlation costs reads.
    stride = math.ceil(reads / effective) if effective < reads / 2 else 1
    return noise_v[:: min(stride, max(reads // 10, 1))]


@dataclass(frozen=True, slots=True)
class NodeTest:
    """A test over nodes.

    Attributes:
        holds: True where the data do not contradict the hypothesis.
        p_values: per node, or one for all of them.
        test: which test it was.
        reads: reads per node that went into it, after thinning.
    """

    holds: bool
    p_values: Doubles
    test: str
    reads: int


def normality(noise_v: Doubles, false_alarms: float = 0.01) -> NodeTest:
    """Test whether each node's reads are Gaussian: Shapiro-Wilk, above 5,000 reads D'Agostino.

    Args:
        noise_v: volts (n, nodes).
        false_alarms: probability of `holds` False over all nodes where all are Gaussian
            (Bonferroni).

    Raises:
        BadInputError: for fewer than 8 reads, or reads that are constant or not finite.
    """
    from scipy import stats

    _checked(noise_v, 8, "normality")
    reads = deviations(thinned(noise_v))
    if reads.shape[0] <= 5000:
        p = np.array([stats.shapiro(node / node.std()).pvalue for node in reads.T])
        test = "Shapiro-Wilk"
    else:
        p, test = np.atleast_1d(stats.normaltest(reads, axis=0).pvalue), "D'Agostino-Pearson"
    return NodeTest(bool(p.min() * p.size > false_alarms), p, test, reads.shape[0])


def homogeneity(noise_v: Doubles, false_alarms: float = 0.01) -> NodeTest:
    """Test whether all nodes have the same sigma.

    Bartlett where their reads look Gaussian, else Levene about the median (Brown-Forsythe).
    Noise common to the nodes makes either test miss more, not fewer.

    Raises:
        BadInputError: for one node, fewer than 8 reads, or reads that are constant or not finite.
    """
    from scipy import stats

    _checked(noise_v, 8, "homogeneity")
    if noise_v.shape[1] < 2:
        raise BadInputError("homogeneity: expected at least 2 nodes, got 1")
    reads = deviations(thinned(noise_v))
    reads = reads / reads.std()
    gaussian = normality(noise_v).holds
    test: Literal["Bartlett", "Levene (median)"] = "Bartlett" if gaussian else "Levene (median)"
    if gaussian:
        p = float(stats.bartlett(*reads.T).pvalue)
    else:
        p = float(stats.levene(*reads.T, center="median").pvalue)
    return NodeTest(p > false_alarms, np.array([p]), test, reads.shape[0])


def outliers(noise_v: Doubles, false_alarms: float = 0.01) -> NDArray[np.bool_]:
    """Return which reads are outliers, (n, nodes); they are named, never removed here.

    Generalised extreme Studentised deviate test (Rosner 1983; NIST/SEMATECH e-Handbook,
    1.3.5.17.3) for up to a tenth of each node's reads, Bonferroni over the nodes.

    Raises:
        BadInputError: for fewer than 20 reads, or reads that are constant or not finite.
    """
    from scipy.stats import t

    _checked(noise_v, 20, "outliers")
    n, nodes = noise_v.shape
    left = deviations(noise_v)
    left = left / left.std(axis=0)
    found = np.zeros(nodes, dtype=int)
    most = max(1, min(n // 10, 50))
    order = np.empty((most, nodes), dtype=int)
    columns = np.arange(nodes)
    for k in range(1, most + 1):
        deviation = np.abs(left - np.nanmean(left, axis=0))
        worst = np.nanargmax(deviation, axis=0)
        ratio = deviation[worst, columns] / np.nanstd(left, axis=0, ddof=1)
        kept = n - k + 1
        quantile = t.isf(false_alarms / nodes / (2 * kept), kept - 2)
        critical = (kept - 1) * quantile / math.sqrt((kept - 2 + quantile**2) * kept)
        found[ratio > critical] = k
        order[k - 1] = worst
        left[worst, columns] = np.nan
    flagged = np.zeros((n, nodes), dtype=bool)
    for node in np.flatnonzero(found):
        flagged[order[: found[node], node], node] = True
    return flagged
