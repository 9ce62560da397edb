"""What makes a hidden node nonlinear: an ideal diode, a junction, or a precision rectifier.

A rectifier of polarity +1 holds its node at or above its bias voltage by supplying current, one of
polarity -1 holds it at or below minus its bias voltage by drawing current. Both are written in
u = polarity * volts and i = polarity * (amperes into the node), so that one law serves both: i is
never increasing in u.

`current` is the law, `content` its co-content, the convex function whose slope is -i, and
`balanced` the volts of a node that has a rectifier and a conductance to ground, which has a closed
form for all three and shows a solver where along its curve a rectifier will be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import BadInputError
from hilep.simulators.circuit.junction import log_excess, series_junction

BOLTZMANN_OVER_CHARGE = 1.380649e-23 / 1.602176634e-19
"""Volts per kelvin, from the exact values of the SI."""


@dataclass(frozen=True, slots=True)
class IdealDiode:
    """The limit of every rectifier: u >= bias_v, i >= 0, and one of them is an equality.

    Attributes:
        bias_v: volts of the source behind the diode.
    """

    bias_v: float = 0.0

    @property
    def corner_v(self) -> float:
        """Volts u where it begins to conduct."""
        return self.bias_v

    def balanced(self, amps: Doubles, siemens: Doubles) -> Doubles:
        """Return u of a node with this rectifier; see `JunctionDiode.balanced`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return _decided(np.maximum(amps / siemens, self.bias_v))


@dataclass(frozen=True, slots=True)
class JunctionDiode:
    """Shockley's diode with a resistance in series and a leakage beside the two.

    i = j + leakage_siemens * (bias_v - u), where the junction's current j meets
    bias_v - u = slope_v * ln(1 + j / saturation_a) + series_ohm * j.

    Attributes:
        saturation_a: amperes.
        ideality: n; towards 0 the diode becomes ideal, and its drop falls in proportion.
        kelvin: temperature of the junction.
        series_ohm: resistance in series with the junction.
        leakage_siemens: conductance in parallel to junction and series resistance.
        bias_v: volts of the source behind the diode; about the drop makes it conduct from 0 V on.

    Raises:
        BadInputError: for a value outside its meaning.
    """

    saturation_a: float = 1e-12
    ideality: float = 1.0
    kelvin: float = 300.0
    series_ohm: float = 0.0
    leakage_siemens: float = 0.0
    bias_v: float = 0.0

    def __post_init__(self) -> None:
        for name in ("saturation_a", "ideality", "kelvin"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise BadInputError(f"diode {name}: expected a finite number > 0, got {value}")
        if not 1e-300 <= self.slope_v < math.inf:
            raise BadInputError(
                f"diode ideality, kelvin: {self.ideality} at {self.kelvin} K give a slope voltage "
                f"of {self.slope_v} V, expected at least 1e-300 and finite"
            )
        for name in ("series_ohm", "leakage_siemens"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise BadInputError(f"diode {name}: expected a finite number >= 0, got {value}")
        if not math.isfinite(self.bias_v):
            raise BadInputError(f"diode bias_v: expected finite volts, got {self.bias_v}")

    @property
    def slope_v(self) -> float:
        """Volts over which the current grows by e: n k T / q."""
        return self.ideality * BOLTZMANN_OVER_CHARGE * self.kelvin

    @property
    def corner_v(self) -> float:
        """Volts u where its current changes sign."""
        return self.bias_v

    def current(self, u: Doubles) -> tuple[Doubles, Doubles]:
        """Return i (amperes) and -di/du (siemens) at u (volts), elementwise.

        Infinite where a junction without series resistance would carry more than a float holds.
        """
        drop = self.bias_v - u
        with np.errstate(over="ignore"):
            excess, slope = self._excess(drop / self.slope_v)
            amps = self.saturation_a * excess + self.leakage_siemens * drop
            return amps, self.saturation_a / self.slope_v * slope + self.leakage_siemens

    def content(self, u: Doubles) -> Doubles:
        """Return the co-content (watts) at u, elementwise: 0 at bias_v, convex, of slope -i."""
        drop = self.bias_v - u
        x = drop / self.slope_v
        with np.errstate(over="ignore"):
            excess, _ = self._excess(x)
            work = self.saturation_a * self.slope_v * log_excess(excess, x, self._series)
            work = work + 0.5 * self.leakage_siemens * drop * drop
            if self.series_ohm:
                work = work + 0.5 * self.series_ohm * (self.saturation_a * excess) ** 2
            return np.asarray(work)

    def balanced(self, amps: Doubles, siemens: Doubles) -> Doubles:
        """Return u of a node with this rectifier, where i(u) + amps = siemens * u.

        Args:
            amps: that flow into the node besides the rectifier's, times its polarity.
            siemens: from the node to ground, not negative, of the same shape.

        Returns:
            Volts; NaN where no or more than one u meets the law.
        """
        total = siemens + self.leakage_siemens
        lone = total == 0
        if lone.any():
            with np.errstate(divide="ignore", invalid="ignore"):
                drop = self.slope_v * np.log1p(-amps / self.saturation_a) - self.series_ohm * amps
            volts = _decided(self.bias_v - drop)
            volts[~lone] = self.balanced(amps[~lone], siemens[~lone])
            return volts
        # Seen from the junction, the node's conductance is one more resistance in series.
        open_drop = (siemens * self.bias_v - amps) / total
        series = self.series_ohm + 1.0 / total
        excess, _ = series_junction(
            open_drop / self.slope_v, series * (self.saturation_a / self.slope_v)
        )
        j = self.saturation_a * excess
        across = self.slope_v * np.log1p(np.maximum(excess, -0.5)) + self.series_ohm * j
        blocks = excess < -0.5
        apart = (amps + self.leakage_siemens * self.bias_v + j) / total
        volts = np.where(blocks, apart, self.bias_v - across)
        # Fed with almost its saturation current a junction's drop is a difference of large ones.
        vague = blocks & (np.abs(j) > 0.01 * total * np.abs(open_drop - j / total))
        if vague.any():
            at, inward, load = volts[vague], amps[vague], siemens[vague]
            for _ in range(2):
                current, slope = self.current(at)
                at = at + (current + inward - load * at) / (load + slope)
            volts[vague] = at
        return volts

    @property
    def _series(self) -> float:
        return self.series_ohm * self.saturation_a / self.slope_v

    def _excess(self, x: Doubles) -> tuple[Doubles, Doubles]:
        """Return j / saturation_a and its slope where the drop is x times slope_v."""
        if self._series == 0:
            return np.expm1(x), np.exp(x)
        return series_junction(x, np.full_like(x, self._series))


@dataclass(frozen=True, slots=True)
class PrecisionRectifier:
    """A diode in the feedback of an operational amplifier: a straight line and a corner.

    i = (bias_v + offset_v - u) / on_ohm where that is positive, else
    off_siemens * (bias_v + offset_v - u).

    Attributes:
        on_ohm: output resistance of the closed loop; towards 0 the rectifier becomes ideal.
        off_siemens: conductance where it blocks.
        offset_v: input offset voltage of the amplifier.
        bias_v: volts at which the corner is meant to be.

    Raises:
        BadInputError: for a value outside its meaning.
    """

    on_ohm: float = 1.0
    off_siemens: float = 0.0
    offset_v: float = 0.0
    bias_v: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.on_ohm) and self.on_ohm > 0):
            raise BadInputError(f"rectifier on_ohm: expected finite ohms > 0, got {self.on_ohm}")
        if not 0 <= self.off_siemens < 1 / self.on_ohm:
            raise BadInputError(
                f"rectifier off_siemens: expected >= 0 and below 1/on_ohm, got {self.off_siemens}"
            )
        for name in ("offset_v", "bias_v"):
            if not math.isfinite(getattr(self, name)):
                raise BadInputError(f"rectifier {name}: expected finite volts")

    @property
    def corner_v(self) -> float:
        """Volts u where the corner is."""
        return self.bias_v + self.offset_v

    def current(self, u: Doubles) -> tuple[Doubles, Doubles]:
        """Return i (amperes) and -di/du (siemens) at u (volts), elementwise."""
        drop = self.corner_v - u
        slope = np.where(drop > 0, 1 / self.on_ohm, self.off_siemens)
        return np.where(drop > 0, drop / self.on_ohm, self.off_siemens * drop), slope

    def content(self, u: Doubles) -> Doubles:
        """Return the co-content (watts) at u, elementwise: 0 at the corner, of slope -i."""
        amps, _ = self.current(u)
        return np.asarray(0.5 * amps * (self.corner_v - u))

    def balanced(self, amps: Doubles, siemens: Doubles) -> Doubles:
        """Return u of a node with this rectifier; see `JunctionDiode.balanced`."""
        short = siemens * self.corner_v - amps
        with np.errstate(divide="ignore", invalid="ignore"):
            blocking = self.corner_v - short / (siemens + self.off_siemens)
        conducting = self.corner_v - short * self.on_ohm / (1.0 + siemens * self.on_ohm)
        return _decided(np.where(short > 0, conducting, blocking))


Rectifier: TypeAlias = IdealDiode | JunctionDiode | PrecisionRectifier


def _decided(volts: Doubles) -> Doubles:
    """Return `volts` with NaN in place of infinity: no current law decides either."""
    return np.where(np.isfinite(volts), volts, np.nan)
