"""Flicker: conductances that fluctuate with a spectrum of 1/f."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.simulators.cells.draws import draws
from hilep.simulators.cells.ranges import positive, whole


@dataclass(frozen=True, slots=True)
class Flicker:
    """1/f fluctuation of the conductance as a sum of octaves, each a sample and hold.

    Voss's method (Gardner, "White and brown music, fractal curves and one-over-f fluctuations",
    1978): octave k keeps one normal number for period_s * 2^k seconds, and all octaves have the
    same variance. From 1 / (period_s * 2^octaves) to 1 / (64 period_s) the one-sided spectrum of
    the relative fluctuation is relative^2 / (octaves ln 2 f), with a ripple of a tenth; it is flat
    below and ends at 1 / period_s. That phase-change cells fluctuate so, in proportion to
    their conductance: Nandakumar et al., "Phase-change memory models for deep learning training
    and inference" (2019).

    Attributes:
        relative: standard deviation of the conductance, as a fraction of it.
        octaves: how many.
        period_s: seconds that the fastest octave keeps its number.

    Raises:
        BadInputError: for a number outside its meaning.
    """

    relative: float
    octaves: int = 16
    period_s: float = 1.0

    def __post_init__(self) -> None:
        positive(flicker_relative=self.relative, flicker_period_s=self.period_s)
        whole(1, flicker_octaves=self.octaves)

    def slot(self, octave: int, at_s: float) -> int:
        """Return how many times octave `octave` has changed by `at_s`, from 0 s on."""
        return math.floor(at_s / self.period_s / 2.0**octave)


class Fluctuation:
    """The flicker of one layer's cells, a function of time alone.

    Each number is drawn at the address (seed, layer, octave, slot), so that nothing need be stored
    to go on; the last ones are kept only because neighbouring reads share most of them.

    Args:
        flicker: the law.
        seed: of the cells.
        layer: the array.
        shape: (n_pre, n_post).
    """

    def __init__(self, flicker: Flicker, seed: int, layer: int, shape: tuple[int, int]) -> None:
        self.flicker = flicker
        self._seed = seed
        self._layer = layer
        self._shape = shape
        self._kept: dict[int, tuple[int, NDArray[np.float32]]] = {}

    def factor(self, at_s: float) -> Doubles:
        """Return what multiplies each conductance at `at_s` (n_pre, n_post); never negative."""
        total = np.zeros(self._shape)
        for octave in range(self.flicker.octaves):
            total += self._held(octave, self.flicker.slot(octave, at_s))
        total *= self.flicker.relative / math.sqrt(self.flicker.octaves)
        total += 1.0
        return np.maximum(total, 0.0, out=total)

    def _held(self, octave: int, slot: int) -> NDArray[np.float32]:
        kept = self._kept.get(octave)
        if kept is None or kept[0] != slot:
            generator = draws(self._seed, "flicker", self._layer, octave, slot)
            kept = slot, generator.standard_normal(self._shape, dtype=np.float32)
            self._kept[octave] = kept
        return kept[1]
