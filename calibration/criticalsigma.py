"""The critical sigma: the largest at which training still reaches a threshold, with an interval.

At each sigma the accuracies of n trials give limits of a statistic: their mean, by Student's t, or
the share of trials that reach the threshold, by Clopper and Pearson (1934). The interval runs from
where the lower limit first falls below what is wanted to where the upper limit last reaches it. So
it holds the true critical sigma whenever the limits at that one sigma hold the true statistic,
whatever the curve's shape: inverse regression, as Fieller (1954) has it for a straight line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.errors import BadInputError, HilepError


class NoCriticalSigmaError(HilepError):
    """The threshold is not reached without noise, or is reached with however much."""


@dataclass(frozen=True, slots=True)
class CriticalSigma:
    """The critical sigma of single reads.

    Attributes:
        sigma_v: volts, where the statistic falls below what is wanted.
        low_v: volts, the lower end of its interval: what N is planned from.
        high_v: volts, the upper end; infinite where the largest sigma tried does not exclude it.
        threshold: the accuracy that is wanted.
        share: of the trials that have to reach it; None where it is their mean accuracy.
        trials: at each sigma.
        confidence: of the interval.
        evaluated: every sigma tried, volts, ascending.
        means: the mean accuracy at each.
        reached: the share of trials that reached the threshold at each.
    """

    sigma_v: float
    low_v: float
    high_v: float
    threshold: float
    share: float | None
    trials: int
    confidence: float
    evaluated: Doubles
    means: Doubles
    reached: Doubles


@dataclass(frozen=True, slots=True)
class Criterion:
    """What training has to reach.

    Attributes:
        threshold: an accuracy, above 0 and at most 1.
        share: of the trials that have to reach it, or None for their mean.
        confidence: of the interval.

    Raises:
        BadInputError: for a number outside its range.
    """

    threshold: float
    share: float | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise BadInputError(f"threshold: expected an accuracy in (0, 1], got {self.threshold}")
        for name, value in (("share", self.share), ("confidence", self.confidence)):
            if value is not None and not 0 < value < 1:
                raise BadInputError(f"{name}: expected a number between 0 and 1, got {value}")

    @property
    def wanted(self) -> float:
        """What the statistic is compared with."""
        return self.threshold if self.share is None else self.share

    @property
    def least_trials(self) -> int:
        """Trials from which the lower limit can reach what is wanted."""
        if self.share is None:
            return 3
        # The lower limit of n successes in n trials is (tail)^(1/n).
        return max(3, math.ceil(math.log((1 - self.confidence) / 2) / math.log(self.share)))

    def limits(self, accuracies: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """Return lower limit, value and upper limit of the statistic, each (n_sigma,).

        Args:
            accuracies: (n_sigma, trials).
        """
        from scipy.special import betaincinv, stdtrit

        n = accuracies.shape[1]
        tail = (1 - self.confidence) / 2
        if self.share is None:
            mean = accuracies.mean(axis=1)
            half = accuracies.std(axis=1, ddof=1) / math.sqrt(n) * float(stdtrit(n - 1, 1 - tail))
            return mean - half, mean, mean + half
        k = np.count_nonzero(accuracies >= self.threshold, axis=1)
        # The limits at none and at all are 0 and 1; elsewhere quantiles of the beta distribution.
        low = np.where(k > 0, betaincinv(np.maximum(k, 1), n - k + 1, tail), 0.0)
        high = np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail), 1.0)
        return low, k / n, high


def critical_sigma(sigmas: ArrayLike, accuracies: ArrayLike, criterion: Criterion) -> CriticalSigma:
    """Return the critical sigma from the accuracies of trials.

    Trials may share their seeds from one sigma to the next: each sigma is judged by itself.

    Args:
        sigmas: volts (n_sigma,), each once, in any order; 0 may be among them.
        accuracies: (n_sigma, trials), fractions.
        criterion: what training has to reach.

    Raises:
        BadInputError: for arrays of other shapes, numbers outside their range, or too few trials.
        NoCriticalSigmaError: where the smallest sigma is not clearly good enough, or the largest
            still is.
    """
    from sklearn.isotonic import isotonic_regression

    volts, table = _checked(sigmas, accuracies, criterion)
    low, value, high = criterion.limits(table)
    wanted = criterion.wanted
    text = _words(criterion)
    if not value[0] >= wanted:
        raise NoCriticalSigmaError(
            f"{text} is not reached even at sigma = {volts[0]:.3g} V: {value[0]:.3g} in "
            f"{table.shape[1]} trials"
        )
    positive = np.flatnonzero(volts > 0)
    first = int(positive[0])
    if not (low[: first + 1] >= wanted).all():
        worst = int(np.flatnonzero(low[: first + 1] < wanted)[0])
        raise NoCriticalSigmaError(
            f"{text} is not certain even at sigma = {volts[worst]:.3g} V: {value[worst]:.3g} in "
            f"{table.shape[1]} trials, lower limit {low[worst]:.3g}; take more trials"
        )
    if value[-1] >= wanted:
        raise NoCriticalSigmaError(
            f"{text} is still reached at the largest sigma tried, {volts[-1]:.3g} V"
        )
    logs = np.log(volts[positive])
    smooth = isotonic_regression(value[positive], increasing=False)
    at = _first_below(logs, smooth, wanted)
    low_v = _first_below(logs, low[positive], wanted)
    # The last crossing of the upper limit is the first one from the other end.
    high_v = math.inf
    if high[-1] < wanted:
        high_v = math.exp(-_crossing(-logs[::-1], high[positive][::-1], wanted, upwards=True))
    low_v, at = math.exp(low_v), math.exp(at)
    return CriticalSigma(
        sigma_v=min(max(at, low_v), high_v),
        low_v=low_v,
        high_v=high_v,
        threshold=criterion.threshold,
        share=criterion.share,
        trials=table.shape[1],
        confidence=criterion.confidence,
        evaluated=volts,
        means=table.mean(axis=1),
        reached=(table >= criterion.threshold).mean(axis=1),
    )


def _words(criterion: Criterion) -> str:
    if criterion.share is None:
        return f"a mean accuracy of {criterion.threshold:g}"
    return f"an accuracy of {criterion.threshold:g} in {100 * criterion.share:g} % of the trials"


def _checked(
    sigmas: ArrayLike, accuracies: ArrayLike, criterion: Criterion
) -> tuple[Doubles, Doubles]:
    volts = np.asarray(sigmas, dtype=np.float64)
    table = np.asarray(accuracies, dtype=np.float64)
    if volts.ndim != 1 or table.ndim != 2 or table.shape[0] != volts.size:
        raise BadInputError(
            f"critical sigma: expected sigmas (n,) and accuracies (n, trials), got {volts.shape} "
            f"and {table.shape}"
        )
    if not (np.isfinite(volts).all() and (volts >= 0).all() and (volts > 0).any()):
        raise BadInputError("critical sigma: expected finite sigmas >= 0 V, not all of them 0")
    if np.unique(volts).size != volts.size:
        raise BadInputError("critical sigma: expected each sigma once")
    if not ((table >= 0) & (table <= 1)).all():
        raise BadInputError("critical sigma: expected accuracies between 0 and 1")
    if table.shape[1] < criterion.least_trials:
        raise BadInputError(
            f"critical sigma: {_words(criterion)} needs at least {criterion.least_trials} trials "
            f"at {100 * criterion.confidence:g} % confidence, got {table.shape[1]}"
        )
    order = np.argsort(volts)
    return volts[order], table[order]


def _first_below(logs: Doubles, values: Doubles, wanted: float) -> float:
    return _crossing(logs, values, wanted, upwards=False)


def _crossing(logs: Doubles, values: Doubles, wanted: float, upwards: bool) -> float:
    """Return where values first pass `wanted`, on straight lines between the points."""
    passed = values >= wanted if upwards else values < wanted
    k = int(np.flatnonzero(passed)[0])
    if k == 0:
        return float(logs[0])
    before, after = values[k - 1], values[k]
    return float(logs[k - 1] + (wanted - before) / (after - before) * (logs[k] - logs[k - 1]))
