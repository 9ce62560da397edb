"""Readings of the Keysight B2900: triggers, elements, status data and formats.

After "Agilent B2900 Series Precision Source/Measure Unit SCPI Command Reference", B2910-90030:
chapter 1 (data output format) and 4 (FETCh, FORMat, INITiate, MEASure, READ, TRIGger subsystems).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from hilep.simulators.virtual.formats import definite_block, packed
from hilep.simulators.virtual.parameters import (
    INFINITY,
    NOT_A_NUMBER,
    Choice,
    Number,
    channel_list,
    number,
    spelled,
)
from hilep.simulators.virtual.scpi import Call
from hilep.simulators.virtual.scpi_errors import ScpiError

if TYPE_CHECKING:
    from hilep.simulators.virtual.keysightb2900 import KeysightB2900

_ELEMENTS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus", "SOURce")
CURRENT_SOURCE, COMPLIANCE, OVERFLOW = 1, 2, 8192
"""Bits of a reading's status (table 1-2)."""
_SOURCES = ("AINT", "BUS", "TIMer", "INT1", "INT2", "LAN", "EXT1")
_MOST_READINGS = 100_000
_OVERHEAD_S = 1e-4


@dataclass(frozen=True, slots=True)
class Record:
    """One reading, its values in the order of the elements."""

    values: tuple[float, float, float, float, float, float]


class Readings:
    """The readings of each channel and the commands for them."""

    def __init__(self, instrument: KeysightB2900) -> None:
        self._of = instrument
        self._latest: dict[int, list[Record]] = {}
        self._elements: tuple[str, ...] = _ELEMENTS
        self._bits: Literal[0, 32, 64] = 0
        self._waiting: list[int] = []
        add, channels = instrument.commands.add, tuple(instrument.channels)

        most = Number(1, _MOST_READINGS, 1, integer=True)
        for layer in (":ACQuire", ":TRANsient", "[:ALL]"):
            for root, name in ((":TRIGger#", "trigger"), (":ARM#", "arm")):
                key = f"{name}{layer if layer.startswith(':') else ':ACQuire'}"
                then = partial(self._both, name) if layer == "[:ALL]" else None
                count, source = f"{root}{layer}:COUNt", f"{root}{layer}:SOURce[:SIGNal]"
                instrument.setting(f"{key} count", count, most, then, channels)
                instrument.setting(
                    f"{key} source", source, Choice(_SOURCES, "AINT"), then, channels
                )
                delay = Number(0, 100_000, 0, "S")
                instrument.setting(f"{key} delay", f"{root}{layer}:DELay", delay, then, channels)
                timer = Number(1e-5, 100_000, 1e-5, "S")
                instrument.setting(f"{key} timer", f"{root}{layer}:TIMer", timer, then, channels)
        add(":FORMat[:DATA]", self._set_format, self._get_format)
        orders = Choice(("NORMal", "SWAPped"), "NORM")
        instrument.setting("byte order", ":FORMat:BORDer", orders)
        add(":FORMat:ELEMents:SENSe", self._set_elements, self._get_elements)
        for action in ("[:ALL]", ":ACQuire", ":TRANsient"):
            add(f":INITiate[:IMMediate]{action}", partial(self._initiate, action))
            add(f":ABORt{action}", lambda call: self.abort())
        for name in _ELEMENTS:
            add(f":FETCh:ARRay:{name}", getter=partial(self._fetch, (name,), False, True))
            add(f":READ:ARRay:{name}", getter=partial(self._fetch, (name,), True, True))
            add(f":FETCh[:SCALar]:{name}", getter=partial(self._fetch, (name,), False, False))
            add(f":READ[:SCALar]:{name}", getter=partial(self._fetch, (name,), True, False))
        add(":FETCh:ARRay", getter=partial(self._fetch, None, False, True))
        add(":FETCh[:SCALar]", getter=partial(self._fetch, None, False, False))
        add(":READ:ARRay", getter=partial(self._fetch, None, True, True))
        add(":READ[:SCALar]", getter=partial(self._fetch, None, True, False))
        for name, long in (("VOLT", "VOLTage[:DC]"), ("CURR", "CURRent[:DC]")):
            element = "VOLTage" if name == "VOLT" else "CURRent"
            add(f":MEASure:{long}", getter=partial(self._measure, (element,)))
        add(":MEASure:RESistance", getter=partial(self._measure, ("RESistance",)))
        add(":MEASure", getter=partial(self._measure, None))
        add(":SENSe#:DATA:CLEar", lambda call: self._latest.clear())

    def forget(self) -> None:
        """Forget the readings and the format."""
        self._latest, self._waiting = {}, []
        self._elements, self._bits = _ELEMENTS, 0

    def abort(self) -> None:
        """Go to idle."""
        self._waiting = []

    def trigger(self) -> None:
        """Take the readings that an INITiate waits with; -211 where none does."""
        if not self._waiting:
            raise ScpiError(-211)
        channels, self._waiting = self._waiting, []
        self._take(channels)

    def _both(self, name: str, channel: int) -> None:
        """Copy what was set for every action to the transient one."""
        values = self._of.values
        for what in ("count", "source", "delay", "timer"):
            values[f"{name}:TRANsient {what}", channel] = values[f"{name}:ACQuire {what}", channel]

    def _listed(self, call: Call, least: int = 0) -> list[int]:
        texts = call.take(least, 1)
        if not texts:
            return [1]
        channels: list[int] = []
        for first, last in channel_list(texts[0]):
            channels += range(min(first, last), max(first, last) + 1)
        if not channels or any(channel not in self._of.channels for channel in channels):
            raise ScpiError(-222)
        return sorted(set(channels))

    def _initiate(self, action: str, call: Call) -> None:
        channels = self._listed(call)
        for channel in channels:
            if self._of.value("auto on", channel):
                self._of.switch(channel, True)
        if action == ":TRANsient":
            return
        if any(self._of.value("trigger:ACQuire source", c) == "BUS" for c in channels):
            self._waiting = channels
        else:
            self._take(channels, action != ":ACQuire")

    def _take(self, channels: list[int], moving: bool = True) -> None:
        """Measure the channels; virtual time counts them one after the other.

        `moving` is whether the sources are triggered as well.
        """
        of = self._of
        for channel in channels:
            pulsed = moving and of.value("shape", channel) == "PULS" and of.value("output", channel)
            self._latest[channel] = (self._pulsed if pulsed else self._sampled)(channel)
        for channel in channels:
            if of.value("auto off", channel):
                of.switch(channel, False)

    def _pulsed(self, channel: int) -> list[Record]:
        """Give one pulse, and measure in it where the acquire delay says so."""
        of = self._of
        of.clock.advance(of.value("pulse delay", channel))
        began = of.clock.now()
        of.trigger_level(channel)
        records = self._sampled(channel)
        left = began + of.value("pulse width", channel) - of.clock.now()
        of.clock.advance(max(0.0, left))
        of.apply(channel)
        return records

    def _sampled(self, channel: int) -> list[Record]:
        of = self._of
        value = partial(self._value, channel)
        function = value("function")
        spans: dict[str, float | None] = {
            name: None if value((name, "auto")) else value((name, "range"))
            for name in ("VOLT", "CURR")
        }
        spans[function] = of.source_range(channel)
        count = int(value("trigger:ACQuire count") * value("arm:ACQuire count"))
        if count > _MOST_READINGS:
            raise ScpiError(-222)
        delay = value("trigger:ACQuire delay") + _OVERHEAD_S
        samples = of.channels[channel].sample(
            count, value("nplc"), spans["VOLT"], spans["CURR"], delay
        )
        measured, level = of.measured[channel], float(value((function, "level")))
        status = (CURRENT_SOURCE if function == "CURR" else 0) | (
            COMPLIANCE if samples.limited and value("output") else 0
        )
        records = []
        for volts, amps, time_s in zip(samples.volts, samples.amps, samples.times, strict=True):
            over = math.isnan(volts) or math.isnan(amps)
            v = _shown(float(volts), "VOLT" in measured)
            i = _shown(float(amps), "CURR" in measured)
            ohms = float(volts / amps) if not over and amps else INFINITY
            word = float(status | (OVERFLOW if over else 0))
            r = ohms if "RES" in measured else NOT_A_NUMBER
            records.append(Record((v, i, r, float(time_s), word, level)))
        return records

    def _value(self, channel: int, name: object) -> Any:
        return self._of.value(name, channel)

    def _fetch(
        self, elements: tuple[str, ...] | None, fresh: bool, every: bool, call: Call
    ) -> str | bytes:
        channels = self._listed(call)
        if fresh:
            self._initiate("[:ALL]", call)
            if self._waiting:
                self._waiting = []
                raise ScpiError(-214)
        return self._formatted(channels, elements or self._elements, every)

    def _measure(self, elements: tuple[str, ...] | None, call: Call) -> str | bytes:
        """Take one reading of each channel with the present settings, the output on."""
        channels = self._listed(call)
        kept = dict(self._of.values)
        for channel in channels:
            for name in ("trigger", "arm"):
                self._of.values[f"{name}:ACQuire count", channel] = 1
                self._of.values[f"{name}:ACQuire source", channel] = "AINT"
        self._initiate("[:ALL]", call)
        for key, value in kept.items():
            if isinstance(key, tuple) and isinstance(key[0], str) and ":ACQuire" in key[0]:
                self._of.values[key] = value
        return self._formatted(channels, elements or self._elements, every=False)

    def _formatted(
        self, channels: list[int], elements: tuple[str, ...], every: bool
    ) -> str | bytes:
        """Return records, the channels of each trigger together; 9.91e37 where there is none."""
        nothing = Record((NOT_A_NUMBER,) * 6)
        kept = {c: self._latest.get(c, []) for c in channels}
        if not every:
            kept = {c: records[-1:] for c, records in kept.items()}
        numbers = []
        for k in range(max(1, *(len(records) for records in kept.values()))):
            for channel in channels:
                record = kept[channel][k] if k < len(kept[channel]) else nothing
                numbers += [record.values[_ELEMENTS.index(name)] for name in elements]
        if self._bits == 0:
            return ",".join(format(n, "+.6E") for n in numbers)
        special = {INFINITY: math.inf, -INFINITY: -math.inf, NOT_A_NUMBER: math.nan}
        binary = [special.get(n, n) for n in numbers]
        swapped = self._of.values["byte order"] == "SWAP"
        return definite_block(packed(binary, self._bits, swapped))

    def _set_format(self, call: Call) -> None:
        kind, *length = call.take(1, 2)
        if spelled(kind, "ASCii") and not length:
            self._bits = 0
        elif spelled(kind, "REAL") and (not length or number(length[0]) in (32, 64)):
            self._bits = 64 if length and number(length[0]) == 64 else 32
        else:
            raise ScpiError(-224)

    def _get_format(self, call: Call) -> str:
        return f"REAL,{self._bits}" if self._bits else "ASC"

    def _set_elements(self, call: Call) -> None:
        chosen = []
        for text in call.take(1, 6):
            name = next((e for e in _ELEMENTS if spelled(text, e)), None)
            if name is None:
                raise ScpiError(-224)
            chosen.append(name)
        self._elements = tuple(e for e in _ELEMENTS if e in chosen)

    def _get_elements(self, call: Call) -> str:
        return ",".join("".join(c for c in e if c.isupper()) for e in self._elements)


def _shown(value: float, measured: bool) -> float:
    if not measured:
        return NOT_A_NUMBER
    return INFINITY if math.isnan(value) else value
