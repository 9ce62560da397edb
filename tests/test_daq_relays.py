"""Relays behind a scanning reader: counted, read back, never switched hot, open in the end."""

import pytest
from scanning_lines import Keithley, Keysight, serving

pytest.importorskip("pymeasure", reason="needs the bench extra")

from hilep.errors import BadInputError
from hilep.instruments.errors import InstrumentError, NotAnswering
from hilep.instruments.keithleydaq6510 import KeithleyDAQ6510
from hilep.instruments.keysight34970a import Keysight34970A
from hilep.instruments.relays import HotSwitchError

KINDS = {
    "6510": (KeithleyDAQ6510, Keithley, ":TRAC:DATA"),
    "34970A": (Keysight34970A, Keysight, ":FETC"),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture
def server(kind):
    with serving(kind[1]()) as server:
        yield server


@pytest.fixture
def daq(kind, server):
    with kind[0](server.resource, timeout_s=0.3) as daq:
        daq.transfer_s = daq.overhead_s = 0.0
        yield daq


CHANNELS = ["103", "101", "102"]


def reading(daq):
    daq.configure(CHANNELS, range_v=1.0, nplc=0.02, delay_s=0)
    return daq


def test_nothing_switches_while_a_source_drives_or_may_drive(daq, server):
    server.heard.clear()
    for cold in (None, lambda: False):
        daq.cold = cold
        for switch in (daq.close, daq.connect):
            with pytest.raises(HotSwitchError):
                switch(["201"])
    assert server.heard == []
    daq.cold = lambda: True
    daq.close(["201"])
    daq.cold = lambda: False
    server.heard.clear()
    with pytest.raises(HotSwitchError, match="a source drives"):
        daq.open_all()
    assert server.heard == []
    assert daq.closed == ("201",)


def test_closures_are_those_from_open_to_closed(daq):
    daq.cold = lambda: True
    for paths in (["201", "202"], ["202"], ["202", "203"]):
        daq.close(paths)
    daq.connect(["202", "204"])
    daq.connect(["202", "201"])
    assert daq.closures == {"201": 2, "202": 1, "203": 1, "204": 1}
    assert daq.closed == ("201", "202")


def test_sweeps_count_as_closures(daq):
    reading(daq).acquire(5)
    daq.acquire(2)
    assert daq.closures == dict.fromkeys(CHANNELS, 7)


def test_paths_and_the_scan_list_exclude_each_other(daq, server):
    daq.cold = lambda: True
    reading(daq)
    server.heard.clear()
    with pytest.raises(BadInputError, match="101 is in the scan list"):
        daq.close(["201", "101"])
    daq.close(["201"])
    with pytest.raises(BadInputError, match="201 is closed as a path"):
        daq.configure(["201"], range_v=1.0)
    assert len(server.heard) == 1


def test_a_relay_that_does_not_follow_is_named(daq, server):
    daq.cold = lambda: True
    answer = "(@202)" if isinstance(daq, KeithleyDAQ6510) else "0,1"
    server.replace("CLOS", f'{answer};+0,"No error"')
    with pytest.raises(InstrumentError, match="relay 201 did not follow"):
        daq.close(["201", "202"])
    assert daq.closed == ("202",)
    assert daq.closures == {"202": 1}


def test_safe_opens_every_relay_and_reads_that_back(daq, server):
    daq.close(["201", "202"], hot=True)
    report = daq.safe()
    assert report.off is True
    assert server.script.closed == set()
    assert daq.closed == ()


def test_safe_goes_out_without_a_question_when_the_line_is_silent(kind, daq, server):
    reading(daq)
    daq.close(["201"], hot=True)
    server.replace(kind[2], None)
    with pytest.raises(NotAnswering):
        daq.acquire(2)
    server.heard.clear()
    assert daq.safe().off is True
    assert server.heard[: len(daq.off_messages())] == list(daq.off_messages())
    assert server.script.closed == set()


def test_leaving_the_block_opens_every_relay(kind, server):
    with kind[0](server.resource, timeout_s=0.3) as daq:
        daq.close(["201"], hot=True)
    assert server.script.closed == set()
