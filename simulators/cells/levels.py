"""Discrete levels: a programming circuit that knows only so many conductances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilep.arrays import Doubles
from hilep.simulators.cells.ranges import whole
from hilep.simulators.cells.window import Window


@dataclass(frozen=True, slots=True)
class Levels:
    """Equally spaced levels from the lower to the upper nominal bound, both included.

    Attributes:
        count: how many, at least 2.

    Raises:
        BadInputError: for fewer than 2.
    """

    count: int

    def __post_init__(self) -> None:
        whole(2, levels=self.count)

    def step_siemens(self, window: Window) -> float:
        """Return the distance of neighbouring levels."""
        return window.span_siemens / (self.count - 1)

    def nearest(self, siemens: Doubles, window: Window) -> Doubles:
        """Return the level nearest to each conductance."""
        position = (siemens - window.g_min_siemens) / window.span_siemens
        code = np.rint(np.clip(position, 0.0, 1.0) * (self.count - 1))
        level = window.g_min_siemens + window.span_siemens * (code / (self.count - 1))
        # The sum may round to just beyond the bound that the last level is.
        return np.minimum(level, window.g_max_siemens)
