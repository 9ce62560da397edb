"""The calibrated map between the voltage that sets a cell and the cell's conductance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, checked
from hilep.errors import BadInputError
from hilep.instruments.errors import RangeLimitError

_ROUNDING = 1e-9
"""Of numbers that are meant to be equal, as files, arrays and limits have them."""


class ConductanceMap:
    """A monotone curve through calibrated points, and its inverse to the last digits.

    Between points it is a piecewise cubic that keeps monotone what is monotone (PCHIP; Fritsch and
    Butland, "A method for constructing local monotone piecewise cubic interpolants", 1984), so
    that every conductance has one voltage. Beyond its points it knows nothing and refuses.

    Args:
        volts: rising (points,).
        siemens: at those, rising or falling throughout (points,).

    Raises:
        BadInputError: fewer than two points, or points that are not so.
    """

    def __init__(self, volts: ArrayLike, siemens: ArrayLike) -> None:
        from scipy.interpolate import PchipInterpolator

        self.volts: Doubles = checked(volts, (None,), "map: volts").astype(np.float64)
        points = checked(siemens, self.volts.shape, "map: siemens").astype(np.float64)
        steps = np.diff(points)
        if self.volts.size < 2 or not (np.diff(self.volts) > 0).all():
            raise BadInputError("map: volts: expected at least two rising values")
        if not ((steps > 0).all() or (steps < 0).all()):
            raise BadInputError("map: siemens: expected values that rise or fall throughout")
        self.siemens: Doubles = points
        self._rising = bool(steps[0] > 0)
        self._curve: Any = PchipInterpolator(self.volts, points)
        self._slope: Any = self._curve.derivative()

    @property
    def window(self) -> tuple[float, float]:
        """The least and the largest conductance that it knows."""
        return float(self.siemens.min()), float(self.siemens.max())

    def siemens_at(self, volts: ArrayLike) -> Doubles:
        """Return the conductances at `volts` (...).

        Raises:
            RangeLimitError: beyond the calibrated voltages.
        """
        asked = np.asarray(volts, np.float64)
        first, last = float(self.volts[0]), float(self.volts[-1])
        self._within(asked, first, last, "V", _ROUNDING * (last - first))
        return np.asarray(self._curve(np.clip(asked, first, last)))

    def volts_at(self, siemens: ArrayLike, tolerance: float = 0.0) -> Doubles:
        """Return the voltages at which cells have `siemens` (...).

        Args:
            siemens: asked for.
            tolerance: what counts as achieved, as a fraction of `siemens`; where an end of the
                curve does, the voltage is that of the end.

        Raises:
            RangeLimitError: beyond the calibrated conductances.
        """
        asked = np.asarray(siemens, np.float64)
        least, most = self.window
        self._within(asked, least, most, "S", (tolerance + _ROUNDING) * np.abs(asked))
        asked = np.clip(asked, least, most)
        rising = self.siemens if self._rising else -self.siemens
        wanted = asked if self._rising else -asked
        place = np.clip(np.searchsorted(rising, wanted, side="right") - 1, 0, rising.size - 2)
        low, high = self.volts[place], self.volts[place + 1]
        # Halving finds the one crossing of a monotone piece, whatever its slope at the ends.
        for _ in range(64):
            middle = 0.5 * (low + high)
            found = np.asarray(self._curve(middle))
            below = (found if self._rising else -found) < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        ends = np.stack([np.asarray(low), np.asarray(high)])
        nearer = np.abs(self._curve(ends) - asked).argmin(axis=0)
        return np.asarray(np.take_along_axis(ends, nearer[None], axis=0)[0])

    def resolution(self, volts: ArrayLike, step_v: float) -> Doubles:
        """Return how far one step of the source moves a conductance, siemens (...)."""
        slope = np.asarray(self._slope(np.asarray(volts, np.float64)), np.float64)
        return np.asarray(np.abs(slope) * step_v)

    def _within(
        self, asked: Doubles, low: float, high: float, unit: str, slack: Doubles | float
    ) -> None:
        # Written this way round so that a NaN is refused.
        good = (asked >= low - slack) & (asked <= high + slack)
        if not good.all():
            wrong = float(asked[~good].flat[0])
            raise RangeLimitError(
                f"map: {wrong:.9g} {unit}, expected {low:.9g} to {high:.9g} {unit}, which is what "
                "was calibrated"
            )


class CellMaps:
    """The map of each cell: one for all, or one of its own.

    Args:
        maps: one map, or one for each cell as [layer][row][column].
    """

    def __init__(self, maps: ConductanceMap | Sequence[Sequence[Sequence[ConductanceMap]]]) -> None:
        self._maps = maps

    def of(self, layer: int, row: int, column: int) -> ConductanceMap:
        """Return the map of a cell."""
        if isinstance(self._maps, ConductanceMap):
            return self._maps
        return self._maps[layer][row][column]

    def volts_at(self, cells: ArrayLike, siemens: ArrayLike, tolerance: float = 0.0) -> Doubles:
        """Return the voltage of each cell (cells,) at which it has `siemens` (cells,).

        Args:
            cells: layer, row and column of each (cells, 3).
            siemens: asked for (cells,).
            tolerance: see `ConductanceMap.volts_at`.

        Raises:
            RangeLimitError: a cell cannot have that; the message names it.
        """
        return self._each(cells, siemens, lambda one, asked: one.volts_at(asked, tolerance))

    def siemens_at(self, cells: ArrayLike, volts: ArrayLike) -> Doubles:
        """Return the conductance of each cell (cells,) at `volts` (cells,)."""
        return self._each(cells, volts, ConductanceMap.siemens_at)

    def _each(
        self,
        cells: ArrayLike,
        values: ArrayLike,
        way: Callable[[ConductanceMap, Doubles], Doubles],
    ) -> Doubles:
        at, given = np.asarray(cells, np.int64), np.asarray(values, np.float64)
        if isinstance(self._maps, ConductanceMap):
            try:
                return way(self._maps, given)
            except RangeLimitError:
                pass  # One by one, to name the cell.
        found = np.empty(given.shape)
        for place, (layer, row, column) in enumerate(at.tolist()):
            try:
                found[place] = way(self.of(layer, row, column), given[place])
            except RangeLimitError as error:
                raise RangeLimitError(f"cell {row}, {column} of layer {layer}: {error}") from error
        return found
