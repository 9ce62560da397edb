"""Cells whose current is not proportional to their voltage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.simulators.cells.ranges import positive


@dataclass(frozen=True, slots=True)
class SinhLaw:
    """i = g v0 sinh(v / v0): tunnelling between electrodes, ohmic with g at small volts.

    The current-voltage law of Guan, Yu and Wong, "A SPICE compact model of metal oxide resistive
    switching memory with variations" (2012), with its prefactor written as a conductance.

    Attributes:
        volts: v0; towards infinity the cell is ohmic.

    Raises:
        BadInputError: unless v0 is positive and finite.
    """

    volts: float

    def __post_init__(self) -> None:
        positive(nonlinearity_v=self.volts)

    def current(self, volts: ArrayLike, siemens: ArrayLike) -> tuple[Doubles, Doubles]:
        """Return the current in amperes and its derivative by the voltage in siemens.

        Args:
            volts: across the cell (...).
            siemens: conductance at 0 V, broadcast with volts; a cell of 0 S carries nothing.

        Returns:
            Both (...); infinite where they leave the range of numbers.
        """
        x, g = self._reduced(volts, siemens)
        with np.errstate(over="ignore", invalid="ignore"):
            amps = np.where(g == 0, 0.0, g * (self.volts * np.sinh(x)))
            slope = np.where(g == 0, 0.0, g * np.cosh(x))
        return amps, slope

    def content(self, volts: ArrayLike, siemens: ArrayLike) -> Doubles:
        """Return the co-content, the integral of the current from 0 to `volts`, in watts.

        g v0^2 (cosh(v / v0) - 1), as 2 g v0^2 sinh(v / 2 v0)^2, which keeps its digits at small v.
        """
        x, g = self._reduced(volts, siemens)
        with np.errstate(over="ignore", invalid="ignore"):
            half = self.volts * np.sinh(x / 2)
            return np.where(g == 0, 0.0, 2 * g * half * half)

    def _reduced(self, volts: ArrayLike, siemens: ArrayLike) -> tuple[Doubles, Doubles]:
        with np.errstate(over="ignore"):
            x = np.asarray(volts, dtype=np.float64) / self.volts
        return x, np.asarray(siemens, dtype=np.float64)
