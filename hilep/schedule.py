"""Learning-rate schedules: a factor on eta as a function of the update."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

ScheduleKind: TypeAlias = Literal["constant", "linear", "cosine", "step"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The factor on eta at each update.

    Args:
        kind: "constant" is 1; "linear" and "cosine" fall from 1 to `end` over the run; "step"
            multiplies by `factor` at each fraction of the run in `steps`.
        updates: length of the run.
        end: factor at the end of "linear" and "cosine".
        steps: fractions of the run at which "step" falls.
        factor: what "step" multiplies by.
    """

    kind: ScheduleKind
    updates: int
    end: float = 0.0
    steps: tuple[float, ...] = ()
    factor: float = 0.1

    def __call__(self, update: int) -> float:
        """Return the factor at `update`, counted from 0."""
        if self.kind == "constant":
            return 1.0
        done = update / self.updates
        if self.kind == "linear":
            return 1.0 + (self.end - 1.0) * done
        if self.kind == "cosine":
            return self.end + (1.0 - self.end) * 0.5 * (1.0 + math.cos(math.pi * done))
        return float(self.factor ** sum(done >= step for step in self.steps))
