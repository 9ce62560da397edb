"""Every verb of the Keithley 2400 as bytes, and what comes of the answers."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("pymeasure")
pytest.importorskip("filelock")

from pymeasure.test import expected_protocol
from smu_messages import (
    ERROR,
    NONE,
    ON,
    STARTED_2400,
    Pair,
    assert_limit_before_level_before_output,
    kept_2400,
    read_back,
    sent,
)

from hilep.errors import BadInputError
from hilep.instruments.errors import GarbledAnswerError, InstrumentError, RangeLimitError
from hilep.instruments.keithley2400 import Keithley2400
from hilep.instruments.status import COMPLIANCE, INVALID, OVERRANGE, SATURATED

START_2400 = [
    ("*IDN?", "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C30"),
    *sent(":ABOR", ":OUTP OFF", ":OUTP:SMOD HIMP", ":OUTP OFF"),
    (":OUTP?", "0"),
    ERROR,
    *sent(
        ":TRIG:COUN 2",
        "*RST",
        ":OUTP:SMOD HIMP",
        ":SOUR:CLE:AUTO OFF",
        ":SYST:LFR 50",
        ":SYST:AZER ON",
        ":SENS:AVER OFF",
        ":SENS:FUNC:CONC ON",
        ":SENS:FUNC 'VOLT','CURR'",
        ":FORM:DATA ASC",
        ":FORM:ELEM VOLT,CURR,TIME,STAT",
    ),
    ERROR,
    read_back(STARTED_2400),
]

KEPT_2400 = kept_2400("CURR", "VOLT", "1.050000E-06", "5.000000E-01", "2.100000E+00")

CURRENT_2400 = [
    *sent(
        ":OUTP OFF",
        ":SOUR:FUNC CURR",
        ":SOUR:CURR:MODE FIX",
        ":SENS:VOLT:RANG:AUTO ON",
        ":SENS:VOLT:PROT 5.000000000e-01",
        ":SENS:VOLT:RANG 2.000000000e+00",
        ":SOUR:CURR:RANG 1.000000000e-06",
        ":SOUR:CURR 0.000000000e+00",
        ":SENS:VOLT:NPLC 1.000000000e+00",
        ":SYST:RSEN OFF",
        ":SOUR:DEL 0",
        ":SOUR:DEL:AUTO OFF",
    ),
    ERROR,
    read_back(KEPT_2400),
]

READ_2400 = ":TRIG:COUN 2;:READ?;:SOUR:CURR?;:OUTP?;:SYST:ERR?"


def test_injects_and_reads_in_one_message_each() -> None:
    answer = (
        "+3.100001E-01,+2.500000E-08,+1.0E+00,+0,"
        f"+5.000000E-01,+2.400000E-08,+1.1E+00,+8;+2.500000E-08;1;{NONE}"
    )
    pairs = [
        *START_2400,
        *CURRENT_2400,
        *ON,
        (":SOUR:CURR 2.500000000e-08", None),
        (READ_2400, answer),
        (":SOUR:CURR 0.000000000e+00", None),
    ]
    with expected_protocol(Keithley2400, pairs) as smu:
        smu.start()
        smu.channels["a"].source_current(0.5, range_a=1e-6)
        smu.channels["a"].on()
        writes, queries = smu.messages.writes, smu.messages.queries
        assert smu.apply({"a": 25e-9}) == {"a": 25e-9}
        reads = smu.acquire(2)
        assert (smu.messages.writes - writes, smu.messages.queries - queries) == (1, 1)
        assert reads.volts.tolist() == [[0.3100001], [0.5]]
        assert reads.status.tolist() == [[0], [COMPLIANCE]]
        assert reads.levels == {"a": 25e-9}
        assert reads.outputs == {"a": True}
        assert smu.zero() == {"a": 0.0}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (f"+0.31,+2.5E-08,+1.0,+0;+2.5E-08;1;{NONE}", GarbledAnswerError),
        (f"+0.31,+2.5E-08,+1.0,+0,+0.31,+2.5E-08,+1.0;+2.5E-08;1;{NONE}", GarbledAnswerError),
        (f"+0.31,x,+1.0,+0,+0.31,+2.5E-08,+1.0,+0;+2.5E-08;1;{NONE}", GarbledAnswerError),
        (f"+0.31,+1,+1.0,+0.5,+0.31,+2.5E-08,+1.0,+0;+2.5E-08;1;{NONE}", GarbledAnswerError),
        ("", GarbledAnswerError),
        ("+0.31", GarbledAnswerError),
        (f"+1,+1,+1,+0,+1,+1,+1,+0;+5.0E-08;1;{NONE}", InstrumentError),
        (f"+1,+1,+1,+0,+1,+1,+1,+0;+2.5E-08;0;{NONE}", InstrumentError),
    ],
    ids=["few", "one short", "no number", "no status", "empty", "other", "other level", "off"],
)
def test_a_wrong_answer_is_no_reading(answer: str, error: type[Exception]) -> None:
    pairs = [*START_2400, *CURRENT_2400, *ON, (":SOUR:CURR 2.500000000e-08", None)]
    with expected_protocol(Keithley2400, [*pairs, (READ_2400, answer)]) as smu:
        smu.start()
        smu.channels["a"].source_current(0.5, range_a=1e-6)
        smu.channels["a"].on()
        smu.apply({"a": 25e-9})
        with pytest.raises(error):
            smu.acquire(2)


@pytest.mark.parametrize(
    "answer", ['+1,+1,+1,+0,+1,+1,+1,+0;+0;1;+802,"OUTPUT blocked"', '+0;1;-113,"Undefined header"']
)
def test_an_error_entry_in_the_answer_is_raised(answer: str) -> None:
    pairs = [*START_2400, *CURRENT_2400, *ON, (READ_2400, answer), ERROR]
    with expected_protocol(Keithley2400, pairs) as smu:
        smu.start()
        smu.channels["a"].source_current(0.5, range_a=1e-6)
        smu.channels["a"].on()
        with pytest.raises(InstrumentError) as caught:
            smu.acquire(2)
        assert caught.value.code in (802, -113)


def test_sentinels_become_nan() -> None:
    answer = f"+9.9E+37,+1E-08,+1.0,+1,+9.91E+37,+1E-08,+1.1,+0;+0;1;{NONE}"
    pairs = [*START_2400, *CURRENT_2400, *ON, (READ_2400, answer)]
    with expected_protocol(Keithley2400, pairs) as smu:
        smu.start()
        smu.channels["a"].source_current(0.5, range_a=1e-6)
        smu.channels["a"].on()
        reads = smu.acquire(2)
        assert np.isnan(reads.volts).all()
        assert reads.status[:, 0].tolist() == [OVERRANGE | SATURATED, INVALID]


def test_more_samples_than_the_buffer_holds_are_several_queries() -> None:
    def read(count: int) -> Pair:
        return (
            f":TRIG:COUN {count};:READ?;:SOUR:CURR?;:OUTP?;:SYST:ERR?",
            ",".join(["+1,+0,+1,+0"] * count) + f";+0;1;{NONE}",
        )

    pairs = [*START_2400, *CURRENT_2400, *ON, read(2500), read(2500), read(1)]
    with expected_protocol(Keithley2400, pairs) as smu:
        smu.start()
        smu.channels["a"].source_current(0.5, range_a=1e-6)
        smu.channels["a"].on()
        queries = smu.messages.queries
        assert smu.acquire(5001).samples == 5001
        assert smu.messages.queries - queries == 3


def test_what_is_refused_sends_nothing() -> None:
    with expected_protocol(Keithley2400, [*START_2400, *CURRENT_2400]) as smu:
        smu.start()
        channel = smu.channels["a"]
        with pytest.raises(RangeLimitError):
            channel.source_voltage(0.0, range_v=2)
        with pytest.raises(BadInputError, match="not configured"):
            channel.on()
        channel.source_current(0.5, range_a=1e-6)
        for level in (2e-6, float("nan")):
            with pytest.raises(RangeLimitError):
                smu.apply({"a": level})
        with pytest.raises(BadInputError, match="no channel 'b'"):
            smu.apply({"b": 0.0})
        with pytest.raises(BadInputError, match="output is off"):
            smu.acquire(1)
        with pytest.raises(BadInputError):
            smu.pulse("a", 1.0, 0.01, 1e-6)


@pytest.mark.parametrize(
    ("query", "found", "expected"),
    [
        (":SENS:VOLT:PROT?", "2.1E+01", "0.5"),
        (":SENS:VOLT:PROT?", "+9.91E+37", "0.5"),
        (":SOUR:FUNC?", "VOLT", "CURR"),
        (":SOUR:CURR:RANG?", "1.050000E-05", "1e-06"),
        (":SYST:RSEN?", "1", "off"),
    ],
)
def test_a_setting_that_is_not_kept_is_an_error(query: str, found: str, expected: str) -> None:
    asked = read_back({**KEPT_2400, query: found})
    pairs = [*START_2400, *CURRENT_2400[:-1], asked, (":OUTP OFF", None)]
    with expected_protocol(Keithley2400, pairs) as smu:
        smu.start()
        what = re.escape(f"channel a: {query} is {found}, expected {expected}")
        with pytest.raises(InstrumentError, match=what):
            smu.channels["a"].source_current(0.5, range_a=1e-6)
        assert smu.channels["a"].setup is None


def test_a_pulse_is_one_query_and_its_limit_comes_first() -> None:
    pulse = (
        ":SENS:CURR:PROT 5.000000000e-06;:SENS:CURR:NPLC 0.01;:SOUR:DEL 8.000000000e-03;"
        ":TRIG:COUN 1;:SOUR:VOLT 1.500000000e+00;:READ?;:SOUR:VOLT 0.000000000e+00;"
        ":SENS:CURR:PROT 1.000000000e-05;:SENS:CURR:NPLC 1.000000000e+00;:SOUR:DEL 0;"
        ":SOUR:VOLT?;:OUTP?;:SYST:ERR?"
    )
    pairs = [
        *START_2400,
        *sent(
            ":OUTP OFF",
            ":SOUR:FUNC VOLT",
            ":SOUR:VOLT:MODE FIX",
            ":SENS:CURR:RANG:AUTO ON",
            ":SENS:CURR:PROT 1.000000000e-05",
            ":SENS:CURR:RANG 1.000000000e-05",
            ":SOUR:VOLT:RANG 2.000000000e+00",
            ":SOUR:VOLT 0.000000000e+00",
            ":SENS:CURR:NPLC 1.000000000e+00",
            ":SYST:RSEN ON",
            ":SOUR:DEL 0",
            ":SOUR:DEL:AUTO OFF",
        ),
        ERROR,
        read_back(kept_2400("VOLT", "CURR", "2.0E+00", "1.0E-05", "1.0E-05", "1")),
        *ON,
        (pulse, f"+1.5,+1E-06,+1.0,+0;+0;1;{NONE}"),
        (pulse, f"+1.1,+5E-06,+1.2,+8;+0;1;{NONE}"),
    ]
    with expected_protocol(Keithley2400, pairs) as smu:
        smu.start()
        smu.channels["a"].source_voltage(1e-5, range_v=2, four_wire=True)
        smu.channels["a"].on()
        got = smu.pulse("a", 1.5, 0.01, limit_a=5e-6, count=2)
        assert got.status[:, 0].tolist() == [0, COMPLIANCE]


def test_the_limit_goes_before_the_level_and_the_level_before_the_output() -> None:
    assert_limit_before_level_before_output([*CURRENT_2400, *ON])
