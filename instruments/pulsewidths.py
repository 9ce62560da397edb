"""How wide the next pulse has to be, by what pulses of that height did to the cell before."""

from __future__ import annotations

from statistics import median
from typing import TypeAlias

from hilep.instruments.pulseschedule import Schedule

Place: TypeAlias = tuple[int, int, int]


class CellResponse:
    """How fast pulses move one cell, in each direction.

    A width is proportional to what is missing, and never beyond the schedule's finest and widest
    pulse. A cell that has not been seen to move takes the schedule as it is.

    Args:
        rates: siemens per second of the cell, by direction, +1 or -1; kept up to date.
    """

    def __init__(self, rates: dict[int, float]) -> None:
        self._rates = rates

    def seconds(self, direction: int, missing: float, schedule: Schedule) -> float | None:
        """Return the width of the next pulse, or None where nothing is known.

        Args:
            direction: +1 or -1.
            missing: siemens that the cell is off, positive.
            schedule: of this direction, all of one height.
        """
        rate = self._rates.get(direction)
        if rate is None:
            return None
        width = min(max(missing / rate, min(schedule.seconds)), max(schedule.seconds))
        return float(f"{width:.3g}")

    def learn(self, direction: int, seconds: float, moved: float, resolved: float) -> None:
        """Take up what a pulse did.

        Args:
            direction: +1 or -1.
            seconds: its width.
            moved: siemens in that direction; negative the other way.
            resolved: siemens below which a change says nothing. What a cell is known to do is
                then forgotten, so that one that has slowed down or is stuck is not trusted.
        """
        if moved > resolved:
            self._rates[direction] = moved / seconds
        else:
            self._rates.pop(direction, None)


class ArrayResponse:
    """The responses of all cells; one that is new is taken to be like the median of the others."""

    def __init__(self) -> None:
        self._cells: dict[Place, dict[int, float]] = {}

    def of_cell(self, place: Place) -> CellResponse:
        """Return the response of the cell at (layer, row, column)."""
        rates = self._cells.get(place)
        if rates is None:
            rates = self._cells[place] = {}
            for direction in (1, -1):
                known = [one[direction] for one in self._cells.values() if direction in one]
                if known:
                    rates[direction] = median(known)
        return CellResponse(rates)
