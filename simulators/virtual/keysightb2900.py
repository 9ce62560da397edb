"""The Keysight B2900 source-measure units, B2902A as they come here, with one or two channels.

After "Agilent B2900 Series Precision Source/Measure Unit SCPI Command Reference", B2910-90030:
chapter 1 (data output format, status data, table 1-2), 2 (ranges) and 4 (subsystem commands).
INITiate returns when the readings are done. Sweeps, lists, trains of pulses, limit tests, the trace
buffer and trigger lines are not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from hilep.errors import BadInputError
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.keysightb2900_readings import Readings
from hilep.simulators.virtual.parameters import Boolean, Choice, Number, Span, spelled, string
from hilep.simulators.virtual.scpi import Call
from hilep.simulators.virtual.scpi_errors import ScpiError
from hilep.simulators.virtual.scpi_instrument import ScpiInstrument
from hilep.simulators.virtual.source_channel import SourceChannel
from hilep.simulators.virtual.world import Drive, World

VOLTS = Converter(ranges=(0.2, 2.0, 20.0, 200.0))
AMPS = Converter(ranges=(1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 1.5))
_FUNCTIONS = {
    "VOLT": ("VOLTage", "V", 210.0, 2.0),
    "CURR": ("CURRent[:DC]", "A", 1.515, 1e-4),
}
_OTHER = {"VOLT": "CURR", "CURR": "VOLT"}
_NORMAL_OFF_A = 1e-4


class KeysightB2900(ScpiInstrument):
    """A B2900 with a channel at each of one or two terminals; arguments as `Keithley2400`'s."""

    max_clients = 3
    maker: ClassVar[str] = "Keysight Technologies"
    model: ClassVar[str] = "B2902A"
    firmware: ClassVar[str] = "3.4.2011.5100"
    no_error: ClassVar[str] = '+0,"No error"'
    queue_length: ClassVar[int] = 100
    registers: ClassVar[tuple[str, ...]] = ("MEASurement", "QUEStionable", "OPERation")

    def __init__(
        self,
        world: World,
        terminals: Sequence[str],
        clock: Clock,
        generator: np.random.Generator,
        *,
        volts: Converter = VOLTS,
        amps: Converter = AMPS,
        line_hz: float = 50.0,
        serial: str = "MY51140001",
    ) -> None:
        super().__init__(clock, serial)
        if len(terminals) not in (1, 2):
            raise BadInputError(f"terminals: expected one or two, got {len(terminals)}")
        self.channels = {
            k: SourceChannel(world, terminal, clock, generator, volts, amps, line_hz, 5e-6)
            for k, terminal in enumerate(terminals, 1)
        }
        self.volts, self.amps, self.line_hz = volts, amps, line_hz
        self.measured: dict[int, set[str]] = {}
        self._source_commands()
        self._sense_commands()
        self.readings = Readings(self)
        self.reset()

    def reset(self) -> None:
        """Outputs off, and every setting as *RST leaves it."""
        super().reset()
        self.measured = {channel: {"VOLT", "CURR"} for channel in self.channels}
        self.readings.forget()
        for channel in self.channels:
            self.apply(channel)

    def trigger(self) -> None:
        """Take the readings that an INITiate waits with."""
        self.readings.trigger()

    def error_text(self, error: ScpiError) -> str:
        """Return the entry; a positive number has its sign."""
        return f'{error.code:+d},"{error.text}"'

    def value(self, name: object, channel: int) -> Any:
        """Return a setting of a channel."""
        return self.values[name, channel]

    def source_range(self, channel: int) -> float:
        """Return the range that the source is on, volts or amperes."""
        function = self.value("function", channel)
        if self.value((function, "source auto"), channel):
            converter = self._converter(function)
            level = self.value((function, "level"), channel)
            return converter.holding(level) or converter.ranges[-1]
        return float(self.value((function, "source range"), channel))

    def apply(self, channel: int) -> None:
        """Make the source do what the settings say."""
        function = self.value("function", channel)
        other = _OTHER[function]
        limit = self.value((other, "limit"), channel)
        if not self.value((other, "auto"), channel):
            limit = min(limit, self.value((other, "range"), channel) * 1.05)
        kind: Any = "volts" if function == "VOLT" else "amps"
        if self.value("output", channel):
            level = self.value((function, "level"), channel)
            drive = Drive(kind, level, limit, self.source_range(channel))
        elif self.value("off mode", channel) == "HIZ":
            drive = Drive()
        elif self.value("off mode", channel) == "ZERO":
            drive = Drive("volts", 0.0, self.value(("CURR", "limit"), channel))
        else:
            drive = Drive("volts", 0.0, _NORMAL_OFF_A)
        self.channels[channel].drive(drive)

    def trigger_level(self, channel: int) -> None:
        """Go to the triggered level: the height of a pulse."""
        function = self.value("function", channel)
        kept = self.value((function, "level"), channel)
        self.values[(function, "level"), channel] = self.value((function, "triggered"), channel)
        self.apply(channel)
        self.values[(function, "level"), channel] = kept

    def switch(self, channel: int, on: bool) -> None:
        """Turn an output on or off."""
        self.values["output", channel] = on
        self.apply(channel)

    def _converter(self, function: str) -> Converter:
        return self.volts if function == "VOLT" else self.amps

    def _add(self, name: Any, pattern: str, kind: Any, then: Any = None, check: Any = None) -> None:
        self.setting(name, pattern, kind, then, tuple(self.channels), check)

    def _source_commands(self) -> None:
        add, source = self._add, "[:SOURce#]"
        add("output", ":OUTPut#[:STATe]", Boolean(), self.apply)
        add("off mode", ":OUTPut#:OFF:MODE", Choice(("NORMal", "HIZ", "ZERO"), "NORM"), self.apply)
        add("auto on", ":OUTPut#:ON:AUTO", Boolean(True))
        add("auto off", ":OUTPut#:OFF:AUTO", Boolean())
        add("high capacitance", ":OUTPut#:HCAPacitance[:STATe]", Boolean())
        add("protection", ":OUTPut#:PROTection[:STATe]", Boolean())
        functions = Choice(("VOLTage", "CURRent"), "VOLT")
        add("function", f"{source}:FUNCtion:MODE", functions, self.apply)
        add("shape", f"{source}:FUNCtion[:SHAPe]", Choice(("DC", "PULSe"), "DC"))
        add("pulse delay", f"{source}:PULSe:DELay", Number(0, 99_999.9, 0, "S"))
        add("pulse width", f"{source}:PULSe:WIDTh", Number(5e-5, 100_000, 5e-5, "S"))
        add("filter", ":OUTPut#:FILTer[:LPASs][:STATe]", Boolean(True))
        for function, (_, unit, top, _) in _FUNCTIONS.items():
            root = f"{source}:{'VOLTage' if function == 'VOLT' else 'CURRent'}"
            ranges = self._converter(function)
            add(
                (function, "level"),
                f"{root}[:LEVel][:IMMediate][:AMPLitude]",
                Number(-top, top, 0, unit),
                partial(self._follow, function),
                partial(self._check_level, function),
            )
            add(
                (function, "triggered"),
                f"{root}[:LEVel]:TRIGgered[:AMPLitude]",
                Number(-top, top, 0, unit),
                check=partial(self._check_level, function),
            )
            add(
                (function, "source range"),
                f"{root}:RANGe",
                Span(ranges.ranges, ranges.over, unit),
                partial(self._fixed, (function, "source auto")),
            )
            add((function, "source auto"), f"{root}:RANGe:AUTO", Boolean(True), self.apply)
            add((function, "mode"), f"{root}:MODE", Choice(("FIXed",), "FIX"))

    def _sense_commands(self) -> None:
        add, sense, commands = self._add, ":SENSe#", self.commands
        commands.add(f"{sense}:FUNCtion[:ON]", self._measure_also, self._measuring)
        commands.add(f"{sense}:FUNCtion[:ON]:ALL", self._measure_all)
        commands.add(f"{sense}:FUNCtion:ALL", self._measure_all)
        commands.add(f"{sense}:FUNCtion:OFF", self._measure_not)
        commands.add(f"{sense}:FUNCtion:OFF:ALL", self._measure_none)
        nplc = Number(0.0005, 100, 0.1)
        for function, (long, unit, top, limit) in _FUNCTIONS.items():
            root = f"{sense}:{long}" if function == "CURR" else f"{sense}:VOLTage[:DC]"
            ranges = self._converter(function)
            add(
                (function, "limit"),
                f"{root}:PROTection[:LEVel][:BOTH]",
                Number(ranges.ranges[0] * 1e-3, top, limit, unit),
                self.apply,
                partial(self._check_limit, function),
            )
            tripped = partial(self._tripped, function)
            commands.add(f"{root}:PROTection:TRIPped", getter=tripped)
            add(
                (function, "range"),
                f"{root}:RANGe[:UPPer]",
                Span(ranges.ranges, ranges.over, unit),
                partial(self._fixed, (function, "auto")),
            )
            add((function, "auto"), f"{root}:RANGe:AUTO", Boolean(True), self.apply)
            add("nplc", f"{root}:NPLCycles", nplc)
            commands.add(f"{root}:APERture", self._set_aperture, self._aperture)
        add("four wires", f"{sense}:REMote", Boolean())
        commands.add(":SYSTem:LFRequency", self._set_line, lambda call: f"{self.line_hz:.0f}")
        self.ignored(":SYSTem:BEEPer[:IMMediate]", ":SYSTem:BEEPer:STATe", ":DISPlay:ENABle")
        self.ignored(":DISPlay:VIEW", ":SYSTem:TIME:TIMer:COUNt:RESet:AUTO")

    def number(self, call: Call) -> int:
        """Return the channel of a command's first suffix; -114 where there is none."""
        channel = call.suffixes[0] or 1
        if channel not in self.channels:
            raise ScpiError(-114)
        return channel

    def _check_level(self, function: str, value: float, channel: int) -> float:
        fixed = not self.value((function, "source auto"), channel)
        top = self.value((function, "source range"), channel) * 1.05 * (1 + 1e-9)
        if fixed and abs(value) > top:
            raise ScpiError(-222)
        limit = self.value((_OTHER[function], "limit"), channel)
        _check_power(function, abs(value), limit, self.value("function", channel))
        return value

    def _check_limit(self, function: str, value: float, channel: int) -> float:
        source = _OTHER[function]
        level = abs(self.value((source, "level"), channel))
        _check_power(source, level, value, self.value("function", channel))
        return value

    def _follow(self, function: str, channel: int) -> None:
        """Let the triggered level be the immediate one, until it is set itself."""
        self.values[(function, "triggered"), channel] = self.value((function, "level"), channel)
        self.apply(channel)

    def _set_line(self, call: Call) -> None:
        self.line_hz = Number(50, 60, 50, "HZ").read(call.take(1)[0])
        for channel in self.channels.values():
            channel.line_hz = self.line_hz

    def _fixed(self, automatic: object, channel: int) -> None:
        self.values[automatic, channel] = False
        self.apply(channel)

    def _tripped(self, function: str, call: Call) -> str:
        number = self.number(call)
        if function == self.value("function", number) or not self.value("output", number):
            return "0"
        channel = self.channels[number]
        now = channel.world.measure([channel.terminal], 0.0, channel.generator)
        return "1" if now.limited[0] else "0"

    def _functions(self, call: Call) -> set[str]:
        chosen = set()
        for text in call.take(1, 3):
            name = string(text).partition(":")[0]
            options = {"VOLT": "VOLTage", "CURR": "CURRent", "RES": "RESistance"}
            match = next((f for f, long in options.items() if spelled(name, long)), None)
            if match is None:
                raise ScpiError(-224)
            chosen.add(match)
        return chosen

    def _measure_also(self, call: Call) -> None:
        self.measured[self.number(call)] |= self._functions(call)

    def _measure_not(self, call: Call) -> None:
        self.measured[self.number(call)] -= self._functions(call)

    def _measure_all(self, call: Call) -> None:
        self.measured[self.number(call)] = {"VOLT", "CURR", "RES"}

    def _measure_none(self, call: Call) -> None:
        self.measured[self.number(call)] = set()

    def _measuring(self, call: Call) -> str:
        chosen = self.measured[self.number(call)]
        return ",".join(f'"{f}"' for f in ("VOLT", "CURR", "RES") if f in chosen) or '""'

    def _set_aperture(self, call: Call) -> None:
        channel = self.number(call)
        seconds = Number(1e-5, 2, 2e-3, "S").read(call.take(1)[0])
        self.values["nplc", channel] = seconds * self.line_hz

    def _aperture(self, call: Call) -> str:
        return format(self.value("nplc", self.number(call)) / self.line_hz, ".6E")


def _check_power(source: str, level: float, limit: float, active: str) -> None:
    """Above 21 V the source gives 105 mA at most (chapter 2, "Source Output Ranges")."""
    volts, amps = (level, limit) if source == "VOLT" else (limit, level)
    if source == active and volts > 21 * (1 + 1e-9) and amps > 0.105 * (1 + 1e-9):
        raise ScpiError(-221)
