"""What makes a hidden node nonlinear: an ideal diode, a junction, or a precision rectifier.

A rectifier of polarity +1 holds its node at or above its bias voltage by supplying current, one of
polarity -1 holds it at or below minus its bias voltage by drawing current. Both are written in
u = polarity * volts and i = polarity * (amperes into the node), so that one law serves both: i is
never increasing in u.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hilep.errors import BadInputError

BOLTZMANN_OVER_CHARGE = 1.380649e-23 / 1.602176634e-19
"""Volts per kelvin, from the exact values of the SI."""


@dataclass(frozen=True, slots=True)
class IdealDiode:
    """The limit of every rectifier: u >= bias_v, i >= 0, and one of them is an equality.

    Attributes:
        bias_v: volts of the source behind the diode.
    """

    bias_v: float = 0.0


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
