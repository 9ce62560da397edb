"""Chi-square and bootstrap intervals of a standard deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles, Floats
from hilep.calibration.autocorrelation import deviations
from hilep.errors import BadInputError


@dataclass(frozen=True, slots=True)
class SigmaIntervals:
    """Standard deviations with their intervals.

    Attributes:
        sigma_v: volts, s divided by c4: unbiased for Gaussian reads.
        low_v: volts, the lower end of the interval.
        high_v: volts, its upper end.
        variance_v2: s^2 with divisor n - 1, volts squared.
        degrees_of_freedom: effective ones.
        confidence: of the interval, such as 0.95.
    """

    sigma_v: Doubles
    low_v: Doubles
    high_v: Doubles
    variance_v2: Doubles
    degrees_of_freedom: Doubles
    confidence: float


def c4(degrees_of_freedom: Doubles | float) -> Doubles:
    """Return E[s] / sigma of Gaussian reads: sqrt(2 / nu) Gamma((nu + 1) / 2) / Gamma(nu / 2)."""
    from scipy.special import gammaln

    nu = np.asarray(degrees_of_freedom, dtype=np.float64)
    log = gammaln((nu + 1) / 2) - gammaln(nu / 2)
    return np.asarray(np.sqrt(2 / nu) * np.exp(log), dtype=np.float64)


def sigma_intervals(
    variance_v2: Doubles | float, degrees_of_freedom: Doubles | float, confidence: float = 0.95
) -> SigmaIntervals:
    """Return sigma and its two-sided chi-square interval from s^2 and its degrees of freedom.

    Raises:
        BadInputError: unless 0 < confidence < 1.
    """
    from scipy.stats import chi2

    if not 0 < confidence < 1:
        raise BadInputError(f"confidence: expected a number between 0 and 1, got {confidence}")
    variance = np.asarray(variance_v2, dtype=np.float64)
    nu = np.asarray(degrees_of_freedom, dtype=np.float64)
    tail = (1 - confidence) / 2
    return SigmaIntervals(
        sigma_v=np.sqrt(variance) / c4(nu),
        low_v=np.sqrt(variance * nu / chi2.isf(tail, nu)),
        high_v=np.sqrt(variance * nu / chi2.ppf(tail, nu)),
        variance_v2=variance,
        degrees_of_freedom=nu,
        confidence=confidence,
    )


def bootstrap_interval(
    volts: Floats,
    generator: np.random.Generator,
    block: int = 1,
    confidence: float = 0.95,
    resamples: int = 1999,
) -> tuple[float, float]:
    """Return a BCa bootstrap interval of one node's standard deviation, volts.

    For reads whose distribution is not trusted. Its coverage is below the nominal one for small n.

    Args:
        volts: reads (n,) in volts.
        generator: decides the resamples.
        block: reads resampled together, longer than they stay correlated.
        confidence: of the interval.
        resamples: number of bootstrap samples.

    Raises:
        BadInputError: for fewer than 10 blocks, or reads that are all equal or not finite.
    """
    from scipy.stats import bootstrap

    values = deviations(np.asarray(volts, dtype=np.float64))
    blocks = values.shape[0] // max(block, 1)
    if values.ndim != 1 or block < 1 or blocks < 10:
        raise BadInputError(
            f"bootstrap: expected reads (n,) in at least 10 blocks, got {values.shape} "
            f"in blocks of {block}"
        )
    if not np.isfinite(values).all() or not np.ptp(values) > 0:
        raise BadInputError("bootstrap: expected finite reads that are not all equal")
    pieces = values[: blocks * block].reshape(blocks, block)

    def deviation(index: NDArray[np.float64], axis: int = -1) -> Doubles:
        chosen = np.moveaxis(index, axis, -1).astype(int)
        return np.asarray(
            pieces[chosen].reshape(*chosen.shape[:-1], -1).std(axis=-1, ddof=1), dtype=np.float64
        )

    found = bootstrap(
        (np.arange(blocks),),
        deviation,
        confidence_level=confidence,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // values.shape[0]),
        method="BCa",
        rng=generator,
    ).confidence_interval
    return float(found.low), float(found.high)
