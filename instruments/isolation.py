"""How unselected lines of a passive array are biased, and what that does to reads and to cells.

A cell joins the source's high side, on its row, with the low side at 0 V, on its column. The source
measures the current of the whole selected row, so a cell is measured alone only where no other cell
of that row carries any:

* `float`: current sneaks from the selected row through other columns and other rows to the selected
  column. Among m x n equal cells of g siemens the source finds
  g (1 + (m - 1)(n - 1) / (m + n - 1)). Only a single row or a single column is isolated.
* `ground`: every cell of the row carries a current, and takes the whole pulse. Only a single column
  is isolated.
* `half` and `third`: to read, their sources go to the read voltage itself, as a guard: the other
  cells of the row then have 0 V across them and the read is of one cell, in any array. No cell
  takes more than the read voltage. The guard carries the current of the other cells of the column,
  which its limit must allow.

In a pulse of V, `half` holds all unselected lines at V/2 and `third` unselected rows at V/3 and
columns at 2V/3: An Chen, "A comprehensive crossbar array model with solutions for line resistance
and nonlinear device characteristics" (2013). Half-selected cells take V/2, or V/3. But the bias
has to be there before the pulse and after it, while the selected row is at 0 V, because instruments
cannot start together; then cells of the selected row take -V/2, or -2V/3. So between the two "half"
is the one that disturbs less here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Unselected: TypeAlias = Literal["float", "ground", "half", "third"]


@dataclass(frozen=True, slots=True)
class Biasing:
    """What unselected lines are held at, as fractions of the pulse.

    Attributes:
        name: of the scheme.
        rows: of unselected rows; None where they float.
        columns: of unselected columns; None where they float.
        sources: fractions that the bias sources give in a pulse, rows first.
    """

    name: Unselected
    rows: float | None
    columns: float | None
    sources: tuple[float, ...] = ()

    def pulse_volts(self, volts: float) -> tuple[float, ...]:
        """Return the level of each bias source during a pulse of `volts`."""
        return tuple(part * volts for part in self.sources)

    def read_volts(self, volts: float) -> tuple[float, ...]:
        """Return the level of each bias source while a cell is read at `volts`: the guard."""
        return (volts,) * len(self.sources)

    def isolates(self, rows: int, columns: int) -> bool:
        """Return whether a read and a pulse reach one cell of an array alone.

        The bias's own half-selected cells are another matter: see `stress`.
        """
        if self.name == "float":
            return rows == 1 or columns == 1
        return self.name != "ground" or columns == 1

    def stress(self, rows: int, columns: int) -> float:
        """Return the largest voltage across a cell that is not selected, as a fraction of a pulse.

        Bias before and after the pulse is included. For a scheme that isolates the array.
        """
        if self.rows is None or self.columns is None:
            return 0.0
        found = [0.0]
        if columns > 1:
            found += [abs(1 - self.columns), abs(self.columns)]
        if rows > 1:
            found.append(abs(self.rows))
        if rows > 1 and columns > 1:
            found.append(abs(self.rows - self.columns))
        return max(found)


BIASING = {
    "float": Biasing("float", None, None),
    "ground": Biasing("ground", 0.0, 0.0),
    "half": Biasing("half", 1 / 2, 1 / 2, (1 / 2,)),
    "third": Biasing("third", 1 / 3, 2 / 3, (1 / 3, 2 / 3)),
}


def sneak_factor(rows: int, columns: int) -> float:
    """Return what a cell among equal ones is read as, over what it is, where all lines float."""
    return 1 + (rows - 1) * (columns - 1) / (rows + columns - 1)


def complaint(
    biasing: Biasing, shapes: Sequence[tuple[int, int]], heights: Sequence[float]
) -> str | None:
    """Return why arrays cannot be programmed cell by cell, or None where they can.

    Args:
        biasing: of unselected lines.
        shapes: (rows, columns) of each layer's array.
        heights: volts of every pulse of the schedules.
    """
    most, least = max(map(abs, heights)), min(map(abs, heights))
    for layer, (rows, columns) in enumerate(shapes):
        array = f"the {rows} x {columns} array of layer {layer}"
        if not biasing.isolates(rows, columns):
            consequence = "a pulse and a read go to all cells of the row"
            if biasing.name == "float":
                factor = sneak_factor(rows, columns)
                consequence = f"among equal cells one would be read as {factor:.3g} times itself"
            return (
                f'"{biasing.name}" does not isolate a cell of {array}, {consequence}; '
                'expected "half" or "third"'
            )
        volts = biasing.stress(rows, columns) * most
        if volts >= least * (1 - 1e-9):
            return (
                f'"{biasing.name}" puts {volts:.3g} V on unselected cells of {array} while a pulse '
                f"is {most:.3g} V, expected less than the smallest pulse, {least:.3g} V"
            )
    return None
