"""The bytes that the scanning readers send, as their manuals have them."""

import pytest
from numpy.testing import assert_allclose

pytest.importorskip("pymeasure", reason="needs the bench extra")

from pymeasure.test import expected_protocol

from hilep.errors import BadInputError
from hilep.instruments.errors import IdentityError, InstrumentError, RangeLimitError
from hilep.instruments.keithleydaq6510 import KeithleyDAQ6510
from hilep.instruments.keysight34970a import Keysight34970A

KEITHLEY_START = [
    ("*IDN?", "KEITHLEY INSTRUMENTS,MODEL DAQ6510,04340543,1.7.5b"),
    ("*LANG?", "SCPI"),
    (":ABOR", None),
    (":ROUT:OPEN:ALL", None),
    (":SYST:ERR?", '0,"No error;0;0 0"'),
    (":FORM:DATA ASC", None),
    (":FORM:ASC:PREC 16", None),
    (':TRAC:FILL:MODE ONCE,"defbuffer1"', None),
    (":SYST:ERR?", '0,"No error;0;0 0"'),
    (
        ':ROUT:MULT:CLOS?;:FORM:DATA?;:FORM:ASC:PREC?;:TRAC:FILL:MODE? "defbuffer1"',
        "(@);ASC;16;ONCE",
    ),
]
KEITHLEY_CONFIGURE = [
    (':SENS:FUNC "VOLT:DC",(@102,101)', None),
    (":SENS:VOLT:RANG 1.000000000e+00,(@102,101)", None),
    (":SENS:VOLT:NPLC 1.000000000e+00,(@102,101)", None),
    (":SENS:VOLT:AZER ON,(@102,101)", None),
    (":SENS:VOLT:AVER OFF,(@102,101)", None),
    (":SENS:VOLT:REL:STAT OFF,(@102,101)", None),
    (":SENS:VOLT:INP AUTO,(@102,101)", None),
    (":ROUT:CHAN:DEL 1.000000000e-03,(@102,101)", None),
    (':TRAC:POIN 100000,"defbuffer1"', None),
    (":ROUT:SCAN:CRE (@102,101)", None),
    (':ROUT:SCAN:BUFF "defbuffer1"', None),
    (":ROUT:SCAN:MODE USED", None),
    (":ROUT:SCAN:INT 0", None),
    (":SYST:ERR?", '0,"No error;0;0 0"'),
    (":SENS:FUNC? (@102,101)", '"VOLT:DC";"VOLT:DC"'),
    (":SENS:VOLT:RANG:AUTO? (@102,101)", "0;0"),
    (":SENS:VOLT:RANG? (@102,101)", "1;1"),
    (":SENS:VOLT:NPLC? (@102,101)", "1;1"),
    (":SENS:VOLT:AZER? (@102,101)", "1;1"),
    (":SENS:VOLT:AVER? (@102,101)", "0;0"),
    (":SENS:VOLT:REL:STAT? (@102,101)", "0;0"),
    (":SENS:VOLT:INP? (@102,101)", "AUTO;AUTO"),
    (":ROUT:CHAN:DEL? (@102,101)", "0.001;0.001"),
    (
        ":ROUT:SCAN:BUFF?;:ROUT:SCAN:MODE?;:ROUT:SCAN:INT?;:ROUT:SCAN:CRE?",
        "defbuffer1;USED;0;(@102,101)",
    ),
]
KEITHLEY_ACQUIRE = (
    ':TRAC:CLE "defbuffer1";:ROUT:SCAN:COUN:SCAN 2;:INIT;*WAI;'
    ':TRAC:DATA? 1,4,"defbuffer1",READ,REL,STAT,CHAN;:SYST:ERR?'
)
KEYSIGHT_START = [
    ("*IDN?", "HEWLETT-PACKARD,34970A,0,13-2-2"),
    (":ABOR", None),
    (":SYST:CPON ALL", None),
    (":SYST:CPON ALL", None),
    (":SYST:ERR?", '+0,"No error"'),
    (":FORM:READ:ALAR OFF", None),
    (":FORM:READ:UNIT OFF", None),
    (":FORM:READ:CHAN ON", None),
    (":FORM:READ:TIME ON", None),
    (":FORM:READ:TIME:TYPE REL", None),
    (":SYST:ERR?", '+0,"No error"'),
    (
        ":FORM:READ:ALAR?;:FORM:READ:UNIT?;:FORM:READ:CHAN?;:FORM:READ:TIME?;:FORM:READ:TIME:TYPE?",
        "0;0;1;1;REL",
    ),
]
KEYSIGHT_CONFIGURE = [
    (":ROUT:MON:STAT OFF", None),
    (':SENS:FUNC "VOLT:DC",(@102,101)', None),
    (":SENS:VOLT:DC:RANG 1.000000000e+00,(@102,101)", None),
    (":SENS:VOLT:DC:NPLC 1.000000000e+00,(@102,101)", None),
    (":SENS:ZERO:AUTO ON,(@102,101)", None),
    (":INP:IMP:AUTO ON,(@102,101)", None),
    (":CALC:SCAL:STAT OFF,(@102,101)", None),
    (":ROUT:SCAN (@102,101)", None),
    (":ROUT:CHAN:DEL 1.000000000e-03,(@102,101)", None),
    (":TRIG:SOUR IMM", None),
    (":SYST:ERR?", '+0,"No error"'),
    (":SENS:FUNC? (@102,101)", '"VOLT","VOLT"'),
    (":SENS:VOLT:DC:RANG:AUTO? (@102,101)", "0,0"),
    (":SENS:VOLT:DC:RANG? (@102,101)", "+1.00000000E+00,+1.00000000E+00"),
    (":SENS:VOLT:DC:NPLC? (@102,101)", "+1.00000000E+00,+1.00000000E+00"),
    (":SENS:ZERO:AUTO? (@102,101)", "1,1"),
    (":INP:IMP:AUTO? (@102,101)", "1,1"),
    (":CALC:SCAL:STAT? (@102,101)", "0,0"),
    (":ROUT:CHAN:DEL:AUTO? (@102,101)", "0,0"),
    (":ROUT:CHAN:DEL? (@102,101)", "+1.00000000E-03,+1.00000000E-03"),
    (":TRIG:SOUR?;:ROUT:SCAN?", "IMM;#210(@101,102)"),
]
KEYSIGHT_ACQUIRE = ":TRIG:COUN 2;:INIT;*WAI;:FETC?;:SYST:ERR?"
KEYSIGHT_READINGS = (
    "+1.01000000E-01,00000000.010,101,+1.02000000E-01,00000000.030,102,"
    '+2.01000000E-01,00000000.050,101,+2.02000000E-01,00000000.070,102;+0,"No error"'
)


def test_keithley_scan_is_one_query():
    answer = '0.102,0.0,0,102,0.101,0.02,0,101,0.202,0.04,0,102,0.201,0.06,0,101;0,"No error;0;0 0"'
    pairs = [*KEITHLEY_START, *KEITHLEY_CONFIGURE, (KEITHLEY_ACQUIRE, answer)]
    with expected_protocol(KeithleyDAQ6510, pairs) as daq:
        daq.start()
        daq.configure(["102", "101"], range_v=1.0)
        found = daq.acquire(2)
    assert found.channels == ("102", "101")
    assert_allclose(found.volts, [[0.102, 0.101], [0.202, 0.201]])
    assert_allclose(found.time_s[:, 1] - found.time_s[:, 0], 0.02)


def test_keysight_scan_is_one_query_and_its_order_is_undone():
    pairs = [*KEYSIGHT_START, *KEYSIGHT_CONFIGURE, (KEYSIGHT_ACQUIRE, KEYSIGHT_READINGS)]
    with expected_protocol(Keysight34970A, pairs) as daq:
        daq.start()
        daq.configure(["102", "101"], range_v=0.5)
        found = daq.acquire(2)
    assert found.channels == ("102", "101")
    assert_allclose(found.volts, [[0.102, 0.101], [0.202, 0.201]])
    assert_allclose(found.time_s[:, 1] - found.time_s[:, 0], -0.02)


def test_a_range_or_aperture_that_was_not_taken_is_an_error():
    asked = ":SENS:VOLT:DC:NPLC? (@102,101)"
    place = next(k for k, (sent, _) in enumerate(KEYSIGHT_CONFIGURE) if sent == asked)
    pairs = [*KEYSIGHT_START, *KEYSIGHT_CONFIGURE[:place]]
    pairs.append((asked, "+1.00000000E+00,+2.00000000E+00"))
    with expected_protocol(Keysight34970A, pairs) as daq:
        daq.start()
        with pytest.raises(
            InstrumentError, match=r"channel 101: :SENS:VOLT:DC:NPLC\? is .*, expected 1"
        ):
            daq.configure(["102", "101"], range_v=1.0)
        with pytest.raises(BadInputError, match="configure first"):
            daq.acquire(1)


def test_a_daq970a_has_twice_the_memory_and_two_commands_elsewhere():
    other = {
        ":SENS:ZERO:AUTO ON,(@102,101)": ":SENS:VOLT:DC:ZERO:AUTO ON,(@102,101)",
        ":INP:IMP:AUTO ON,(@102,101)": ":SENS:VOLT:DC:IMP:AUTO ON,(@102,101)",
        ":SENS:ZERO:AUTO? (@102,101)": ":SENS:VOLT:DC:ZERO:AUTO? (@102,101)",
        ":INP:IMP:AUTO? (@102,101)": ":SENS:VOLT:DC:IMP:AUTO? (@102,101)",
    }
    identity = "Keysight Technologies,DAQ970A,MY12345678,A.02.04-00.16-11.29-00.02-02-01"
    pairs = [(KEYSIGHT_START[0][0], identity), *KEYSIGHT_START[1:]]
    pairs += [(other.get(sent, sent), answer) for sent, answer in KEYSIGHT_CONFIGURE]
    with expected_protocol(Keysight34970A, [*pairs, (KEYSIGHT_ACQUIRE, KEYSIGHT_READINGS)]) as daq:
        daq.start()
        daq.configure(["102", "101"], range_v=1.0)
        assert daq.capacity == 100_000
        assert daq.acquire(2).samples == 2


def test_another_instrument_gets_nothing_but_the_question():
    pairs = [("*IDN?", "KEITHLEY INSTRUMENTS,MODEL 2450,1,1")]
    with expected_protocol(KeithleyDAQ6510, pairs) as daq, pytest.raises(IdentityError):
        daq.start()


def test_a_keithley_that_listens_to_tsp_is_named_before_anything_is_sent():
    pairs = [KEITHLEY_START[0], ("*LANG?", "TSP")]
    with (
        expected_protocol(KeithleyDAQ6510, pairs) as daq,
        pytest.raises(InstrumentError, match="LANG SCPI"),
    ):
        daq.start()


@pytest.mark.parametrize(
    ("kind", "start"), [(KeithleyDAQ6510, KEITHLEY_START), (Keysight34970A, KEYSIGHT_START)]
)
@pytest.mark.parametrize(
    ("arguments", "error", "what"),
    [
        ({"range_v": 1001}, RangeLimitError, "widest range"),
        ({"range_v": 0}, RangeLimitError, "more than 0"),
        ({"range_v": float("nan")}, RangeLimitError, "more than 0"),
        ({"range_v": 1, "nplc": 0}, RangeLimitError, "nplc is 0"),
        ({"range_v": 1, "nplc": 1e3}, RangeLimitError, "nplc is 1000"),
        ({"range_v": 1, "delay_s": 61}, RangeLimitError, "delay_s is 61"),
        ({"channels": [], "range_v": 1}, BadInputError, "at least one"),
        ({"channels": ["101", "101"], "range_v": 1}, BadInputError, "101 is named twice"),
        ({"channels": ["1a"], "range_v": 1}, BadInputError, "no channel '1a'"),
        ({"channels": ["901"], "range_v": 1}, BadInputError, "no channel '901'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(kind, start, arguments, error, what):
    with expected_protocol(kind, start) as daq:
        daq.start()
        with pytest.raises(error, match=what):
            daq.configure(**{"channels": ["101"], **arguments})


def test_relays_are_read_back_in_the_message_that_moves_them():
    pairs = [
        *KEYSIGHT_START,
        (
            ":ROUT:CLOS (@211,223);:ROUT:CLOS? (@211,223);:SYST:ERR?",
            '1,1;+0,"No error"',
        ),
        (
            ":ROUT:OPEN (@223);:ROUT:CLOS (@224);:ROUT:CLOS? (@223,224);:SYST:ERR?",
            '0,1;+0,"No error"',
        ),
        (":DIAG:REL:CYCL? (@211,224)", "+642,+31"),
        (":ROUT:OPEN (@211,224);:ROUT:CLOS? (@211,224);:SYST:ERR?", '0,0;+0,"No error"'),
    ]
    with expected_protocol(Keysight34970A, pairs) as daq:
        daq.start()
        daq.cold = lambda: True
        daq.close(["211", "223"])
        daq.close(["223"])
        daq.connect(["211", "224"])
        assert daq.closed == ("211", "224")
        assert daq.relay_cycles(["211", "224"]) == {"211": 642, "224": 31}
        daq.open_all()
        daq.open_all()
    assert daq.closures == {"211": 1, "223": 1, "224": 1}


def test_keithley_relays_leave_the_other_paths_alone():
    pairs = [
        *KEITHLEY_START,
        (":ROUT:MULT:CLOS (@201,203);:ROUT:MULT:CLOS?;:SYST:ERR?", '(@201:203);0,"No error"'),
        (":ROUT:MULT:OPEN (@201);:ROUT:MULT:CLOS?;:SYST:ERR?", '(@203);0,"No error"'),
        (":ROUT:CLOS:COUN? (@203)", "77"),
    ]
    with expected_protocol(KeithleyDAQ6510, pairs) as daq:
        daq.start()
        daq.close(["201", "203"], hot=True)
        daq.connect(["203"], hot=True)
        assert daq.closed == ("203",)
        assert daq.relay_cycles(["203"]) == {"203": 77}
