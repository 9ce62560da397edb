"""Sigma of the reads: `sigma_v` from pairs of free and nudged reads, and that of one phase."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles
from hilep.calibration.degrees import degrees_of_freedom, pooled_degrees_of_freedom
from hilep.calibration.intervals import SigmaIntervals, sigma_intervals
from hilep.calibration.nodes import USABLE, NodeState, described, screened, table, worse
from hilep.calibration.quantisation import RESOLVED, converter_step, largest_sigma_of_one_code
from hilep.errors import BadInputError


@dataclass(frozen=True, slots=True)
class PooledSigma:
    """The root mean square of sigma over nodes.

    Attributes:
        sigma_v: volts, after the small-sample correction.
        low_v: volts, the lower end of its interval.
        high_v: volts, the upper end.
        degrees_of_freedom: effective ones of all nodes together.
        nodes: how many were pooled.
    """

    sigma_v: float
    low_v: float
    high_v: float
    degrees_of_freedom: float
    nodes: int


@dataclass(frozen=True, slots=True)
class SigmaEstimate:
    """Sigma of every node, with what could not be estimated and why.

    Attributes:
        per_node: intervals, arrays (nodes,). NaN where a node's state allows none; where a node is
            "unresolved", or "constant" with a known step, the interval runs from 0 to the largest
            sigma that the converter could hide.
        pooled: over the usable nodes ("good" and "quantised"), or None where there is none or
            their ranges differ.
        states: one per node.
        step_v: volts, the converter's step (nodes,); NaN where it is not known and does not show.
        reads: reads of each node, or pairs.
        problems: one line for each thing that is wrong, empty where nothing is.
    """

    per_node: SigmaIntervals
    pooled: PooledSigma | None
    states: tuple[NodeState, ...]
    step_v: Doubles
    reads: int
    problems: tuple[str, ...]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which nodes were pooled, (nodes,)."""
        return np.array([state in USABLE for state in self.states])


def sigma_of_pairs(
    free: ArrayLike,
    nudged: ArrayLike,
    *,
    status: NDArray[np.uint8] | None = None,
    step_v: ArrayLike | None = None,
    range_v: tuple[float, float] | None = None,
    ranges_v: ArrayLike | None = None,
    confidence: float = 0.95,
) -> SigmaEstimate:
    """Return `sigma_v`: sd(free - nudged) / sqrt(2) of each node, what an update sees.

    Drift slower than a pair cancels, and so does what both phases share.

    Args:
        free: reads (n, nodes) in volts.
        nudged: reads (n, nodes) in volts, row k taken next to row k of `free`.
        status: bits as in `Reading.status` of both phases together, (nodes,) or (n, nodes).
        step_v: the converter's step in volts, one or per node; 0 where there is none. Unless
            given it is looked for in the reads.
        range_v: the reader's lowest and highest voltage.
        ranges_v: the range in which each node was read (nodes,): where they differ nothing is
            pooled.
        confidence: of the intervals.

    Raises:
        BadInputError: for arrays that are not reads of the same nodes, or a wrong option.
    """
    a, b = table(free, "free reads"), table(nudged, "nudged reads")
    if a.shape != b.shape:
        raise BadInputError(
            f"pairs of reads: expected as many nudged reads as free ones {a.shape}, got {b.shape}"
        )
    states = worse(screened(a, status, range_v), screened(b, status, range_v))
    steps = _steps((a, b), states, step_v)
    difference = a - b
    for node in np.flatnonzero((difference == difference[:1]).all(axis=0) & (a.shape[0] > 1)):
        if states[node] == "good":
            states[node] = "constant"
    return _estimate(difference / math.sqrt(2), states, steps, ranges_v, confidence)


def sigma_of_reads(
    volts: ArrayLike,
    *,
    status: NDArray[np.uint8] | None = None,
    step_v: ArrayLike | None = None,
    range_v: tuple[float, float] | None = None,
    ranges_v: ArrayLike | None = None,
    confidence: float = 0.95,
) -> SigmaEstimate:
    """Return the standard deviation of one phase's reads, which holds drift and common mode.

    Args:
        volts: reads (n, nodes) in volts.
        status: as in `sigma_of_pairs`, and so the other options.
        step_v: see there.
        range_v: see there.
        ranges_v: see there.
        confidence: of the intervals.

    Raises:
        BadInputError: for an array that is not (reads, nodes), or a wrong option.
    """
    reads = table(volts, "reads")
    states = screened(reads, status, range_v)
    return _estimate(reads, states, _steps((reads,), states, step_v), ranges_v, confidence)


def _steps(
    phases: tuple[Doubles, ...], states: list[NodeState], step_v: ArrayLike | None
) -> Doubles:
    nodes = phases[0].shape[1]
    if step_v is not None:
        given = np.asarray(step_v, dtype=np.float64)
        if given.shape not in ((), (nodes,)) or not (np.isfinite(given) & (given >= 0)).all():
            raise BadInputError(
                f"step_v: expected one number >= 0, or one per node ({nodes}), got {step_v!r:.60}"
            )
        return np.broadcast_to(given, (nodes,)).copy()
    steps = np.full(nodes, np.nan)
    looked = np.array([state in ("good", "constant") for state in states])
    for phase in phases:
        if looked.any() and phase.shape[0] > 1:
            steps[looked] = np.fmin(steps[looked], converter_step(phase[:, looked]))
    return steps


def _estimate(
    volts: Doubles,
    states: list[NodeState],
    step_v: Doubles,
    ranges_v: ArrayLike | None,
    confidence: float,
) -> SigmaEstimate:
    reads, nodes = volts.shape
    varying = np.array([state == "good" for state in states])
    variance, degrees = np.full(nodes, np.nan), np.full(nodes, np.nan)
    if varying.any():
        variance[varying] = volts[:, varying].var(axis=0, ddof=1)
        degrees[varying] = degrees_of_freedom(volts[:, varying])
    per_node = sigma_intervals(variance, degrees, confidence)
    low, high = per_node.low_v.copy(), per_node.high_v.copy()
    # Half a step of true sigma shows as this much: the converter adds q^2 / 12.
    unresolved = step_v * math.sqrt(RESOLVED**2 + 1 / 12)
    for node in np.flatnonzero(step_v > 0):
        if states[node] == "good" and math.sqrt(variance[node]) < unresolved[node]:
            states[node], low[node] = "unresolved", 0.0
            high[node] = max(high[node], unresolved[node])
        elif states[node] == "good" and per_node.sigma_v[node] < step_v[node]:
            states[node] = "quantised"
        elif states[node] == "constant":
            low[node] = 0.0
            high[node] = largest_sigma_of_one_code(reads, float(step_v[node]), confidence)
    per_node = replace(per_node, low_v=low, high_v=high)
    problems = list(described(states))
    usable = np.array([state in USABLE for state in states])
    pooled = None
    if not usable.any():
        problems.append("no node's reads can carry a sigma")
    elif _mixed(ranges_v, usable):
        problems.append("the nodes were read in different ranges: nothing is pooled over them")
    else:
        pooled = _pooled(volts[:, usable], confidence)
    return SigmaEstimate(per_node, pooled, tuple(states), step_v, reads, tuple(problems))


def _mixed(ranges_v: ArrayLike | None, usable: NDArray[np.bool_]) -> bool:
    if ranges_v is None:
        return False
    ranges = np.asarray(ranges_v, dtype=np.float64)
    if ranges.shape != usable.shape:
        raise BadInputError(
            f"ranges_v: expected one range per node {usable.shape}, got {ranges.shape}"
        )
    return bool(np.unique(ranges[usable]).size > 1)


def _pooled(volts: Doubles, confidence: float) -> PooledSigma:
    variance = float(volts.var(axis=0, ddof=1).mean())
    degrees = pooled_degrees_of_freedom(volts)
    found = sigma_intervals(variance, degrees, confidence)
    return PooledSigma(
        float(found.sigma_v), float(found.low_v), float(found.high_v), degrees, volts.shape[1]
    )
