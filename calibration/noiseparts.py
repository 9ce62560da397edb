"""White, flicker, drifting and bursty parts of read noise, and what N reads are worth with them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.calibration.allan import allan_deviation, octaves
from hilep.errors import BadInputError

WORTHWHILE = 0.75
"""Doubling N halves the variance of a white mean. It is worth its time while it still takes off a
quarter: with white and flicker noise, up to the N at which both are equal."""


@dataclass(frozen=True, slots=True)
class NoiseParts:
    """A model of the Allan variance of reads as a sum of parts, each a voltage per read.

    Attributes:
        white_v: sd of the white part.
        flicker_v: the floor that 1/f noise sets to the Allan deviation.
        walk_v: sd of the step of a random walk from one read to the next.
        drift_v: linear drift from one read to the next.
        burst_v: sd of noise with a correlation time, such as telegraph noise.
        burst_reads: that time in reads; NaN where there is none.
    """

    white_v: float
    flicker_v: float
    walk_v: float
    drift_v: float
    burst_v: float
    burst_reads: float

    def variance_v2(self, reads: ArrayLike) -> Doubles:
        """Return the Allan variance of the mean of N reads, volts squared, in the shape of N."""
        columns = _basis(np.asarray(reads, dtype=np.float64).reshape(-1), self.burst_reads)
        squares = [self.white_v, self.flicker_v, self.walk_v, self.drift_v, self.burst_v]
        total = columns @ np.square(squares)
        return np.asarray(total.reshape(np.shape(reads)), dtype=np.float64)

    def sigma_of_mean_v(self, reads: ArrayLike) -> Doubles:
        """Return what sigma/sqrt(N) of eq. (11) becomes for N consecutive reads, volts."""
        return np.sqrt(self.variance_v2(reads))

    def useful_reads(self, most: int) -> int:
        """Return the largest N up to `most` from which doubling still pays; see `WORTHWHILE`."""
        candidates = np.unique(np.geomspace(1, most, 400).round().astype(np.int64))
        gain = self.variance_v2(2 * candidates) / self.variance_v2(candidates)
        worthwhile = np.flatnonzero(gain <= WORTHWHILE)
        return int(candidates[worthwhile[-1]]) if worthwhile.size else 1


def _basis(m: Doubles, burst_reads: float) -> Doubles:
    """Return the Allan variance of each part of unit size at N = m, shape (len(m), 5)."""
    columns = np.zeros((m.size, 5))
    columns[:, 0] = 1 / m
    columns[:, 1] = 1.0
    columns[:, 2] = (2 * m**2 + 1) / (6 * m)
    columns[:, 3] = m**2 / 2
    if math.isfinite(burst_reads):
        # An AR(1) process sampled at every read: variance of a mean less the covariance of two.
        phi = math.exp(-1 / burst_reads)
        rest = -np.expm1(-m / burst_reads)
        columns[:, 4] = (1 + phi) / ((1 - phi) * m) - 2 * phi * rest / ((1 - phi) * m) ** 2
        columns[:, 4] -= phi * (rest / ((1 - phi) * m)) ** 2
    return columns


def noise_parts(volts: ArrayLike) -> NoiseParts:
    """Return the parts that together explain the Allan variance of one record.

    Non-negative least squares on the overlapping Allan variance at octaves of N, each weighted by
    its degrees of freedom; a burst part only where it takes off most of the misfit.

    Args:
        volts: reads (n,) at equal intervals.

    Raises:
        BadInputError: for fewer than 128 reads, or reads that are constant or not finite.
    """
    record = np.asarray(volts, dtype=np.float64)
    if record.ndim != 1 or record.shape[0] < 128:
        raise BadInputError(
            f"noise parts: expected at least 128 reads of one node, got shape {record.shape}"
        )
    allan = allan_deviation(record, octaves(record.shape[0] // 2))
    # Reads that alternate exactly have means of two that do not vary: no weight for a zero.
    varying = allan.deviation_v > 1e-9 * allan.deviation_v.max()
    if not varying.any():
        raise BadInputError("noise parts: the reads are constant")
    m = allan.reads[varying].astype(np.float64)
    scale = float(allan.deviation_v.max())
    measured = (allan.deviation_v[varying] / scale) ** 2
    nu = allan.degrees_of_freedom[varying]
    squares, misfit = _fit(m, measured, nu, math.nan)
    time = math.nan
    if misfit > m.size:
        fits = [(*_fit(m, measured, nu, t), t) for t in np.geomspace(0.5, m[-1], 25)]
        best = min(fits, key=lambda fit: fit[1])
        if best[1] < misfit / 2 and best[0][4] > 0:
            squares, time = best[0], float(best[2])
    white, flicker, walk, drift, burst = (float(part) for part in scale * np.sqrt(squares))
    return NoiseParts(white, flicker, walk, drift, burst, time)


def _fit(m: Doubles, measured: Doubles, nu: Doubles, burst_reads: float) -> tuple[Doubles, float]:
    """Return the squares of the parts (5,) and the weighted sum of squared misfits."""
    from scipy.optimize import nnls

    columns = _basis(m, burst_reads)
    variance = measured
    squares = np.zeros(5)
    for _ in range(3):
        # The relative error of a variance is sqrt(2 / nu), of the true one: so fit again.
        weight = np.sqrt(nu / 2) / variance
        norms = np.linalg.norm(columns * weight[:, None], axis=0)
        norms[norms == 0] = 1.0
        squares = nnls(columns * weight[:, None] / norms, measured * weight)[0] / norms
        variance = columns @ squares
    return squares, float((((measured - variance) / variance) ** 2 * nu / 2).sum())
