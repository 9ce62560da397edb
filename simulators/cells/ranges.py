"""What the numbers of a cell's model may be; every refusal is one line that names the number."""

from __future__ import annotations

import math

from hilep.errors import BadInputError


def not_negative(**numbers: float) -> None:
    """Refuse a number that is negative, infinite or NaN.

    Raises:
        BadInputError: naming it.
    """
    for name, value in numbers.items():
        if not (math.isfinite(value) and value >= 0):
            raise BadInputError(f"device.cells.{name}: expected a finite number >= 0, got {value}")


def positive(**numbers: float) -> None:
    """Refuse a number that is not positive and finite.

    Raises:
        BadInputError: naming it.
    """
    for name, value in numbers.items():
        if not (math.isfinite(value) and value > 0):
            raise BadInputError(f"device.cells.{name}: expected a finite number > 0, got {value}")


def whole(least: int, **numbers: int) -> None:
    """Refuse a number that is not whole or below `least`.

    Raises:
        BadInputError: naming it.
    """
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise BadInputError(
                f"device.cells.{name}: expected a whole number >= {least}, got {value}"
            )
