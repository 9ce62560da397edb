"""The trigger model of the Keithley 2400 and the commands that go through it.

After "2400 Series SourceMeter User's Manual", 2400S-900-01 Rev. K: section 11 (triggering) and 17
(signal oriented measurement commands).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hilep.simulators.virtual.parameters import Choice, Number
from hilep.simulators.virtual.scpi import Call
from hilep.simulators.virtual.scpi_errors import ScpiError

if TYPE_CHECKING:
    from hilep.simulators.virtual.keithley2400 import Keithley2400

_LONG = {"VOLT": "VOLTage[:DC]", "CURR": "CURRent[:DC]", "RES": "RESistance"}
_MOST_READINGS = 2500
_OVERHEAD_S = 1e-3
_SOURCES = ("IMMediate", "BUS", "TLINk", "MANual", "TIMer", "NSTest", "PSTest", "BSTest")
_COUNT = Number(1, _MOST_READINGS, 1, integer=True)
_DELAY = Number(0, 999.9999, 0)
_TIMER = Number(1e-3, 99999.99, 0.1)
_EVENTS = {
    "arm": ("TENTer", "TEXit", "NONE"),
    "trigger": ("SOURce", "DELay", "SENSe", "NONE"),
}
_DEFAULTS = {
    "arm count": 1.0,
    "trigger count": 1.0,
    "arm source": "IMM",
    "trigger source": "IMM",
    "trigger delay": 0.0,
    "nplc": 1.0,
}
_FUNCTION_DEFAULTS = {"VOLT": 21.0, "CURR": 1.05e-4}


class TriggerModel:
    """The arm and trigger layers, INITiate, READ?, CONFigure and MEASure?."""

    def __init__(self, instrument: Keithley2400) -> None:
        self._of = instrument
        self._waiting = False
        for name, other in (("trigger", "arm"), ("arm", "trigger")):
            root = {"trigger": ":TRIGger", "arm": ":ARM"}[name] + "[:SEQuence[1]][:LAYer[1]]"

            def check(value: float, other: str = other) -> float:
                if value * self._of.values[f"{other} count"] > _MOST_READINGS:
                    raise ScpiError(-222)
                return value

            instrument.setting(f"{name} count", f"{root}:COUNt", _COUNT, check=check)
            instrument.setting(f"{name} source", f"{root}:SOURce", Choice(_SOURCES, "IMM"))
            self._link(name, root)
        instrument.setting("arm timer", ":ARM[:SEQuence[1]][:LAYer[1]]:TIMer", _TIMER)
        instrument.setting("trigger delay", ":TRIGger[:SEQuence[1]]:DELay", _DELAY)
        add = instrument.commands.add
        add(":TRIGger:CLEar", lambda call: None)
        add(":ABORt", lambda call: self.abort())
        add(":INITiate[:IMMediate]", lambda call: self._initiate())
        add(":READ", getter=lambda call: self._read())
        for function, long in _LONG.items():
            add(f":CONFigure:{long}", partial(self._on_configure, function))
            add(f":MEASure:{long}", getter=partial(self._measure, function))
        add(":CONFigure", getter=instrument.measuring)
        add(":MEASure", getter=partial(self._measure, None))

    def _link(self, name: str, root: str) -> None:
        """Add the trigger link of a layer: kept and answered, and connected to nothing."""
        setting = self._of.setting
        for direction, line in (("ILINe", 1), ("OLINe", 2)):
            setting(f"{name} {direction}", f"{root}:{direction}", Number(1, 4, line, integer=True))
        event, key = Choice(_EVENTS[name], "NONE"), f"{name} output"

        def several(call: Call) -> None:
            self._of.values[key] = ",".join(event.read(one) for one in call.take(1, 3))

        # The first command of a name is the one that acts; the setting brings the default.
        self._of.commands.add(f"{root}:OUTPut", several, lambda call: str(self._of.values[key]))
        setting(key, f"{root}:OUTPut", event)

    def abort(self) -> None:
        """Go to idle."""
        self._waiting = False

    def trigger(self) -> None:
        """Take the readings that an INITiate waits with; -211 where none does."""
        if not self._waiting:
            raise ScpiError(-211)
        self._waiting = False
        self._take()

    @property
    def _immediate(self) -> bool:
        values = self._of.values
        return bool(values["arm source"] == "IMM" and values["trigger source"] == "IMM")

    def _initiate(self) -> None:
        if not self._of.values["output"] and not self._of.values["auto off"]:
            raise ScpiError(803, "Not permitted with OUTPUT off")
        if self._immediate:
            self._take()
        else:
            self._waiting = True

    def _read(self) -> str | bytes:
        if not self._immediate:
            raise ScpiError(-214)
        self._initiate()
        return self._of.readings.fetch()

    def _take(self) -> None:
        values = self._of.values
        if values["auto off"]:
            self._of.switch(True)
        delay = 1e-3 if values["auto delay"] else values["delay"]
        count = int(values["arm count"] * values["trigger count"])
        self._of.readings.take(count, _OVERHEAD_S + values["trigger delay"] + delay)
        if values["auto off"]:
            self._of.switch(False)

    def _on_configure(self, function: str, call: Call) -> None:
        call.take(0)
        self._configure(function)

    def _configure(self, function: str) -> None:
        """Set the function's controls to their defaults and turn the output on (section 17)."""
        of = self._of
        of.measured = {function}
        of.values.update(_DEFAULTS)
        if function in _FUNCTION_DEFAULTS:
            of.values[function, "limit"] = _FUNCTION_DEFAULTS[function]
            of.values[function, "range"] = _FUNCTION_DEFAULTS[function]
            of.values[function, "auto"] = True
        of.switch(True)

    def _measure(self, function: str | None, call: Call) -> str | bytes:
        call.take(0)
        self._configure(function or min(self._of.measured, default="CURR"))
        return self._read()
