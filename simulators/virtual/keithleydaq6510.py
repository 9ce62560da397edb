"""The Keithley DAQ6510 data acquisition system in its SCPI command set, for DC volts.

After "Model DAQ6510 Data Acquisition and Multimeter System Reference Manual", DAQ6510-901-01,
section 12 (SCPI command reference: ROUTe, SENSe1 and TRACe subsystems). A scan list is scanned in
the order in which it was created and its readings are added to its buffer. Other functions than DC
volts, monitoring, limits and the general trigger model are not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.parameters import Boolean, Choice, Kind, Number, Span, string
from hilep.simulators.virtual.reading_buffer import FIRST_OF_GROUP, Record
from hilep.simulators.virtual.relays import Relays
from hilep.simulators.virtual.scanner import ChannelSetup, Scanner
from hilep.simulators.virtual.scpi import Call
from hilep.simulators.virtual.scpi_errors import ScpiError
from hilep.simulators.virtual.touchscreen import FunctionName, TouchscreenInstrument, reading
from hilep.simulators.virtual.world import World

VOLTS = Converter(ranges=(0.1, 1.0, 10.0, 100.0, 1000.0), over=1.2, noise=5e-7, step=1e-7)
_FRONT = 0
_AUTO_DELAY_S = 1e-3
_RELAY_S = 4e-3
_COUNTS = Number(0, 100_000_000, 1, integer=True)
_SECONDS = Number(0, 100_000, 0)


class KeithleyDAQ6510(TouchscreenInstrument):
    """A DAQ6510 with its cards.

    Args:
        world: what it is wired to.
        channels: terminal of each multiplexer channel, such as 101.
        clock: the time that passes while it measures.
        generator: draws the noise of its readings.
        matrix: the two terminals of each crosspoint of a matrix card.
        volts: its voltmeter.
        line_hz: mains frequency.
        gains: per channel, 1 where there is none.
        offsets: volts per channel, 0 where there is none.
    """

    model: ClassVar[str] = "MODEL DAQ6510"
    firmware: ClassVar[str] = "1.7.12b"
    has_source: ClassVar[bool] = False

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
        serial: str = "04500001",
    ) -> None:
        super().__init__(clock, serial)
        self.relays = Relays(world, channels, matrix)
        self.scanner = Scanner(self.relays, clock, generator, volts, line_hz, gains, offsets)
        self.volts = volts
        self._scan: list[int] = []
        self._sense_commands()
        self._route_commands()
        self.reset()

    def reset(self) -> None:
        """Open every relay, forget the scan list, and restore the settings."""
        super().reset()
        self.relays.open(self.relays.closed)
        self._scan = []
        self.values["scan buffer"] = "defbuffer1"

    def take(self, count: int, delay_s: float = 0.0) -> list[Record]:
        """Take readings of the closed channel, or of the front terminals, which are open."""
        closed = [n for n in self.relays.closed if n in self.relays.channels]
        if not closed:
            setup = self._setup(_FRONT)
            spread = self.volts.sigma(setup.span or self.volts.ranges[0], setup.nplc)
            noise = self.scanner.generator.normal(0.0, spread, count)
            each = setup.nplc / self.scanner.line_hz + delay_s
            began = self.clock.advance(count * each)
            times = began + each * np.arange(1, count + 1)
            return [Record(float(v), "V", float(t)) for v, t in zip(noise, times, strict=True)]
        volts, times = self.scanner.sweep(closed[:1], [self._setup(closed[0])], count)
        return self._records(closed[:1], volts, times)

    def initiate(self) -> None:
        """Scan where there is a scan list, else run the trigger model."""
        if not self._scan:
            super().initiate()
            return
        sweeps = int(self.values["scans"])
        if sweeps == 0:
            raise ScpiError(-221)
        used = self.values["scan mode"] != "ALL"
        self.relays.open([n for n in self.relays.closed if not used or n in self._scan])
        setups = [self._setup(number) for number in self._scan]
        volts, times = self.scanner.sweep(self._scan, setups, sweeps, self.values["interval"])
        self.relays.scanned(self._scan, sweeps)
        buffer = self.buffer(self.values["scan buffer"])
        for record in self._records(self._scan, volts, times):
            buffer.store(record)

    def _records(self, numbers: list[int], volts: Any, times: Any) -> list[Record]:
        return [
            Record(
                reading=reading(float(volts[sweep, column])),
                unit="V",
                time_s=float(times[sweep, column]),
                status=FIRST_OF_GROUP if column == 0 else 0,
                channel=number,
            )
            for sweep in range(len(volts))
            for column, number in enumerate(numbers)
        ]

    def _setup(self, number: int) -> ChannelSetup:
        values = self.values
        span = None if values["auto", number] else values["range", number]
        delay = values["delay", number] or _AUTO_DELAY_S
        return ChannelSetup(span, values["nplc", number], delay + _RELAY_S)

    def _numbers(self, text: str, multiplexer: bool = False) -> list[int]:
        unknown = ScpiError(-222)
        return self.relays.listed(text, unknown, multiplexer)

    def _per_channel(self, name: str, pattern: str, kind: Kind, then: Any = None) -> None:
        """Add a setting that takes an optional channel list; without one it is the front's."""
        for number in (_FRONT, *self.relays.channels):
            self._kinds[name, number] = kind
            self.values[name, number] = kind.default

        def targets(texts: tuple[str, ...]) -> list[int]:
            return self._numbers(texts[0], multiplexer=True) if texts else [_FRONT]

        def setter(call: Call) -> None:
            text, *rest = call.take(1, 2)
            value = kind.read(text)
            for number in targets(tuple(rest)):
                self.values[name, number] = value
                if then is not None:
                    then(number)

        def getter(call: Call) -> str:
            texts = call.take(0, 2)
            if texts and not texts[0].startswith("("):
                return kind.write(kind.named(texts[0]))
            return ";".join(kind.write(self.values[name, n]) for n in targets(texts))

        self.commands.add(pattern, setter, getter)

    def _sense_commands(self) -> None:
        sense = "[:SENSe[1]]"
        root = f"{sense}:VOLTage[:DC]"
        function = FunctionName(("VOLTage",), "VOLT", quoted=True)
        self._per_channel("function", f"{sense}:FUNCtion[:ON]", function)
        self._per_channel("nplc", f"{root}:NPLCycles", Number(0.0005, 12, 1))
        span = Span(self.volts.ranges, self.volts.over, "V")
        self._per_channel("range", f"{root}:RANGe[:UPPer]", span, self._fixed)
        self._per_channel("auto", f"{root}:RANGe:AUTO", Boolean(True))
        self._per_channel("autozero", f"{root}:AZERo[:STATe]", Boolean(True))
        self._per_channel("line sync", f"{root}:LINE:SYNC", Boolean())
        self._per_channel("filter", f"{root}:AVERage[:STATe]", Boolean())
        self._per_channel("relative", f"{root}:RELative:STATe", Boolean())
        self._per_channel("delay", ":ROUTe[:CHANnel]:DELay", Number(0, 60, 0))
        impedance = Choice(("AUTO", "MOHM10"), "MOHM10")
        self._per_channel("impedance", f"{root}:INPutimpedance", impedance)
        self.commands.add(":MEASure:VOLTage[:DC]", getter=lambda call: self._read(call, True))
        line = round(self.scanner.line_hz)
        self.commands.add(":SYSTem:LFRequency", getter=lambda call: str(line))
        self.commands.add(":ROUTe:TERMinals", getter=lambda call: "REAR")

    def _route_commands(self) -> None:
        add, scan = self.commands.add, ":ROUTe:SCAN"
        add(f"{scan}[:CREate]", self._create, lambda call: _listed(self._scan))
        add(f"{scan}:ADD", self._add)
        add(f"{scan}:BUFFer", self._set_buffer, lambda call: self.values["scan buffer"])
        self.setting("scans", f"{scan}:COUNt:SCAN", _COUNTS)
        add(f"{scan}:COUNt:STEP", getter=lambda call: str(len(self._scan)))
        self.setting("interval", f"{scan}:INTerval", _SECONDS)
        # ALL opens every channel before a scan, USED those of its list.
        self.setting("scan mode", f"{scan}:MODE", Choice(("ALL", "USED", "FABR"), "ALL"))
        add(f"{scan}:STATe", getter=lambda call: "SUCCESS;1;1" if self._scan else "EMPTY;0;0")
        close = ":ROUTe[:CHANnel][:MULTiple]:CLOSe"
        add(close, self._close, lambda call: _listed(sorted(self.relays.closed)))
        add(":ROUTe[:CHANnel]:CLOSe:COUNt", getter=self._closures)
        add(":ROUTe[:CHANnel]:STATe", getter=self._states)
        add(":ROUTe[:CHANnel]:OPEN:ALL", lambda call: self.relays.open(self.relays.closed))
        add(":ROUTe[:CHANnel][:MULTiple]:OPEN", self._open)

    def _fixed(self, number: int) -> None:
        self.values["auto", number] = False

    def _create(self, call: Call) -> None:
        texts = call.take(0, 1)
        self._scan = self._numbers(texts[0], multiplexer=True) if texts else []

    def _add(self, call: Call) -> None:
        self._scan = self._scan + self._numbers(call.take(1)[0], multiplexer=True)

    def _set_buffer(self, call: Call) -> None:
        name = string(call.take(1)[0])
        self.buffer(name)
        self.values["scan buffer"] = name

    def _close(self, call: Call) -> None:
        """Close channels; of the multiplexer's only the last one stays closed."""
        numbers = self._numbers(call.take(1)[0])
        for number in numbers:
            if number in self.relays.channels:
                self.relays.open([n for n in self.relays.closed if n in self.relays.channels])
            self.relays.close([number])

    def _open(self, call: Call) -> None:
        self.relays.open(self._numbers(call.take(1)[0]))

    def _closures(self, call: Call) -> str:
        return ",".join(str(self.relays.closures[n]) for n in self._numbers(call.take(1)[0]))

    def _states(self, call: Call) -> str:
        numbers = self._numbers(call.take(1)[0])
        return ",".join("1" if n in self.relays.closed else "0" for n in numbers)


def _listed(numbers: list[int]) -> str:
    return f"(@{','.join(map(str, numbers))})"
