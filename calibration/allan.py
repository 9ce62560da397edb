"""Overlapping Allan deviation of reads, with confidence limits, at any delay between means.

W. J. Riley, "Handbook of Frequency Stability Analysis", NIST SP 1065 (2008), 5.2 and 5.4, with
reads in the place of fractional frequencies: white reads are its white FM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles, Floats, checked
from hilep.calibration.autocorrelation import autocorrelation, deviations
from hilep.errors import BadInputError
from hilep.interleaving import turns

NoiseType: TypeAlias = Literal["white", "flicker", "random walk"]


@dataclass(frozen=True, slots=True)
class AllanDeviation:
    """Allan deviation of one record of reads, arrays (points,).

    Attributes:
        reads: N of each point, the number of reads averaged.
        deviation_v: volts.
        low_v: volts, lower confidence limit.
        high_v: volts, upper confidence limit.
        degrees_of_freedom: of the squared deviation.
        noise: the type that its degrees of freedom suppose.
    """

    reads: NDArray[np.int64]
    deviation_v: Doubles
    low_v: Doubles
    high_v: Doubles
    degrees_of_freedom: Doubles
    noise: tuple[NoiseType, ...]


def mean_difference_deviation(volts: Floats, reads: int, delay: int | None = None) -> Doubles:
    """Return the sd of the difference of two N-read means over sqrt(2), volts (...).

    From all overlapping pairs of means whose first reads lie `delay` reads apart; with the delay N
    (unless told) it is the overlapping Allan deviation at N. With the real delay between the free
    and the nudged phase it is what sigma/sqrt(N) of eq. (11) becomes.

    Args:
        volts: reads (n, ...) at equal intervals.
        reads: N.
        delay: reads from the start of one mean to the start of the other.

    Raises:
        BadInputError: where the record is too short for one difference, or a number is below 1.
    """
    delay = reads if delay is None else delay
    n = volts.shape[0]
    if reads < 1 or delay < 1 or reads + delay > n:
        raise BadInputError(
            f"Allan deviation: means of {reads} reads {delay} reads apart do not fit in {n} reads"
        )
    values = deviations(volts)
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    means = (sums[reads:] - sums[:-reads]) / reads
    squares = (means[delay:] - means[:-delay]) ** 2
    return np.asarray(np.sqrt(squares.mean(axis=0) / 2), dtype=np.float64)


def octaves(reads: int) -> NDArray[np.int64]:
    """Return 1, 2, 4, ... up to a quarter of the record: the usual N of an Allan plot."""
    return 2 ** np.arange(max(1, int(np.log2(max(reads // 4, 1))) + 1))


def noise_type(volts: Floats, reads: int) -> NoiseType:
    """Return the power law of a record averaged over N reads, from its lag-1 autocorrelation.

    Riley and Greenhall (2004); SP 1065, 5.5.6. Needs some 30 means; with fewer it says "white".
    """
    blocks = volts.shape[0] // reads
    if blocks < 30:
        return "white"
    means = deviations(volts)[: blocks * reads].reshape(blocks, reads).mean(axis=1)

    def exponent(series: Doubles) -> float:
        r = float(autocorrelation(series, 1)[1]) if np.ptp(series) > 0 else 0.0
        return r / (1 + r)

    if exponent(means) < 0.25:
        return "white"
    return "flicker" if exponent(np.diff(means)) < -0.25 else "random walk"


def degrees_of_freedom(points: int, reads: int, noise: NoiseType) -> float:
    """Return those of the overlapping Allan variance: SP 1065, table 5 (Howe, Allan, Barnes 1981).

    Args:
        points: n, the reads in the record.
        reads: N, the reads averaged.
        noise: the power law of the reads.
    """
    n, m = points + 1, reads
    if noise == "white":
        nu = (3 * (n - 1) / (2 * m) - 2 * (n - 2) / n) * 4 * m**2 / (4 * m**2 + 5)
    elif noise == "flicker":
        nu = 5 * n**2 / (4 * m * (n + 3 * m))
        if m == 1:
            nu = 2 * (n - 2) ** 2 / (2.3 * n - 4.9)
    else:
        nu = (n - 2) / m * ((n - 1) ** 2 - 3 * m * (n - 1) + 4 * m**2) / (n - 3) ** 2
    return max(float(nu), 1.0)


def _degrees(points: int, reads: int, pause: int, noise: NoiseType) -> float:
    """Return the degrees of freedom with a pause: exact for white reads, else too few."""
    if pause == 0:
        return degrees_of_freedom(points, reads, noise)
    delay = reads + pause
    if noise != "white":
        return degrees_of_freedom(points, delay, noise)
    count = points - delay - reads + 1
    lags = np.arange(1, count)

    def shared(lag: NDArray[np.int64]) -> Doubles:
        return np.maximum(0.0, 1 - np.abs(lag) / reads)

    correlations = shared(lags) - (shared(lags - delay) + shared(lags + delay)) / 2
    return max(float(count / (1 + 2 * ((1 - lags / count) * correlations**2).sum())), 1.0)


def allan_deviation(
    volts: ArrayLike,
    reads: ArrayLike | None = None,
    confidence: float = 0.95,
    noise: NoiseType | None = None,
    pause: int = 0,
) -> AllanDeviation:
    """Return the overlapping Allan deviation of one record with chi-square confidence limits.

    With a pause it is that of two means which lie further apart; see `mean_difference_deviation`.

    Args:
        volts: reads (n,) at equal intervals.
        reads: each N to evaluate; octaves up to a quarter of the record unless told.
        confidence: of the limits.
        noise: the power law that the limits suppose; found for each N unless told, and where few
            means are left taken from the N before.
        pause: reads that would fit between the end of one mean and the start of the other.

    Raises:
        BadInputError: for reads that are not finite, fewer than 4 of them, a negative pause, or an
            N that does not fit twice into the record.
    """
    from scipy.stats import chi2

    record = checked(volts, (None,), "Allan deviation: reads in volts").astype(np.float64)
    n = record.shape[0]
    if n < 4:
        raise BadInputError(f"Allan deviation: expected at least 4 reads, got {n}")
    if pause < 0:
        raise BadInputError(f"Allan deviation: expected a pause of 0 reads or more, got {pause}")
    chosen = octaves(n) if reads is None else np.atleast_1d(np.asarray(reads, dtype=np.int64))
    deviation = np.array(
        [mean_difference_deviation(record, int(m), int(m) + pause) for m in chosen]
    )
    types: list[NoiseType] = []
    for m in chosen:
        few = n // m < 30 and types
        types.append(noise or (types[-1] if few else noise_type(record, int(m))))
    nu = np.array([_degrees(n, int(m), pause, t) for m, t in zip(chosen, types, strict=True)])
    tail = (1 - confidence) / 2
    return AllanDeviation(
        reads=chosen,
        deviation_v=deviation,
        low_v=deviation * np.sqrt(nu / chi2.isf(tail, nu)),
        high_v=deviation * np.sqrt(nu / chi2.ppf(tail, nu)),
        degrees_of_freedom=nu,
        noise=tuple(types),
    )


def interleaving_gain(volts: Floats, reads: int, interleave: int, pause: int = 0) -> Doubles:
    """Return how much smaller sigma of the difference is with interleaving, a ratio (...).

    N free reads followed by N nudged ones, against the order of `hilep.interleaving.turns`, both
    taken from one record in the same state: above 1, interleaving is better.

    Args:
        volts: reads (n, ...) at equal intervals.
        reads: N.
        interleave: portions of each phase, at most N.
        pause: reads that would fit into each change from one phase to the other.

    Raises:
        BadInputError: where 2 N reads and the pauses do not fit into the record, or there are more
            portions than reads.
    """
    apart = _ordered_deviation(volts, turns(reads, 1), pause)
    taken_in_turn = _ordered_deviation(volts, turns(reads, interleave), pause)
    return np.asarray(apart / taken_in_turn, dtype=np.float64)


def _ordered_deviation(volts: Floats, order: list[tuple[int, int]], pause: int) -> Doubles:
    """Return the sd of the difference of two means over sqrt(2), for reads in some order."""
    n = volts.shape[0]
    reads = sum(size for _, size in order) // 2
    length = 2 * reads + pause * (len(order) - 1)
    starts = n - length + 1
    if starts < 1:
        raise BadInputError(f"interleaving: {length} reads do not fit in {n} reads")
    values = deviations(volts)
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    total, at = np.zeros_like(values[:starts]), 0
    for phase, size in order:
        part = sums[at + size : at + size + starts] - sums[at : at + starts]
        total += part if phase else -part
        at += size + pause
    return np.asarray(np.sqrt(((total / reads) ** 2).mean(axis=0) / 2), dtype=np.float64)
