"""What the uncertainty of a mean of N reads is made of: a budget after the GUM.

"Evaluation of measurement data - Guide to the expression of uncertainty in measurement", JCGM
100:2008: 4.3.7 for limits without a distribution, 5.1.2 for the sum of squares, G.4.1 for the
effective degrees of freedom (Welch-Satterthwaite).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hilep.arrays import Doubles, checked_count
from hilep.calibration.allan import AllanDeviation
from hilep.calibration.calibration import Calibration
from hilep.calibration.quantisation import without_quantisation
from hilep.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Contribution:
    """One line of a budget.

    Attributes:
        name: what it comes from.
        kind: "A" where it was found from the scatter of reads, else "B".
        u_v: standard uncertainty of the mean, volts.
        degrees_of_freedom: of `u_v`; infinite where it is a limit that holds.
        how: where the number comes from, in words.
    """

    name: str
    kind: Literal["A", "B"]
    u_v: float
    degrees_of_freedom: float
    how: str


@dataclass(frozen=True, slots=True)
class Budget:
    """The uncertainty of the voltage of a node, as the mean of N reads of one phase.

    Attributes:
        reads: N.
        contributions: what it is made of.
        missing: what is not known and so not in it, one line each.
    """

    reads: int
    contributions: tuple[Contribution, ...]
    missing: tuple[str, ...]

    @property
    def u_v(self) -> float:
        """Combined standard uncertainty, volts."""
        return math.sqrt(sum(part.u_v**2 for part in self.contributions))

    @property
    def degrees_of_freedom(self) -> float:
        """Effective degrees of freedom of `u_v`; infinite where only limits contribute."""
        combined = self.u_v
        terms = sum(
            (part.u_v / combined) ** 4 / part.degrees_of_freedom
            for part in self.contributions
            if part.u_v > 0
        )
        return 1 / terms if terms > 0 else math.inf

    @property
    def coverage_factor(self) -> float:
        """What `u_v` is multiplied with for an interval of 95 %."""
        from scipy.stats import norm, t

        degrees = self.degrees_of_freedom
        return float(t.isf(0.025, degrees) if math.isfinite(degrees) else norm.isf(0.025))

    def shares(self) -> tuple[float, ...]:
        """Return each contribution's part of the variance, 0 to 1."""
        total = self.u_v**2
        return tuple(part.u_v**2 / total if total > 0 else 0.0 for part in self.contributions)


def budget(calibration: Calibration, reads: int) -> Budget:
    """Return the budget of the mean of `reads` reads, root mean square over the usable nodes.

    Args:
        calibration: with a pooled sigma.
        reads: N.

    Raises:
        BadInputError: for a calibration without a pooled sigma, or an N below 1.
    """
    checked_count(reads)
    pooled = calibration.sigma.pooled
    if pooled is None:
        raise BadInputError("budget: the calibration has no pooled sigma")
    steps = np.nan_to_num(calibration.sigma.step_v[calibration.sigma.usable])
    step = math.sqrt(float((steps**2).mean()))
    white = float(without_quantisation(np.array(pooled.sigma_v), np.array(step)))
    parts = [
        Contribution(
            "read noise",
            "A",
            white / math.sqrt(reads),
            pooled.degrees_of_freedom,
            "sigma of pairs over sqrt(N)" + (", less the converter's share" if step else ""),
        )
    ]
    missing = []
    if step:
        # Usable nodes have noise above half a step, which lets this error average as noise does.
        parts.append(
            Contribution(
                "converter's step",
                "B",
                step / math.sqrt(12 * reads),
                math.inf,
                "step over sqrt(12 N), averaged by the noise",
            )
        )
    else:
        missing.append("the converter's step: it does not show in the reads")
    drift = _drift(calibration, reads, pooled.sigma_v)
    if drift is None:
        missing.append(f"drift and flicker over N = {reads}: no record is long enough to show them")
    else:
        parts.append(drift)
    if calibration.settling is None or calibration.settling.delay is None:
        missing.append("settling: not measured")
    else:
        tolerance = calibration.settling.delay.tolerance_v
        parts.append(
            Contribution(
                "settling",
                "B",
                tolerance / math.sqrt(3),
                math.inf,
                "what may be left after the delay, a limit: over sqrt(3)",
            )
        )
    channel = _channel(calibration)
    if channel is None:
        missing.append("gain and offset of the channels that read: not calibrated")
    else:
        parts.append(channel)
    return Budget(reads, tuple(parts), tuple(missing))


def deviation_of_means(
    deviations: tuple[AllanDeviation, ...], reads: int
) -> tuple[float, float] | None:
    """Return the deviation at N in volts, root mean square over nodes, and degrees of freedom.

    Between two measured N it is interpolated on logarithmic scales. None where N is beyond them.

    Args:
        deviations: of each node, all at the same N.
        reads: N.
    """
    if not deviations or not deviations[0].reads[0] <= reads <= deviations[0].reads[-1]:
        return None
    variances = np.stack([one.deviation_v**2 for one in deviations])
    degrees = np.stack([one.degrees_of_freedom for one in deviations])
    total = variances.mean(axis=0)
    weights = np.divide(variances, variances.sum(axis=0), where=total > 0, out=variances * 0)
    spread = (weights**2 / degrees).sum(axis=0)
    pooled: Doubles = np.divide(1.0, spread, where=spread > 0, out=np.ones_like(spread))
    if not (total > 0).all():
        return None
    at = np.log(deviations[0].reads.astype(np.float64))
    here = math.log(reads)
    variance = math.exp(float(np.interp(here, at, np.log(total))))
    return math.sqrt(variance), float(np.exp(np.interp(here, at, np.log(pooled))))


def _drift(calibration: Calibration, reads: int, sigma_v: float) -> Contribution | None:
    if calibration.allan is None:
        return None
    found = deviation_of_means(calibration.allan.at_delay, reads)
    if found is None:
        return None
    deviation, degrees = found
    excess = max(0.0, deviation**2 - sigma_v**2 / reads)
    u = math.sqrt(excess)
    if u:
        # A difference of variances is as uncertain as the larger one, in volts squared.
        degrees = max(1.0, degrees * (excess / deviation**2) ** 2)
    return Contribution(
        "drift and flicker",
        "A",
        u,
        degrees,
        "what the Allan deviation at the delay has above sigma/sqrt(N)",
    )


def _channel(calibration: Calibration) -> Contribution | None:
    """Return what gain and offset of the reading channels leave, that of the worst one."""
    volts = np.abs(calibration.reads.free[:, calibration.judged].mean(axis=0))
    reach = float(volts.max()) if volts.size else 0.0
    worst: Contribution | None = None
    for channel in calibration.channels or ():
        if channel.unit != "V" or channel.role != "reader":
            continue
        # Of (output - offset) / gain at the largest mean voltage; the two are correlated.
        slopes = np.array([reach, 1.0]) / abs(channel.gain)
        variance = max(
            float(s @ channel.covariance @ s) for s in (slopes, slopes * np.array([-1.0, 1.0]))
        )
        own = [
            (channel.u_gain * slopes[0], channel.degrees_of_freedom[0]),
            (channel.u_offset * slopes[1], channel.degrees_of_freedom[1]),
        ]
        weights = sum(u**4 / degrees for u, degrees in own)
        degrees = variance**2 / weights if weights > 0 else math.inf
        if worst is None or variance > worst.u_v**2:
            worst = Contribution(
                "gain and offset",
                "B",
                math.sqrt(variance),
                degrees,
                f"of channel {channel.channel}, the worst, at {reach:.4g} V; common to all reads",
            )
    return worst
