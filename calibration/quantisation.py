"""The step of a converter, as the reads themselves show it, and what it does to sigma."""

from __future__ import annotations

import numpy as np

from hilep.arrays import Doubles, Floats
from hilep.errors import BadInputError

RESOLVED = 0.5
"""A sigma below this many steps is not resolved: reads repeat, and the mean of N does not improve
as 1/sqrt(N) without dither. At one half the error of a mean of 1,000 is 1.12 times the ideal."""


def converter_step(volts: Floats) -> Doubles:
    """Return the step of each node's converter in volts, shape (nodes,); NaN where none shows.

    A step shows where values repeat and all their gaps are multiples of one gap (or of a half,
    third, ... sixth of the smallest). One value alone, or a noise so far above the step that no
    value repeats, shows none. Two exact levels cannot be told from one step of a converter.

    Args:
        volts: reads (n, nodes) in volts, finite.
    """
    values = np.sort(np.asarray(volts, dtype=np.float64), axis=0)
    # Gain and offset are applied in floating point: gaps this small are no gaps.
    rounding = 8 * np.finfo(np.float64).eps * np.abs(values).max(axis=0)
    gaps = np.diff(values, axis=0)
    steps = np.full(values.shape[1], np.nan)
    for node in np.flatnonzero((gaps <= rounding).any(axis=0)):
        steps[node] = _common_step(gaps[:, node], float(rounding[node]))
    return steps


def _common_step(gaps: Doubles, rounding: float) -> float:
    """Return the largest step of which every gap above `rounding` is a multiple, or NaN."""
    found = gaps[gaps > rounding]
    if found.size == 0:
        return float("nan")
    for parts in range(1, 7):
        step = float(found.min()) / parts
        multiples = found / step
        if np.all(np.abs(multiples - np.rint(multiples)) <= 0.01 + 2 * rounding / step):
            # The whole span counted in steps is more exact than the smallest gap.
            return float(found.sum() / np.rint(multiples).sum())
    return float("nan")


def without_quantisation(sigma_v: Doubles, step_v: Doubles) -> Doubles:
    """Return sigma less the converter's share, volts: sqrt(s^2 - q^2 / 12), at least 0.

    Sheppard's correction, good from about half a step. What N reads average is `sigma_v` itself.
    """
    less = np.maximum(np.asarray(sigma_v) ** 2 - np.asarray(step_v) ** 2 / 12, 0.0)
    return np.sqrt(less)


def largest_sigma_of_one_code(reads: int, step_v: float, confidence: float = 0.95) -> float:
    """Return the upper limit of sigma, volts, when all of `reads` reads gave the same code.

    The Gaussian sigma at which that happens with probability (1 - confidence) / 2 where the mean
    lies in the middle of the code: elsewhere it happens less often.

    Raises:
        BadInputError: for fewer than two reads, or a step that is not positive.
    """
    from scipy.stats import norm

    if reads < 2 or not step_v > 0:
        raise BadInputError(
            f"one code: expected at least 2 reads and a step above 0 V, got {reads} and {step_v}"
        )
    each = ((1 - confidence) / 2) ** (1 / reads)
    return float(step_v / (2 * norm.ppf((1 + each) / 2)))
