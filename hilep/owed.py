"""What cells were asked to change by and have not changed yet, so that small updates are not lost.

A write resolves only so much. Below that it is better not to write at all: each write costs pulses
and leaves an error of its own, and errors of writes that were not needed add up to a random walk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles, Floats, checked
from hilep.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be written.

    Attributes:
        targets: siemens that each cell should have, one (n_pre, n_post) per layer.
        where: which cells to write, in the same form; the others are owed the difference.
    """

    targets: list[Doubles]
    where: list[NDArray[np.bool_]]


class Owed:
    """Siemens that each cell is owed: a cell is written once it is owed more than the deadband.

    For every cell, at every time, (conductance now - conductance at first) + owed is the sum of
    what was asked. What is asked beyond the window is not asked: at a bound nothing beyond it is
    owed. What a write misses its target by is owed as well, so that errors of writes do not add
    up. A cell that failed is owed nothing: it goes on from where it is.

    The law is exact where the sums are, and otherwise holds to the rounding of one sum.

    Args:
        shapes: (n_pre, n_post) of each layer.
        g_min_siemens, g_max_siemens: the window.
        deadband_siemens: what a write can resolve; 0 writes every change.

    Raises:
        BadInputError: for a deadband that is not finite or is negative.

    Attributes:
        siemens: what is owed, one (n_pre, n_post) per layer.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int]],
        g_min_siemens: float,
        g_max_siemens: float,
        deadband_siemens: float,
    ) -> None:
        if not 0 <= deadband_siemens < np.inf:
            raise BadInputError(f"deadband_siemens: expected siemens >= 0, got {deadband_siemens}")
        self.shapes = tuple(shapes)
        self.low, self.high = g_min_siemens, g_max_siemens
        self.deadband_siemens = deadband_siemens
        self.siemens: list[Doubles] = [np.zeros(shape) for shape in self.shapes]

    def ask(self, present: Sequence[Floats], changes: Sequence[Floats]) -> Due:
        """Owe each cell its change, within the window, and return what is to be written.

        Args:
            present: conductances now, within the window.
            changes: siemens asked for.
        """
        targets = [
            np.clip(g + owed + change, self.low, self.high)
            for g, owed, change in zip(present, self.siemens, changes, strict=True)
        ]
        self.siemens = [target - g for target, g in zip(targets, present, strict=True)]
        where = [np.abs(owed) > self.deadband_siemens for owed in self.siemens]
        return Due(targets, where)

    def record(
        self,
        due: Due,
        achieved: Sequence[Floats],
        failed: Iterable[tuple[int, int, int]] = (),
    ) -> None:
        """Take note of what writing `due` came to.

        Args:
            due: what `ask` returned, written entirely.
            achieved: conductances after it, within the window.
            failed: (layer, row, column) of the cells that would not go.
        """
        for owed, target, where, g in zip(
            self.siemens, due.targets, due.where, achieved, strict=True
        ):
            owed[where] = target[where] - g[where]
        for layer, row, column in failed:
            self.siemens[layer][row, column] = 0.0

    def owe(self, siemens: Sequence[Floats]) -> None:
        """Owe `siemens` more, one (n_pre, n_post) per layer.

        Raises:
            BadInputError: for other shapes, or entries that are not finite.
        """
        if len(siemens) != len(self.shapes):
            raise BadInputError(f"owed: expected {len(self.shapes)} layers, got {len(siemens)}")
        more = [
            checked(part, shape, f"owed: layer {layer}")
            for layer, (part, shape) in enumerate(zip(siemens, self.shapes, strict=True))
        ]
        self.siemens = [owed + part for owed, part in zip(self.siemens, more, strict=True)]

    def forget(self) -> None:
        """Owe nothing any more: all cells were asked for anew."""
        self.siemens = [np.zeros(shape) for shape in self.shapes]
