"""What becomes of a conductance after it was programmed: drift, or loss of what was stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hilep.arrays import Doubles
from hilep.simulators.cells.ranges import not_negative, positive


class Ageing(Protocol):
    """A law by which conductances change while nobody programs them.

    Ageing from a to b and then from b to c is ageing from a to c.
    """

    def individual(self, shape: tuple[int, int], generator: np.random.Generator) -> Doubles:
        """Return what differs from cell to cell: () where nothing does, else (n_pre, n_post)."""
        ...

    def aged(self, siemens: Doubles, own: Doubles, before_s: float, after_s: float) -> Doubles:
        """Return what cells conduct later.

        Args:
            siemens: what they conduct at age `before_s` (...).
            own: from `individual`.
            before_s: seconds since the last write.
            after_s: the same, later.
        """
        ...


@dataclass(frozen=True, slots=True)
class Drift:
    """Power-law drift of phase-change memory: g = g0 (t / t0)^(-exponent).

    Ielmini, Lacaita and Mantegazza, "Recovery and drift dynamics of resistance and threshold
    voltages in phase-change memories" (2007); Joshi et al., "Accurate deep neural network inference
    using computational phase-change memory" (2020), measured exponents between about 0.05 and 0.1
    in the mean. Up to the age t0 a cell conducts what was written.

    Attributes:
        exponent: mean of the cells' exponents.
        spread: their standard deviation; a cell whose draw is negative does not drift.
        reference_s: t0, the age at which a write is verified.

    Raises:
        BadInputError: for a negative exponent or spread, or a reference that is not positive.
    """

    exponent: float
    spread: float = 0.0
    reference_s: float = 1.0

    def __post_init__(self) -> None:
        not_negative(drift_exponent=self.exponent, drift_spread=self.spread)
        positive(drift_reference_s=self.reference_s)

    def individual(self, shape: tuple[int, int], generator: np.random.Generator) -> Doubles:
        """Return each cell's exponent."""
        if not self.spread:
            return np.asarray(self.exponent)
        return np.maximum(self.exponent + self.spread * generator.standard_normal(shape), 0.0)

    def aged(self, siemens: Doubles, own: Doubles, before_s: float, after_s: float) -> Doubles:
        """Return siemens * (after / before)^(-own), both ages at least the reference."""
        first, last = max(before_s, self.reference_s), max(after_s, self.reference_s)
        return np.asarray(siemens * np.exp(-math.log(last / first) * own))


@dataclass(frozen=True, slots=True)
class Retention:
    """Exponential relaxation to a conductance at rest, with one time constant.

    First-order loss of what was stored, as from a leaking capacitor; the pulsed devices of aihwkit
    decay so with their `lifetime` (Rasch et al., "A flexible and fast PyTorch toolkit for
    simulating training and inference on analog crossbar arrays", 2021). How old a cell is does not
    matter, only how much time passes.

    Attributes:
        time_constant_s: seconds in which the distance from rest falls by e.
        rest_siemens: where a cell ends.

    Raises:
        BadInputError: for a time constant that is not positive or a negative rest.
    """

    time_constant_s: float
    rest_siemens: float = 0.0

    def __post_init__(self) -> None:
        positive(retention_s=self.time_constant_s)
        not_negative(retention_rest_siemens=self.rest_siemens)

    def individual(self, shape: tuple[int, int], generator: np.random.Generator) -> Doubles:
        """Return nothing: all cells have one time constant."""
        return np.asarray(0.0)

    def aged(self, siemens: Doubles, own: Doubles, before_s: float, after_s: float) -> Doubles:
        """Return rest + (siemens - rest) * exp(-(after - before) / time constant)."""
        kept = math.exp(-(after_s - before_s) / self.time_constant_s)
        return np.asarray(self.rest_siemens + kept * (siemens - self.rest_siemens))
