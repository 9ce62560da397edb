"""Every driver, every verb, against the virtual instrument that was written without it."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import virtual_bench

from hilep.instruments import locks
from hilep.instruments.errors import StateUnknownError
from hilep.instruments.status import COMPLIANCE, OVERRANGE
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.faults import Fault
from hilep.simulators.virtual.resistors import ResistorWorld
from hilep.simulators.virtual.server import InstrumentServer
from hilep.simulators.virtual.world import Drive

pytest.importorskip("pymeasure", reason="needs the bench extra")

from hilep.instruments.keithley2400 import Keithley2400
from hilep.instruments.keithley2450 import Keithley2450
from hilep.instruments.keithley2600 import Keithley2600
from hilep.instruments.keithleydaq6510 import KeithleyDAQ6510
from hilep.instruments.keysight34970a import Keysight34970A
from hilep.instruments.keysightb2900 import KeysightB2900

SMUS = {
    "2400": Keithley2400,
    "2450": Keithley2450,
    "2600": Keithley2600,
    "B2900": KeysightB2900,
}
SCANNERS = {"DAQ6510": KeithleyDAQ6510, "34970A": Keysight34970A, "DAQ970A": Keysight34970A}
RANGE_V = {"2600": 1.0}
OHMS = virtual_bench.LOAD_OHMS


class Recorded(ResistorWorld):
    """A world that notes every drive with the time at which it came."""

    clock: Clock | None = None

    def __init__(self, *args, **keywords):
        self.history = []
        super().__init__(*args, **keywords)

    def drive(self, terminal, drive):
        self.history.append((self.clock.now() if self.clock else 0.0, terminal, drive))
        super().drive(terminal, drive)


@pytest.fixture(autouse=True)
def _own_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)


@contextmanager
def met(name, kinds, fault=None):
    """A started driver and the virtual instrument; at the end nothing that it sent was refused."""
    if name == "2600":
        pytest.importorskip("lupa", reason="needs the bench extra")
    world = Recorded(["a", "b", "c"], [("a", "ground", OHMS), ("b", "ground", OHMS)])
    instrument = virtual_bench.built(name, world)
    world.clock = instrument.clock
    refused = []
    note = instrument.note

    def noted(*error):
        refused.append(error)
        note(*error)

    instrument.note = noted
    for smu in getattr(instrument, "smus", ()):
        smu._note = noted
    with InstrumentServer(instrument, fault=fault) as server:
        with kinds[name](server.resource, timeout_s=1.0) as driver:
            yield driver, instrument, world, server
        assert refused == []


def first(driver):
    return driver.channels[next(iter(driver.channels))]


def drives(world, terminal="a"):
    return [(at, drive) for at, where, drive in world.history if where == terminal]


@pytest.mark.parametrize("name", SMUS)
def test_a_source_meter_meets_ohms_law_both_ways(name):
    with met(name, SMUS) as (smu, _, _, _):
        channel, at = first(smu), next(iter(smu.channels))
        channel.source_voltage(1e-4, range_v=RANGE_V.get(name, 2.0), nplc=1)
        channel.on()
        assert smu.apply({at: 0.5}) == {at: pytest.approx(0.5)}
        got = smu.acquire(7)
        assert got.volts.shape == (7, 1)
        np.testing.assert_allclose(got.volts, 0.5, atol=2e-5)
        np.testing.assert_allclose(got.amps, 0.5 / OHMS, atol=2e-9)
        assert not got.status.any()
        assert (np.diff(got.time_s[:, 0]) > 0.019).all()
        assert got.levels == {at: pytest.approx(0.5)}
        assert got.outputs == {at: True}
        channel.source_current(0.5, range_a=1e-5, nplc=0.1)
        channel.on()
        smu.apply({at: -2e-6})
        got = smu.acquire(3)
        np.testing.assert_allclose(got.amps, -2e-6, atol=1e-9)
        np.testing.assert_allclose(got.volts, -2e-6 * OHMS, atol=1e-4)
        assert smu.zero() == {at: 0.0}
        np.testing.assert_allclose(smu.acquire(2).volts, 0, atol=1e-4)


@pytest.mark.parametrize("name", SMUS)
def test_a_limit_is_seen_in_the_status_and_really_limits(name):
    with met(name, SMUS) as (smu, _, _, _):
        channel, at = first(smu), next(iter(smu.channels))
        channel.source_voltage(1e-5, range_v=RANGE_V.get(name, 2.0))
        channel.on()
        smu.apply({at: 0.5})
        got = smu.acquire(2)
        assert (got.status & COMPLIANCE).all()
        np.testing.assert_allclose(got.amps, 1e-5, rtol=1e-3)
        np.testing.assert_allclose(got.volts, 1e-5 * OHMS, rtol=1e-2)
        channel.source_current(0.05, range_a=1e-5)
        channel.on()
        smu.apply({at: 9e-6})
        got = smu.acquire(2)
        assert (got.status & COMPLIANCE).all()
        np.testing.assert_allclose(got.volts, 0.05, rtol=1e-2)


@pytest.mark.parametrize("name", SMUS)
def test_one_message_brings_any_number_of_samples_and_changes_nothing(name):
    with met(name, SMUS) as (smu, _, world, server):
        channel, at = first(smu), next(iter(smu.channels))
        channel.source_voltage(1e-4, range_v=RANGE_V.get(name, 2.0), nplc=0.01)
        channel.on()
        smu.apply({at: 0.25})
        before, kept = smu.snapshot(), len(drives(world))
        for samples in (1, 100, smu.largest_read):
            messages = server.messages
            assert smu.acquire(samples).samples == samples
            assert server.messages == messages + 1
        assert smu.acquire(smu.largest_read + 3).samples == smu.largest_read + 3
        assert smu.snapshot() == before
        # A source that stays as it is was not driven anew either, whatever else was written.
        assert {drive for _, drive in drives(world)[kept:]} <= {drives(world)[kept - 1][1]}
        messages = server.messages
        smu.apply({at: 0.25})
        smu.read_outputs()
        assert server.messages == messages + 2


@pytest.mark.parametrize("name", SMUS)
def test_a_pulse_has_its_height_width_and_limit_and_ends_at_zero(name):
    seconds = 2e-2
    with met(name, SMUS) as (smu, _, world, _):
        channel, at = first(smu), next(iter(smu.channels))
        channel.source_voltage(1e-4, range_v=RANGE_V.get(name, 2.0))
        channel.on()
        world.history.clear()
        got = smu.pulse(at, 0.9, seconds, 1e-4, count=3)
        assert got.samples == 3
        assert not got.status.any()
        if name != "2600":
            np.testing.assert_allclose(got.amps, 0.9 / OHMS, rtol=1e-3)
        up = [when for when, drive in drives(world) if drive.level == pytest.approx(0.9)]
        changes = sorted({when for when, drive in drives(world)})
        widths = [min(later - when for later in changes if later > when) for when in set(up)]
        assert len(widths) == 3
        np.testing.assert_allclose(widths, seconds, atol=3e-3)
        assert drives(world)[-1][1].level == 0
        assert smu.acquire(1).levels == {at: 0.0}
        # Its own limit is back.
        limited = smu.pulse(at, 0.9, seconds, 1e-5)
        assert (limited.status & COMPLIANCE).all()
        assert drives(world)[-1][1].limit == pytest.approx(1e-4)


@pytest.mark.parametrize("name", SMUS)
def test_safe_opens_every_output_whatever_state_it_is_in(name):
    with met(name, SMUS) as (smu, _, world, _):
        for channel in smu.channels.values():
            channel.source_voltage(1e-4, range_v=RANGE_V.get(name, 2.0))
            channel.on()
        report = smu.safe()
        assert report.off is True
        for terminal in ("a", "b")[: len(smu.channels)]:
            assert drives(world, terminal)[-1][1].kind == "off"
        channel = first(smu)
        channel.source_current(0.5, range_a=1e-5)
        channel.on()
        channel.off()
        assert drives(world)[-1][1].kind == "off"
    assert smu.last_report.off is True


@pytest.mark.parametrize("name", SMUS)
def test_after_a_lost_answer_it_refuses_until_recovered(name):
    faults = []
    with met(name, SMUS, fault=lambda number, text: faults.pop() if faults else None) as (
        smu,
        _,
        _,
        _,
    ):
        channel, at = first(smu), next(iter(smu.channels))
        channel.source_voltage(1e-4, range_v=RANGE_V.get(name, 2.0))
        channel.on()
        faults.append(Fault("drop"))
        with pytest.raises(Exception, match="no whole answer"):
            smu.read_outputs()
        with pytest.raises(StateUnknownError):
            smu.apply({at: 0.1})
        assert smu.recover()[at] is True
        smu.apply({at: 0.1})
        np.testing.assert_allclose(smu.acquire(1).volts, 0.1, atol=2e-5)


@pytest.mark.parametrize("name", ["2600", "B2900"])
def test_two_channels_share_one_message_in_any_order(name):
    with met(name, SMUS) as (smu, _, _, server):
        one, two = smu.channels
        for channel, amps in ((one, 1e-4), (two, 1e-3)):
            smu.channels[channel].source_voltage(amps, range_v=RANGE_V.get(name, 2.0))
            smu.channels[channel].on()
        messages = server.messages
        smu.apply({one: 0.1, two: 0.2})
        got = smu.acquire(4, [two, one])
        assert server.messages == messages + 2
        np.testing.assert_allclose(got.volts, [[0.2, 0.1]] * 4, atol=2e-5)
        np.testing.assert_allclose(got.amps, np.array([[0.2, 0.1]] * 4) / OHMS, atol=2e-8)
        assert got.levels == {two: pytest.approx(0.2), one: pytest.approx(0.1)}


@pytest.mark.parametrize("name", SCANNERS)
def test_a_scanner_reads_its_list_in_the_order_asked_for(name):
    with met(name, SCANNERS) as (daq, _, world, server):
        world.drive("a", Drive("volts", 0.5, 1.0))
        world.drive("b", Drive("volts", -0.25, 1.0))
        daq.configure(["103", "101", "102"], range_v=1.0, nplc=1)
        messages = server.messages
        got = daq.acquire(5)
        assert server.messages == messages + 1
        assert got.channels == ("103", "101", "102")
        np.testing.assert_allclose(got.volts, [[0.0, 0.5, -0.25]] * 5, atol=1e-5)
        assert not got.status.any()
        assert (np.diff(np.sort(got.time_s.ravel())) > 0).all()
        chosen = daq.acquire(2, ["102"])
        np.testing.assert_allclose(chosen.volts, -0.25, atol=1e-5)
        world.drive("a", Drive("volts", 1.5, 1.0))
        over = daq.acquire(1)
        assert np.isnan(over.volts[0, 1])
        assert over.status[0, 1] & OVERRANGE
        assert not over.status[0, 2]
        before = daq.snapshot()
        daq.acquire(3)
        assert daq.snapshot() == before
        assert daq.relay_cycles(["101", "102", "103"]) == {"101": 11, "102": 11, "103": 11}
        assert daq.closures == {"101": 11, "102": 11, "103": 11}


@pytest.mark.parametrize("name", SCANNERS)
def test_paths_join_what_they_say_and_survive_a_scan(name):
    with met(name, SCANNERS) as (daq, instrument, world, _):
        world.drive("b", Drive("volts", 0.4, 1.0))
        daq.cold = lambda: True
        daq.configure(["101", "103"], range_v=1.0)
        np.testing.assert_allclose(daq.acquire(1).volts[0, 1], 0, atol=1e-5)
        daq.close(["201"])
        assert daq.closed == ("201",)
        np.testing.assert_allclose(daq.acquire(1).volts[0, 1], 0.4, atol=1e-5)
        assert instrument.relays.closed == {201}
        daq.connect(["201"])
        assert daq.relay_cycles(["201"]) == {"201": 1}
        daq.open(["201"])
        np.testing.assert_allclose(daq.acquire(1).volts[0, 1], 0, atol=1e-5)
        daq.close(["201"])
        assert daq.safe().off is True
        assert instrument.relays.closed == set()


@pytest.mark.parametrize("name", SCANNERS)
def test_more_sweeps_than_the_memory_holds_are_several_queries(name, monkeypatch):
    with met(name, SCANNERS) as (daq, _, _, server):
        daq.capacity = 20
        daq.configure(["101", "102", "103"], range_v=1.0, nplc=1)
        messages = server.messages
        got = daq.acquire(15)
        assert got.samples == 15
        assert server.messages == messages + 3
        assert (np.diff(got.time_s[:, 0]) > 0).all()
        assert daq.recover() == {}
        assert daq.acquire(1).samples == 1
