"""Every verb of the Keithley 2450 as bytes, and what comes of the answers."""

from __future__ import annotations

import pytest

pytest.importorskip("pymeasure")
pytest.importorskip("filelock")

from pymeasure.test import expected_protocol
from smu_messages import ERROR, NONE, ON, read_back, sent

from hilep.errors import BadInputError
from hilep.instruments.keithley2450 import Keithley2450
from hilep.instruments.status import COMPLIANCE

OFF_STATES = (":OUTP:VOLT:SMOD HIMP", ":OUTP:CURR:SMOD HIMP")

START_2450 = [
    ("*IDN?", "KEITHLEY INSTRUMENTS,MODEL 2450,04000000,1.7.12b"),
    ("*LANG?", "SCPI"),
    *sent(":ABOR", ":OUTP OFF", *OFF_STATES, ":OUTP OFF"),
    (":OUTP?", "0"),
    ERROR,
    *sent(":SENS:COUN 2", "*RST", *OFF_STATES, ":FORM:DATA ASC", ":FORM:ASC:PREC 16"),
    (":SYST:LFR?", "50"),
    ERROR,
    read_back(
        {
            ":SENS:COUN?": "1",
            ":OUTP:VOLT:SMOD?": "HIMP",
            ":OUTP:CURR:SMOD?": "HIMP",
            ":FORM:DATA?": "ASC",
            ":FORM:ASC:PREC?": "16",
        }
    ),
]

KEPT_2450 = read_back(
    {
        ":OUTP?": "0",
        ":SOUR:FUNC?": "VOLT",
        ":SENS:FUNC?": '"CURR:DC"',
        ":SOUR:VOLT:RANG:AUTO?": "0",
        ":SOUR:VOLT:RANG?": "2",
        ":SOUR:VOLT:ILIM?": "1.000000000000000E-05",
        ":SENS:CURR:RANG:AUTO?": "0",
        ":SENS:CURR:RANG?": "1E-05",
        ":SOUR:VOLT?": "0",
        ":SOUR:VOLT:READ:BACK?": "1",
        ":SOUR:VOLT:DEL?": "0",
        ":SOUR:VOLT:DEL:AUTO?": "0",
        ":SENS:CURR:NPLC?": "1",
        ":SENS:CURR:AZER?": "1",
        ":SENS:CURR:AVER?": "0",
        ":SENS:CURR:RSEN?": "0",
    }
)


def test_clamps_and_reads_in_one_message_each() -> None:
    pairs = [
        *START_2450,
        *sent(
            ":OUTP OFF",
            ":SOUR:FUNC VOLT",
            ':SENS:FUNC "CURR"',
            ":SENS:CURR:RANG:AUTO ON",
            ":SOUR:VOLT:RANG 2.000000000e+00",
            ":SOUR:VOLT:ILIM 1.000000000e-05",
            ":SENS:CURR:RANG 1.000000000e-05",
            ":SOUR:VOLT 0.000000000e+00",
            ":SOUR:VOLT:READ:BACK ON",
            ":SOUR:VOLT:DEL 0",
            ":SOUR:VOLT:DEL:AUTO OFF",
            ":SENS:CURR:NPLC 1.000000000e+00",
            ":SENS:CURR:AZER ON",
            ":SENS:CURR:AVER OFF",
            ":SENS:CURR:RSEN OFF",
        ),
        ERROR,
        KEPT_2450,
        *ON,
        (":SOUR:VOLT 3.100000000e-01", None),
        (
            ':SENS:COUN 2;:TRAC:CLE "defbuffer1";:TRAC:TRIG "defbuffer1";'
            ':TRAC:DATA? 1,2,"defbuffer1",READ,SOUR,REL,STAT,SOURSTAT;'
            ":SOUR:VOLT?;:OUTP?;:SYST:ERR?",
            '1.0E-06,0.31001,0.0,8,128,1.0E-05,0.2,0.02,8,160;0.31;1;0,"No error;0;0 0"',
        ),
    ]
    with expected_protocol(Keithley2450, pairs) as smu:
        smu.start()
        smu.channels["a"].source_voltage(1e-5, range_v=2)
        smu.channels["a"].on()
        smu.apply({"a": 0.31})
        reads = smu.acquire(2)
        assert reads.amps[:, 0].tolist() == [1e-6, 1e-5]
        assert reads.volts[:, 0].tolist() == [0.31001, 0.2]
        assert reads.status[:, 0].tolist() == [0, COMPLIANCE]


def test_in_another_command_set_is_refused_unharmed() -> None:
    pairs = [START_2450[0], ("*LANG?", "TSP")]
    with expected_protocol(Keithley2450, pairs) as smu, pytest.raises(BadInputError, match="TSP"):
        smu.start()


def test_a_pulse_is_one_query_and_its_limit_comes_first() -> None:
    setup = [
        ":OUTP OFF",
        ":SOUR:FUNC VOLT",
        ':SENS:FUNC "CURR"',
        ":SENS:CURR:RANG:AUTO ON",
        ":SOUR:VOLT:RANG 2.000000000e+00",
        ":SOUR:VOLT:ILIM 1.000000000e-05",
        ":SENS:CURR:RANG 1.000000000e-05",
        ":SOUR:VOLT 0.000000000e+00",
        ":SOUR:VOLT:READ:BACK ON",
        ":SOUR:VOLT:DEL 0",
        ":SOUR:VOLT:DEL:AUTO OFF",
        ":SENS:CURR:NPLC 1.000000000e+00",
        ":SENS:CURR:AZER ON",
        ":SENS:CURR:AVER OFF",
        ":SENS:CURR:RSEN OFF",
    ]
    pulse = (
        ":SOUR:VOLT:ILIM 5.000000000e-06;:SENS:CURR:NPLC 0.01;:SOUR:VOLT:DEL 8.000000000e-03;"
        ':SENS:COUN 1;:TRAC:CLE "defbuffer1";:SOUR:VOLT 1.500000000e+00;'
        ':TRAC:TRIG "defbuffer1";:SOUR:VOLT 0.000000000e+00;'
        ":SOUR:VOLT:ILIM 1.000000000e-05;:SENS:CURR:NPLC 1.000000000e+00;:SOUR:VOLT:DEL 0;"
        ':TRAC:DATA? 1,1,"defbuffer1",READ,SOUR,REL,STAT,SOURSTAT;:SOUR:VOLT?;:OUTP?;:SYST:ERR?'
    )
    pairs = [
        *START_2450,
        *sent(*setup),
        ERROR,
        KEPT_2450,
        *ON,
        (pulse, f"5.0E-06,1.2,0.0,8,160;0;1;{NONE}"),
    ]
    with expected_protocol(Keithley2450, pairs) as smu:
        smu.start()
        smu.channels["a"].source_voltage(1e-5, range_v=2)
        smu.channels["a"].on()
        assert smu.pulse("a", 1.5, 0.01, 5e-6).status.tolist() == [[COMPLIANCE]]
