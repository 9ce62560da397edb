"""Sigma, independence and N of one table of reads, as text and as JSON: what the scripts say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilep.arrays import Doubles
from hilep.calibration.autocorrelation import LEAST_READS
from hilep.calibration.covariance import pair_noise
from hilep.calibration.independence import Independence, independence
from hilep.calibration.reads import Timing, plan_reads, reads_needed
from hilep.calibration.sigma import SigmaEstimate, sigma_of_pairs, sigma_of_reads
from hilep.errors import BadInputError


@dataclass(frozen=True, slots=True)
class ReadsNeeded:
    """N for a critical sigma, eq. (11).

    Attributes:
        critical_v: volts.
        reads: N from the upper limit of sigma.
        refusals: one line for each reason why that N may not reach it.
    """

    critical_v: float
    reads: int
    refusals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SigmaReport:
    """What one table of reads says.

    Attributes:
        names: of the nodes.
        paired: whether sigma is that of pairs of free and nudged reads, or of one phase.
        sigma: of each node, and pooled.
        independence: of the usable nodes; None where there are fewer than 20 reads of them.
        needed: None without a critical sigma.
    """

    names: tuple[str, ...]
    paired: bool
    sigma: SigmaEstimate
    independence: Independence | None
    needed: ReadsNeeded | None

    @property
    def exit_status(self) -> int:
        """0, or 1 where the reads can carry no sigma."""
        return 0 if self.sigma.pooled is not None else 1


def sigma_report(
    volts: Doubles,
    nudged: Doubles | None = None,
    *,
    names: tuple[str, ...] | None = None,
    status: np.ndarray[Any, np.dtype[np.uint8]] | None = None,
    critical_v: float | None = None,
    interval_s: float | None = None,
) -> SigmaReport:
    """Return what reads say: of one phase, or with `nudged` of pairs.

    Args:
        volts: reads (n, nodes) in the order taken; the free ones of pairs.
        nudged: volts (n, nodes), row k taken next to row k of `volts`.
        names: of the nodes; 0, 1, ... unless given.
        status: bits as in `hilep.reading.Reading.status`, (n, nodes).
        critical_v: the sigma of N-read means that a training bears, volts.
        interval_s: seconds from one read to the next, for the mains.

    Raises:
        BadInputError: for tables of different shapes, or a critical sigma or an interval that is
            not finite and above 0.
    """
    for what, value in (("critical sigma", critical_v), ("interval", interval_s)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise BadInputError(f"{what}: expected a finite number above 0, got {value}")
    sigma = (
        sigma_of_reads(volts, status=status)
        if nudged is None
        else sigma_of_pairs(volts, nudged, status=status)
    )
    called = names or tuple(str(node) for node in range(volts.shape[1]))
    pooled, good = sigma.pooled, sigma.usable
    if pooled is None:
        return SigmaReport(called, nudged is not None, sigma, None, None)
    wanted = None if critical_v is None else reads_needed(pooled.high_v, critical_v)
    noise = volts[:, good] if nudged is None else pair_noise(volts[:, good], nudged[:, good])
    steady = None
    if volts.shape[0] >= LEAST_READS:
        judged = np.array(called, dtype=object)[good]
        steady = independence(noise, wanted, interval_s, names=judged)
    needed = None
    if critical_v is not None:
        planned = plan_reads(pooled.high_v, critical_v, 1, 1, Timing(read_s=0.0), steady)
        refusals = planned.refusals
        if steady is None:
            refusals = (f"below {LEAST_READS} reads nothing shows whether eq. (11) holds",)
        needed = ReadsNeeded(critical_v, planned.reads, refusals)
    return SigmaReport(called, nudged is not None, sigma, steady, needed)


def lines(report: SigmaReport) -> list[str]:
    """Return the report as text: a line for each node, then what all of them say."""
    found, states = report.sigma.per_node, report.sigma.states
    width = max(len("node"), *(len(name) for name in report.names))
    out = [f"{'node':<{width}}  {'sigma (V)':>11}  {'95 % from':>11}  {'to (V)':>11}  state"]
    for k, name in enumerate(report.names):
        numbers = "  ".join(
            f"{value[k]:11.4g}" for value in (found.sigma_v, found.low_v, found.high_v)
        )
        out.append(f"{name:<{width}}  {numbers}  {states[k]}")
    pooled = report.sigma.pooled
    if pooled is not None:
        kind = "pairs" if report.paired else "reads"
        out.append(
            f"pooled over {pooled.nodes} of {len(states)} nodes: {pooled.sigma_v:.4g} V, 95 % from "
            f"{pooled.low_v:.4g} to {pooled.high_v:.4g} V ({report.sigma.reads} {kind})"
        )
    if report.independence is not None:
        steady = report.independence
        said = "independent" if steady.independent is True else "not independent"
        if steady.independent == "cannot tell":
            said = "perhaps independent, which so few reads cannot tell"
        reach = ", as far as the record reaches" if steady.limited_by_record else ""
        out.append(f"reads are {said}; useful up to N = {steady.max_useful_reads}{reach}")
    if report.needed is not None:
        out.append(
            f"N = {report.needed.reads} for a critical sigma of {report.needed.critical_v:.4g} V"
        )
    return out


def warnings(report: SigmaReport) -> list[str]:
    """Return a line for each thing that is wrong."""
    found = list(report.sigma.problems)
    if report.independence is not None:
        found += report.independence.why
    elif report.sigma.pooled is not None:
        found.append(f"independence: at least {LEAST_READS} reads are needed to judge it")
    if report.needed is not None:
        found += report.needed.refusals
    return found


def as_json(report: SigmaReport) -> dict[str, Any]:
    """Return the report as plain JSON values; what is not known is null."""
    pooled, steady, found = report.sigma.pooled, report.independence, report.sigma.per_node
    return {
        "sigma_v": None if pooled is None else pooled.sigma_v,
        "sigma_v_ci95": None if pooled is None else [pooled.low_v, pooled.high_v],
        "of": "pairs" if report.paired else "reads",
        "reads": report.sigma.reads,
        "nodes": [
            {
                "name": name,
                "sigma_v": _number(found.sigma_v[k]),
                "sigma_v_ci95": [_number(found.low_v[k]), _number(found.high_v[k])],
                "state": report.sigma.states[k],
            }
            for k, name in enumerate(report.names)
        ],
        "independent": "cannot tell" if steady is None else steady.independent,
        "max_useful_reads": None if steady is None else steady.max_useful_reads,
        "limited_by_record": None if steady is None else steady.limited_by_record,
        "reads_needed": None if report.needed is None else report.needed.reads,
        "problems": warnings(report),
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
