"""PyMeasure's own classes drive the virtual instruments, with the faults that they have."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from virtual_bench import LOAD_OHMS, built, load

from hilep.simulators.virtual.server import Instrument, InstrumentServer

pytest.importorskip("pyvisa_py")
keithley = pytest.importorskip("pymeasure.instruments.keithley")
agilent = pytest.importorskip("pymeasure.instruments.agilent")


@contextmanager
def driver(kind: type, instrument: Instrument) -> Iterator[Any]:
    """The class over VISA's raw sockets."""
    with InstrumentServer(instrument) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        opened = kind(
            server.resource,
            visa_library="@py",
            read_termination="\n",
            write_termination="\n",
            timeout=2000,
        )
        try:
            yield opened
        finally:
            opened.adapter.close()


def output(world) -> float:
    return float(world.measure(["a"], 0.0, np.random.default_rng(0)).volts[0, 0])


def test_2400_sources_and_measures() -> None:
    world = load()
    with driver(keithley.Keithley2400, built("2400", world)) as smu:
        assert "MODEL 2400" in smu.id
        smu.reset()
        smu.source_mode = "current"
        smu.compliance_voltage = 0.5
        smu.source_current = 2e-5
        smu.source_enabled = True
        assert smu.source_current == pytest.approx(2e-5)
        assert smu.source_enabled
        assert output(world) == pytest.approx(0.2, rel=1e-3)
        assert smu.check_errors() == []
        smu.disable_source()
        assert not smu.source_enabled


def test_2400_reading_the_voltage_changes_the_compliance() -> None:
    with driver(keithley.Keithley2400, built("2400")) as smu:
        smu.source_mode = "current"
        smu.source_current = 2e-5
        smu.compliance_voltage = 0.5
        assert not smu.source_enabled
        assert smu.voltage == pytest.approx(2e-5 * LOAD_OHMS, rel=1e-3)
        assert smu.compliance_voltage == 21
        assert smu.source_enabled, "and the output is on"


def test_2400_reading_the_current_raises_a_limit_of_a_microampere() -> None:
    with driver(keithley.Keithley2400, built("2400")) as smu:
        smu.source_mode = "voltage"
        smu.compliance_current = 1e-6
        assert smu.compliance_current == pytest.approx(1e-6)
        _ = smu.current
        assert smu.compliance_current == pytest.approx(1.05e-4)


def test_2400_fills_its_buffer() -> None:
    with driver(keithley.Keithley2400, built("2400")) as smu:
        smu.source_enabled = True
        smu.config_buffer(7)
        smu.start_buffer()
        smu.wait_for_buffer(timeout=5)
        assert smu.buffer_data.shape == (7 * 5,)
        assert len(smu.means) == 3


def test_2450_sources_and_measures() -> None:
    world = load()
    with driver(keithley.Keithley2450, built("2450", world)) as smu:
        assert "2450" in smu.id
        smu.write("*RST")
        smu.source_mode = "voltage"
        smu.source_voltage_range = 2
        smu.compliance_current = 1e-4
        smu.source_voltage = 0.3
        smu.measure_current(nplc=1)
        smu.enable_source()
        assert smu.current == pytest.approx(3e-5, rel=1e-3)
        assert output(world) == pytest.approx(0.3, rel=1e-3)
        smu.current_output_off_state = "HIMP"
        smu.disable_source()
        assert smu.check_errors() == []
        assert output(world) == 0


def test_2450_configuring_the_buffer_sends_commands_of_the_2400(
    caplog: pytest.LogCaptureFixture,
) -> None:
    instrument = built("2450")
    with driver(keithley.Keithley2450, instrument) as smu:
        smu.config_buffer(64)
        assert smu.check_errors() == [], "they were logged and forgotten"
    assert instrument.values["count"] == 1, "the count never arrives"
    assert "Undefined header" in caplog.text


def test_2600_loses_small_currents() -> None:
    pytest.importorskip("lupa")
    with driver(keithley.Keithley2600, built("2600")) as smu:
        smu.ChA.source_mode = "current"
        smu.ChA.compliance_voltage = 0.5
        smu.ChA.source_current = 25e-9
        assert smu.ChA.source_current == 0, "asked for 25 nA, silently"
        smu.ChA.source_current = 2e-5
        smu.ChA.source_output = "ON"
        assert smu.ChA.voltage == pytest.approx(0.2, rel=1e-3)
        assert smu.next_error == (0, "Queue Is Empty")


def test_2600_leaving_its_context_leaves_the_output_on() -> None:
    pytest.importorskip("lupa")
    world = load()
    with driver(keithley.Keithley2600, built("2600", world)) as smu:
        with smu:
            smu.ChA.source_mode = "voltage"
            smu.ChA.source_voltage = 0.3
            smu.ChA.source_output = "ON"
            assert smu.ChA.voltage == pytest.approx(0.3, rel=1e-3)
        assert output(world) == pytest.approx(0.3, rel=1e-3)


def test_daq6510_reads_a_closed_channel() -> None:
    from hilep.simulators.virtual.world import Drive

    world = load()
    world.drive("a", Drive("volts", 0.3, 1.0))
    with driver(keithley.KeithleyDAQ6510, built("DAQ6510", world)) as daq:
        daq.close_channel(101)
        daq.voltage_range = 1
        daq.voltage_nplc = 1
        assert daq.voltage == pytest.approx(0.3, abs=1e-4)
        daq.open_channel(101)
        assert daq.check_errors() == []


def test_the_34410a_class_asks_for_a_measurement_without_a_channel() -> None:
    with driver(agilent.Agilent34410A, built("34970A")) as meter:
        assert "34970A" in meter.id
        meter.write("MEAS:VOLT:DC? DEF,DEF")
        assert int(meter.next_error[0]) == -104, "a scan list is not optional"


def refused(instrument: Instrument) -> list[str]:
    """Errors that the instrument notes from now on, of every kind and in the order they come."""
    notes: list[str] = []
    note = instrument.note

    def noted(*error: Any) -> None:
        notes.append(" ".join(map(str, error)))
        note(*error)

    instrument.note = noted
    for smu in getattr(instrument, "smus", ()):
        smu._note = noted
    return notes


SETTINGS_2400 = {
    "source_mode": ["current", "voltage"],
    "source_current_range": [1e-6, 1e-3],
    "source_voltage_range": [2, 20],
    "compliance_current": [1e-5, 1e-3],
    "compliance_voltage": [0.5, 10],
    "current_range": [1e-6],
    "voltage_range": [2],
    "current_nplc": [0.1, 10],
    "voltage_nplc": [1],
    "output_off_state": ["disconnected", "normal", "zero", "guard"],
    "filter_count": [5],
    "filter_type": ["REP", "MOV"],
    "auto_zero": [1, 0],
    "auto_output_off": [True, False],
    "source_delay": [1e-3],
    "source_delay_auto": [True],
    "wires": [4, 2],
    "display_enabled": [False, True],
    "line_frequency": [60, 50],
    "line_frequency_auto": [False, True],
    "trigger_count": [5],
    "trigger_delay": [0.01],
    "trigger_input_line": [3],
    "trigger_output_line": [4],
    "trigger_output_event": ["source", "none"],
    "arm_count": [3],
    "arm_timer": [0.5],
    "arm_input_line": [2],
    "arm_output_line": [1],
    "arm_output_event": ["trigger_enter", "none"],
}
SETTINGS_2450 = {
    "source_mode": ["current", "voltage"],
    "source_current_range": [1e-6, 1e-3],
    "source_voltage_range": [2, 20],
    "compliance_current": [1e-5, 1e-3],
    "compliance_voltage": [0.5, 10],
    "current_range": [1e-6],
    "voltage_range": [2],
    "current_nplc": [0.1, 10],
    "voltage_nplc": [1],
    "current_output_off_state": ["HIMP", "NORM"],
    "voltage_output_off_state": ["HIMP", "ZERO"],
    "current_filter_count": [5],
    "current_filter_type": ["REP", "MOV"],
    "source_voltage_delay": [1e-3],
    "source_current_delay": [1e-3],
    "buffer_points": [1000],
}
SETTINGS_2600 = {
    "source_mode": ["current", "voltage"],
    "source_output": ["ON", "OFF"],
    "source_current": [1e-3, 0],
    "source_voltage": [0.3, 0],
    "compliance_current": [1e-2],
    "compliance_voltage": [1],
    "source_voltage_range": [6, 1],
    "source_current_range": [1e-2],
    "voltage_range": [6],
    "current_range": [1e-2],
    "wires_mode": ["4", "2"],
}


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        ("2400", "Keithley2400", SETTINGS_2400),
        ("2450", "Keithley2450", SETTINGS_2450),
        ("2600", "Keithley2600", SETTINGS_2600),
    ],
)
def test_every_setting_is_kept_and_answered(
    name: str, kind: str, settings: dict[str, list[Any]]
) -> None:
    if name == "2600":
        pytest.importorskip("lupa")
    instrument = built(name)
    notes = refused(instrument)
    with driver(getattr(keithley, kind), instrument) as smu:
        target = smu.ChA if name == "2600" else smu
        absent = [setting for setting in settings if not hasattr(type(target), setting)]
        assert absent == []
        for setting, values in settings.items():
            for value in values:
                setattr(target, setting, value)
                found = getattr(target, setting)
                wanted = pytest.approx(value) if isinstance(value, float) else value
                assert found == wanted, setting
    assert notes == []


def test_2600_reads_resistance_with_every_one_of_its_measurements() -> None:
    pytest.importorskip("lupa")
    instrument = built("2600")
    notes = refused(instrument)
    with driver(keithley.Keithley2600, instrument) as smu:
        smu.ChA.apply_voltage(6, 1e-2)
        smu.ChA.measure_current(nplc=0.1)
        smu.ChA.source_voltage = 0.3
        smu.ChA.source_output = "ON"
        assert smu.ChA.current == pytest.approx(0.3 / LOAD_OHMS, rel=1e-3)
        assert smu.ChA.resistance == pytest.approx(LOAD_OHMS, rel=1e-3)
        smu.ChA.ramp_to_voltage(0.1, steps=3, pause=0)
        assert smu.ChA.voltage == pytest.approx(0.1, rel=1e-3)
    assert notes == []


def test_daq6510_measures_volts_its_own_way() -> None:
    from hilep.simulators.virtual.world import Drive

    world = load()
    world.drive("b", Drive("volts", 0.2, 1.0))
    instrument = built("DAQ6510", world)
    notes = refused(instrument)
    with driver(keithley.KeithleyDAQ6510, instrument) as daq:
        daq.measure_voltage(nplc=1, voltage=1, auto_range=False)
        daq.close_channels([102])
        assert daq.voltage_range == 1
        assert daq.voltage_nplc == 1
        assert daq.voltage == pytest.approx(0.2, abs=1e-4)
        daq.open_channels([102])
    assert notes == []
