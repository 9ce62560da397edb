"""Every verb of the Keysight B2900 as bytes, and what comes of the answers."""

from __future__ import annotations

import pytest

pytest.importorskip("pymeasure")
pytest.importorskip("filelock")

from pymeasure.test import expected_protocol
from smu_messages import (
    ERROR,
    NONE,
    Pair,
    assert_limit_before_level_before_output,
    read_back,
    sent,
)

from hilep.instruments.keysightb2900 import KeysightB2900
from hilep.instruments.status import COMPLIANCE, INVALID, OVERRANGE, SATURATED

START_B2900 = [
    ("*IDN?", "Keysight Technologies,B2912A,MY00000000,3.4"),
    *sent(
        ":ABOR (@1,2)",
        *(":OUTP1 OFF", ":OUTP2 OFF", ":OUTP1:OFF:MODE HIZ", ":OUTP2:OFF:MODE HIZ"),
        *(":OUTP1 OFF", ":OUTP2 OFF"),
    ),
    (":OUTP1?;:OUTP2?", "0;0"),
    (":SYST:ERR?", '+0,"No error"'),
    (":TRIG1:ACQ:COUN 2", None),
    *sent("*RST", ":SYST:LFR 50", ":FORM:DATA ASC", ":FORM:ELEM:SENS VOLT,CURR,TIME,STAT"),
    *sent(":OUTP1:OFF:MODE HIZ", ":OUTP1:ON:AUTO OFF", ":OUTP1:OFF:AUTO OFF"),
    (":TRIG1:ACQ:SOUR AINT", None),
    *sent(":OUTP2:OFF:MODE HIZ", ":OUTP2:ON:AUTO OFF", ":OUTP2:OFF:AUTO OFF"),
    (":TRIG2:ACQ:SOUR AINT", None),
    (":SYST:ERR?", '+0,"No error"'),
    read_back(
        {
            ":TRIG1:ACQ:COUN?": "1",
            ":SYST:LFR?": "50",
            ":FORM:DATA?": "ASC",
            ":FORM:ELEM:SENS?": "VOLT,CURR,TIME,STAT",
            ":OUTP1:OFF:MODE?": "HIZ",
            ":OUTP1:ON:AUTO?": "0",
            ":OUTP1:OFF:AUTO?": "0",
            ":TRIG1:ACQ:SOUR?": "AINT",
            ":OUTP2:OFF:MODE?": "HIZ",
            ":OUTP2:ON:AUTO?": "0",
            ":OUTP2:OFF:AUTO?": "0",
            ":TRIG2:ACQ:SOUR?": "AINT",
        }
    ),
]


def kept_b2900(c: str, source: str, other: str, span: str, limit: str, measure: str) -> Pair:
    """The query of a configuration's settings and its answer."""
    return read_back(
        {
            f":OUTP{c}?": "0",
            f":SOUR{c}:FUNC:MODE?": source,
            f":SOUR{c}:FUNC:SHAP?": "DC",
            f":SOUR{c}:{source}:MODE?": "FIX",
            f":SOUR{c}:{source}:RANG:AUTO?": "0",
            f":SOUR{c}:{source}:RANG?": span,
            f":SENS{c}:{other}:PROT?": limit,
            f":SOUR{c}:{source}?": "+0.00000000E+00",
            f":SENS{c}:FUNC?": '"VOLT","CURR"',
            f":SENS{c}:{other}:RANG:AUTO?": "0",
            f":SENS{c}:{other}:RANG?": measure,
            f":SENS{c}:{other}:NPLC?": "+1.00000000E+00",
            f":SENS{c}:REM?": "0",
        }
    )


def current_b2900(c: str, outputs: str) -> list[Pair]:
    return [
        *sent(
            f":OUTP{c} OFF",
            f":SOUR{c}:FUNC:MODE CURR",
            f":SOUR{c}:FUNC:SHAP DC",
            f":SOUR{c}:CURR:MODE FIX",
            f":SOUR{c}:CURR:RANG:AUTO OFF",
            f":SOUR{c}:CURR:RANG 1.000000000e-06",
            f":SENS{c}:VOLT:PROT 5.000000000e-01",
            f":SOUR{c}:CURR 0.000000000e+00",
            f':SENS{c}:FUNC "VOLT","CURR"',
            f":SENS{c}:VOLT:RANG:AUTO OFF",
            f":SENS{c}:VOLT:RANG 2.000000000e+00",
            f":SENS{c}:VOLT:NPLC 1.000000000e+00",
            f":SENS{c}:REM OFF",
        ),
        ERROR,
        kept_b2900(c, "CURR", "VOLT", "+1.0E-06", "+5.000000E-01", "+2.0E+00"),
        (f":OUTP{c} ON", None),
        ERROR,
        (":OUTP1?;:OUTP2?", outputs),
    ]


def test_sets_and_reads_both_channels_in_one_message_each() -> None:
    pairs = [
        *START_B2900,
        *current_b2900("1", "1;0"),
        *current_b2900("2", "1;1"),
        (":SOUR1:CURR 2.500000000e-08;:SOUR2:CURR -2.500000000e-08", None),
        (
            ":TRIG1:ACQ:COUN 2;:TRIG2:ACQ:COUN 2;:INIT:ACQ (@1,2);*WAI;:FETC:ARR? (@1,2);"
            ":SOUR1:CURR?;:SOUR2:CURR?;:OUTP1?;:OUTP2?;:SYST:ERR?",
            "+3.1E-01,+2.5E-08,+0.1,+1,+1.0E-01,-2.5E-08,+0.1,+1,"
            "+5.0E-01,+1.0E-08,+0.2,+5,+9.91E+37,-2.5E-08,+0.2,+8193;"
            '+2.5E-08;-2.5E-08;1;1;+0,"No error"',
        ),
    ]
    with expected_protocol(KeysightB2900, pairs) as smu:
        smu.start()
        for channel in smu.channels.values():
            channel.source_current(0.5, range_a=1e-6)
            channel.on()
        writes, queries = smu.messages.writes, smu.messages.queries
        smu.apply({"1": 25e-9, "2": -25e-9})
        reads = smu.acquire(2)
        assert (smu.messages.writes - writes, smu.messages.queries - queries) == (1, 1)
        assert reads.volts[0].tolist() == [0.31, 0.1]
        assert reads.status.tolist() == [
            [0, 0],
            [COMPLIANCE, INVALID | OVERRANGE | SATURATED],
        ]
        assert reads.outputs == {"1": True, "2": True}


def test_a_pulse_is_its_own_and_only_then_the_source_is_triggered() -> None:
    pulse = (
        ":SENS1:CURR:PROT 5.000000000e-05;:SENS1:CURR:APER 2.500000000e-04;"
        ":SOUR1:FUNC:SHAP PULS;:SOUR1:VOLT:TRIG 1.500000000e+00;:SOUR1:PULS:DEL 0;"
        ":SOUR1:PULS:WIDT 1.000000000e-03;:TRIG1:ACQ:DEL 5.000000000e-04;"
        ":TRIG1:TRAN:COUN 1;:TRIG1:ACQ:COUN 1;:INIT (@1);*WAI;:FETC:ARR? (@1);"
        ":SOUR1:FUNC:SHAP DC;:SOUR1:VOLT 0.000000000e+00;:TRIG1:ACQ:DEL 0;"
        ":SENS1:CURR:NPLC 1.000000000e+00;:SENS1:CURR:PROT 1.000000000e-04;"
        ":SOUR1:VOLT?;:OUTP1?;:SYST:ERR?"
    )
    setup = [
        ":OUTP1 OFF",
        ":SOUR1:FUNC:MODE VOLT",
        ":SOUR1:FUNC:SHAP DC",
        ":SOUR1:VOLT:MODE FIX",
        ":SOUR1:VOLT:RANG:AUTO OFF",
        ":SOUR1:VOLT:RANG 2.000000000e+00",
        ":SENS1:CURR:PROT 1.000000000e-04",
        ":SOUR1:VOLT 0.000000000e+00",
        ':SENS1:FUNC "VOLT","CURR"',
        ":SENS1:CURR:RANG:AUTO OFF",
        ":SENS1:CURR:RANG 1.000000000e-04",
        ":SENS1:CURR:NPLC 1.000000000e+00",
        ":SENS1:REM OFF",
    ]
    pairs = [
        *START_B2900,
        *sent(*setup),
        ERROR,
        kept_b2900("1", "VOLT", "CURR", "+2.0E+00", "+1.0E-04", "+1.0E-04"),
        (":OUTP1 ON", None),
        ERROR,
        (":OUTP1?;:OUTP2?", "1;0"),
        (pulse, "+1.5E+00,+1.0E-05,+0.1,+0;+0.0E+00;1;" + NONE),
    ]
    with expected_protocol(KeysightB2900, pairs) as smu:
        smu.start()
        smu.channels["1"].source_voltage(1e-4, range_v=2)
        smu.channels["1"].on()
        got = smu.pulse("1", 1.5, 1e-3, 5e-5)
        assert got.amps.tolist() == [[1e-5]]
        assert got.status.tolist() == [[0]]


def test_the_limit_goes_before_the_level_and_the_level_before_the_output() -> None:
    assert_limit_before_level_before_output(current_b2900("1", "1;0"))
