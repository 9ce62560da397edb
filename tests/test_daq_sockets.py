"""Scanning readers over sockets: counts of messages, relays, and every answer that can go wrong."""

import json

import numpy as np
import pytest
from scanning_lines import Keithley, Keysight, serving, volts_of

pytest.importorskip("pymeasure", reason="needs the bench extra")

from hilep.errors import BadInputError
from hilep.instruments.errors import (
    GarbledAnswerError,
    InstrumentError,
    NotAnswering,
    StateUnknownError,
)
from hilep.instruments.keithleydaq6510 import KeithleyDAQ6510
from hilep.instruments.keysight34970a import Keysight34970A
from hilep.instruments.status import INVALID, OVERRANGE, SATURATED

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


def expected(sweeps, channels=CHANNELS):
    return [[volts_of(sweep, channel) for channel in channels] for sweep in range(sweeps)]


def test_any_number_of_samples_and_channels_is_one_query(daq):
    for samples, count in ((1, 1), (50, 1), (1, 3), (2, 20), (50, 20), (3000, 4)):
        channels = [str(number) for number in range(100 + count, 100, -1)]
        daq.configure(channels, range_v=1.0, nplc=0.02, delay_s=0)
        before = (daq.messages.writes, daq.messages.queries)
        found = daq.acquire(samples)
        assert (daq.messages.writes, daq.messages.queries) == (before[0], before[1] + 1)
        np.testing.assert_allclose(found.volts, expected(samples, channels), rtol=1e-7)
        assert (found.status == 0).all()
        assert np.isnan(found.amps).all()


def test_more_than_the_memory_holds_is_split_and_nothing_is_lost(daq):
    reading(daq).capacity = 10
    before = daq.messages.queries
    found = daq.acquire(8)
    assert daq.messages.queries == before + 3
    np.testing.assert_allclose(found.volts, [*expected(3), *expected(3), *expected(2)], rtol=1e-8)
    sweeps = found.time_s.min(axis=1)
    assert (np.diff(sweeps) >= 0).all()


def test_columns_come_in_the_order_asked_for(daq):
    found = reading(daq).acquire(2, ["101", "103"])
    assert found.channels == ("101", "103")
    np.testing.assert_allclose(found.volts, expected(2, ["101", "103"]), rtol=1e-8)
    with pytest.raises(BadInputError, match="104 is not in the scan list"):
        daq.acquire(1, ["104"])


def test_reading_changes_no_setting(daq, server):
    reading(daq)
    server.heard.clear()
    daq.acquire(3)
    daq.acquire(3)
    assert len(set(server.heard)) == 1
    assert not any(word in server.heard[0] for word in ("MEAS", "CONF", "RANG", "NPLC", "RST"))


def test_settings_are_read_back_into_the_snapshot(daq):
    found = json.loads(json.dumps(reading(daq).snapshot()))
    assert found["settings"]["range_v"] == [1.0, 1.0, 1.0]
    assert found["settings"]["nplc"] == [0.02, 0.02, 0.02]
    assert found["outputs"] == {}


def _scanned(kind, server, sweeps=2):
    """The instrument's own answer to a scan, to be spoilt."""
    script = server.script
    script.sweeps = sweeps
    count = sweeps * len(CHANNELS)
    return script.part(f":TRAC:DATA? 1,{count}" if kind[0] is KeithleyDAQ6510 else ":FETC?")


def _exchanged(fields, per):
    """The readings with the channels of the second sweep's first two exchanged."""
    first, second = 4 * per - 1, 5 * per - 1
    fields = list(fields)
    fields[first], fields[second] = fields[second], fields[first]
    return ",".join(fields)


def _spoilt(kind, server, how):
    good = _scanned(kind, server)
    fields = good.split(",")
    per = len(fields) // 6
    ok = ';+0,"No error"'
    swapped = fields[per:] + fields[:per]
    return {
        "one reading too few": ",".join(fields[:-per]) + ok,
        "one reading too many": ",".join(fields + fields[-per:]) + ok,
        "no error entry": good,
        "cut in the middle": good[: len(good) // 2] + ok,
        "a word among the numbers": good.replace(fields[0], "OVLD", 1) + ok,
        "another channel": good.replace("102", "104") + ok,
        "out of step": ",".join(swapped) + ok,
        "sweeps in two orders": _exchanged(fields, per) + ok,
        "nothing": "",
        "an answer to another query": "REAR",
        "not text": b"\xff\xfe\x80\n",
    }[how]


@pytest.mark.parametrize(
    "how",
    [
        "one reading too few",
        "one reading too many",
        "no error entry",
        "cut in the middle",
        "a word among the numbers",
        "another channel",
        "out of step",
        "sweeps in two orders",
        "nothing",
        "an answer to another query",
        "not text",
    ],
)
def test_a_garbled_scan_is_never_a_reading(kind, daq, server, how):
    reading(daq)
    server.replace(kind[2], _spoilt(kind, server, how))
    with pytest.raises(GarbledAnswerError):
        daq.acquire(2)
    with pytest.raises(StateUnknownError):
        daq.acquire(2)
    daq.recover()
    np.testing.assert_allclose(daq.acquire(2).volts, expected(2), rtol=1e-8)


@pytest.mark.parametrize("sent", [None, b"+1.01000000E-01,0000"])
def test_silence_and_half_an_answer_time_out_and_poison(kind, daq, server, sent):
    reading(daq)
    server.replace(kind[2], sent)
    with pytest.raises(NotAnswering):
        daq.acquire(2)
    with pytest.raises(StateUnknownError):
        daq.close(["201"], hot=True)
    daq.recover()
    np.testing.assert_allclose(daq.acquire(2).volts, expected(2), rtol=1e-8)


def test_a_late_answer_is_not_that_of_the_next_scan(kind, daq, server):
    reading(daq)
    late = _scanned(kind, server).replace("1", "2") + ';+0,"No error"'
    server.replace(kind[2], late, after_s=1.0)
    with pytest.raises(NotAnswering):
        daq.acquire(2)
    with pytest.raises(StateUnknownError):
        daq.acquire(2)
    for _ in range(10):
        try:
            daq.recover()
            break
        except StateUnknownError:
            continue
    np.testing.assert_allclose(daq.acquire(2).volts, expected(2), rtol=1e-8)


def test_recovery_ends_the_scan_first(kind, daq, server):
    reading(daq)
    server.replace(kind[2], None)
    with pytest.raises(NotAnswering):
        daq.acquire(2)
    server.heard.clear()
    daq.recover()
    assert server.heard[0] == ":ABOR"


def test_an_error_beside_good_readings_is_raised_and_they_are_not_used(daq, server):
    reading(daq)
    server.script.errors = ['-222,"Data out of range"', '-113,"Undefined header"']
    with pytest.raises(InstrumentError, match=r"Data out of range \(and 1 more\)") as caught:
        daq.acquire(2)
    assert caught.value.code == -222
    assert daq.acquire(2).samples == 2


def test_a_refused_scan_says_why(kind, daq, server):
    reading(daq)
    server.replace(kind[2], '-230,"Data stale"')
    with pytest.raises(InstrumentError, match="Data stale") as caught:
        daq.acquire(2)
    assert caught.value.code == -230
    assert daq.poisoned is None


@pytest.mark.parametrize(
    ("sentinel", "status"),
    [
        ("+9.90000000E+37", OVERRANGE | SATURATED),
        ("-9.90000000E+37", OVERRANGE | SATURATED),
        ("+9.91000000E+37", INVALID),
    ],
)
def test_a_sentinel_is_no_voltage(kind, daq, server, sentinel, status):
    reading(daq)
    good = _scanned(kind, server)
    first = good.split(",")[0]
    server.replace(kind[2], good.replace(first, sentinel, 1) + ';+0,"No error"')
    found = daq.acquire(2)
    channel = "103" if kind[0] is KeithleyDAQ6510 else "101"
    at = (0, found.channels.index(channel))
    assert np.isnan(found.volts[at])
    assert found.status[at] == status
    assert np.isfinite(found.volts).sum() == 5
    assert (found.status != 0).sum() == 1


def test_a_questionable_reading_of_the_keithley_is_invalid():
    with serving(Keithley()) as server, KeithleyDAQ6510(server.resource, timeout_s=0.3) as daq:
        reading(daq)
        good = _scanned(KINDS["6510"], server)
        spoilt = good.replace(",0,103,", ",257,103,", 1).replace(",0,101,", ",256,101,", 1)
        server.replace(":TRAC:DATA", spoilt + ';0,"No error"')
        found = daq.acquire(2)
    assert found.status.tolist() == [[INVALID, 0, 0], [0, 0, 0]]
    assert np.isnan(found.volts[0, 0])
    assert np.isfinite(found.volts).sum() == 5


def test_the_time_out_grows_with_what_was_asked_for(daq):
    scan = reading(daq).scan
    daq.overhead_s = 0.01
    short, long = daq.wait_s(scan, 10), daq.wait_s(scan, 1000)
    assert long - short == pytest.approx(990 * 3 * (2 * 0.02 / 50 + 0.01))
