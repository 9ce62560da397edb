"""Effective degrees of freedom of s^2, per node and pooled.

From the variance of s^2: nu = (n - 1) / (sum of rho_k^2 over both sides + kurtosis / 2), which is
exact for a linear process as n grows (Bartlett). Correlation and kurtosis count only where a test
shows them, so that white Gaussian reads keep their n - 1. Noise that remembers more than a tenth of
the record shows too little of itself: there the intervals are too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles, Floats
from hilep.calibration.autocorrelation import (
    LEAST_READS,
    autocorrelation,
    deviations,
    effective_reads,
    ljung_box,
)

_LAGS = 10
_CORRELATED = 0.01
_PEAKED = 0.05
_UNLIKE = 0.01


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What each node's reads say of correlation and kurtosis, arrays (nodes,).

    Attributes:
        portmanteau: Q of Ljung and Box over 10 lags.
        peakedness: the square of the normal deviate of Anscombe and Glynn's test of kurtosis.
        squares: sum of rho_k^2 over both sides, 1 for white reads.
        spread: (n - 1) / 2 times the jackknife variance of log s^2: 1 + kurtosis / 2, with less
            bias than the sample kurtosis of few reads.
        clusters: sum over both sides of the autocorrelation of (x - mean)^2.
    """

    portmanteau: Doubles
    peakedness: Doubles
    squares: Doubles
    spread: Doubles
    clusters: Doubles

    def inflation(self, correlated: NDArray[np.bool_], peaked: NDArray[np.bool_]) -> Doubles:
        """Return (n - 1) / nu, given what counts as shown.

        Telegraph noise is no linear process: its kurtosis is negative and its squares do not
        vary, so there the squares' own autocorrelation is used.
        """
        telegraph = correlated & peaked & (self.spread < 1)
        linear = np.where(correlated, self.squares, 1.0) + np.where(peaked, self.spread - 1, 0.0)
        return np.where(telegraph, self.spread * self.clusters, linear)


def _evidence(volts: Floats) -> _Evidence:
    from scipy.stats import kurtosistest

    centred = deviations(volts)
    centred = centred / np.abs(centred).max(axis=0)
    n = centred.shape[0]
    squares = centred**2
    total = squares.sum(axis=0)
    # Two equal levels leave one read no freedom: keep the logarithm finite.
    without_one = np.log(np.maximum(total - squares * n / (n - 1), 1e-12 * total))
    jackknife = (n - 1) / n * ((without_one - without_one.mean(axis=0)) ** 2).sum(axis=0)
    correlations = autocorrelation(centred, max(n // 4, _LAGS))
    # The mean is known to 1 / effective reads only, which pulls every r_k down by as much.
    unbiased = correlations[1:] + 1 / effective_reads(centred)
    constant = ~(np.ptp(squares, axis=0) > 1e-9)
    of_squares = np.where(constant, 0.0, autocorrelation(squares, max(n // 4, _LAGS))[1:] + 1 / n)
    return _Evidence(
        portmanteau=ljung_box(correlations[: _LAGS + 1], n),
        peakedness=kurtosistest(centred, axis=0).statistic ** 2,
        squares=1 + 2 * _leading_sum(unbiased, unbiased**2, n),
        spread=jackknife * (n - 1) / 2,
        clusters=np.maximum(1 + 2 * _leading_sum(of_squares, of_squares, n), 1 / n),
    )


def _leading_sum(correlations: Doubles, terms: Doubles, reads: int) -> Doubles:
    """Return the sum of `terms` (lags, nodes) up to where two correlations in a row are noise."""
    seen = np.abs(correlations) > 1 / np.sqrt(reads)
    next_seen = np.concatenate([seen[1:], np.zeros_like(seen[:1])])
    leading: Doubles = (terms * np.cumprod(seen | next_seen, axis=0)).sum(axis=0)
    return leading


def _degrees(reads: int, inflation: Doubles) -> Doubles:
    # Where the first order vanishes, as for two equal levels, s^2 varies as 2 / n^2.
    return np.maximum((reads - 1) / np.maximum(inflation, 1 / reads), 1.0)


def degrees_of_freedom(volts: Floats) -> Doubles:
    """Return the effective degrees of freedom of each node's s^2, shape (nodes,).

    Args:
        volts: reads (n, nodes) in volts, in the order taken, none constant, n >= 2. Below 20 reads
            the answer is n - 1: so few cannot show correlation or kurtosis.
    """
    from scipy.stats import chi2

    n = volts.shape[0]
    if n < LEAST_READS:
        return np.full(volts.shape[1], n - 1.0)
    seen = _evidence(volts)
    correlated = seen.portmanteau > chi2.isf(_CORRELATED, _LAGS)
    peaked = seen.peakedness > chi2.isf(_PEAKED, 1)
    return _degrees(n, seen.inflation(correlated, peaked))


def pooled_degrees_of_freedom(volts: Floats) -> float:
    """Return the effective degrees of freedom of the mean of all nodes' s^2.

    (n - 1) (tr C)^2 / tr(C^2) for a covariance C of the nodes, with the unbiased estimates of
    both traces for Wishart matrices (Srivastava 2005). Nodes count as alike and uncorrelated
    unless Bartlett's test (alike) or Schott's (2005, uncorrelated) shows otherwise at 1 %.

    Args:
        volts: reads (n, nodes) in volts, in the order taken, none constant, n >= 2.
    """
    from scipy.stats import chi2

    reads, nodes = volts.shape
    if nodes == 1:
        return float(degrees_of_freedom(volts)[0])
    own = reads - 1.0
    if reads >= LEAST_READS:
        seen = _evidence(volts)
        correlated = seen.portmanteau.sum() > chi2.isf(_CORRELATED, _LAGS * nodes)
        peaked = seen.peakedness.sum() > chi2.isf(_PEAKED, nodes)
        each = seen.inflation(np.full(nodes, correlated), np.full(nodes, peaked))
        weights = volts.var(axis=0, ddof=1, dtype=np.float64) ** 2
        mean = np.average(each, weights=weights / weights.max())
        own = float(_degrees(reads, np.asarray(mean)))
    return float(own * effective_nodes(volts))


def effective_nodes(volts: Floats) -> float:
    """Return (tr C)^2 / tr(C^2): how many independent, equal nodes these amount to, >= 1.

    See `pooled_degrees_of_freedom`, which multiplies it by n - 1.
    """
    m, nodes = volts.shape[0] - 1, volts.shape[1]
    centred = deviations(volts)
    scale = np.sqrt((centred**2).mean())
    variances = ((centred / scale) ** 2).sum(axis=0) / m
    total = variances.sum()
    diagonal = total**2 / nodes
    alike = not _unequal(variances, m)
    if not alike:
        diagonal = (variances**2).sum() * m / (m + 2)
    off = _off_diagonal(centred / scale, variances, m) if m >= 2 else 0.0
    squares = total**2 if alike else total**2 - 2 * (diagonal + off) / m
    return float(np.clip(squares / (diagonal + off), 1.0, nodes))


def _unequal(variances: Doubles, m: int) -> bool:
    """Return whether Bartlett's test at 1 % rejects equal variances of m degrees of freedom."""
    from scipy.stats import chi2

    k = variances.size
    statistic = m * (k * np.log(variances.mean()) - np.log(variances).sum())
    statistic /= 1 + (k + 1) / (3 * k * m)
    return bool(statistic > chi2.isf(_UNLIKE, k - 1))


def _off_diagonal(centred: Doubles, variances: Doubles, m: int) -> float:
    """Return the estimated sum of squared covariances of different nodes, 0 where none is shown."""
    from scipy.stats import norm

    nodes = variances.size

    # tr(X^T X)^2 = tr(X X^T)^2: the smaller of the two products is enough.
    def squared_norm(x: Doubles) -> float:
        product = x @ x.T if x.shape[0] < x.shape[1] else x.T @ x
        return float((product**2).sum())

    correlations = squared_norm(centred / np.sqrt(m * variances)) - nodes
    excess = correlations / 2 - nodes * (nodes - 1) / (2 * m)
    spread: NDArray[np.float64] = np.sqrt(nodes * (nodes - 1) * (m - 1) / (m**2 * (m + 2)))
    if excess <= norm.isf(_UNLIKE) * spread:
        return 0.0
    off = squared_norm(centred) / m**2 - (variances**2).sum()
    by_chance = (variances.sum() ** 2 - (variances**2).sum()) / m
    return float(max(off - by_chance, 0.0) * m**2 / ((m - 1) * (m + 2)))
