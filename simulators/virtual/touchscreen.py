"""What Keithley's touchscreen instruments have in common: buffers, READ?, formats, errors.

After "Model 2450 Interactive SourceMeter Instrument Reference Manual", 2450-901-01 Rev. B, section
6, and the "Model DAQ6510 Data Acquisition and Multimeter System Reference Manual". Readings are
taken when they are asked for: INITiate returns when they are done. Of the trigger model there is
the SimpleLoop template.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import ClassVar, Literal

import numpy as np

from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.formats import indefinite_block, packed
from hilep.simulators.virtual.parameters import (
    INFINITY,
    Choice,
    Number,
    spelled,
    string,
)
from hilep.simulators.virtual.reading_buffer import (
    START,
    ReadingBuffer,
    Record,
    element,
    element_names,
)
from hilep.simulators.virtual.scpi import Call
from hilep.simulators.virtual.scpi_errors import ScpiError
from hilep.simulators.virtual.scpi_instrument import ScpiInstrument

_DEFAULT_BUFFERS = ("defbuffer1", "defbuffer2")
_SIZE = Number(10, 7_000_000, 100_000, integer=True)
_INDEX = Number(1, 7_000_000, 1, integer=True)
_COUNT = Number(1, 300_000, 1, integer=True)
_PRECISION = Number(0, 16, 0, integer=True)


class TouchscreenInstrument(ScpiInstrument):
    """A base class; a subclass takes the readings.

    Attributes:
        buffers: by name.
    """

    max_clients = 3
    maker: ClassVar[str] = "KEITHLEY INSTRUMENTS"
    queue_length: ClassVar[int] = 1000
    no_error: ClassVar[str] = '0,"No error;0;0 0"'
    has_source: ClassVar[bool] = True
    buffer_size: ClassVar[int] = 100_000

    def __init__(self, clock: Clock, serial: str) -> None:
        super().__init__(clock, serial)
        self.buffers: dict[str, ReadingBuffer] = {}
        self._loop: tuple[int, float, str] | None = None
        self.setting("format", ":FORMat[:DATA]", Choice(("ASCii", "REAL", "SREal"), "ASC"))
        self.setting("precision", ":FORMat:ASCii:PRECision", _PRECISION)
        self.setting("byte order", ":FORMat:BORDer", Choice(("NORMal", "SWAPped"), "SWAP"))
        self.setting("count", "[:SENSe[1]]:COUNt", _COUNT)
        self.ignored(":SYSTem:BEEPer[:IMMediate]", ":DISPlay:SCReen", ":DISPlay:LIGHt:STATe")
        self.ignored(":DISPlay:CLEar", "[:SENSe[1]]:AZERo:ONCE")
        self._trace_commands()

    def error_text(self, error: ScpiError) -> str:
        """Return the entry with its severity and time, as these instruments do."""
        if not error.code:
            return self.no_error
        now = (START + timedelta(seconds=self.clock.now())).strftime("%Y/%m/%d %H:%M:%S.%f")[:-3]
        return f'{error.code},"{error.text};1;{now}"'

    def reset(self) -> None:
        """Restore the settings and delete every buffer but the empty default ones."""
        super().reset()
        self.buffers = {name: ReadingBuffer(self.buffer_size) for name in _DEFAULT_BUFFERS}
        self._loop = None

    def take(self, count: int, delay_s: float = 0.0) -> list[Record]:
        """Take readings; a subclass does."""
        raise NotImplementedError

    def initiate(self) -> None:
        """Run the trigger model; -211 where none is loaded."""
        if self._loop is None:
            raise ScpiError(-211)
        count, delay, name = self._loop
        self.measure(count, name, delay)

    def measure(self, count: int, name: str = "defbuffer1", delay_s: float = 0.0) -> None:
        """Take readings into a buffer."""
        buffer = self.buffer(name)
        for record in self.take(count, delay_s):
            buffer.store(record)

    def buffer(self, name: str) -> ReadingBuffer:
        """Return a buffer; -224 where there is none of that name."""
        if name not in self.buffers:
            raise ScpiError(-224)
        return self.buffers[name]

    def formatted(
        self, records: list[Record], names: tuple[str, ...], first_s: float
    ) -> str | bytes:
        """Return elements of records in the present format."""
        values = [element(record, name, first_s) for record in records for name in names]
        if self.values["format"] == "ASC":
            digits = int(self.values["precision"]) or 7
            return ",".join(
                v if isinstance(v, str) else format(v, f".{digits - 1}E") for v in values
            )
        bits: Literal[32, 64] = 64 if self.values["format"] == "REAL" else 32
        numbers = [float(value) for value in values]
        return indefinite_block(packed(numbers, bits, self.values["byte order"] == "SWAP"))

    def _trace_commands(self) -> None:
        add = self.commands.add
        add(":TRACe:MAKE", self._make)
        add(":TRACe:DELete", lambda call: self._delete(string(call.take(1)[0])))
        add(":TRACe:CLEar", lambda call: self._named(call).records.clear())
        add(":TRACe:POINts", self._resize, lambda call: str(self._named(call).size))
        add(":TRACe:ACTual[:END]", getter=lambda call: str(len(self._named(call).records)))
        add(":TRACe:ACTual:STARt", getter=lambda call: str(min(1, len(self._named(call).records))))
        add(":TRACe:FILL:MODE", self._fill, self._filling)
        add(":TRACe:TRIGger", self._trace_trigger)
        add(":TRACe:DATA", getter=self._data)
        for name, function in (
            ("AVERage", np.mean),
            ("MAXimum", np.max),
            ("MINimum", np.min),
            ("STDDev", np.std),
        ):
            add(
                f":TRACe:STATistics:{name}",
                getter=lambda call, f=function: self._statistic(call, f),  # type: ignore[misc]
            )
        add(":TRACe:STATistics:CLEar", lambda call: None)
        add(":READ", getter=lambda call: self._read(call, fresh=True))
        add(":FETCh", getter=lambda call: self._read(call, fresh=False))
        add(":INITiate[:IMMediate]", lambda call: self.initiate())
        add(":ABORt", lambda call: None)
        add(":TRIGger:LOAD", self._load)
        add(":TRIGger:STATe", getter=lambda call: "IDLE;IDLE;0")
        add("*LANG", lambda call: None, lambda call: "SCPI")

    def _named(self, call: Call) -> ReadingBuffer:
        texts = call.take(0, 1)
        return self.buffer(string(texts[0]) if texts else "defbuffer1")

    def _make(self, call: Call) -> None:
        name, size, *_ = call.take(2, 3)
        if string(name) in self.buffers:
            raise ScpiError(-224)
        self.buffers[string(name)] = ReadingBuffer(int(_SIZE.read(size)), once=True)

    def _delete(self, name: str) -> None:
        self.buffer(name)
        if name in _DEFAULT_BUFFERS:
            raise ScpiError(-224)
        del self.buffers[name]

    def _resize(self, call: Call) -> None:
        size, *name = call.take(1, 2)
        self.buffer(string(name[0]) if name else "defbuffer1").resize(int(_SIZE.read(size)))

    def _fill(self, call: Call) -> None:
        mode, *name = call.take(1, 2)
        kind = Choice(("CONTinuous", "ONCE"), "CONT").read(mode)
        self.buffer(string(name[0]) if name else "defbuffer1").once = kind == "ONCE"

    def _filling(self, call: Call) -> str:
        return "ONCE" if self._named(call).once else "CONT"

    def _trace_trigger(self, call: Call) -> None:
        texts = call.take(0, 1)
        name = string(texts[0]) if texts else "defbuffer1"
        self.measure(int(self.values["count"]), name)

    def _data(self, call: Call) -> str | bytes:
        start, end, *rest = call.take(2, 18)
        buffer = self.buffer(string(rest[0]) if rest else "defbuffer1")
        names = element_names(
            tuple(rest[1:]), self.values["format"] != "ASC", self.has_source, first=4
        )
        first, last = int(_INDEX.read(start)), int(_INDEX.read(end))
        if not first <= last <= len(buffer.records):
            raise ScpiError(-222)
        records = list(buffer.records)
        return self.formatted(records[first - 1 : last], names, records[0].time_s)

    def _read(self, call: Call, fresh: bool) -> str | bytes:
        name, *elements = call.take(0, 16) or ('"defbuffer1"',)
        buffer = self.buffer(string(name))
        names = element_names(
            tuple(elements), self.values["format"] != "ASC", self.has_source, first=2
        )
        if fresh:
            self.measure(int(self.values["count"]), string(name))
        if not buffer.records:
            raise ScpiError(-230)
        return self.formatted([buffer.records[-1]], names, buffer.records[0].time_s)

    def _statistic(self, call: Call, function: object) -> str:
        records = self._named(call).records
        if not records:
            raise ScpiError(-230)
        values = np.array([record.reading for record in records])
        over = bool((np.abs(values) >= INFINITY).any())
        return format(INFINITY if over else float(function(values)), ".6E")  # type: ignore[operator]

    def _load(self, call: Call) -> None:
        template, *rest = call.take(1, 4)
        if not spelled(string(template), "SimpleLoop") and string(template) != "Empty":
            raise ScpiError(-224)
        if string(template) == "Empty":
            self._loop = None
            return
        if not rest:
            raise ScpiError(-109)
        delay = Number(0, 10_000, 0).read(rest[1]) if len(rest) > 1 else 0.0
        name = string(rest[2]) if len(rest) > 2 else "defbuffer1"
        self.buffer(name)
        self._loop = int(_COUNT.read(rest[0])), delay, name


def reading(value: float) -> float:
    """Return what a reading is sent as: 9.9e37 where the range did not hold it."""
    return INFINITY if math.isnan(value) else value


class FunctionName(Choice):
    """A measurement function, answered as "VOLT:DC", "CURR:DC" or "RES"."""

    def read(self, text: str) -> str:
        """Return the short form without ":DC"."""
        return super().read(text.upper().replace(":DC", "")).partition(":")[0]

    def write(self, value: str) -> str:
        """Return the response."""
        return f'"{value}:DC"' if value != "RES" else '"RES"'
