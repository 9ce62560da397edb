"""Readings of the Keithley 2400: elements, status word, sample memory and buffer.

After "2400 Series SourceMeter User's Manual", 2400S-900-01 Rev. K: sections 8 (statistics), 9
(buffer), 15 (measurement event register) and 18 (FORMat and TRACe subsystems).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hilep.simulators.virtual.formats import indefinite_block, packed
from hilep.simulators.virtual.parameters import INFINITY, NOT_A_NUMBER, Choice, Number, spelled
from hilep.simulators.virtual.scpi import Call
from hilep.simulators.virtual.scpi_errors import ScpiError

if TYPE_CHECKING:
    from hilep.simulators.virtual.keithley2400 import Keithley2400

_ELEMENTS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus")
OVERFLOW, FILTER, FRONT, COMPLIANCE = 1, 2, 4, 8
VOLTS_MEASURED, AMPS_MEASURED, OHMS_MEASURED = 1 << 11, 1 << 12, 1 << 13
VOLTS_SOURCED, AMPS_SOURCED, RANGE_COMPLIANCE, FOUR_WIRES = 1 << 14, 1 << 15, 1 << 16, 1 << 22
"""Bits of a reading's status word (section 18, "Data elements")."""
_READING_AVAILABLE, _READING_OVERFLOW = 64, 128
_BUFFER_AVAILABLE, _BUFFER_FULL, _IN_COMPLIANCE = 256, 512, 1 << 14


@dataclass(frozen=True, slots=True)
class Record:
    """One reading with its elements; ohms and what is not measured are 9.91e37."""

    volts: float
    amps: float
    ohms: float
    time_s: float
    status: int

    def element(self, name: str) -> float:
        """Return an element by its long name."""
        position = _ELEMENTS.index(name)
        return (self.volts, self.amps, self.ohms, self.time_s, float(self.status))[position]


class Readings:
    """The sample memory, the buffer and their commands."""

    def __init__(self, instrument: Keithley2400) -> None:
        self._of = instrument
        self.latest: list[Record] = []
        self.buffer: list[Record] = []
        self._elements: tuple[str, ...] = _ELEMENTS
        self._time_zero = 0.0
        setting, add = instrument.setting, instrument.commands.add
        types = Choice(("ASCii", "REAL", "SREal"), "ASC")
        add(":FORMat[:DATA]", self._set_format, lambda call: instrument.values["format"])
        instrument.values["format"] = types.default
        self._types = types
        setting("byte order", ":FORMat:BORDer", Choice(("NORMal", "SWAPped"), "NORM"))
        add(":FORMat:ELEMents[:SENSe[1]]", self._set_elements, self._get_elements)
        add(":FETCh", getter=lambda call: self.fetch())
        add("[:SENSe[1]]:DATA[:LATest]", getter=lambda call: self.fetch(last=True))
        setting("points", ":TRACe:POINts", Number(1, 2500, 100, integer=True), check=self._resize)
        add(":TRACe:POINts:ACTual", getter=lambda call: str(len(self.buffer)))
        add(":TRACe:CLEar", lambda call: self._clear())
        add(":TRACe:FREE", getter=lambda call: self._free())
        add(":TRACe:DATA", getter=lambda call: self._data())
        feeds = ("SENSe", "SENSe1", "CALCulate", "CALCulate1", "CALCulate2")
        setting("feed", ":TRACe:FEED", Choice(feeds, "SENS"))
        setting(
            "feeding", ":TRACe:FEED:CONTrol", Choice(("NEXT", "NEVer"), "NEV"), self._start_feeding
        )
        setting("stamps", ":TRACe:TSTamp:FORMat", Choice(("ABSolute", "DELTa"), "ABS"))
        statistics = ("MEAN", "SDEViation", "MAXimum", "MINimum", "PKPK")
        setting("statistic", ":CALCulate3:FORMat", Choice(statistics, "MEAN"))
        add(":CALCulate3:DATA", getter=lambda call: self._statistic())
        add(":SYSTem:TIME:RESet", lambda call: self._zero_time())
        add(":SYSTem:TIME", getter=lambda call: f"{self._now():.6f}")

    def forget(self) -> None:
        """Forget the sample memory; *RST leaves the buffer's readings alone."""
        self.latest = []
        self._elements = _ELEMENTS
        self._of.values["format"] = self._types.default

    def take(self, count: int, delay_s: float) -> None:
        """Take readings into the sample memory, and into the buffer while it is fed."""
        of = self._of
        values, function = of.values, of.values["function"]
        _, by_range = of.effective_limit()
        spans: dict[str, float | None] = {
            name: None if values[name, "auto"] else values[name, "range"]
            for name in ("VOLT", "CURR")
        }
        spans[function] = of.source_range()
        samples = of.channel.sample(count, values["nplc"], spans["VOLT"], spans["CURR"], delay_s)
        status = VOLTS_SOURCED if function == "VOLT" else AMPS_SOURCED
        status |= FRONT if values["terminals"] == "FRON" else 0
        status |= FILTER if values["filter"] else 0
        status |= FOUR_WIRES if values["four wires"] else 0
        for name, bit in (
            ("VOLT", VOLTS_MEASURED),
            ("CURR", AMPS_MEASURED),
            ("RES", OHMS_MEASURED),
        ):
            status |= bit if name in of.measured else 0
        if samples.limited:
            status |= RANGE_COMPLIANCE if by_range else COMPLIANCE
        volts = self._element("VOLT", samples.volts)
        amps = self._element("CURR", samples.amps)
        self.latest = []
        for v, i, time_s in zip(volts, amps, samples.times, strict=True):
            over = INFINITY in (abs(v), abs(i))
            ohms = NOT_A_NUMBER
            if "RES" in of.measured:
                ohms = INFINITY if over or i == 0 else v / i
            word = status | (OVERFLOW if over else 0)
            self.latest.append(Record(v, i, ohms, float(time_s) - self._time_zero, word))
        self._report()

    def fetch(self, last: bool = False) -> str | bytes:
        """Return the sample memory in the present format; -230 when it is empty."""
        if not self.latest:
            raise ScpiError(-230)
        return self._formatted(self.latest[-1:] if last else self.latest)

    def _element(self, name: str, measured: np.ndarray) -> list[float]:
        """Return what is measured, else the level where it is sourced, else 9.91e37."""
        if name in self._of.measured or "RES" in self._of.measured:
            return [INFINITY if math.isnan(value) else float(value) for value in measured]
        sourced = self._of.values["function"] == name
        value = float(self._of.values[name, "level"]) if sourced else NOT_A_NUMBER
        return [value] * len(measured)

    def _report(self) -> None:
        """Fill the buffer and set the bits of the measurement event register."""
        values, event = self._of.values, self._of.status["MEASurement"]
        event.happened(_READING_AVAILABLE)
        words = 0
        for record in self.latest:
            words |= record.status
        event.happened(_READING_OVERFLOW if words & OVERFLOW else 0)
        event.happened(_IN_COMPLIANCE if words & (COMPLIANCE | RANGE_COMPLIANCE) else 0)
        if values["feeding"] != "NEXT":
            return
        room = int(values["points"]) - len(self.buffer)
        self.buffer += self.latest[:room]
        event.happened(_BUFFER_AVAILABLE if len(self.buffer) >= 2 else 0)
        if len(self.buffer) >= values["points"]:
            values["feeding"] = "NEV"
            event.happened(_BUFFER_FULL)

    def _formatted(self, records: list[Record]) -> str | bytes:
        numbers = [record.element(name) for record in records for name in self._elements]
        if self._of.values["format"] == "ASC":
            return ",".join(format(number, "+.6E") for number in numbers)
        return indefinite_block(packed(numbers, 32, self._of.values["byte order"] == "SWAP"))

    def _set_format(self, call: Call) -> None:
        kind, *length = call.take(1, 2)
        if length and (length[0] != "32" or not spelled(kind, "REAL")):
            raise ScpiError(-224)
        chosen = self._types.read(kind)
        self._of.values["format"] = "REAL" if chosen == "SRE" else chosen

    def _set_elements(self, call: Call) -> None:
        chosen = []
        for text in call.take(1, 5):
            name = next((e for e in _ELEMENTS if spelled(text, e)), None)
            if name is None:
                raise ScpiError(-224)
            chosen.append(name)
        self._elements = tuple(e for e in _ELEMENTS if e in chosen)

    def _get_elements(self, call: Call) -> str:
        return ",".join("".join(c for c in e if c.isupper()) for e in self._elements)

    def _resize(self, value: float) -> float:
        if self._of.values["feeding"] == "NEXT":
            raise ScpiError(800, "Illegal with storage active")
        self.buffer = []
        return value

    def _start_feeding(self) -> None:
        if self._of.values["feeding"] == "NEXT":
            self.buffer = []

    def _clear(self) -> None:
        if self._of.values["feeding"] == "NEXT":
            raise ScpiError(800, "Illegal with storage active")
        self.buffer = []

    def _free(self) -> str:
        return f"{60000 - 24 * len(self.buffer)},{24 * len(self.buffer)}"

    def _data(self) -> str | bytes:
        if not self.buffer:
            raise ScpiError(-230)
        times = np.array([record.time_s for record in self.buffer])
        delta = self._of.values["stamps"] == "DELT"
        stamps = np.diff(times, prepend=times[0]) if delta else times - times[0]
        return self._formatted(
            [replace(r, time_s=float(t)) for r, t in zip(self.buffer, stamps, strict=True)]
        )

    def _statistic(self) -> str:
        if not self.buffer:
            raise ScpiError(-230)
        functions = {
            "MEAN": np.mean,
            "SDEV": lambda x: np.std(x, ddof=1) if len(x) > 1 else 0.0,
            "MAX": np.max,
            "MIN": np.min,
            "PKPK": np.ptp,
        }
        answers = []
        for name in (e for e in self._elements if e in _ELEMENTS[:3]):
            column = np.array([record.element(name) for record in self.buffer])
            sentinel = bool((np.abs(column) >= INFINITY).any())
            statistic = functions[self._of.values["statistic"]]
            answers.append(NOT_A_NUMBER if sentinel else float(statistic(column)))  # type: ignore[operator]
        return ",".join(format(answer, "+.6E") for answer in answers)

    def _now(self) -> float:
        return self._of.clock.now() - self._time_zero

    def _zero_time(self) -> None:
        self._time_zero = self._of.clock.now()
