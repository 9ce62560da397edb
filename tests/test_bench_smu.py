"""A source-measure unit whose answers come late, cut short or not at all; over real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("pymeasure")
pytest.importorskip("filelock")

from line_server import SHORT_S, Answer, HangUp, Late, LineServer, Output
from smu_messages import STARTED_2400, kept_2400, read_back

from hilep.instruments.errors import GarbledAnswerError, InstrumentError, StateUnknownError
from hilep.instruments.keithley2400 import Keithley2400

READ = ":TRIG:COUN 1;:READ?;:SOUR:CURR?;:OUTP?;:SYST:ERR?"
GOOD = '+2.0,+0,+1,+0;+0;1;0,"No error"'


@pytest.fixture
def smu(server: LineServer, output: Output) -> Iterator[Keithley2400]:
    output.answers |= {
        "*IDN?": "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1,C30",
        **dict([read_back(STARTED_2400)]),
        **dict([read_back(kept_2400("CURR", "VOLT", "1E-06", "5.0E-01", "2"))]),
        **dict([read_back(kept_2400("VOLT", "CURR", "2", "1.0E-05", "1.0E-05"))]),
    }
    with Keithley2400(server.resource, timeout_s=SHORT_S) as started:
        started.channels["a"].source_current(0.5, range_a=1e-6)
        started.channels["a"].on()
        yield started
    assert not output.on


@pytest.mark.parametrize(
    "answer",
    [Late('+1.0,+0,+1,+0;+0;1;0,"No error"'), None, HangUp(), b"+1.0,+0", "+1.0,+0", b"\xff\n"],
    ids=["late", "none", "gone", "cut", "short", "garbage"],
)
def test_a_fault_yields_no_reading_and_the_next_is_its_own(
    smu: Keithley2400, output: Output, answer: Answer
) -> None:
    output.answers[READ] = answer
    with pytest.raises(InstrumentError):
        smu.acquire(1)
    with pytest.raises(StateUnknownError):
        smu.acquire(1)
    with pytest.raises(StateUnknownError):
        smu.apply({"a": 0.0})
    output.answers[READ] = GOOD
    assert smu.recover() == {"a": True}
    assert smu.acquire(1).volts.tolist() == [[2.0]]


def test_after_safe_a_channel_must_be_configured_anew(smu: Keithley2400, output: Output) -> None:
    output.answers[READ] = None
    with pytest.raises(InstrumentError):
        smu.acquire(1)
    assert smu.safe().off is True
    assert smu.channels["a"].setup is None
    assert not output.on


def test_a_pulse_is_never_given_again_after_a_fault(
    smu: Keithley2400, server: LineServer, output: Output
) -> None:
    smu.channels["a"].off()
    smu.channels["a"].source_voltage(1e-5, range_v=2)
    smu.channels["a"].on()
    lines = len(server.received)
    with pytest.raises((InstrumentError, GarbledAnswerError)):
        smu.pulse("a", 1.5, 0.01, 5e-6, count=3)
    pulses = [line for line in server.received[lines:] if ":READ?" in line]
    assert len(pulses) == 1
