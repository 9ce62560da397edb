"""Noise that nodes share, and the sigma of the differences that an update sees."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles
from hilep.calibration.degrees import degrees_of_freedom
from hilep.calibration.intervals import SigmaIntervals, sigma_intervals
from hilep.calibration.nodes import table
from hilep.errors import BadInputError


def pair_noise(free: ArrayLike, nudged: ArrayLike) -> Doubles:
    """Return (free - nudged) / sqrt(2), volts (n, nodes): a read's noise as an update sees it.

    Raises:
        BadInputError: for different shapes, fewer than two pairs, or reads that are not finite.
    """
    a, b = table(free, "free reads"), table(nudged, "nudged reads")
    if a.shape != b.shape or a.shape[0] < 2:
        raise BadInputError(
            f"pairs of reads: expected at least 2 of the same nodes, got {a.shape} and {b.shape}"
        )
    noise: Doubles = (a - b) / math.sqrt(2)
    if not np.isfinite(noise).all():
        node = int(np.flatnonzero(~np.isfinite(noise).all(axis=0))[0])
        raise BadInputError(f"pairs of reads: node {node} has NaN or infinite reads")
    return noise


def node_covariance(noise_v: Doubles) -> Doubles:
    """Return the covariance of the nodes' noise, volts squared (nodes, nodes).

    Args:
        noise_v: from `pair_noise`, or one phase's reads, volts (n, nodes).
    """
    return np.atleast_2d(np.cov(noise_v, rowvar=False))


def edge_sigma(noise_v: Doubles, edges: ArrayLike, confidence: float = 0.95) -> SigmaIntervals:
    """Return the sigma of V_i - V_j for each edge, with intervals, arrays (edges,).

    Noise common to both nodes of an edge cancels here as it does in dV_ij of the learning rule.

    Args:
        noise_v: from `pair_noise`, volts (n, nodes).
        edges: whole numbers (edges, 2), the two nodes of each; -1 stands for a node whose voltage
            is known, such as a clamped one.
        confidence: of the intervals.

    Raises:
        BadInputError: for edges of another shape or to nodes that are not there.
    """
    pairs: NDArray[np.int64] = np.asarray(edges, dtype=np.int64)
    nodes = noise_v.shape[1]
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.size == 0:
        raise BadInputError(f"edges: expected shape (edges, 2), got {pairs.shape}")
    if pairs.min() < -1 or pairs.max() >= nodes:
        raise BadInputError(f"edges: expected nodes from -1 to {nodes - 1}, got {pairs.max()}")
    with_known = np.concatenate([noise_v, np.zeros((noise_v.shape[0], 1))], axis=1)
    variance, degrees = np.empty(len(pairs)), np.empty(len(pairs))
    # A block of edges at a time: every edge's reads at once can be gigabytes.
    block = max(1, 4_000_000 // noise_v.shape[0])
    for start in range(0, len(pairs), block):
        part = pairs[start : start + block]
        difference = with_known[:, part[:, 0]] - with_known[:, part[:, 1]]
        if not (np.ptp(difference, axis=0) > 0).all():
            raise BadInputError("edges: the difference of two nodes' reads is constant")
        variance[start : start + block] = difference.var(axis=0, ddof=1)
        degrees[start : start + block] = degrees_of_freedom(difference)
    return sigma_intervals(variance, degrees, confidence)


def common_mode(noise_v: Doubles) -> float:
    """Return the share of the nodes' variance that all of them have in common, -1/(m-1) to 1.

    The mean covariance of different nodes over the mean variance. NaN for a single node.
    """
    covariance = node_covariance(noise_v)
    nodes = covariance.shape[0]
    if nodes < 2:
        return math.nan
    trace = float(np.trace(covariance))
    between = (float(covariance.sum()) - trace) / (nodes * (nodes - 1))
    return float(between * nodes / trace)
