"""The tables of a run file: the training curve and the evaluations, one row per due update.

A row is there once its `update` column holds the update that is due there; the other columns are
written, and in an emptied row erased, on the safe side of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from hilep.config import TrainingSection
from hilep.errors import BadInputError
from hilep.inplace import InPlaceFile, Place

Integers: TypeAlias = NDArray[np.int64]

COLUMNS: dict[str, dict[str, tuple[str, str]]] = {
    "curve": {
        "loss": ("V^2", "mean loss of the images since the last row, free phase"),
        "error": ("1", "fraction of those images that were misclassified"),
        "rate": ("1", "factor of the learning-rate schedule"),
    },
    "evaluations": {
        "accuracy": ("1", "fraction of the validation split that was classified correctly"),
        "loss": ("V^2", "mean loss of the validation split"),
        "silent": ("1", "fraction of hidden nodes that no image moves"),
        "classes": ("1", "number of different classes among the predictions"),
    },
}
"""Unit and description of each column, by table."""


def due(table: str, training: TrainingSection) -> Integers:
    """Return the number of updates done at each row of a table.

    The training curve begins with the first interval's end, the evaluations with update 0.
    """
    every = training.logged_every if table == "curve" else training.evaluated_every
    last = -(-training.updates // every)
    rows = np.arange(1 if table == "curve" else 0, last + 1, dtype=np.int64)
    return np.minimum(rows * every, training.updates)


def read_table(group: h5py.Group, training: TrainingSection) -> dict[str, NDArray[Any]]:
    """Return `update` and the other columns at the rows that are there."""
    name = group.name.strip("/")
    update = group["update"][...]
    there = update == due(name, training)
    return {column: group[column][...][there] for column in ("update", *COLUMNS[name])}


class TableWriter:
    """Writes one table of a run file.

    Args:
        group: its group, whose name is one of `COLUMNS`.
        training: says which updates are due.
        target: the file.
    """

    def __init__(self, group: h5py.Group, training: TrainingSection, target: InPlaceFile) -> None:
        self._name = group.name.strip("/")
        self._due = due(self._name, training)
        self._update = Place(group["update"], target)
        self._columns = {name: Place(group[name], target) for name in COLUMNS[self._name]}

    def row_of(self, update: int) -> int:
        """Return the row of an update.

        Raises:
            BadInputError: for an update at which no row is due.
        """
        row = int(np.searchsorted(self._due, update))
        if row == self._due.size or self._due[row] != update:
            raise BadInputError(
                f"{self._name}: no row is due at update {update}; the first are due at "
                f"{', '.join(map(str, self._due[:3]))}"
            )
        return row

    def write(self, row: int, values: Mapping[str, float]) -> None:
        """Write one row, its update last."""
        for name, value in values.items():
            self._columns[name].write(value, row)
        self._update.write(self._due[row], row)

    def empty_after(self, update: int) -> None:
        """Set the rows due after `update` back to their fill, their update first."""
        start = int(np.searchsorted(self._due, update, side="right"))
        for place in (self._update, *self._columns.values()):
            place.write(np.full(self._due.size - start, place.fill), start)
