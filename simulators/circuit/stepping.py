"""Steps in time of nodes with capacitance: a two-stage implicit method with step control."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from hilep.arrays import Doubles
from hilep.simulators.circuit.blocks import Mask

GAMMA = 1 - 2**-0.5
"""Makes the two-stage method below of second order and L-stable (Alexander, "Diagonally implicit
Runge-Kutta methods for stiff O.D.E.'s", 1977)."""
ERROR = (-(2**0.5) / 3, 2 / 3, 2**0.5 / 3 - 2 / 3)
"""Weights of the slopes at the begin, in the middle and at the end of a step, whose sum times the
step is the difference to a third-order result for a linear circuit."""
SAFETY, LEAST, MOST = 0.9, 0.2, 5.0
"""Of the next step's length, as in any step control."""


class Movement(ABC):
    """Volts that move, whose implicit steps can be found."""

    @property
    @abstractmethod
    def moving(self) -> Mask:
        """Nodes whose volts are a state: neither clamped nor without capacitance."""

    @abstractmethod
    def implicit(self, before: Doubles, seconds: float, start: Doubles) -> Doubles:
        """Return V with C (V - before) / seconds = the currents at V, in the shape of `before`.

        Args:
            before: volts.
            seconds: more than 0.
            start: volts to begin the search with.
        """

    def step(
        self, volts: Doubles, slope: Doubles, seconds: float
    ) -> tuple[Doubles, Doubles, Doubles]:
        """Return volts and slope at the end of one step, and the volts' estimated error.

        Args:
            volts: at its begin.
            slope: dV/dt there, as the step before returned it.
            seconds: its length.
        """
        part = GAMMA * seconds
        middle = self.implicit(volts, part, volts)
        inner = (middle - volts) / part
        before = volts + (1 - GAMMA) * seconds * inner
        end = self.implicit(before, part, middle)
        last = (end - before) / part
        error = seconds * (ERROR[0] * slope + ERROR[1] * inner + ERROR[2] * last)
        return end, last, np.where(self.moving, error, 0.0)

    def attempt(
        self, volts: Doubles, slope: Doubles, taken: float, length: float, allowed: Doubles
    ) -> tuple[Doubles, Doubles, bool, float]:
        """Try one step.

        Args:
            volts: at its begin.
            slope: dV/dt there.
            taken: its length.
            length: that it might have had; `taken` may be less, to end where it should.
            allowed: error in volts, in the shape of `volts` or as numpy broadcasts it.

        Returns:
            Volts, slope, whether they are those of its end, and the length of the next one.
        """
        new, new_slope, error = self.step(volts, slope, taken)
        off = float((np.abs(error) / allowed).max())
        factor = min(MOST, max(LEAST, SAFETY * off ** (-1 / 3))) if off > 0 else MOST
        if off <= 1:
            longer = max(length, taken * factor) if factor > 1 else taken * factor
            return new, new_slope, True, longer
        return volts, slope, False, taken * factor
