"""How the free nodes move after one change, remembered as far as it has been asked for."""

from __future__ import annotations

import bisect
import math

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import HilepError, NotSettledError
from hilep.simulators.circuit.response import MOST_STEPS, Motion
from hilep.simulators.circuit.tail import Tail

GRID = 2.0**-38
"""Of the largest volts: what the volts at the start are rounded to. Rounding hides the last digits
in which the same state comes out again, and so lets a start be recognised."""
KEPT = 256
"""Times whose volts are kept beside those of the steps."""
LOOK = 4
"""Steps after which it is looked whether no rectifier changes more."""
TOLERANCE = 1e-6
"""Error of one step, as a fraction of the largest volts."""


def rounded(start: Doubles) -> Doubles:
    """Return `start` (batch, n_free) on the grid of each image, a power of two of its volts."""
    size = np.abs(start).max(axis=1, keepdims=True, initial=0.0)
    _, exponent = np.frexp(size)
    # Beyond double's range of exponents there is no such grid.
    grid = np.ldexp(GRID, np.maximum(exponent, -900))
    # Adding 0 makes one zero of both.
    return np.asarray(np.round(start / grid) * grid + 0.0)


class Trajectory:
    """The volts after a change at time 0, from `start` on.

    The lengths of the steps follow from their errors alone, and a time between the ends of two is
    reached from the earlier one by a step of its own; once no rectifier changes any more,
    exponentials lead on. So the volts depend on the start and on the time, and not on the times
    asked for before.

    Args:
        motion: of one image.
        start: volts before time 0 (1, n_free).

    Raises:
        BadInputError: where a junction would carry an infinite current.
    """

    def __init__(self, motion: Motion, start: Doubles) -> None:
        self._motion = motion
        volts, self._slope = motion.begin(start)
        size = np.abs(volts).max()
        self._tail: Tail | None = None
        self._weights: Doubles | None = None
        try:
            rest = motion.equilibrium()
            size = max(size, np.abs(rest).max())
            if (motion.farads > 0).all():
                self._tail = Tail(motion, rest[0])
        except HilepError:
            # Nothing decides the volts at rest, as nothing has to while the nodes move.
            size = max(size, np.abs(motion.implicit(volts, 1.0, volts)).max())
        self._allowed = np.full((1, 1), TOLERANCE * (size if size > 0 else 1.0))
        fastest = float((np.abs(self._slope) / self._allowed).max())
        self._rests = fastest == 0 or not motion.moving.any()
        self._length = 0.0 if self._rests else TOLERANCE ** (-2 / 3) / fastest
        self._times = [0.0]
        self._volts = [volts]
        self._between: dict[float, Doubles] = {}
        self._look()

    def at(self, seconds: float) -> Doubles:
        """Return the volts (1, n_free) after `seconds`, 0 or more.

        Raises:
            NotSettledError: where a step has no end, or the steps become too short.
            LimitError: where a negative spring leaves no stable volts.
        """
        if self._rests:
            return self._volts[0].copy()
        if seconds not in self._between:
            if len(self._between) >= KEPT:
                del self._between[next(iter(self._between))]
            self._between[seconds] = self._reached(seconds)
        return self._between[seconds].copy()

    def _reached(self, seconds: float) -> Doubles:
        while self._times[-1] < seconds and self._weights is None:
            self._extend(seconds)
        if self._tail and self._weights is not None and seconds >= self._times[-1]:
            return self._tail.value(self._weights, seconds - self._times[-1])[None]
        before = bisect.bisect_right(self._times, seconds) - 1
        volts, left = self._volts[before], seconds - self._times[before]
        if left == 0:
            return volts
        # The slope matters to the error alone, and the error is less than the longer step's.
        end, _, _ = self._motion.step(volts, self._slope, left)
        return end

    def _look(self) -> None:
        """See whether exponentials lead on from the last step."""
        if self._tail is not None:
            self._weights = self._tail.weights(self._volts[-1][0])

    def _extend(self, seconds: float) -> None:
        """Add the step after the last one."""
        for _ in range(MOST_STEPS):
            now, taken = self._times[-1], self._length
            if len(self._times) > MOST_STEPS or now + taken == now:
                break
            volts, slope, done, self._length = self._motion.attempt(
                self._volts[-1], self._slope, taken, taken, self._allowed
            )
            if done:
                self._slope = slope
                self._times.append(now + taken if math.isfinite(now + taken) else math.inf)
                self._volts.append(volts)
                if len(self._times) % LOOK == 0:
                    self._look()
                return
        raise NotSettledError(
            f"response: steps of {self._length:.3g} s at {self._times[-1]:.6g} s do not reach "
            f"{seconds:.6g} s to {TOLERANCE:.3g}"
        )
