"""How a voltage across a cell moves its conductance: pulses with a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import BadInputError

_MOST = 1e9


@dataclass(frozen=True, slots=True)
class Switching:
    """What a voltage across a cell, for some time, counts as in pulses of `PulseResponse`.

    Below its threshold a cell stays as it is; above, its state moves at a rate that grows as
    (|V| / threshold - 1)^exponent: the rate law of Kvatinsky, Ramadan, Friedman and Kolodny,
    "VTEAM: a general model for voltage-controlled memristors" (2015), with the response to pulses
    in the place of its window. A pulse of `volts` and `seconds` counts as one.
    A positive voltage, its row higher than its column, raises the conductance.

    Attributes:
        threshold_v: up to which nothing happens, the same both ways.
        volts, seconds: height and width of a pulse that counts as one.
        exponent: of the rate.

    Raises:
        BadInputError: unless 0 < threshold_v < volts, and seconds and exponent are positive.
    """

    threshold_v: float
    volts: float
    seconds: float
    exponent: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.threshold_v < self.volts < np.inf:
            raise BadInputError(
                "virtual.switching: expected 0 < threshold_v < volts, got "
                f"{self.threshold_v} and {self.volts}"
            )
        for name in ("seconds", "exponent"):
            if not 0 < getattr(self, name) < np.inf:
                raise BadInputError(f"virtual.switching.{name}: expected more than 0")

    def pulses(self, across: Doubles, seconds: float) -> Doubles:
        """Return what volts across cells (...) for `seconds` count as, positive up (...)."""
        beyond = np.maximum(np.abs(across) - self.threshold_v, 0.0)
        rate = (beyond / (self.volts - self.threshold_v)) ** self.exponent / self.seconds
        return np.sign(across) * np.minimum(rate * seconds, _MOST)
