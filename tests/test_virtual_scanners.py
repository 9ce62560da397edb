"""Virtual data acquisition units over sockets: scans, floating inputs, relays."""

from __future__ import annotations

import numpy as np
import pytest
from virtual_bench import built, served

from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.resistors import ResistorWorld
from hilep.simulators.virtual.world import Drive

NAMES = ["DAQ6510", "34970A", "DAQ970A"]
QUIET = {"volts": Converter((0.1, 1.0, 10.0), over=1.2, noise=0.0, floor=0.0, step=1e-7)}


def driven(volts: float = 0.3) -> ResistorWorld:
    world = ResistorWorld(["a", "b", "c"], [("a", "b", 1e4), ("b", "ground", 1e4)])
    world.drive("a", Drive("volts", volts, 1.0))
    return world


def scan(client, name: str, sweeps: int, channels: str = "(@101:103)") -> np.ndarray:
    if name == "DAQ6510":
        client.write(f'FUNC "VOLT",{channels};:VOLT:RANG 1,{channels};:ROUT:SCAN:CRE {channels}')
        client.write(f':ROUT:SCAN:COUN:SCAN {sweeps};:TRAC:CLE "defbuffer1";:INIT')
        count = int(client.query(":TRAC:ACT?"))
        values = client.numbers(f':TRAC:DATA? 1,{count},"defbuffer1",READ')
    else:
        client.write(f"CONF:VOLT:DC 1,{channels};:TRIG:COUN {sweeps};:INIT")
        values = client.numbers("FETC?")
    return np.array(values).reshape(sweeps, -1)


@pytest.mark.parametrize("name", NAMES)
def test_a_scan_reads_every_channel_as_often_as_asked(name: str) -> None:
    with served(built(name, driven(), converters=QUIET)) as client:
        got = scan(client, name, 4)
    assert got.shape == (4, 3)
    assert np.allclose(got, [0.3, 0.15, 0.0], atol=2e-7), "and the one that hangs floats at 0 V"


@pytest.mark.parametrize("name", NAMES)
def test_the_noise_of_readings_is_the_stated_one(name: str) -> None:
    noisy = {"volts": Converter((1.0,), noise=1e-4, floor=0.0, step=0.0)}
    with served(built(name, driven(), converters=noisy)) as client:
        got = scan(client, name, 2000)
    assert got.std(axis=0) == pytest.approx([1e-4] * 3, rel=0.08)
    assert np.abs(np.corrcoef(got.T) - np.eye(3)).max() < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_readings(name: str) -> None:
    runs = []
    for _ in range(2):
        with served(built(name, driven(), seed=7)) as client:
            runs.append(scan(client, name, 3))
    assert np.array_equal(*runs)


@pytest.mark.parametrize("name", NAMES)
def test_beyond_the_range_is_the_sentinel(name: str) -> None:
    with served(built(name, driven(2.0), converters=QUIET)) as client:
        got = scan(client, name, 1)
    assert got[0, 0] == 9.9e37
    assert got[0, 1] == pytest.approx(1.0, abs=1e-6)


def test_a_daq6510_opens_every_channel_before_a_scan_unless_told_otherwise() -> None:
    instrument = built("DAQ6510", driven(), converters=QUIET)
    with served(instrument) as client:
        for mode, kept in (("ALL", set()), ("USED", {201})):
            client.write(f"ROUT:SCAN:MODE {mode};:ROUT:CLOS (@201)")
            scan(client, "DAQ6510", 1)
            assert instrument.relays.closed == kept


@pytest.mark.parametrize("name", NAMES)
def test_a_crosspoint_joins_two_terminals(name: str) -> None:
    with served(built(name, driven(), converters=QUIET)) as client:
        if name == "DAQ6510":
            client.write("ROUT:SCAN:MODE USED")
        client.write("ROUT:CLOS (@201)")
        assert scan(client, name, 1)[0, 2] == pytest.approx(0.15, abs=1e-5)
        client.write("ROUT:OPEN (@201)")
        assert scan(client, name, 1)[0, 2] == pytest.approx(0.0, abs=1e-6)
        query = "ROUT:CLOS:COUN? (@201)" if name == "DAQ6510" else "DIAG:REL:CYCL? (@201)"
        assert int(client.query(query)) == 1
        client.write("ROUT:CLOS (@201);*RST")
        assert scan(client, name, 1)[0, 2] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_channel_that_does_not_exist_is_an_error(name: str) -> None:
    with served(built(name, driven())) as client:
        client.write("ROUT:CLOS (@101,119)")
        code = int(client.query("SYST:ERR?").split(",")[0])
        assert code == (-222 if name == "DAQ6510" else 112)


@pytest.mark.parametrize("name", ["34970A", "DAQ970A"])
def test_readings_are_removed_as_a_block(name: str) -> None:
    with served(built(name, driven(), converters=QUIET)) as client:
        client.write("INIT")
        assert client.query("SYST:ERR?").startswith("+113")
        scan(client, name, 2)
        assert client.query("ROUT:SCAN?") == "#214(@101,102,103)"
        block = client.query("R? 2")
        assert block.startswith("#231")
        assert len(block) == 4 + 31
        assert client.query("DATA:POIN?") == "+4"
        assert client.query("R?").count(",") == 3
        assert client.query("DATA:POIN?;:R?") == "+0;#10"


def test_34970a_adds_the_fields_that_are_asked_for() -> None:
    with served(built("34970A", driven(), converters=QUIET)) as client:
        client.write("CONF:VOLT:DC 1,(@101);:FORM:READ:UNIT ON;TIME ON;CHAN ON;ALAR ON")
        reading, time_s, channel, alarm = client.query("READ?").split(",")
        assert reading == "+3.00000000E-01 VDC"
        assert float(time_s) > 0
        assert (channel, alarm) == ("101", "0")
        client.write("ROUT:CLOS (@101)")
        assert client.query("SYST:ERR?").startswith("+301")


def test_34970a_resolution_chooses_the_integration_time() -> None:
    with served(built("34970A", driven())) as client:
        client.write("CONF:VOLT:DC 1,1e-6,(@101:102)")
        assert client.numbers("VOLT:NPLC? (@101,102)") == [10.0, 10.0]
        client.write("VOLT:NPLC 3,(@101)")
        assert client.numbers("VOLT:NPLC? (@101)") == [10.0]
        client.write("TRIG:COUN INF;:READ?")
        assert client.query("SYST:ERR?").startswith("-221")


def test_daq6510_scans_in_the_order_of_the_list_and_names_the_channel() -> None:
    with served(built("DAQ6510", driven(), converters=QUIET)) as client:
        client.write("ROUT:SCAN:CRE (@103,101);:ROUT:SCAN:ADD (@102);:INIT")
        data = client.numbers(':TRAC:DATA? 1,3,"defbuffer1",CHAN,READ')
        assert data[::2] == [103, 101, 102]
        assert client.query("ROUT:SCAN?") == "(@103,101,102)"
        client.write("ROUT:CLOS (@101,102)")
        assert client.query("ROUT:CLOS?;:ROUT:STAT? (@101:103)") == "(@102);0,1,0"
        assert float(client.query(":READ?")) == pytest.approx(0.15, abs=1e-6)
