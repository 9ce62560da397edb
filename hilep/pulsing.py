"""What a device is asked for when single pulses go to some of its cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.errors import BadInputError


def checked_pulses(
    shapes: Sequence[tuple[int, int]], cells: ArrayLike, directions: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return cells (cells, 3) and directions (pulses,) as whole numbers.

    Args:
        shapes: (n_pre, n_post) of each layer.
        cells: layer, row and column of each, no cell twice.
        directions: +1 or -1 for each pulse.

    Raises:
        BadInputError: for a cell that is not there or given twice, or another direction.
    """
    chosen, signs = np.asarray(cells), np.asarray(directions)
    if chosen.ndim != 2 or chosen.shape[1] != 3 or chosen.dtype.kind not in "iu":
        raise BadInputError(
            f"pulse_response: expected whole numbers of layer, row and column (cells, 3), got "
            f"{chosen.dtype} {chosen.shape}"
        )
    if signs.ndim != 1 or not np.isin(signs, (1, -1)).all():
        raise BadInputError("pulse_response: expected directions +1 or -1, one for each pulse")
    for layer, row, column in chosen.tolist():
        known = 0 <= layer < len(shapes)
        if not (known and 0 <= row < shapes[layer][0] and 0 <= column < shapes[layer][1]):
            raise BadInputError(
                f"pulse_response: no cell [{layer}, {row}, {column}]; shapes are {tuple(shapes)}"
            )
    if len(np.unique(chosen, axis=0)) != len(chosen):
        raise BadInputError("pulse_response: a cell is given twice")
    return chosen.astype(np.int64), signs.astype(np.int64)


def checked_pause(seconds: float) -> float:
    """Return `seconds` to wait.

    Raises:
        BadInputError: for seconds that are negative or not finite.
    """
    if not (np.isfinite(seconds) and seconds >= 0):
        raise BadInputError(f"wait: expected finite seconds >= 0, got {seconds}")
    return float(seconds)
