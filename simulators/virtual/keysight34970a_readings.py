"""Readings of the Keysight 34970A as it writes them.

After "Agilent 34970A/34972A Data Acquisition / Switch Unit User's Guide", 34972-90001, chapter 4,
"Reading Format".
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hilep.simulators.virtual.formats import definite_block
from hilep.simulators.virtual.parameters import INFINITY, Number
from hilep.simulators.virtual.reading_buffer import START
from hilep.simulators.virtual.scpi import Call
from hilep.simulators.virtual.scpi_errors import ScpiError

if TYPE_CHECKING:
    from hilep.simulators.virtual.keysight34970a import Keysight34970A


@dataclass(frozen=True, slots=True)
class Record:
    """One reading.

    Attributes:
        volts: NaN beyond the range.
        time_s: seconds since the instrument was switched on.
        began_s: when its scan began.
        channel: its channel.
    """

    volts: float
    time_s: float
    began_s: float
    channel: int


def written(records: Sequence[Record], values: Mapping[Any, Any]) -> str:
    """Return readings separated by commas, each with the fields that `values` ask for."""
    parts = []
    for record in records:
        volts = INFINITY if math.isnan(record.volts) else record.volts
        parts.append(f"{volts:+.8E}" + (" VDC" if values["UNIT"] else ""))
        if values["TIME"] and values["time type"] == "REL":
            parts.append(f"{record.time_s - record.began_s:013.3f}")
        elif values["TIME"]:
            moment = START + timedelta(seconds=record.time_s)
            parts.append(moment.strftime("%Y,%m,%d,%H,%M,%S.%f")[:-3])
        if values["CHANnel"]:
            parts.append(str(record.channel))
        if values["ALARm"]:
            parts.append("0")
    return ",".join(parts)


class ReadingMemory:
    """The readings of the last scan and the commands for them.

    Args:
        instrument: whose they are.
        size: how many there is room for; more push out the oldest.
    """

    def __init__(self, instrument: Keysight34970A, size: int) -> None:
        self._of, self._size = instrument, size
        self.records: deque[Record] = deque(maxlen=size)
        add = instrument.commands.add
        add(":FETCh", getter=lambda call: self._fetch())
        add(":R", getter=self._remove_block)
        add(":DATA:POINts", getter=lambda call: f"{len(self.records):+d}")
        add(":DATA:REMove", getter=self._remove)
        add(":DATA:LAST", getter=self._last)

    def written(self, records: Sequence[Record]) -> str:
        """Return readings in the present format."""
        return written(records, self._of.values)

    def _fetch(self) -> str:
        if not self.records:
            raise ScpiError(-230)
        return self.written(self.records)

    def _removed(self, most: int) -> list[Record]:
        return [self.records.popleft() for _ in range(min(most, len(self.records)))]

    def _remove_block(self, call: Call) -> bytes:
        texts = call.take(0, 1)
        limit = Number(1, self._size, self._size, integer=True)
        most = int(limit.read(texts[0])) if texts else self._size
        return definite_block(self.written(self._removed(most)).encode())

    def _remove(self, call: Call) -> str:
        most = int(Number(1, self._size, 1, integer=True).read(call.take(1)[0]))
        if most > len(self.records):
            raise ScpiError(-230)
        return self.written(self._removed(most))

    def _last(self, call: Call) -> str:
        texts = call.take(0, 1)
        channels = self._of.listed(texts[0]) if texts else self._of.scan
        chosen = [record for record in self.records if record.channel in channels]
        if not chosen:
            raise ScpiError(-230)
        return self.written(chosen[-1:])
