"""The Keysight 34970A data acquisition unit and its successor DAQ970A, for DC volts.

After "Agilent 34970A/34972A Data Acquisition / Switch Unit User's Guide", 34972-90001: chapter 4
(scanning, reading format), 5 (remote interface reference, error messages), and the "DAQ970A Data
Acquisition System Programming Guide", whose commands these are too. A scan is done when INITiate
or READ? returns. Other functions than DC volts, alarms, scaling, monitoring, digital and totalizer
channels, and scanning with an external instrument are not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.formats import definite_block
from hilep.simulators.virtual.keysight34970a_configuring import add_configuring
from hilep.simulators.virtual.keysight34970a_readings import ReadingMemory, Record
from hilep.simulators.virtual.keysight34970a_resolution import Cycles
from hilep.simulators.virtual.parameters import (
    INFINITY,
    Boolean,
    Choice,
    Kind,
    Number,
    Span,
    spelled,
)
from hilep.simulators.virtual.relays import Relays
from hilep.simulators.virtual.scanner import ChannelSetup, Scanner
from hilep.simulators.virtual.scpi import Call
from hilep.simulators.virtual.scpi_errors import ScpiError
from hilep.simulators.virtual.scpi_instrument import ScpiInstrument
from hilep.simulators.virtual.world import World

VOLTS = Converter(ranges=(0.1, 1.0, 10.0, 100.0, 300.0), over=1.2, noise=1e-6, step=1e-6)
_RELAY_S = 5e-3
_NO_CHANNEL = ScpiError(112, "Channel list: channel number out of range")
_EMPTY = ScpiError(113, "Channel list: empty scan list")
_COMMITTED = ScpiError(301, "Module currently committed to scan")
_MOST_SWEEPS = 50_000


class Keysight34970A(ScpiInstrument):
    """A 34970A with its modules; arguments as `KeithleyDAQ6510`'s."""

    max_clients = 2
    maker: ClassVar[str] = "HEWLETT-PACKARD"
    model: ClassVar[str] = "34970A"
    firmware: ClassVar[str] = "13-2-2"
    no_error: ClassVar[str] = '+0,"No error"'
    error_available: ClassVar[int] = 0
    scpi_version: ClassVar[str] = "1994.0"
    memory: ClassVar[int] = 50_000
    autozero: ClassVar[str] = "[:SENSe]:ZERO:AUTO"
    impedance: ClassVar[str] = ":INPut:IMPedance:AUTO"

    def __init__(
        self,
        world: World,
        channels: Mapping[int, str],
        clock: Clock,
        generator: np.random.Generator,
        *,
        matrix: Mapping[int, tuple[str, str]] | None = None,
        volts: Converter = VOLTS,
        line_hz: float = 50.0,
        gains: dict[int, float] | None = None,
        offsets: dict[int, float] | None = None,
        serial: str = "0",
    ) -> None:
        super().__init__(clock, serial)
        self.relays = Relays(world, channels, matrix)
        self.scanner = Scanner(self.relays, clock, generator, volts, line_hz, gains, offsets)
        self.volts = volts
        self.readings = ReadingMemory(self, self.memory)
        self.scan: list[int] = []
        self._waiting = False
        self._sense_commands()
        self._route_commands()
        self._scan_commands()
        self.reset()

    def reset(self) -> None:
        """Open every relay, forget the scan list and the readings, and restore the settings."""
        super().reset()
        self.relays.open(self.relays.closed)
        self.scan = []
        self._waiting = False
        self.readings.records.clear()

    def trigger(self) -> None:
        """Take one sweep of the scan that INITiate waits with."""
        if not self._waiting:
            raise ScpiError(-211)
        self._waiting = False
        self.readings.records.extend(self.sweep(1))

    def error_text(self, error: ScpiError) -> str:
        """Return the entry; a positive number has its sign."""
        return f'{error.code:+d},"{error.text}"'

    def listed(self, text: str, multiplexer: bool = True) -> list[int]:
        """Return the numbers of a channel list; 112 for one that does not exist."""
        return self.relays.listed(text, _NO_CHANNEL, multiplexer)

    def restore(self, name: str, channel: int | None = None) -> None:
        """Put a setting to its default."""
        key = name if channel is None else (name, channel)
        self.values[key] = self._kinds[key].default

    def _per_channel(self, name: str, pattern: str, kind: Kind, then: Any = None) -> None:
        """Add a setting whose channel list, when it is left out, is the scan list."""
        for channel in self.relays.channels:
            self._kinds[name, channel] = kind
            self.values[name, channel] = kind.default

        def setter(call: Call) -> None:
            text, *rest = call.take(1, 2)
            value = kind.read(text)
            for channel in self.listed(rest[0]) if rest else self.scan:
                self.values[name, channel] = value
                if then is not None:
                    then(channel)

        def getter(call: Call) -> str:
            texts = call.take(0, 2)
            if texts and not texts[0].startswith("("):
                return kind.write(kind.named(texts[0]))
            chosen = self.listed(texts[0]) if texts else self.scan
            return ",".join(kind.write(self.values[name, channel]) for channel in chosen)

        self.commands.add(pattern, setter, getter)

    def _sense_commands(self) -> None:
        root = "[:SENSe]:VOLTage[:DC]"
        span = Span(self.volts.ranges, self.volts.over, "V")
        self._per_channel("range", f"{root}:RANGe[:UPPer]", span, self._fixed)
        self._per_channel("auto", f"{root}:RANGe:AUTO", Boolean(True))
        self._per_channel("nplc", f"{root}:NPLCycles", Cycles(0.02, 200, 1, style="+.8E"))
        self._per_channel("autozero", self.autozero, Boolean(True))
        self._per_channel("impedance", self.impedance, Boolean())
        function = Choice(("VOLT", "VOLTage", "VOLT:DC", "VOLTage:DC"), "VOLT", quoted=True)
        self._per_channel("function", "[:SENSe]:FUNCtion", function)
        self._per_channel("scaling", ":CALCulate:SCALe:STATe", Boolean())
        add_configuring(self)
        line = f"{round(self.scanner.line_hz):+d}"
        self.commands.add(":SYSTem:LFRequency", getter=lambda call: line)

    def _route_commands(self) -> None:
        add, channel = self.commands.add, ":ROUTe:CHANnel"
        add(":ROUTe:SCAN", self._set_scan, lambda call: self._scan_block())
        add(":ROUTe:SCAN:SIZE", getter=lambda call: f"{len(self.scan):+d}")
        seconds = Number(0, 60, 0, style="+.8E")
        self._per_channel("delay", f"{channel}:DELay", seconds, self._manual)
        self._per_channel("auto delay", f"{channel}:DELay:AUTO", Boolean(True))
        add(":ROUTe:CLOSe", self._close, lambda call: self._states(call, "1"))
        add(":ROUTe:CLOSe:EXCLusive", self._close_only)
        add(":ROUTe:OPEN", self._open, lambda call: self._states(call, "0"))
        add(":ROUTe:DONE", getter=lambda call: "1")
        self.ignored(":ROUTe:MONitor:STATe")
        add(":SYSTem:CPON", self._card_power_on)
        add(":DIAGnostic:RELay:CYCLes", getter=self._cycles)
        add(":DIAGnostic:RELay:CYCLes:CLEar", self._clear_cycles)

    def _scan_commands(self) -> None:
        add, setting = self.commands.add, self.setting
        sources = Choice(("BUS", "IMMediate", "EXTernal", "TIMer"), "IMM")
        setting("source", ":TRIGger:SOURce", sources)
        setting("interval", ":TRIGger:TIMer", Number(0, 359_999, 10, style="+.8E"))
        sweeps = Number(1, _MOST_SWEEPS, 1, style="+.8E", infinite=True)
        setting("sweeps", ":TRIGger:COUNt", sweeps)
        for name in ("UNIT", "TIME", "CHANnel", "ALARm"):
            setting(name, f":FORMat:READing:{name}", Boolean())
        types = Choice(("ABSolute", "RELative"), "REL")
        setting("time type", ":FORMat:READing:TIME:TYPE", types)
        add(":INITiate", lambda call: self._initiate())
        add(":ABORt", lambda call: setattr(self, "_waiting", False))
        add(":READ", getter=lambda call: self.readings.written(self.sweep(self._sweeps())))

    def _fixed(self, channel: int) -> None:
        self.values["auto", channel] = False

    def _manual(self, channel: int) -> None:
        self.values["auto delay", channel] = False

    def _set_scan(self, call: Call) -> None:
        self.scan = sorted(set(self.listed(call.take(1)[0])))
        self.readings.records.clear()

    def _scan_block(self) -> bytes:
        return definite_block(f"(@{','.join(map(str, self.scan))})".encode())

    def _close(self, call: Call) -> None:
        channels = self.listed(call.take(1)[0], multiplexer=False)
        if any(channel in self.scan for channel in channels):
            raise _COMMITTED
        self.relays.close(channels)

    def _close_only(self, call: Call) -> None:
        channels = self.listed(call.take(1)[0], multiplexer=False)
        if any(channel in self.scan for channel in channels):
            raise _COMMITTED
        slots = {channel // 100 for channel in channels}
        self.relays.open([n for n in self.relays.closed if n // 100 in slots])
        self.relays.close(channels)

    def _open(self, call: Call) -> None:
        self.relays.open(self.listed(call.take(1)[0], multiplexer=False))

    def _card_power_on(self, call: Call) -> None:
        """Open the relays of one slot, or of all."""
        slot = call.take(1)[0]
        if not spelled(slot, "ALL") and slot not in ("100", "200", "300"):
            raise ScpiError(-224)
        first = slot[:1] if slot in ("100", "200", "300") else ""
        self.relays.open([n for n in self.relays.closed if str(n).startswith(first)])

    def _states(self, call: Call, closed: str) -> str:
        channels = self.listed(call.take(1)[0], multiplexer=False)
        other = {"1": "0", "0": "1"}[closed]
        return ",".join(closed if n in self.relays.closed else other for n in channels)

    def _cycles(self, call: Call) -> str:
        channels = self.listed(call.take(1)[0], multiplexer=False)
        return ",".join(f"{self.relays.closures[n]:+d}" for n in channels)

    def _clear_cycles(self, call: Call) -> None:
        for channel in self.listed(call.take(1)[0], multiplexer=False):
            self.relays.closures[channel] = 0

    def _sweeps(self) -> int:
        if self.values["source"] != "IMM" and self.values["source"] != "TIM":
            raise ScpiError(-214)
        if self.values["sweeps"] >= INFINITY:
            raise ScpiError(-221)
        return int(self.values["sweeps"])

    def _initiate(self) -> None:
        if not self.scan:
            raise _EMPTY
        self.readings.records.clear()
        if self.values["source"] in ("BUS", "EXT"):
            self._waiting = True
            return
        self.readings.records.extend(self.sweep(self._sweeps()))

    def sweep(self, sweeps: int) -> list[Record]:
        """Scan, which leaves the channels of the scan list open."""
        if not self.scan:
            raise _EMPTY
        setups = []
        for channel in self.scan:
            nplc = self.values["nplc", channel]
            delay = self.values["delay", channel]
            if self.values["auto delay", channel]:
                delay = 2e-3 if nplc > 1 else 1e-3
            span = None if self.values["auto", channel] else self.values["range", channel]
            setups.append(ChannelSetup(span, nplc, delay + _RELAY_S))
        interval = self.values["interval"] if self.values["source"] == "TIM" else 0.0
        began = self.clock.now()
        volts, times = self.scanner.sweep(self.scan, setups, sweeps, interval)
        self.relays.scanned(self.scan, sweeps)
        return [
            Record(float(volts[k, column]), float(times[k, column]), began, channel)
            for k in range(sweeps)
            for column, channel in enumerate(self.scan)
        ]


class DAQ970A(Keysight34970A):
    """A DAQ970A: more memory, autozero and impedance set under VOLTage."""

    maker: ClassVar[str] = "Keysight Technologies"
    model: ClassVar[str] = "DAQ970A"
    firmware: ClassVar[str] = "A.03.03-01.00-03.00-00.02-02-02"
    queue_length: ClassVar[int] = 20
    memory: ClassVar[int] = 100_000
    autozero: ClassVar[str] = "[:SENSe]:VOLTage[:DC]:ZERO:AUTO"
    impedance: ClassVar[str] = "[:SENSe]:VOLTage[:DC]:IMPedance:AUTO"
