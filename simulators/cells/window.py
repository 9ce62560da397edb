"""The conductance window: the least and the most that a cell can be made to conduct."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import BadInputError
from hilep.simulators.cells.draws import positive_factors
from hilep.simulators.cells.ranges import not_negative


@dataclass(frozen=True, slots=True)
class Window:
    """The nominal window and how its bounds differ from cell to cell.

    Each cell has bounds of its own, log-normal about the nominal ones, and cannot be programmed
    beyond them. This is what `w_min_dtod` and `w_max_dtod` are to the pulsed devices of aihwkit
    (Rasch et al., "A flexible and fast PyTorch toolkit for simulating training and inference on
    analog crossbar arrays", 2021), except that a bound never changes its sign.

    Attributes:
        g_min_siemens, g_max_siemens: nominal bounds.
        g_min_spread, g_max_spread: standard deviation between cells, relative to the bound.
        least_siemens, most_siemens: what the programming circuit allows; no cell goes beyond,
            whatever its own bounds.

    Raises:
        BadInputError: unless 0 <= least <= g_min < g_max <= most, for a spread that is negative or
            infinite, or for a spread of a bound at infinity.
    """

    g_min_siemens: float = 0.0
    g_max_siemens: float = math.inf
    g_min_spread: float = 0.0
    g_max_spread: float = 0.0
    least_siemens: float = 0.0
    most_siemens: float = math.inf

    def __post_init__(self) -> None:
        not_negative(g_min_spread=self.g_min_spread, g_max_spread=self.g_max_spread)
        bounds = (self.least_siemens, self.g_min_siemens, self.g_max_siemens, self.most_siemens)
        if not 0 <= bounds[0] <= bounds[1] < bounds[2] <= bounds[3]:
            raise BadInputError(
                "device.cells: window: expected 0 <= least <= g_min < g_max <= most in siemens, "
                f"got {bounds[0]}, {bounds[1]}, {bounds[2]} and {bounds[3]}"
            )
        if self.g_max_spread:
            self.require_finite("g_max_spread")

    @property
    def span_siemens(self) -> float:
        """Nominal width."""
        return self.g_max_siemens - self.g_min_siemens

    def require_finite(self, what: str) -> None:
        """Refuse a window without an upper bound.

        Raises:
            BadInputError: saying that `what` needs one.
        """
        if math.isinf(self.g_max_siemens):
            raise BadInputError(
                f"device.cells.{what}: needs an upper bound of the conductance; set g_max_siemens"
            )

    def bounds(
        self, shape: tuple[int, int], generator: np.random.Generator
    ) -> tuple[Doubles, Doubles]:
        """Return every cell's own bounds, siemens; () where all cells are alike, else `shape`."""
        low, high = np.asarray(self.g_min_siemens), np.asarray(self.g_max_siemens)
        # A stream each, so that the one does not depend on whether the other spreads.
        below, above = generator.spawn(2)
        if self.g_min_spread:
            low = low * positive_factors(below, shape, self.g_min_spread)
        if self.g_max_spread:
            high = high * positive_factors(above, shape, self.g_max_spread)
        high = np.clip(high, self.least_siemens, self.most_siemens)
        low = np.clip(low, self.least_siemens, self.most_siemens)
        # Bounds that spread past each other leave a cell that cannot be moved.
        return np.asarray(np.minimum(low, high)), np.asarray(high)
