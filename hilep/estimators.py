"""How N reads of two phases estimate a difference of squares, and what that takes of the reads."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from hilep.arrays import Doubles
from hilep.reading import Reading, Statistic

Estimator: TypeAlias = Literal["square-of-means", "mean-of-squares", "unbiased"]
"""How N reads estimate dV_second^2 - dV_first^2.

"mean-of-squares" is eq. (10). "square-of-means" has less variance and needs one number per node;
both are biased where the phases differ in sigma, the second by N times less. "unbiased" is the
square of means less s_i^2/N + s_j^2/N, from N >= 2 reads.
"""

STATISTIC: dict[Estimator, Statistic] = {
    "square-of-means": "mean",
    "mean-of-squares": "samples",
    "unbiased": "variance",
}


def excess_variance(first: Reading, second: Reading) -> tuple[Doubles | None, Doubles]:
    """Return the variance of the mean, second phase less first, summed over the batch."""

    def of(a: Reading, b: Reading) -> Doubles:
        assert a.variance is not None
        assert b.variance is not None
        difference = b.variance / b.count - a.variance / a.count
        return np.asarray(difference.sum(axis=0), dtype=np.float64)

    clamped = None
    if first.clamped is not None and second.clamped is not None:
        clamped = of(first.clamped, second.clamped)
    return clamped, of(first, second)
