"""Cells that do not take part: stuck at a bound of their window, or on a line that is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hilep.errors import BadInputError
from hilep.simulators.cells.ranges import not_negative
from hilep.simulators.cells.window import Window

Lines: TypeAlias = float | Sequence[tuple[int, int]]
"""The fraction of lines, or (layer, line) of each."""

HEALTHY, STUCK_LOW, STUCK_HIGH, DEAD, STUCK = 0, 1, 2, 3, 4
"""What ails a cell."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Which cells are stuck or dead; drawn once, cell by cell and line by line.

    Stuck-off and stuck-on cells and broken lines are the usual fault classes of resistive memory:
    Chen et al., "RRAM defect modeling and failure analysis based on march test and a novel
    squeeze-search scheme" (2015). A cell on a dead line is dead, stuck or not.

    Attributes:
        stuck_low: fraction of cells that hold the lower bound of their window.
        stuck_high: fraction of cells that hold the upper bound.
        dead_rows: word lines whose cells conduct nothing.
        dead_columns: bit lines whose cells conduct nothing.
        low_siemens, high_siemens: what stuck cells hold instead of their bounds.
        cells: layer, row, column and siemens of cells that are known to be stuck there.

    Raises:
        BadInputError: for fractions outside 0 to 1, or stuck ones that together exceed 1.
    """

    stuck_low: float = 0.0
    stuck_high: float = 0.0
    dead_rows: Lines = 0.0
    dead_columns: Lines = 0.0
    low_siemens: float | None = None
    high_siemens: float | None = None
    cells: Sequence[tuple[int, int, int, float]] = ()

    def __post_init__(self) -> None:
        fractions = {"stuck_low": self.stuck_low, "stuck_high": self.stuck_high}
        for name in ("dead_rows", "dead_columns"):
            lines = getattr(self, name)
            if isinstance(lines, (int, float)):
                fractions[name] = lines
        for name, fraction in fractions.items():
            if not 0 <= fraction <= 1:
                raise BadInputError(
                    f"device.cells.{name}: expected a fraction 0 to 1, got {fraction}"
                )
        if self.stuck_low + self.stuck_high > 1:
            raise BadInputError(
                "device.cells.stuck_low, stuck_high: expected a sum of at most 1, got "
                f"{self.stuck_low + self.stuck_high}"
            )
        for *_, siemens in self.cells:
            not_negative(stuck_cells=siemens)
        for name in ("low_siemens", "high_siemens"):
            value = getattr(self, name)
            if value is not None:
                not_negative(**{f"stuck_{name}": value})

    def check_window(self, window: Window) -> None:
        """Refuse cells stuck at an upper bound that is infinite.

        Raises:
            BadInputError: saying so.
        """
        if self.stuck_high and self.high_siemens is None:
            window.require_finite("stuck_high")

    def check_lines(self, shapes: Sequence[tuple[int, int]]) -> None:
        """Refuse lines and cells that arrays of these shapes do not have.

        Raises:
            BadInputError: naming the line or cell.
        """
        for layer, row, column, _ in self.cells:
            known = 0 <= layer < len(shapes)
            if not (known and 0 <= row < shapes[layer][0] and 0 <= column < shapes[layer][1]):
                raise BadInputError(
                    f"device.cells.stuck_cells: no cell [{layer}, {row}, {column}]; shapes are "
                    f"{shapes}"
                )
        for axis, name in enumerate(("dead_rows", "dead_columns")):
            lines = getattr(self, name)
            if isinstance(lines, (int, float)):
                continue
            for layer, line in lines:
                if not (0 <= layer < len(shapes) and 0 <= line < shapes[layer][axis]):
                    raise BadInputError(
                        f"device.cells.{name}: no line {line} in layer {layer}; shapes are {shapes}"
                    )

    def drawn(
        self, shape: tuple[int, int], layer: int, generator: np.random.Generator
    ) -> NDArray[np.int8]:
        """Return what ails each cell (n_pre, n_post): HEALTHY, STUCK_LOW and so on."""
        cells, rows, columns = generator.spawn(3)
        ails = np.zeros(shape, dtype=np.int8)
        if self.stuck_low or self.stuck_high:
            chance = cells.random(shape)
            ails[chance < self.stuck_low + self.stuck_high] = STUCK_HIGH
            ails[chance < self.stuck_low] = STUCK_LOW
        for of, row, column, _ in self.cells:
            if of == layer:
                ails[row, column] = STUCK
        ails[_dead(self.dead_rows, shape[0], layer, rows), :] = DEAD
        ails[:, _dead(self.dead_columns, shape[1], layer, columns)] = DEAD
        return ails


def _dead(lines: Lines, count: int, layer: int, generator: np.random.Generator) -> NDArray[np.intp]:
    if isinstance(lines, (int, float)):
        return np.flatnonzero(generator.random(count) < lines)
    return np.array([line for of, line in lines if of == layer], dtype=np.intp)
