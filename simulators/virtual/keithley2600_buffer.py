"""Reading buffers of the Keithley 2600B.

After "Series 2600B System SourceMeter Instrument Reference Manual", 2600BS-901-01 Rev. F, section
"TSP command reference" (bufferVar.*, with the table of buffer status bits).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hilep.simulators.virtual.tsp_node import Node, TspError

COMPLIANCE = 64
"""Bit of a reading's status."""


@dataclass(frozen=True, slots=True)
class Record:
    """One reading: its value, seconds since power-on, status, source level and measure range."""

    reading: float
    time_s: float
    status: int
    source: float
    span: float


class Buffer(Node):
    """A reading buffer as a TSP table.

    Args:
        name: unique in the instrument.
        capacity: how many readings it holds.
    """

    def __init__(self, name: str, capacity: int) -> None:
        super().__init__(
            name, appendmode=0.0, collecttimestamps=1.0, collectsourcevalues=1.0, cachemode=1.0,
            fillmode=0.0, fillcount=float(capacity), timestampresolution=1e-6,
        )  # fmt: skip
        self.records: list[Record] = []
        self.capacity = capacity
        self.constants.update(capacity=float(capacity), clear=self._clear, clearcache=_nothing)
        for name in ("collecttimestamps", "collectsourcevalues", "timestampresolution"):
            self.checks[name] = self._when_empty
        self.computed.update(
            n=lambda: float(len(self.records)),
            readings=lambda: [r.reading for r in self.records],
            timestamps=lambda: [r.time_s - self.records[0].time_s for r in self.records],
            statuses=lambda: [float(r.status) for r in self.records],
            sourcevalues=lambda: [r.source for r in self.records],
            measureranges=lambda: [r.span for r in self.records],
            basetimestamp=lambda: self.records[0].time_s if self.records else 0.0,
        )

    def store(self, records: list[Record]) -> bool:
        """Add the readings of one measurement and return whether all of them found room.

        Unless it appends, what was there before goes first.
        """
        if not self.values["appendmode"]:
            self.records = []
        room = self.capacity - len(self.records)
        self.records += records[:room]
        return len(records) <= room

    def get(self, key: Any) -> Any:
        """Return an attribute, or a reading by its number."""
        if isinstance(key, (int, float)) and not isinstance(key, bool):
            index = int(key) - 1
            return self.records[index].reading if 0 <= index < len(self.records) else None
        return super().get(key)

    def _when_empty(self, value: float) -> float:
        if self.records:
            raise TspError(5032, "Cannot change this setting unless buffer is cleared")
        return value

    def _clear(self, *given: Any) -> None:
        self.records = []


def _nothing(*given: Any) -> None:
    """Do nothing."""
