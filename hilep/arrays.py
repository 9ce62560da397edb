"""Array types, and the checks that every verb makes of what it is given."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.errors import BadInputError

Floats: TypeAlias = NDArray[np.floating[Any]]
Doubles: TypeAlias = NDArray[np.float64]


def checked(values: ArrayLike, shape: tuple[int | None, ...], what: str) -> Floats:
    """Return `values` as a floating-point array of `shape`, every entry finite.

    Args:
        values: anything numpy can read; float32 stays float32, the rest becomes float64.
        shape: expected shape, where None allows any length.
        what: the name and unit to use in the message, such as "clamp volts".

    Raises:
        BadInputError: for another shape, another type, or a NaN or infinity.
    """
    try:
        array = np.asarray(values)
        if array.dtype != np.float32:
            array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"{what}: expected numbers, got {values!r:.60}") from error
    matches = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not matches:
        expected = tuple("any" if n is None else n for n in shape)
        raise BadInputError(f"{what}: expected shape {expected}, got {array.shape}")
    # The sum is finite unless an entry is not, or it overflows; only then look at each.
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.add.reduce(array, axis=None))
    if not math.isfinite(total) and not np.isfinite(array).all():
        where = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise BadInputError(f"{what}: entry {where} is {array[where]}, expected finite numbers")
    return array


def checked_count(samples: Any) -> int:
    """Return `samples` as a count of reads.

    Raises:
        BadInputError: unless it is a whole number of at least 1; a bool is none.
    """
    if isinstance(samples, bool) or not isinstance(samples, (int, np.integer)) or samples < 1:
        raise BadInputError(f"reads: expected a whole number >= 1, got {samples!r}")
    return int(samples)
