"""One configuring message that is lost is found, or what is read and put out is as it would be."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import virtual_bench

pytest.importorskip("pymeasure", reason="needs the bench extra")

import pyvisa
from pymeasure.adapters import Adapter

from hilep.instruments import locks
from hilep.instruments.errors import InstrumentError
from hilep.instruments.keithley2400 import Keithley2400
from hilep.instruments.keithley2450 import Keithley2450
from hilep.instruments.keithley2600 import Keithley2600
from hilep.instruments.keithleydaq6510 import KeithleyDAQ6510
from hilep.instruments.kept import Kept
from hilep.instruments.keysight34970a import Keysight34970A
from hilep.instruments.keysightb2900 import KeysightB2900
from hilep.simulators.virtual.world import Drive

SMUS = {
    "2400": Keithley2400,
    "2450": Keithley2450,
    "2600": Keithley2600,
    "B2900": KeysightB2900,
}
SCANNERS = {"DAQ6510": KeithleyDAQ6510, "34970A": Keysight34970A, "DAQ970A": Keysight34970A}

MUXED = "(@101:103)"
KEYSIGHT_LEFT = (
    ":FORM:READ:ALAR ON",
    ":FORM:READ:UNIT ON",
    ":FORM:READ:CHAN OFF",
    ":FORM:READ:TIME OFF",
    ":FORM:READ:TIME:TYPE ABS",
    ":ROUT:CLOS (@201)",
    f":SENS:VOLT:DC:RANG 100,{MUXED}",
    f":SENS:VOLT:DC:RANG:AUTO ON,{MUXED}",
    f":SENS:VOLT:DC:NPLC 10,{MUXED}",
    f":CALC:SCAL:STAT ON,{MUXED}",
    f":ROUT:CHAN:DEL 0.5,{MUXED}",
    ":ROUT:SCAN (@103)",
    ":TRIG:SOUR TIM",
)
LEFT = {
    "2400": (
        ":SOUR:VOLT 3",
        ":OUTP ON",
        ":SENS:AVER ON",
        ":SYST:AZER OFF",
        ":SYST:RSEN ON",
        ":FORM:ELEM CURR",
        ":SENS:CURR:NPLC 10",
        ":SENS:FUNC:CONC OFF",
        ":SOUR:DEL 1",
    ),
    "2450": (
        ":SOUR:VOLT 3",
        ":OUTP ON",
        ":SENS:CURR:AVER ON",
        ":SENS:CURR:AZER OFF",
        ":SENS:CURR:RSEN ON",
        ":SENS:VOLT:NPLC 10",
        ":FORM:ASC:PREC 3",
        ":SOUR:CURR:READ:BACK OFF",
        ":SOUR:CURR:DEL 1",
    ),
    "2600": (
        "smua.source.levelv = 3 smua.source.output = 1 smub.source.output = 1",
        "smua.measure.filter.enable = 1 smua.measure.autozero = 0 smua.sense = 1",
        "smub.measure.nplc = 10 smub.source.offmode = 0 format.asciiprecision = 3",
        "localnode.linefreq = 60 smub.source.func = 0",
    ),
    "B2900": (
        ":SOUR1:VOLT 3",
        ":OUTP1 ON",
        ":OUTP2 ON",
        ":SENS1:REM ON",
        ":SENS2:CURR:NPLC 10",
        ":SYST:LFR 60",
        ":FORM:ELEM:SENS CURR",
        ":OUTP2:OFF:AUTO ON",
    ),
    "DAQ6510": (
        ":FORM:ASC:PREC 3",
        ':TRAC:FILL:MODE CONT,"defbuffer1"',
        ":ROUT:MULT:CLOS (@201)",
        f":SENS:VOLT:RANG 100,{MUXED}",
        f":SENS:VOLT:RANG:AUTO ON,{MUXED}",
        f":SENS:VOLT:NPLC 10,{MUXED}",
        f":SENS:VOLT:AZER OFF,{MUXED}",
        f":SENS:VOLT:AVER ON,{MUXED}",
        f":SENS:VOLT:REL:STAT ON,{MUXED}",
        f":ROUT:CHAN:DEL 0.5,{MUXED}",
        ':TRAC:POIN 50,"defbuffer1"',
        ":ROUT:SCAN:CRE (@103)",
        ':ROUT:SCAN:BUFF "defbuffer2"',
        ":ROUT:SCAN:INT 3",
    ),
    "34970A": (*KEYSIGHT_LEFT, f":SENS:ZERO:AUTO OFF,{MUXED}"),
    "DAQ970A": (*KEYSIGHT_LEFT, f":SENS:VOLT:DC:ZERO:AUTO OFF,{MUXED}"),
}
"""What an earlier session left behind."""

HARMLESS = {
    ':TRAC:POIN 100000,"defbuffer1"': "a read beyond a smaller buffer is refused",
}
"""Messages whose loss may change the instrument's state, and why no reading depends on it."""


class Line(Adapter):
    """A line to an instrument in this process, on which one of the messages is lost."""

    def __init__(self, instrument, lost: int | None) -> None:
        super().__init__()
        self.connection = SimpleNamespace(timeout=0, clear=lambda: None, close=lambda: None)
        self.instrument, self.lost = instrument, lost
        self.messages: list[str] = []
        self._waiting: list[str] = []

    def _write(self, command: str, **_) -> None:
        self.messages.append(command)
        if len(self.messages) - 1 == self.lost:
            return
        answer = self.instrument.answer(command)
        if answer:
            self._waiting.append(answer.decode())

    def _read(self, **_) -> str:
        if not self._waiting:
            raise pyvisa.errors.VisaIOError(pyvisa.constants.StatusCode.error_timeout)
        return self._waiting.pop(0)

    def reopen(self) -> None:
        self._waiting.clear()


@pytest.fixture(autouse=True)
def _own_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)


def state(instrument):
    """Every setting of a virtual instrument, whichever way it was set."""
    nodes = [instrument.format] if hasattr(instrument, "smus") else []
    for smu in getattr(instrument, "smus", ()):
        nodes += [smu, smu.source, smu.measure, smu.filter]
    found = {node.name: dict(node.values) for node in nodes}
    for name, value in getattr(instrument, "values", {}).items():
        found[str(name)] = value.removesuffix(":DC") if isinstance(value, str) else value
    readings = getattr(instrument, "readings", None)
    found["elements"] = getattr(readings, "_elements", None)
    found["measured"] = copy.deepcopy(getattr(instrument, "measured", None))
    relays = getattr(instrument, "relays", None)
    found["closed"] = sorted(relays.closed) if relays else None
    return found


def used(name, quantity="A", lost=None):
    """Start, configure and read; what was sent, the state and the readings."""
    world = virtual_bench.load()
    instrument = virtual_bench.built(name, world)
    for message in LEFT[name]:
        assert instrument.answer(message) == b""
    line = Line(instrument, lost)
    driver = {**SMUS, **SCANNERS}[name](line, name)
    try:
        driver.start()
        if name in SCANNERS:
            world.drive("a", Drive("volts", 0.5, 1.0))
            driver.configure(["101", "102"], range_v=1.0, nplc=1)
        else:
            levels = {}
            for at, channel in driver.channels.items():
                if quantity == "A":
                    channel.source_current(0.5, range_a=1e-5, nplc=0.1)
                    levels[at] = 2e-6
                else:
                    range_v = 1.0 if name == "2600" else 2.0
                    channel.source_voltage(1e-4, range_v=range_v, four_wire=True)
                    levels[at] = 0.5
                channel.on()
                quantity = "V" if quantity == "A" else "A"
            driver.apply(levels)
        got = driver.acquire(3)
    except InstrumentError:
        if driver.poisoned is None:
            outputs = driver.read_outputs()
            assert not any(outputs[at] for at in outputs if at not in driver._on), outputs
        raise
    return line.messages, state(instrument), (got.volts, got.amps, got.status)


CASES = [*((name, quantity) for name in SMUS for quantity in "VA")]
CASES += [(name, "V") for name in SCANNERS]


@pytest.mark.parametrize(("name", "quantity"), CASES)
def test_a_lost_message_is_found_or_changes_nothing(name, quantity):
    if name == "2600":
        pytest.importorskip("lupa", reason="needs the bench extra")
    messages, kept, readings = used(name, quantity)
    silent, found = [], 0
    for number, text in enumerate(messages):
        if "?" in text or text.startswith(("print", "hilep_acquire")):
            continue
        try:
            _, now, got = used(name, quantity, number)
        except InstrumentError:
            found += 1
            continue
        pairs = zip(got, readings, strict=True)
        same = all(np.array_equal(*pair, equal_nan=True) for pair in pairs)
        if (now != kept and text not in HARMLESS) or not same:
            silent.append((text, {k: (kept[k], now[k]) for k in kept if kept[k] != now[k]}))
    assert silent == []
    assert found > 5


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        (
            "VOLT",
            ["VOLT", "volt", "VOLTage", '"VOLT"', '"VOLT:DC"', "'volt:dc' "],
            ["VOLT:AC", "V"],
        ),
        ("HIMP", ["HIMP", "HIMPEDANCE"], ["NORM", "", "HIM"]),
        (
            "VOLT,CURR",
            ["VOLT,CURR", '"CURR:DC", "VOLT:DC"'],
            ["VOLT", "VOLT,VOLT", "VOLT,CURR,RES"],
        ),
        (True, ["1", "ON", "+1", "1.00000e+00", "on", "true"], ["0", "OFF", "2", "", "nan"]),
        (False, ["0", "OFF", "+0.000000E+00"], ["1", "ON", "nil"]),
        (1e-6, ["1E-6", "+1.000000E-06", "1.005e-6"], ["1e-5", "1.02e-6", "nan", "9.91E+37", ""]),
        (0.0, ["0", "-0.0", "+0.000000E+00"], ["1e-9", "inf"]),
        ("(@101,102,103)", ["(@101:103)", "#214(@103,101,102)"], ["(@101,102)", "(@)", "101"]),
        ("(@)", ["(@)", "", "#13(@)"], ["(@201)"]),
    ],
)
def test_an_answer_holds_in_every_form_and_no_other_value_does(expected, right, wrong):
    assert [answer for answer in right if not Kept("?", expected).holds(answer)] == []
    assert [answer for answer in wrong if Kept("?", expected).holds(answer)] == []
