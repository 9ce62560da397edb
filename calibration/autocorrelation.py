"""Autocorrelation of reads, and how many independent reads they amount to."""

from __future__ import annotations

import numpy as np

from hilep.arrays import Doubles, Floats
from hilep.errors import BadInputError

LEAST_READS = 20
"""Fewer reads than this show neither correlation nor kurtosis: tests on them mean little."""


def deviations(volts: Floats) -> Doubles:
    """Return reads less their mean over the first axis, in float64.

    The first read is subtracted first, so that a large common offset costs no digits.
    """
    values = np.asarray(volts, dtype=np.float64)
    values = values - values[:1]
    centred: Doubles = values - values.mean(axis=0)
    return centred


def autocorrelation(volts: Floats, lags: int) -> Doubles:
    """Return r_0 ... r_lags, shape (lags + 1, ...), from reads (n, ...) in volts.

    r_k = sum_t (x_t - m)(x_{t+k} - m) / sum_t (x_t - m)^2, the definition of the NIST/SEMATECH
    e-Handbook, 1.3.5.12. NaN where all reads are equal.

    Raises:
        BadInputError: unless 0 <= lags < n.
    """
    n = volts.shape[0]
    if not 0 <= lags < n:
        raise BadInputError(f"autocorrelation: expected 0 <= lags < {n} reads, got {lags}")
    centred = deviations(volts)
    if lags < 8:
        sums = np.stack([(centred[: n - k] * centred[k:]).sum(axis=0) for k in range(lags + 1)])
    else:
        from scipy import fft

        points = fft.next_fast_len(n + lags, real=True)
        spectrum = np.abs(fft.rfft(centred, points, axis=0)) ** 2
        sums = fft.irfft(spectrum, points, axis=0)[: lags + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Doubles = np.where(sums[0] > 0, sums / sums[0], np.nan)
    return ratio


def ljung_box(correlations: Doubles, reads: int) -> Doubles:
    """Return the statistic Q of Ljung and Box (1978), chi-square with len - 1 degrees of freedom.

    Args:
        correlations: r_0 ... r_lags, shape (lags + 1, ...).
        reads: n.
    """
    lags = correlations.shape[0] - 1
    weights = reads * (reads + 2) / (reads - np.arange(1, lags + 1))
    total: Doubles = np.tensordot(weights, correlations[1:] ** 2, axes=1)
    return total


def effective_reads(volts: Floats) -> Doubles:
    """Return the number of independent reads whose mean is as uncertain, shape (...).

    n / (1 + 2 sum of r_k), summed over pairs of lags while their sum is positive: Geyer,
    "Practical Markov chain Monte Carlo" (1992). More than n where neighbours are anticorrelated.
    A line in the spectrum can hide from it: see `hilep.calibration.spectrum`.

    Args:
        volts: reads (n, ...) in volts, in the order in which they were taken.

    Raises:
        BadInputError: for fewer than 4 reads.
    """
    n = volts.shape[0]
    if n < 4:
        raise BadInputError(f"effective reads: expected at least 4 reads, got {n}")
    correlations = autocorrelation(volts, n // 2)
    paired = correlations[: 2 * (correlations.shape[0] // 2)]
    paired = paired[0::2] + paired[1::2]
    positive = np.cumprod(paired > 0, axis=0)
    inflation = 2 * (paired * positive).sum(axis=0) - 1
    # A mean of n reads cannot be known better than from n^2 independent ones.
    return np.asarray(n / np.maximum(inflation, 1 / n), dtype=np.float64)
