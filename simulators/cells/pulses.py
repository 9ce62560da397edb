"""Open-loop programming: how far a pulse moves a conductance, and how many a controller sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import BadInputError
from hilep.simulators.cells.draws import positive_factors
from hilep.simulators.cells.ranges import not_negative, positive
from hilep.simulators.cells.window import Window

Counts: TypeAlias = NDArray[np.int64]
Rounding: TypeAlias = Literal["stochastic", "nearest"]

STEEPEST = 100.0
"""Largest magnitude of a nonlinearity: beyond, the first or the last pulse is all there is."""
STRAIGHT = 1e-12
"""Magnitude of a nonlinearity below which the curve is a line to all digits."""


def climb(share: Doubles, bend: Doubles) -> Doubles:
    """Return (1 - exp(-bend * share)) / (1 - exp(-bend)), and `share` for a bend of 0."""
    straight = np.abs(bend) < STRAIGHT
    safe = np.where(straight, 1.0, bend)
    return np.where(straight, share, np.expm1(-safe * share) / np.expm1(-safe))


@dataclass(frozen=True, slots=True)
class PulseResponse:
    """Potentiation and depression along exponentials of the number of pulses.

    With x the place in the cell's own window, 0 to 1, and P the pulses across it, n pulses up from
    the lower bound lead to x = (1 - exp(-a n / P)) / (1 - exp(-a)), and n pulses down from the
    upper bound to x = 1 - (1 - exp(-b n / P)) / (1 - exp(-b)): the behavioural model of Chen, Peng
    and Yu, "NeuroSim: a circuit-level macro model for benchmarking neuro-inspired architectures in
    online learning" (2018), whose parameter A is P / a. a = 0 is a straight line, a < 0 bends the
    other way, and the soft bounds of aihwkit (Rasch et al., "A flexible and fast PyTorch toolkit
    for simulating training and inference on analog crossbar arrays", 2021) are a and P towards
    infinity at the same a / P. It was chosen because pulses add up exactly: n pulses and then m are
    n + m, so that a burst costs one evaluation.

    Noise is in how much a pulse counts: it counts as a normal number about 1, and a burst of n as
    one about n with sqrt(n) times its standard deviation, which is the same law.

    Attributes:
        pulses: P, which may be any positive number.
        nonlinearity_up, nonlinearity_down: a and b.
        asymmetry: a pulse up counts 1 + asymmetry, a pulse down 1 - asymmetry.
        cycle_noise: standard deviation of what one pulse counts, pulse to pulse.
        device_spread: standard deviation of what a pulse counts, cell to cell; log-normal.
        nonlinearity_spread: standard deviation of a and of b, cell to cell; normal.

    Raises:
        BadInputError: for a number outside its meaning.
    """

    pulses: float
    nonlinearity_up: float = 0.0
    nonlinearity_down: float = 0.0
    asymmetry: float = 0.0
    cycle_noise: float = 0.0
    device_spread: float = 0.0
    nonlinearity_spread: float = 0.0

    def __post_init__(self) -> None:
        positive(pulses=self.pulses)
        not_negative(
            pulse_cycle_noise=self.cycle_noise,
            pulse_device_spread=self.device_spread,
            pulse_nonlinearity_spread=self.nonlinearity_spread,
        )
        for name in ("nonlinearity_up", "nonlinearity_down"):
            if not abs(getattr(self, name)) <= STEEPEST:
                raise BadInputError(
                    f"device.cells.pulse_{name}: expected -{STEEPEST:g} to {STEEPEST:g}, "
                    f"got {getattr(self, name)}"
                )
        if not abs(self.asymmetry) < 1:
            raise BadInputError(
                f"device.cells.pulse_asymmetry: expected between -1 and 1, got {self.asymmetry}"
            )

    def individual(
        self, shape: tuple[int, int], generator: np.random.Generator
    ) -> tuple[Doubles, Doubles, Doubles]:
        """Return each cell's factor, a and b: () where all cells are alike, else `shape`."""
        steps, ups, downs = generator.spawn(3)
        factor = np.asarray(1.0)
        up, down = np.asarray(self.nonlinearity_up), np.asarray(self.nonlinearity_down)
        if self.device_spread:
            factor = positive_factors(steps, shape, self.device_spread)
        if self.nonlinearity_spread:
            up = up + self.nonlinearity_spread * ups.standard_normal(shape)
            down = down + self.nonlinearity_spread * downs.standard_normal(shape)
        return factor, np.clip(up, -STEEPEST, STEEPEST), np.clip(down, -STEEPEST, STEEPEST)

    def counted(self, counts: Counts, factor: Doubles, generator: np.random.Generator) -> Doubles:
        """Return what bursts of `counts` pulses (n,), signed, count as; noise may turn the sign."""
        worth = counts.astype(np.float64)
        if self.cycle_noise:
            drawn = generator.standard_normal(counts.shape)
            worth += self.cycle_noise * np.sqrt(np.abs(worth)) * drawn
        side = np.where(counts > 0, 1 + self.asymmetry, 1 - self.asymmetry)
        return np.asarray(worth * factor * side)

    def moved(
        self,
        siemens: Doubles,
        low: Doubles,
        high: Doubles,
        worth: Doubles,
        bend: Doubles,
        upwards: NDArray[np.bool_],
    ) -> Doubles:
        """Return the conductance after pulses, within the cell's bounds.

        Args:
            siemens: before (n,).
            low: the cells' lower bounds, broadcast.
            high: their upper bounds, broadcast.
            worth: what the pulses count as, positive up (n,).
            bend: a where the pulses go up, b where they go down, broadcast.
            upwards: which curve (n,).
        """
        # Nothing is left to gain after P pulses, and their exponentials stay in range.
        share = np.clip(np.where(upwards, worth, -worth) / self.pulses, -1.0, 1.0)
        climbed = np.where(upwards, siemens - low, high - siemens)
        gain = ((high - low) + np.expm1(-bend) * climbed) * climb(share, bend)
        moved = np.where(upwards, siemens + gain, siemens - gain)
        return np.asarray(np.clip(moved, low, high))

    def counts_for(
        self,
        change: Doubles,
        window: Window,
        rounding: Rounding,
        generator: np.random.Generator,
    ) -> Counts:
        """Return how many pulses a controller sends that knows only the nominal mean step.

        A step is the nominal window over P; at most P pulses are sent. Rounding at random keeps the
        mean of changes smaller than a step, as do the pulse trains of Gokmen and Vlasov,
        "Acceleration of deep neural network training with resistive cross-point devices" (2016).

        Args:
            change: siemens wanted (...).
            window: the nominal one.
            rounding: "stochastic" or "nearest".
            generator: for the first.

        Raises:
            BadInputError: for another rounding.
        """
        step = window.span_siemens / self.pulses
        worth = np.where(change > 0, 1 + self.asymmetry, 1 - self.asymmetry)
        wanted = np.clip(change / (step * worth), -self.pulses, self.pulses)
        if rounding == "nearest":
            return np.rint(wanted).astype(np.int64)
        if rounding != "stochastic":
            raise BadInputError(
                f'cells: pulse rounding: expected "stochastic" or "nearest", got {rounding!r}'
            )
        return np.floor(wanted + generator.random(wanted.shape)).astype(np.int64)

    def curve(self, counts: NDArray[np.floating], direction: Literal["up", "down"]) -> Doubles:
        """Return the nominal place in the window, 0 to 1, after `counts` pulses from its end."""
        bend = self.nonlinearity_up if direction == "up" else self.nonlinearity_down
        share = np.clip(np.asarray(counts) / self.pulses, 0.0, 1.0)
        climbed = climb(share, np.asarray(bend))
        return climbed if direction == "up" else 1.0 - climbed
