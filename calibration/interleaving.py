"""Which `training.interleave` a record of reads recommends, and what it gains against drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilep.arrays import Doubles, Floats
from hilep.calibration.allan import interleaving_gain
from hilep.calibration.calibration import Drift

NEARLY_BEST = 0.9
"""Fewer portions are preferred where their gain is at least this part of the largest one: each
portion more costs one more change of the nudge, and its settling."""


@dataclass(frozen=True, slots=True)
class InterleavingAdvice:
    """What interleaving gains at one N.

    Attributes:
        portions: that nearly gain most; 1 where none could be compared.
        gain: how much smaller sigma of the difference is with them, a ratio (nodes,).
        interleave: `portions` where the gain is beyond doubt, else 1.
    """

    portions: int
    gain: Doubles
    interleave: int


def mean_gain(gain: Doubles) -> float:
    """Return the geometric mean over nodes."""
    return float(np.exp(np.log(gain).mean()))


def interleaving_advice(volts: Floats, reads: int, pause: int = 0) -> InterleavingAdvice:
    """Return how many portions a record recommends: 2, 4, 8 ... up to N, which are balanced.

    A gain is beyond doubt where its logarithm exceeds 2 / sqrt(B), B the number of stretches of two
    phases in the record. Each sigma has at least B degrees of freedom, so that the logarithm of the
    ratio of two has a standard deviation of 1 / sqrt(B) at most, and less over several nodes.

    Args:
        volts: reads (n, nodes) at equal intervals, at least one node, none constant.
        reads: N of the training.
        pause: reads that would fit into each change from one phase to the other.
    """
    n, gains, portions = volts.shape[0], {}, 2
    while portions <= reads and 2 * reads + pause * portions <= n:
        gains[portions] = interleaving_gain(volts, reads, portions, pause)
        portions *= 2
    if not gains:
        return InterleavingAdvice(1, np.ones(volts.shape[1]), 1)
    means = {k: mean_gain(gain) for k, gain in gains.items()}
    chosen = min(k for k, mean in means.items() if mean >= NEARLY_BEST * max(means.values()))
    stretches = n / (2 * reads + pause * chosen)
    worth = np.log(means[chosen]) > 2 / np.sqrt(stretches)
    return InterleavingAdvice(chosen, gains[chosen], chosen if worth else 1)


def worth_saying(drift: Drift | None) -> list[str]:
    """Return a line where a calibration found a gain that is beyond doubt."""
    if drift is None or drift.interleave in (None, 1):
        return []
    return [
        f"interleaving: training.interleave = {drift.interleave} makes sigma of the difference "
        f"{mean_gain(drift.interleaving_gain):.3g} times smaller at N = {drift.planned_reads}"
    ]
