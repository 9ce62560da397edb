"""The Keithley 2400 SourceMeter, in SCPI.

After "2400 Series SourceMeter User's Manual", 2400S-900-01 Rev. K: section 3 (operating
boundaries), 13 (output-off states), 15 (status), 17 (signal oriented commands), 18 (command
reference) and appendix B (errors). Readings are taken when they are asked for: INITiate returns
when they are done. Sweeps, source memory, limit tests and the trigger link are not there.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, ClassVar

import numpy as np

from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.keithley2400_readings import Readings
from hilep.simulators.virtual.keithley2400_trigger import TriggerModel
from hilep.simulators.virtual.parameters import Boolean, Choice, Number, spelled, string
from hilep.simulators.virtual.scpi import Call
from hilep.simulators.virtual.scpi_errors import ScpiError
from hilep.simulators.virtual.scpi_instrument import ScpiInstrument
from hilep.simulators.virtual.source_channel import SourceChannel
from hilep.simulators.virtual.world import Drive, World

VOLTS = Converter(ranges=(0.2, 2.0, 20.0, 200.0))
AMPS = Converter(ranges=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0))
_TOP = {"VOLT": 210.0, "CURR": 1.05}
_DEFAULT_LIMIT = {"VOLT": 21.0, "CURR": 1.05e-4}
LONG = {"VOLT": "VOLTage", "CURR": "CURRent", "RES": "RESistance"}
_OTHER = {"VOLT": "CURR", "CURR": "VOLT"}


class Keithley2400(ScpiInstrument):
    """A 2400 wired to one terminal of the world.

    Args:
        world: what it is wired to.
        terminal: where.
        clock: the time that passes while it measures.
        generator: draws the noise of its readings.
        volts: its voltmeter; its ranges are the source's too.
        amps: its ammeter.
        line_hz: mains frequency.
    """

    maker: ClassVar[str] = "KEITHLEY INSTRUMENTS INC."
    model: ClassVar[str] = "MODEL 2400"
    firmware: ClassVar[str] = "C30   Mar 17 2006 09:29:29/A02  /K/J"
    scpi_version: ClassVar[str] = "1996.0"
    registers: ClassVar[tuple[str, ...]] = ("MEASurement", "QUEStionable", "OPERation")

    def __init__(
        self,
        world: World,
        terminal: str,
        clock: Clock,
        generator: np.random.Generator,
        *,
        volts: Converter = VOLTS,
        amps: Converter = AMPS,
        line_hz: float = 50.0,
        serial: str = "1000001",
    ) -> None:
        super().__init__(clock, serial)
        self.channel = SourceChannel(world, terminal, clock, generator, volts, amps, line_hz)
        self.measured: set[str] = {"CURR"}
        self.readings = Readings(self)
        self._source_commands()
        self._sense_commands()
        self.triggers = TriggerModel(self)
        self.reset()

    def reset(self) -> None:
        """Output off, and every setting as *RST leaves it."""
        super().reset()
        self.measured = {"CURR"}
        self.triggers.abort()
        self.readings.forget()
        self._apply()

    def trigger(self) -> None:
        """Take the readings that an INITiate waits with."""
        self.triggers.trigger()

    def effective_limit(self) -> tuple[float, bool]:
        """Return the limit in effect and whether the measurement range sets it."""
        other = _OTHER[self.values["function"]]
        limit = abs(self.values[other, "limit"])
        if self.values[other, "auto"]:
            return limit, False
        top = self.values[other, "range"] * 1.05
        return (top, True) if top < limit else (limit, False)

    def source_range(self) -> float:
        """Return the range that the source is on, volts or amperes."""
        function = self.values["function"]
        converter = self._converter(function)
        if self.values[function, "source auto"]:
            return converter.holding(self.values[function, "level"]) or converter.ranges[-1]
        return float(self.values[function, "source range"])

    def _converter(self, function: str) -> Converter:
        return self.channel.volts if function == "VOLT" else self.channel.amps

    def _apply(self) -> None:
        """Make the source do what the settings say, output off included (section 13)."""
        function, span = self.values["function"], self.source_range()
        if self.values["output"]:
            limit, _ = self.effective_limit()
            drive = Drive(_kind(function), self.values[function, "level"], limit, span)
        elif self.values["off state"] == "HIMP":
            drive = Drive()
        elif self.values["off state"] == "GUAR":
            drive = Drive("amps", 0.0, 0.005 * self.channel.volts.ranges[0])
        elif self.values["off state"] == "ZERO":
            drive = Drive("volts", 0.0, abs(self.values["CURR", "limit"]))
        else:
            now = self.channel.amps.holding(self.values["CURR", "limit"]) or AMPS.ranges[-1]
            drive = Drive("volts", 0.0, 0.005 * now)
        self.channel.drive(drive)

    def _source_commands(self) -> None:
        setting, apply = self.setting, self._apply
        setting("output", ":OUTPut[1][:STATe]", Boolean(), apply)
        states = ("HIMPedance", "NORMal", "ZERO", "GUARd")
        setting("off state", ":OUTPut[1]:SMODe", Choice(states, "NORM"), apply)
        functions = Choice(("VOLTage", "CURRent"), "VOLT")
        setting("function", ":SOURce[1]:FUNCtion[:MODE]", functions, apply)
        manual = partial(self.values.update, {"auto delay": False})
        setting("delay", ":SOURce[1]:DELay", Number(0, 999.9999, 0), manual)
        setting("auto delay", ":SOURce[1]:DELay:AUTO", Boolean(True))
        setting("auto off", ":SOURce[1]:CLEar:AUTO", Boolean())
        self.commands.add(":SOURce[1]:CLEar[:IMMediate]", lambda call: self.switch(False))
        for function, unit in (("VOLT", "V"), ("CURR", "A")):
            root, top = f":SOURce[1]:{LONG[function]}", _TOP[function]
            full = self._converter(function).ranges[-1]
            setting(
                (function, "level"),
                f"{root}[:LEVel][:IMMediate][:AMPLitude]",
                Number(-top, top, 0, unit),
                apply,
                check=partial(self._check_level, function),
            )
            setting(
                (function, "source range"),
                f"{root}:RANGe",
                Number(-top, top, full, unit),
                partial(self._fixed_source, function),
                check=partial(self._span, function),
            )
            setting((function, "source auto"), f"{root}:RANGe:AUTO", Boolean(True), apply)
            setting((function, "mode"), f"{root}:MODE", Choice(("FIXed", "LIST", "SWEep"), "FIX"))
        setting("ovp", ":SOURce[1]:VOLTage:PROTection[:LEVel]", Number(-210, 210, 210, "V"))

    def _sense_commands(self) -> None:
        setting, sense = self.setting, "[:SENSe[1]]"
        self.commands.add(f"{sense}:FUNCtion[:ON]", self._measure_also, self.measuring)
        self.commands.add(f"{sense}:FUNCtion[:ON]:ALL", lambda call: self._measure_all(True))
        self.commands.add(f"{sense}:FUNCtion:OFF:ALL", lambda call: self._measure_all(False))
        self.commands.add(f"{sense}:FUNCtion:OFF", self._measure_not)
        setting("concurrent", f"{sense}:FUNCtion:CONCurrent", Boolean(True))
        for function, unit in (("VOLT", "V"), ("CURR", "A")):
            root, top = f"{sense}:{LONG[function]}[:DC]", _TOP[function]
            limit = Number(-top, top, _DEFAULT_LIMIT[function], unit)
            setting(
                (function, "limit"),
                f"{root}:PROTection[:LEVel]",
                limit,
                self._apply,
                check=partial(self._check_limit, function),
            )
            self.commands.add(f"{root}:PROTection:TRIPped", getter=partial(self._tripped, function))
            setting(
                (function, "range"),
                f"{root}:RANGe[:UPPer]",
                Number(-top, top, _DEFAULT_LIMIT[function], unit),
                partial(self._fixed_sense, function),
                check=partial(self._check_sense_range, function),
            )
            setting((function, "auto"), f"{root}:RANGe:AUTO", Boolean(True), self._apply)
            setting("nplc", f"{root}:NPLCycles", Number(0.01, 10, 1))
        setting("nplc", f"{sense}:RESistance:NPLCycles", Number(0.01, 10, 1))
        setting("ohms mode", f"{sense}:RESistance:MODE", Choice(("AUTO", "MANual"), "AUTO"))
        setting("ohms range", f"{sense}:RESistance:RANGe[:UPPer]", Number(-2.1e8, 2.1e8, 2.1e5))
        setting("ohms auto", f"{sense}:RESistance:RANGe:AUTO", Boolean(True))
        setting("filter", f"{sense}:AVERage[:STATe]", Boolean())
        setting("filter count", f"{sense}:AVERage:COUNt", Number(1, 100, 10, integer=True))
        setting("filter kind", f"{sense}:AVERage:TCONtrol", Choice(("REPeat", "MOVing"), "REP"))
        setting("autozero", ":SYSTem:AZERo[:STATe]", _AutoZero(True))
        setting("four wires", ":SYSTem:RSENse", Boolean())
        setting("line", ":SYSTem:LFRequency", Number(50, 60, 50, integer=True))
        setting("line auto", ":SYSTem:LFRequency:AUTO", Boolean(True))
        setting("display", ":DISPlay:ENABle", Boolean(True))
        setting("terminals", ":ROUTe:TERMinals", Choice(("FRONt", "REAR"), "FRON"))
        self.ignored(":SYSTem:BEEPer[:IMMediate]", ":SYSTem:BEEPer:STATe", ":SYSTem:LOCal")
        self.ignored(":SYSTem:REMote", ":DISPlay:DIGits")
        self.commands.add(":SYSTem:PRESet", lambda call: self.reset())

    def _check_level(self, function: str, value: float) -> float:
        top = self.values[function, "source range"] * 1.05 * (1 + 1e-9)
        if not self.values[function, "source auto"] and abs(value) > top:
            raise ScpiError(-222)
        limit = abs(self.values[_OTHER[function], "limit"])
        volts, amps = (abs(value), limit) if function == "VOLT" else (limit, abs(value))
        if function == self.values["function"]:
            _check_power(volts, amps)
        return value

    def _check_limit(self, function: str, value: float) -> float:
        value = abs(value)
        least = self.values[function, "range"] * 1e-3
        if value == 0 or (not self.values[function, "auto"] and value < least):
            raise ScpiError(822, "Too small for sense range")
        if function != self.values["function"]:
            level = abs(self.values[_OTHER[function], "level"])
            _check_power(*((value, level) if function == "VOLT" else (level, value)))
        return value

    def _check_sense_range(self, function: str, value: float) -> float:
        span = self._span(function, value)
        if function != self.values["function"]:
            allowed = self._converter(function).holding(self.values[function, "limit"])
            if allowed is not None and span > allowed:
                raise ScpiError(824, "Cannot exceed compliance range")
        return span

    def _span(self, function: str, value: float) -> float:
        span = self._converter(function).holding(value)
        if span is None:
            raise ScpiError(-222)
        return span

    def _fixed_source(self, function: str) -> None:
        self.values[function, "source auto"] = False
        top = self.values[function, "source range"] * 1.05
        level = self.values[function, "level"]
        self.values[function, "level"] = math.copysign(min(abs(level), top), level)
        self._apply()

    def _fixed_sense(self, function: str) -> None:
        self.values[function, "auto"] = False
        self._apply()

    def _tripped(self, function: str, call: Call) -> str:
        if function == self.values["function"] or not self.values["output"]:
            return "0"
        channel = self.channel
        now = channel.world.measure([channel.terminal], 0.0, channel.generator)
        return "1" if now.limited[0] else "0"

    def _functions(self, call: Call) -> list[str]:
        chosen = []
        for text in call.take(1, 3):
            name = string(text).partition(":")[0]
            match = next((f for f, long in LONG.items() if spelled(name, long)), None)
            if match is None:
                raise ScpiError(-224)
            chosen.append(match)
        return chosen

    def _measure_also(self, call: Call) -> None:
        chosen = self._functions(call)
        self.measured = (self.measured if self.values["concurrent"] else set()) | set(chosen)

    def _measure_not(self, call: Call) -> None:
        self.measured = self.measured - set(self._functions(call))

    def _measure_all(self, everything: bool) -> None:
        self.measured = set(LONG) if everything else set()

    def measuring(self, call: Call) -> str:
        """Answer :SENSe:FUNCtion? and :CONFigure?."""
        names = {"VOLT": '"VOLT:DC"', "CURR": '"CURR:DC"', "RES": '"RES"'}
        return ",".join(names[f] for f in ("VOLT", "CURR", "RES") if f in self.measured) or '""'

    def switch(self, on: bool) -> None:
        """Turn the output on or off."""
        self.values["output"] = on
        self._apply()


class _AutoZero(Boolean):
    """ON, OFF or ONCE, which zeroes once and leaves it off."""

    def named(self, text: str) -> bool:
        """Return what a name stands for."""
        return False if spelled(text, "ONCE") else super().named(text)


def _kind(function: str) -> Any:
    return "volts" if function == "VOLT" else "amps"


def _check_power(volts: float, amps: float) -> None:
    """Above 21 V the source gives 105 mA at most (section 6, "Operating boundaries")."""
    if volts > 21 * (1 + 1e-9) and amps > 0.105 * (1 + 1e-9):
        raise ScpiError(826, "Attempt to exceed power limit")
