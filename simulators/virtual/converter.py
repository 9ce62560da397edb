"""What an instrument adds to the truth: ranges, noise, steps, gain and offset."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hilep.arrays import Floats


@dataclass(frozen=True, slots=True)
class Converter:
    """An integrating analog-to-digital converter with its ranges.

    The noise of a reading is white: `noise` times the range at 1 power line cycle, falling as
    1 / sqrt(NPLC) down to `floor` times the range. Its step is `step` times the range from 1 cycle
    on, ten times that from 0.1, and a hundred times below. The fractions are those of a 6 1/2 digit
    instrument's specifications to an order of magnitude; a test or a bench file may set others.

    Attributes:
        ranges: full scales, volts or amperes, ascending.
        over: how far a range reaches, as a factor.
        noise: standard deviation at 1 power line cycle as a fraction of the range.
        floor: the smallest standard deviation, as a fraction of the range.
        step: the step from 1 power line cycle on, as a fraction of the range.
        gain: reading over truth.
        offset: volts or amperes.
    """

    ranges: tuple[float, ...]
    over: float = 1.05
    noise: float = 1e-6
    floor: float = 2e-7
    step: float = 1e-6
    gain: float = 1.0
    offset: float = 0.0

    def holding(self, value: float) -> float | None:
        """Return the smallest range that holds `value`, or None."""
        size = abs(value) * (1 - 1e-9)
        return next((r for r in self.ranges if size <= r * self.over), None)

    def sigma(self, full_scale: float, nplc: float) -> float:
        """Return the standard deviation of a reading, volts or amperes."""
        return full_scale * max(self.floor, self.noise / math.sqrt(nplc))

    def resolution(self, full_scale: float, nplc: float) -> float:
        """Return the step of a reading, volts or amperes."""
        return full_scale * self.step * (1 if nplc >= 1 else 10 if nplc >= 0.1 else 100)

    def read(
        self, truth: Floats, full_scale: float, nplc: float, generator: np.random.Generator
    ) -> Floats:
        """Return readings of `truth` in the same shape; NaN where the range does not hold it."""
        values = truth * self.gain + self.offset
        values = values + generator.normal(0.0, self.sigma(full_scale, nplc), values.shape)
        step = self.resolution(full_scale, nplc)
        if step > 0:
            values = np.round(values / step) * step + 0.0  # no negative zero
        values[np.abs(values) > full_scale * self.over * (1 + 1e-9)] = np.nan
        return values
