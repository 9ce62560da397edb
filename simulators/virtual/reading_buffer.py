"""Reading buffers of Keithley's touchscreen instruments: records, their elements, and formats.

After "Model 2450 Interactive SourceMeter Instrument Reference Manual", 2450-901-01 Rev. B, section
6 (:TRACe:DATA?) and section 8 (bufferVar.statuses, bufferVar.sourcestatuses); the "Model DAQ6510
Data Acquisition and Multimeter System Reference Manual" has the same commands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hilep.simulators.virtual.parameters import spelled
from hilep.simulators.virtual.scpi_errors import ScpiError

START = datetime(2024, 1, 1, tzinfo=UTC)
"""The date at which a virtual instrument is switched on."""
TERMINAL, FIRST_OF_GROUP = 8, 256
"""Bits of a record's status."""
READ_BACK, LIMITED, SENSE, OUTPUT = 8, 32, 64, 128
"""Bits of a record's source status."""
ELEMENTS = (
    "CHANnel", "DATE", "EXTRa", "FORMatted", "FRACtional", "READing", "RELative", "SEConds",
    "SOURce", "SOURFORMatted", "SOURSTATus", "SOURUNIT", "STATus", "TIME", "TSTamp", "UNIT",
)  # fmt: skip
_BINARY = ("READing", "RELative", "SOURce", "EXTRa")
_SOURCE = ("SOURce", "SOURFORMatted", "SOURSTATus", "SOURUNIT")
_LONG_UNITS = {"V": "Volt DC", "A": "Amp DC", "Ohm": "Ohm"}


@dataclass(frozen=True, slots=True)
class Record:
    """One reading.

    Attributes:
        reading: volts, amperes or ohms.
        unit: "V", "A" or "Ohm".
        time_s: seconds since the instrument was switched on.
        status: of the measurement.
        source: volts or amperes of the source.
        source_unit: "V" or "A".
        source_status: of the source.
        channel: of a scanner, None without one.
    """

    reading: float
    unit: str
    time_s: float
    status: int = 0
    source: float = 0.0
    source_unit: str = "V"
    source_status: int = 0
    channel: int | None = None


class ReadingBuffer:
    """A buffer of a given size.

    Args:
        size: how many readings it holds.
        once: whether it stops when it is full, instead of forgetting the oldest.
    """

    def __init__(self, size: int, once: bool = False) -> None:
        self.size, self.once = size, once
        self.records: deque[Record] = deque()

    def store(self, record: Record) -> None:
        """Add a reading.

        Raises:
            ScpiError: 4915 when a buffer that fills once is full.
        """
        if len(self.records) >= self.size:
            if self.once:
                raise ScpiError(4915, "Attempting to store past capacity of reading buffer")
            self.records.popleft()
        self.records.append(record)

    def resize(self, size: int) -> None:
        """Change the size, which forgets the readings."""
        self.size = size
        self.records.clear()


def element_names(
    texts: tuple[str, ...], binary: bool, source: bool, first: int
) -> tuple[str, ...]:
    """Return the long names of the elements asked for; READing when none is.

    Args:
        texts: as sent.
        binary: whether the format is REAL or SREal, which has fewer of them.
        source: whether the instrument has a source.
        first: the position of the first of them in the command, for the error's text.

    Raises:
        ScpiError: 1130 plus the position, for a name that is none.
    """
    names = []
    for position, text in enumerate(texts, first):
        name = next((e for e in ELEMENTS if spelled(text, e)), None)
        known = name is not None and (source or name not in _SOURCE)
        if name is None or not known or (binary and name not in _BINARY):
            raise ScpiError(
                1129 + position,
                f"Parameter {position}, Syntax error, expected valid name parameters",
            )
        names.append(name)
    return tuple(names) or ("READing",)


def element(record: Record, name: str, first_s: float) -> float | str:
    """Return an element of a record; `first_s` is the time of the buffer's first one."""
    moment = START + timedelta(seconds=record.time_s)
    return _VALUES[name](record, moment, record.time_s - first_s)


_VALUES: dict[str, Callable[[Record, datetime, float], float | str]] = {
    "CHANnel": lambda record, _, __: str(record.channel or ""),
    "DATE": lambda _, moment, __: moment.strftime("%m/%d/%Y"),
    "EXTRa": lambda _, __, ___: 0.0,
    "FORMatted": lambda record, _, __: f"{record.reading:+.6E} {record.unit}",
    "FRACtional": lambda record, _, __: record.time_s % 1.0,
    "READing": lambda record, _, __: record.reading,
    "RELative": lambda _, __, relative_s: relative_s,
    "SEConds": lambda _, moment, __: str(int(moment.timestamp())),
    "SOURce": lambda record, _, __: record.source,
    "SOURFORMatted": lambda record, _, __: f"{record.source:+.6E} {record.source_unit}",
    "SOURSTATus": lambda record, _, __: str(record.source_status),
    "SOURUNIT": lambda record, _, __: _LONG_UNITS[record.source_unit],
    "STATus": lambda record, _, __: str(record.status),
    "TIME": lambda _, moment, __: moment.strftime("%H:%M:%S"),
    "TSTamp": lambda _, moment, __: moment.strftime("%m/%d/%Y %H:%M:%S.%f"),
    "UNIT": lambda record, _, __: _LONG_UNITS[record.unit],
}
