"""The delay after which reads are settled, and a test that it suffices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import checked
from hilep.calibration.settling import StepResponse
from hilep.errors import BadInputError

RESIDUAL = 0.1
"""Of sigma/sqrt(N): what may be left of a step in the free-nudged difference."""


@dataclass(frozen=True, slots=True)
class SettlingDelay:
    """When reads may start after a step.

    Attributes:
        delay_s: seconds at which the fitted residual falls below the tolerance.
        u_delay_s: standard uncertainty of it, from the fits.
        high_s: one-sided 97.5 % upper limit: the delay to use.
        tolerance_v: volts that may be left.
    """

    delay_s: float
    u_delay_s: float
    high_s: float
    tolerance_v: float


def settling_delay(
    responses: Sequence[StepResponse], sigma_v: float, reads: int, fraction: float = RESIDUAL
) -> SettlingDelay:
    """Return the delay after which steps leave less than `fraction` sigma/sqrt(N).

    The residuals of all steps, such as that of the clamp in the free read and that of the nudge in
    the nudged one, add up in the worst case; the same delay is kept after each.

    Raises:
        BadInputError: for no response, or a tolerance that is not positive and finite.
    """
    from scipy.optimize import brentq
    from scipy.stats import t as student

    tolerance = fraction * sigma_v / math.sqrt(reads) if reads >= 1 else math.nan
    if not responses or not (math.isfinite(tolerance) and tolerance > 0):
        raise BadInputError(
            "settling: expected a step response, sigma > 0 and N >= 1, "
            f"got {len(responses)}, {sigma_v} V and {reads}"
        )

    def left(time: float) -> float:
        return sum(response.residual_v(time) for response in responses) - tolerance

    if left(0.0) <= 0:
        return SettlingDelay(0.0, 0.0, 0.0, tolerance)
    end = max(float(response.time_constants_s[0]) for response in responses)
    while left(end) > 0:
        end *= 2
    delay = float(brentq(left, 0.0, end, rtol=1e-12))
    slope, variance = 0.0, 0.0
    for response in responses:
        taus = response.time_constants_s
        decays = np.exp(-delay / taus)
        parts = np.abs(response.amplitudes_v) * decays
        slope += float((parts / taus).sum())
        gradient = np.concatenate([np.sign(response.amplitudes_v) * decays, parts * delay / taus])
        variance += float(gradient @ response.covariance @ gradient)
    u = math.sqrt(max(variance, 0.0)) / slope
    degrees = min(response.degrees_of_freedom for response in responses)
    return SettlingDelay(delay, u, delay + u * float(student.isf(0.025, degrees)), tolerance)


def suffices(
    at_delay: ArrayLike, later: ArrayLike, tolerance_v: float, false_yes: float = 0.05
) -> bool | Literal["cannot tell"]:
    """Test whether reads taken at the delay agree with reads taken long after it.

    Two one-sided t tests (Schuirmann 1987, with Welch's degrees of freedom): True only where the
    means are shown to differ by less than the tolerance, False where by more.

    Args:
        at_delay: free-nudged differences taken at the delay, volts (n,).
        later: the same after several times the delay, volts (m,).
        tolerance_v: volts by which the means may differ.
        false_yes: probability of True where they differ by the tolerance.

    Raises:
        BadInputError: for fewer than two of either, or a tolerance that is not positive.
    """
    from scipy.stats import t as student

    a = checked(at_delay, (None,), "settling: reads at the delay").astype(np.float64)
    b = checked(later, (None,), "settling: later reads").astype(np.float64)
    if a.size < 2 or b.size < 2 or not tolerance_v > 0:
        raise BadInputError("settling: expected two reads of each kind and a tolerance above 0 V")
    shares = np.array([a.var(ddof=1) / a.size, b.var(ddof=1) / b.size])
    apart = abs(float((a - a[0]).mean() - (b - a[0]).mean()))
    if not shares.any():
        return apart < tolerance_v
    degrees = shares.sum() ** 2 / (shares**2 / [a.size - 1, b.size - 1]).sum()
    reach = float(student.isf(false_yes, degrees) * math.sqrt(shares.sum()))
    if apart + reach < tolerance_v:
        return True
    return False if apart - reach > tolerance_v else "cannot tell"
