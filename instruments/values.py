"""Numbers as instruments read and write them."""

from __future__ import annotations

import math
from decimal import Decimal

from hilep.instruments.errors import RangeLimitError


def number(value: float, what: str = "a value") -> str:
    """Return `value` with ten significant digits: 25 nA stays 25 nA.

    Raises:
        RangeLimitError: it is not finite.
    """
    if not math.isfinite(value):
        raise RangeLimitError(f"{what} is {value}, expected a finite number")
    return f"{value:.9e}"


def nearest_step(value: float, step: float) -> float:
    """Return the multiple of `step` nearest to `value`, both in the same unit."""
    if step <= 0:
        return float(value)
    # In decimals, so that 0.1 V in steps of 5 uV is 0.1 V and not its neighbour in binary.
    unit = Decimal(repr(step))
    return float((Decimal(repr(float(value))) / unit).to_integral_value() * unit)
