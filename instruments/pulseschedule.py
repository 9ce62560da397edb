"""Which pulse comes next: schedules of height and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hilep.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Schedule:
    """Pulses of successive attempts in one direction; further attempts repeat the last.

    Attributes:
        volts: the height of each.
        seconds: its width.

    Raises:
        BadInputError: none, another number of widths than of heights, or a pulse of nothing.
    """

    volts: tuple[float, ...]
    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.volts or len(self.volts) != len(self.seconds):
            raise BadInputError(
                f"pulse schedule: {len(self.volts)} heights and {len(self.seconds)} widths, "
                "expected as many of both, at least one"
            )
        if 0 in self.volts or not all(width > 0 for width in self.seconds):
            raise BadInputError("pulse schedule: expected heights other than 0 V, widths above 0 s")

    @classmethod
    def of(cls, volts: Sequence[float], seconds: Sequence[float]) -> Schedule:
        """Return the schedule of these heights and widths."""
        return cls(tuple(map(float, volts)), tuple(map(float, seconds)))

    def pulse(self, attempt: int) -> tuple[float, float]:
        """Return volts and seconds of an attempt, counted from 0."""
        place = min(attempt, len(self.volts) - 1)
        return self.volts[place], self.seconds[place]
