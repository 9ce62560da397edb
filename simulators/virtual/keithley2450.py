"""The Keithley 2450 SourceMeter in its SCPI command set.

After "Model 2450 Interactive SourceMeter Instrument Reference Manual", 2450-901-01 Rev. B: section
2 (output-off states, limits), 6 (SCPI command reference) and appendix C (status). Configuration
lists, sweeps, digital lines, limit tests and the general trigger model are not there.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np

from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.parameters import INFINITY, Boolean, Choice, Number
from hilep.simulators.virtual.reading_buffer import (
    LIMITED,
    OUTPUT,
    READ_BACK,
    SENSE,
    TERMINAL,
    Record,
)
from hilep.simulators.virtual.scpi import Call
from hilep.simulators.virtual.scpi_errors import ScpiError
from hilep.simulators.virtual.source_channel import SourceChannel
from hilep.simulators.virtual.touchscreen import FunctionName, TouchscreenInstrument, reading
from hilep.simulators.virtual.world import Drive, World

VOLTS = Converter(ranges=(0.02, 0.2, 2.0, 20.0, 200.0))
AMPS = Converter(ranges=(1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0))
_FUNCTIONS = {
    "VOLT": ("VOLTage", "V", 210.0, "ILIMit", Number(1e-9, 1.05, 1.05e-4, "A")),
    "CURR": ("CURRent", "A", 1.05, "VLIMit", Number(0.02, 210, 21, "V")),
}
_OTHER = {"VOLT": "CURR", "CURR": "VOLT"}
_SENSE = {"VOLT": "VOLTage[:DC]", "CURR": "CURRent[:DC]", "RES": "RESistance"}
_PROTECTIONS = (2, 5, 10, 20, 40, 60, 80, 100, 120, 140, 160, 180)
_OVERHEAD_S, _AUTO_DELAY_S = 5e-4, 1e-3


class Keithley2450(TouchscreenInstrument):
    """A 2450 wired to one terminal of the world; arguments as `Keithley2400`'s."""

    model: ClassVar[str] = "MODEL 2450"
    firmware: ClassVar[str] = "1.7.12b"

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
        serial: str = "04000001",
    ) -> None:
        super().__init__(clock, serial)
        self.channel = SourceChannel(world, terminal, clock, generator, volts, amps, line_hz)
        self._source_commands()
        self._sense_commands()
        self.reset()

    def reset(self) -> None:
        """Output off, and every setting as *RST leaves it."""
        super().reset()
        self._apply()

    def take(self, count: int, delay_s: float = 0.0) -> list[Record]:
        """Take readings of the chosen function."""
        values, measured, sourced = self.values, self.values["measured"], self.values["function"]
        spans: dict[str, float | None] = {
            name: None if values[name, "auto"] else values[name, "range"]
            for name in ("VOLT", "CURR")
        }
        spans[sourced] = self._source_range()
        delay = values[sourced, "delay"]
        if values[sourced, "auto delay"]:
            delay = _AUTO_DELAY_S
        nplc = values[measured, "nplc"]
        samples = self.channel.sample(
            count, nplc, spans["VOLT"], spans["CURR"], delay_s + delay + _OVERHEAD_S
        )
        got = {"VOLT": samples.volts, "CURR": samples.amps}
        with np.errstate(divide="ignore", invalid="ignore"):
            got["RES"] = samples.volts / samples.amps
        back = values[sourced, "read back"]
        source = got[sourced] if back else np.full(count, values[sourced, "level"])
        source_status = (READ_BACK if back else 0) | (OUTPUT if values["output"] else 0)
        source_status |= LIMITED if samples.limited and values["output"] else 0
        source_status |= SENSE if values[measured, "four wires"] else 0
        status = TERMINAL if values["terminals"] == "FRON" else 0
        unit = {"VOLT": "V", "CURR": "A", "RES": "Ohm"}[measured]
        return [
            Record(
                reading=reading(float(value)) if np.isfinite(value) else INFINITY,
                unit=unit,
                time_s=float(time_s),
                status=status,
                source=reading(float(level)),
                source_unit=_FUNCTIONS[sourced][1],
                source_status=source_status,
            )
            for value, level, time_s in zip(got[measured], source, samples.times, strict=True)
        ]

    def _converter(self, function: str) -> Converter:
        return self.channel.volts if function == "VOLT" else self.channel.amps

    def _source_range(self) -> float:
        function = self.values["function"]
        if self.values[function, "source auto"]:
            converter = self._converter(function)
            return converter.holding(self.values[function, "level"]) or converter.ranges[-1]
        return float(self.values[function, "source range"])

    def _apply(self) -> None:
        """Make the source do what the settings say (section 2, "Output-off state")."""
        values, function = self.values, self.values["function"]
        kind: Any = "volts" if function == "VOLT" else "amps"
        limit, other = values[function, "limit"], _OTHER[function]
        if not values[other, "auto"]:
            limit = min(limit, values[other, "range"] * 1.05)
        amps_limit = limit if function == "VOLT" else AMPS.ranges[-1]
        off_state = values[function, "off state"]
        if values["output"]:
            drive = Drive(kind, values[function, "level"], limit, self._source_range())
        elif off_state == "HIMP":
            drive = Drive()
        elif off_state == "GUAR":
            drive = Drive("amps", 0.0, 0.1 * self.channel.volts.ranges[0])
        elif off_state == "ZERO":
            drive = Drive("volts", 0.0, amps_limit)
        else:
            span = self.channel.amps.holding(amps_limit) or self.channel.amps.ranges[-1]
            drive = Drive("volts", 0.0, 0.1 * span)
        self.channel.drive(drive)

    def _source_commands(self) -> None:
        setting, apply = self.setting, self._apply
        setting("output", ":OUTPut[1][:STATe]", Boolean(), apply)
        functions = Choice(("VOLTage", "CURRent"), "VOLT")
        setting("function", ":SOURce[1]:FUNCtion[:MODE]", functions, apply)
        off_states = Choice(("NORMal", "HIMPedance", "ZERO", "GUARd"), "NORM")

        def off_state(call: Call) -> None:
            """Set it for both functions: section 6, ":OUTPut[1]:<function>:SMODe"."""
            chosen = off_states.read(call.take(1)[0])
            self.values.update({(function, "off state"): chosen for function in _FUNCTIONS})
            apply()

        self.commands.add(
            ":OUTPut[1]:SMODe",
            off_state,
            lambda call: str(self.values[self.values["function"], "off state"]),
        )
        protections = Choice(
            (*(f"PROT{v}" for v in _PROTECTIONS), "NONE"),
            "NONE",
        )
        setting("protection", ":SOURce[1]:VOLTage:PROTection[:LEVel]", protections)
        for function, (long, unit, top, limit_node, limit) in _FUNCTIONS.items():
            root, full = f":SOURce[1]:{long}", self._converter(function).ranges
            setting((function, "off state"), f":OUTPut[1]:{long}:SMODe", off_states, apply)
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
                Number(-top, top, full[0], unit),
                partial(self._fixed, (function, "source auto")),
                check=partial(self._span, function),
            )
            setting((function, "source auto"), f"{root}:RANGe:AUTO", Boolean(True), apply)
            setting(
                (function, "limit"),
                f"{root}:{limit_node}[:LEVel]",
                limit,
                apply,
                check=partial(self._check_limit, function),
            )
            tripped = partial(self._tripped, function)
            self.commands.add(f"{root}:{limit_node}[:LEVel]:TRIPped", getter=tripped)
            delay, automatic = Number(0, 10_000, 0), (function, "auto delay")
            manual = partial(self.values.update, {automatic: False})
            setting((function, "delay"), f"{root}:DELay", delay, manual)
            setting(automatic, f"{root}:DELay:AUTO", Boolean(True))
            setting((function, "read back"), f"{root}:READ:BACK", Boolean(True))
            setting((function, "high capacitance"), f"{root}:HIGH:CAPacitance", Boolean())

    def _sense_commands(self) -> None:
        setting, sense = self.setting, "[:SENSe[1]]"
        names = ("VOLTage:DC", "CURRent:DC", "VOLTage", "CURRent", "RESistance")
        functions = FunctionName(names, "CURR", quoted=True)
        setting("measured", f"{sense}:FUNCtion[:ON]", functions)
        for function, node in _SENSE.items():
            root = f"{sense}:{node}"
            setting((function, "nplc"), f"{root}:NPLCycles", Number(0.01, 10, 1))
            setting((function, "autozero"), f"{root}:AZERo[:STATe]", Boolean(True))
            setting((function, "four wires"), f"{root}:RSENse", Boolean())
            setting((function, "filter"), f"{root}:AVERage[:STATe]", Boolean())
            count = Number(1, 100, 10, integer=True)
            setting((function, "filter count"), f"{root}:AVERage:COUNt", count)
            kinds = Choice(("REPeat", "MOVing"), "REP")
            setting((function, "filter kind"), f"{root}:AVERage:TCONtrol", kinds)
            setting((function, "auto"), f"{root}:RANGe:AUTO", Boolean(True), self._apply)
            self.commands.add(f":MEASure:{node}", getter=partial(self._measure_function, function))
            if function == "RES":
                setting((function, "range"), f"{root}:RANGe[:UPPer]", Number(20, 2e8, 2e5, "OHM"))
                continue
            top, full = _FUNCTIONS[function][2], self._converter(function).ranges
            setting(
                (function, "range"),
                f"{root}:RANGe[:UPPer]",
                Number(-top, top, full[0], _FUNCTIONS[function][1]),
                partial(self._fixed, (function, "auto")),
                check=partial(self._span, function),
            )
        setting("terminals", ":ROUTe:TERMinals", Choice(("FRONt", "REAR"), "FRON"))
        self.commands.add(
            ":SYSTem:LFRequency", getter=lambda call: str(round(self.channel.line_hz))
        )

    def _check_level(self, function: str, value: float) -> float:
        top = self.values[function, "source range"] * 1.05 * (1 + 1e-9)
        if not self.values[function, "source auto"] and abs(value) > top:
            raise ScpiError(-222)
        self._check_power(function, abs(value), self.values[function, "limit"])
        return value

    def _check_limit(self, function: str, value: float) -> float:
        other = _OTHER[function]
        # Section 6, ":SOURce[1]:<function>:<x>LIMit[:LEVel]", Details.
        if not self.values[other, "auto"] and value <= self.values[other, "range"] * 1e-3:
            raise ScpiError(-222)
        self._check_power(function, abs(self.values[function, "level"]), value)
        return value

    @staticmethod
    def _check_power(function: str, level: float, limit: float) -> None:
        """Above 21 V the source gives 105 mA at most (data sheet, "Maximum output")."""
        volts, amps = (level, limit) if function == "VOLT" else (limit, level)
        if volts > 21 * (1 + 1e-9) and amps > 0.105 * (1 + 1e-9):
            raise ScpiError(-221)

    def _span(self, function: str, value: float) -> float:
        span = self._converter(function).holding(value)
        if span is None:
            raise ScpiError(-222)
        return span

    def _fixed(self, automatic: tuple[str, str]) -> None:
        self.values[automatic] = False
        self._apply()

    def _tripped(self, function: str, call: Call) -> str:
        if function != self.values["function"] or not self.values["output"]:
            return "0"
        channel = self.channel
        now = channel.world.measure([channel.terminal], 0.0, channel.generator)
        return "1" if now.limited[0] else "0"

    def _measure_function(self, function: str, call: Call) -> str | bytes:
        self.values["measured"] = function
        return self._read(call, fresh=True)
