"""What all virtual source-measure units share, over sockets: limits, off, reading, time."""

from __future__ import annotations

import numpy as np
import pytest
from smu_messages import SOURCE_AMPS
from virtual_bench import LOAD_OHMS, built, load, served

from hilep.simulators.virtual.resistors import ResistorWorld

SMUS = ["2400", "2450", "B2900", "2600"]
SOURCE_VOLTS = {
    "2400": ":SOUR:FUNC VOLT;:SENS:FUNC 'VOLT','CURR';:SENS:CURR:PROT {limit};:SOUR:VOLT {level}",
    "2450": ":SOUR:FUNC VOLT;:SENS:FUNC 'CURR';:SOUR:VOLT:ILIM {limit};:SOUR:VOLT {level}",
    "B2900": ":SOUR:FUNC:MODE VOLT;:SENS:CURR:PROT {limit};:SOUR:VOLT {level}",
    "2600": "smua.source.func=1 smua.source.limiti={limit} smua.source.levelv={level}",
}
ON = {"2600": "smua.source.output=1"}
OFF = {"2600": "smua.source.output=0"}


def lupa_or_skip(name: str) -> None:
    if name == "2600":
        pytest.importorskip("lupa")


def read(client, name: str) -> tuple[float, float, bool]:
    if name == "2400":
        volts, amps, _, _, status = client.numbers(":READ?")
        return volts, amps, bool(int(status) & 8)
    if name == "2450":
        first, second, status = client.numbers(':READ? "defbuffer1",READ,SOUR,SOURSTAT')
        unit = client.query(':FETC? "defbuffer1",UNIT')
        volts, amps = (first, second) if unit.startswith("Volt") else (second, first)
        return volts, amps, bool(int(status) & 32)
    if name == "B2900":
        client.write(":FORM:ELEM:SENS VOLT,CURR,STAT")
        volts, amps, status = client.numbers(":READ?")
        return volts, amps, bool(int(status) & 6)
    client.write("smua.measure.iv(smua.nvbuffer1,smua.nvbuffer2)")
    status = client.query("print(smua.nvbuffer2.statuses[1])")
    amps, volts = (float(client.query(f"print(smua.nvbuffer{k}[1])")) for k in (1, 2))
    return volts, amps, bool(int(float(status)) & 64)


@pytest.mark.parametrize("name", SMUS)
@pytest.mark.parametrize(("level", "limited"), [(2e-5, False), (8e-5, True), (-8e-5, True)])
def test_a_current_source_stops_at_its_voltage_limit(
    name: str, level: float, limited: bool
) -> None:
    lupa_or_skip(name)
    with served(built(name)) as client:
        client.write(SOURCE_AMPS[name].format(level=level, limit=0.5))
        client.write(ON.get(name, ":OUTP ON"))
        volts, amps, flag = read(client, name)
    expected = np.sign(level) * min(abs(level) * LOAD_OHMS, 0.5)
    assert volts == pytest.approx(expected, abs=1e-4)
    assert amps == pytest.approx(expected / LOAD_OHMS, abs=1e-8)
    assert flag == limited


@pytest.mark.parametrize("name", SMUS)
@pytest.mark.parametrize(("level", "limited"), [(0.1, False), (1.0, True), (-1.0, True)])
def test_a_voltage_source_stops_at_its_current_limit(
    name: str, level: float, limited: bool
) -> None:
    lupa_or_skip(name)
    with served(built(name)) as client:
        client.write(SOURCE_VOLTS[name].format(level=level, limit=5e-5))
        client.write(ON.get(name, ":OUTP ON"))
        volts, amps, flag = read(client, name)
    expected = np.sign(level) * min(abs(level), 5e-5 * LOAD_OHMS)
    assert volts == pytest.approx(expected, abs=1e-4)
    assert amps == pytest.approx(expected / LOAD_OHMS, abs=1e-8)
    assert flag == limited


@pytest.mark.parametrize("name", SMUS)
def test_switching_off_ends_the_drive(name: str) -> None:
    lupa_or_skip(name)
    world = load()
    with served(built(name, world)) as client:
        client.write(SOURCE_AMPS[name].format(level=2e-5, limit=0.5))
        client.write(ON.get(name, ":OUTP ON"))
        client.query("*OPC?")
        assert volts_at(world) == pytest.approx(0.2, rel=1e-3)
        client.write(OFF.get(name, ":OUTP OFF"))
        client.query("*OPC?")
        assert volts_at(world) == 0


def volts_at(world: ResistorWorld, terminal: str = "a") -> float:
    return float(world.measure([terminal], 0.0, np.random.default_rng(0)).volts[0, 0])


HIGH_Z = {
    "2400": ":OUTP:SMOD HIMP",
    "2450": ":OUTP:VOLT:SMOD HIMP;:OUTP:CURR:SMOD HIMP",
    "B2900": ":OUTP:OFF:MODE HIZ",
    "2600": "smua.source.offmode=smua.OUTPUT_HIGH_Z",
}


@pytest.mark.parametrize("name", SMUS)
def test_a_normal_off_holds_its_node_at_zero_and_high_impedance_lets_it_float(name: str) -> None:
    lupa_or_skip(name)
    world = ResistorWorld(["a", "b", "c"], [("a", "c", 1e6)])
    with served(built(name, world)) as client:
        drive_c(world)
        client.query("*OPC?")
        assert abs(volts_at(world)) < 1e-6, "NORMAL is a 0 V source"
        client.write(HIGH_Z[name])
        client.query("*OPC?")
        assert volts_at(world) == pytest.approx(0.1, rel=1e-4)


def drive_c(world: ResistorWorld) -> None:
    from hilep.simulators.virtual.world import Drive

    world.drive("c", Drive("volts", 0.1, 1.0))


@pytest.mark.parametrize("name", SMUS)
def test_reading_changes_no_setting(name: str) -> None:
    lupa_or_skip(name)
    instrument = built(name)
    with served(instrument) as client:
        client.write(SOURCE_AMPS[name].format(level=2e-5, limit=0.5))
        client.write(ON.get(name, ":OUTP ON"))
        read(client, name)
        before = snapshot(instrument, name)
        read(client, name)
        assert snapshot(instrument, name) == before


def snapshot(instrument, name: str) -> dict:
    if name == "2600":
        return dict(instrument.smus[0].source.values) | dict(instrument.smus[0].measure.values)
    return dict(instrument.values)


@pytest.mark.parametrize("name", SMUS)
def test_time_passes_with_the_integration_and_nobody_sleeps(name: str) -> None:
    lupa_or_skip(name)
    messages = {
        "2400": ":OUTP ON;:SENS:CURR:NPLC 10;:TRIG:COUN 2500;:INIT",
        "2450": ":OUTP ON;:SENS:CURR:NPLC 10;:COUN 2500;:TRAC:TRIG",
        "B2900": ":SENS:CURR:NPLC 10;:TRIG:ACQ:COUN 2500;:INIT (@1)",
        "2600": "smua.measure.nplc=10 smua.measure.count=2500 smua.measure.v(smua.nvbuffer1)",
    }
    instrument = built(name)
    instrument.answer(messages[name])
    assert 500 < instrument.clock.now() < 530, "2500 readings of 10 cycles at 50 Hz"
