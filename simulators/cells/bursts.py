"""What a programming circuit is asked to send: pulses to all cells, or to a list of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.errors import BadInputError
from hilep.simulators.cells.pulses import Counts


def checked_bursts(
    counts: ArrayLike, cells: tuple[ArrayLike, ArrayLike] | None, shape: tuple[int, int]
) -> tuple[Counts, NDArray[np.intp]]:
    """Return the counts that are not 0, (n,), and the flat indices of their cells.

    Args:
        counts: signed pulses, `shape` or one for each of `cells`.
        cells: rows and columns, or None for all cells.
        shape: (n_pre, n_post) of the layer.

    Raises:
        BadInputError: for counts that are not whole or another number of them, or cells that the
            layer does not have or that are given twice.
    """
    bursts = np.asarray(counts)
    if bursts.dtype.kind not in "iu":
        raise BadInputError(f"cells: pulse: expected whole numbers, got {bursts.dtype}")
    if cells is None:
        if bursts.shape != shape:
            raise BadInputError(f"cells: pulse: expected {shape} counts, got {bursts.shape}")
        at = np.flatnonzero(bursts)
        return bursts.ravel()[at].astype(np.int64), at
    rows, columns = np.asarray(cells[0]), np.asarray(cells[1])
    if bursts.ndim != 1 or rows.shape != bursts.shape or columns.shape != bursts.shape:
        raise BadInputError("cells: pulse: expected as many rows and columns as counts")
    try:
        at = np.ravel_multi_index((rows, columns), shape)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"cells: pulse: rows and columns are no cells of a layer of {shape}"
        ) from error
    if np.unique(at).size != at.size:
        raise BadInputError("cells: pulse: a cell is given twice")
    sent = bursts != 0
    return bursts[sent].astype(np.int64), at[sent]
