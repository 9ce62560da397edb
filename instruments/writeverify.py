"""Write and verify one cell: read it, pulse it towards its target, read it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hilep.instruments.pulseschedule import Schedule
from hilep.instruments.pulsewidths import CellResponse


@dataclass(frozen=True, slots=True)
class Verified:
    """A read of one cell.

    Attributes:
        siemens: what was found; the least that it can be where the reader was at its limit.
        good: whether the reader was within its limits.
    """

    siemens: float
    good: bool = True


class SelectedCell(Protocol):
    """The one cell that the paths lead to."""

    def read(self) -> Verified:
        """Read it at a voltage that does not disturb it."""

    def pulse(self, volts: float, seconds: float) -> None:
        """Give one pulse, never a second one instead of it."""


@dataclass(frozen=True, slots=True)
class CellWrite:
    """What writing one cell came to.

    Attributes:
        siemens: as verified last.
        failed: whether that is not within the tolerance.
        pulses: used.
        reversals: how often the direction changed.
    """

    siemens: float
    failed: bool
    pulses: int
    reversals: int


def write_verify(
    cell: SelectedCell,
    siemens: float,
    within: float,
    increase: Schedule,
    decrease: Schedule,
    budget: int,
    response: CellResponse | None = None,
) -> CellWrite:
    """Bring a cell to `siemens`, each pulse followed by a read.

    A cell that puts the reader at its limit is lowered, if it will go.

    As long as the direction stays the schedule goes on; once it changes, the other one starts from
    its first pulse, which is the finest.

    Args:
        cell: selected.
        siemens: the target.
        within: how far it may be off, siemens.
        increase: pulses that raise its conductance.
        decrease: pulses that lower it.
        budget: pulses that it may take.
        response: predicts widths, and learns; without one they are the schedules' own. The
            schedules are of one height each then.
    """
    found = cell.read()
    pulses = reversals = attempt = 0
    direction = 0
    while _missed(found, siemens, within) and pulses < budget:
        wanted = 1 if found.siemens < siemens else -1
        if wanted != direction:
            reversals += direction != 0
            attempt, direction = 0, wanted
        schedule = increase if wanted > 0 else decrease
        volts, seconds = schedule.pulse(attempt)
        if response is not None and found.good:
            missing = abs(siemens - found.siemens)
            seconds = response.seconds(wanted, missing, schedule) or seconds
        before = found
        cell.pulse(volts, seconds)
        attempt += 1
        pulses += 1
        found = cell.read()
        if response is not None and before.good and found.good:
            moved = wanted * (found.siemens - before.siemens)
            response.learn(wanted, seconds, moved, 0.25 * within)
    return CellWrite(found.siemens, _missed(found, siemens, within), pulses, reversals)


def _missed(found: Verified, siemens: float, within: float) -> bool:
    return not found.good or abs(found.siemens - siemens) > within
