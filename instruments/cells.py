"""What each cell should be, what it was last verified to be, and what is owed between the two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles, Floats
from hilep.errors import BadInputError
from hilep.instruments.roles import WriteReport
from hilep.network import Network


class Cells:
    """The conductances of a bench's cells.

    A cell is written once what is asked differs from what is there by more than a write can
    resolve. Until then the difference is owed: updates add to what is asked, so that it is not
    lost. A cell that failed is left out until all cells are asked for anew, and updates go on from
    where it is. A stuck cell is never written.

    Args:
        network: its shapes and window.
        tolerance: what counts as achieved, as a fraction of the conductance asked for.
        deadband_siemens: changes below this, or below the tolerance, are owed.
    """

    def __init__(self, network: Network, tolerance: float, deadband_siemens: float) -> None:
        self.network = network
        self.tolerance = tolerance
        self.deadband_siemens = deadband_siemens
        self.wanted: list[Doubles] = []
        self._found = [np.full(shape, np.nan) for shape in network.shapes]
        self._failed = [np.zeros(shape, bool) for shape in network.shapes]
        self._stuck = [np.full(shape, np.nan) for shape in network.shapes]

    @property
    def programmed(self) -> bool:
        """Whether every cell has been written and verified."""
        return not any(np.isnan(g).any() for g in self._found)

    def achieved(self) -> list[Floats]:
        """Return siemens as last verified, clipped to the window; its lower end where unknown."""
        low, high = self.network.g_min_siemens, self.network.g_max_siemens
        return [np.clip(np.nan_to_num(g, nan=low), low, high) for g in self._found]

    def leave_alone(self, siemens: Sequence[Doubles]) -> None:
        """Take cells as stuck from now on.

        Args:
            siemens: what they hold, NaN for the others, one (n_pre, n_post) per layer.

        Raises:
            BadInputError: for other shapes.
        """
        shapes = self.network.shapes
        if tuple(part.shape for part in siemens) != tuple(shapes):
            raise BadInputError(
                f"stuck cells: expected layers of {tuple(shapes)}, got "
                f"{tuple(part.shape for part in siemens)}"
            )
        self._stuck = [np.array(part, np.float64) for part in siemens]
        self._keep_stuck()

    @property
    def stuck(self) -> list[list[float]]:
        """Layer, row, column and siemens of each stuck cell."""
        return [
            [layer, row, column, float(held[row, column])]
            for layer, held in enumerate(self._stuck)
            for row, column in np.argwhere(np.isfinite(held)).tolist()
        ]

    def _keep_stuck(self) -> None:
        for found, failed, held in zip(self._found, self._failed, self._stuck, strict=True):
            known = np.isfinite(held)
            found[known] = held[known]
            failed[known] = True

    def ask(self, siemens: Sequence[Floats]) -> None:
        """Take `siemens` as what every cell should be, failed ones included."""
        self.wanted = [np.array(g, np.float64) for g in siemens]
        for failed in self._failed:
            failed[:] = False
        self._keep_stuck()

    def add(self, changes: Sequence[Floats]) -> None:
        """Add `changes` to what the cells should be, and clip to the window."""
        low, high = self.network.g_min_siemens, self.network.g_max_siemens
        for wanted, found, failed, change in zip(
            self.wanted, self.achieved(), self._failed, changes, strict=True
        ):
            wanted += change
            np.clip(wanted, low, high, out=wanted)
            wanted[failed] = found[failed]

    def due(self) -> tuple[NDArray[np.int64], Doubles]:
        """Return the cells to write (cells, 3) and the siemens asked for (cells,)."""
        cells, siemens = [], []
        for layer, (wanted, found, failed) in enumerate(
            zip(self.wanted, self._found, self._failed, strict=True)
        ):
            step = np.maximum(self.deadband_siemens, self.tolerance * wanted)
            # Written this way round so that a cell whose state is not known is due.
            due = ~(np.abs(wanted - found) <= step) & ~failed
            at = np.argwhere(due)
            cells.append(np.column_stack([np.full(len(at), layer), at]))
            siemens.append(wanted[due])
        return np.concatenate(cells).astype(np.int64), np.concatenate(siemens)

    def doubt(self, cells: NDArray[np.int64] | None = None) -> None:
        """Take note that `cells` (None for all) may be anything now."""
        if cells is None:
            for found, failed in zip(self._found, self._failed, strict=True):
                found[:] = np.nan
                failed[:] = False
        else:
            for layer, row, column in cells:
                self._found[layer][row, column] = np.nan
        self._keep_stuck()

    def record(self, cells: NDArray[np.int64], report: WriteReport) -> None:
        """Take up what writing `cells` achieved."""
        for layer, (found, failed) in enumerate(zip(self._found, self._failed, strict=True)):
            here = cells[:, 0] == layer
            rows, columns = cells[here, 1], cells[here, 2]
            found[rows, columns] = report.siemens[here]
            failed[rows, columns] = report.failed[here]
        self._keep_stuck()

    def owed(self) -> list[Floats]:
        """Return what was asked for beyond what is there, siemens; 0 where a cell failed."""
        if not self.wanted:
            return [np.zeros(shape) for shape in self.network.shapes]
        pairs = zip(self.wanted, self.achieved(), self._failed, strict=True)
        return [np.where(failed, 0.0, wanted - g) for wanted, g, failed in pairs]
