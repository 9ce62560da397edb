"""Bits of a sample's status, common to every instrument, and the sentinels that stand for none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.reading import SATURATED as SATURATED

COMPLIANCE = 2
"""The source was at its voltage or current limit while the sample was taken."""

OVERRANGE = 4
"""The reader's range was too small: the sample is NaN."""

INVALID = 8
"""There is no sample, or the instrument calls it wrong: the sample is NaN."""

OVERFLOW = 9.9e37
"""Smallest magnitude of a sentinel. SCPI-99 volume 1, section 7.2.1: 9.9e37 stands for infinity
and 9.91e37 for not a number; no reading of these instruments is as large."""

NOT_A_NUMBER = 9.91e37

_LEAST = OVERFLOW * (1 - 1e-5)
"""Answers have six digits or more."""

_NAMES = {SATURATED: "saturated", COMPLIANCE: "compliance", OVERRANGE: "over-range"}
_NAMES[INVALID] = "invalid"


def without_sentinels(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return `values` with sentinels as NaN, and the status of each, both of the same shape.

    An infinity is `OVERRANGE | SATURATED`, "not a number" is `INVALID`.
    """
    status = np.zeros(values.shape, np.uint8)
    size = np.abs(values)
    # Written this way round so that a NaN is looked at.
    if (size < _LEAST).all():
        return values.copy(), status
    missing = np.isnan(values) | (np.abs(size - NOT_A_NUMBER) <= 1e-5 * NOT_A_NUMBER)
    status[missing] = INVALID
    status[(size >= _LEAST) & ~missing] = OVERRANGE | SATURATED
    return np.where(status == 0, values, np.nan), status


def names_of(status: int | np.integer[Any]) -> str:
    """Return the bits of `status` in words, "good" for none."""
    return ", ".join(name for bit, name in _NAMES.items() if int(status) & bit) or "good"
