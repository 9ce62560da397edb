"""What each family of virtual source-measure units has of its own: ranges, buffers, refusals."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest
from smu_messages import SOURCE_AMPS
from virtual_bench import built, served

from hilep.errors import MissingExtraError
from hilep.simulators.virtual.converter import Converter


def test_2400_needs_its_output_on_to_read() -> None:
    with served(built("2400")) as client:
        client.write(":READ?")
        assert client.query("SYST:ERR?") == '803,"Not permitted with OUTPUT off"'
        client.write(":SOUR:CLE:AUTO ON")
        assert len(client.numbers(":READ?")) == 5
        assert client.query(":OUTP?") == "0"


def test_2400_range_compliance_differs_from_real_compliance() -> None:
    with served(built("2400")) as client:
        client.write(SOURCE_AMPS["2400"].format(level=1e-3, limit=5))
        client.write(":SENS:VOLT:RANG 2;:OUTP ON")
        volts, *_, status = client.numbers(":READ?")
        assert volts == pytest.approx(2.1, rel=1e-4)
        assert int(status) & (1 << 16)
        assert not int(status) & 8
        client.write(":SENS:VOLT:PROT 1")
        client.write(":SENS:VOLT:RANG 20")
        assert client.query("SYST:ERR?").startswith("824")
        assert client.query(":SENS:VOLT:PROT:TRIP?") == "1"


def test_2400_refuses_what_it_cannot_do() -> None:
    with served(built("2400")) as client:
        for message, code in (
            (":SOUR:VOLT 300", -222),
            (":SOUR:VOLT:RANG 2;:SOUR:VOLT 3", -222),
            (":SENS:CURR:PROT 0", 822),
            (":SENS:CURR:PROT 1;:SOUR:VOLT:RANG:AUTO ON;:SOUR:VOLT 100", 826),
            (":TRIG:COUN 2501", -222),
        ):
            client.write("*RST;*CLS")
            client.write(message)
            assert int(client.query("SYST:ERR?").split(",")[0]) == code, message
        assert float(client.query(":SOUR:VOLT?")) == 0


def test_2400_fills_its_buffer_and_says_so() -> None:
    with served(built("2400")) as client:
        client.write("*CLS;*SRE 1;:STAT:MEAS:ENAB 512;:OUTP ON")
        client.write(":TRAC:CLE;POIN 5;FEED SENS;FEED:CONT NEXT;:TRIG:COUN 5;:FORM:ELEM CURR,TIME")
        assert client.query("*STB?") == "0"
        client.write(":INIT")
        assert int(client.query("*STB?")) & 65 == 65
        data = client.numbers(":TRAC:DATA?")
        assert len(data) == 10
        times = data[1::2]
        assert times[0] == 0
        assert np.all(np.diff(times) > 1 / 50)
        assert client.query(":TRAC:POIN:ACT?;:TRAC:FEED:CONT?") == "5;NEV"
        client.write(":ARM:SOUR BUS;:TRIG:COUN 2;:INIT;*TRG")
        assert len(client.numbers(":FETC?")) == 4


def test_2400_and_b2900_send_binary_blocks_of_the_same_numbers() -> None:
    quiet = {"volts": Converter((0.2, 2, 20, 200), noise=0, floor=0)}
    for name, form, header, size in (
        ("2400", "REAL,32", b"#0", "f"),
        ("B2900", "REAL,64", b"#18", "d"),
    ):
        instrument = built(name, converters=quiet)
        client = instrument.answer
        client(":FORM:ELEM" + (":SENS" if name == "B2900" else "") + " VOLT")
        client(":SENS:FUNC 'VOLT';:SOUR:VOLT 0.125;:OUTP ON")
        text = float(client(":READ?"))
        block = client(f":FORM {form};:READ?")
        assert block.startswith(header)
        assert block.endswith(b"\n")
        assert struct.unpack(f">{size}", block[len(header) : -1])[0] == pytest.approx(text)


def test_2450_counts_into_named_buffers() -> None:
    with served(built("2450")) as client:
        client.write(':OUTP ON;:SENS:COUN 12;:TRAC:MAKE "mine",20;:TRAC:TRIG "mine"')
        assert client.query(':TRAC:ACT? "mine";:TRAC:ACT?') == "12;0"
        data = client.numbers(':TRAC:DATA? 1,12,"mine",READ,REL')
        assert len(data) == 24
        assert np.all(np.diff(data[1::2]) > 0)
        client.write(':TRAC:DATA? 1,13,"mine"')
        assert client.query("SYST:ERR?").startswith("-222")
        client.write(':TRAC:TRIG "mine"')
        assert client.query("SYST:ERR?").startswith("4915"), "a made buffer fills once"
        client.write(':FORM REAL;:TRAC:DATA? 1,2,"mine",TST')
        assert client.query("SYST:ERR?").startswith("1133")


def test_b2900_reads_both_channels_in_one_query() -> None:
    with served(built("B2900")) as client:
        client.write(":SOUR1:VOLT 0.1;:SOUR2:VOLT 0.2;:FORM:ELEM:SENS VOLT;:TRIG1:COUN 3")
        client.write(":TRIG2:COUN 3;:OUTP1 ON;:OUTP2 ON;:INIT (@1,2)")
        data = client.numbers(":FETC:ARR? (@1,2)")
        assert data == pytest.approx([0.1, 0.2] * 3, abs=1e-5)
        client.write(":SENS3:CURR:PROT 1e-3")
        assert client.query("SYST:ERR?").startswith("-114")


def test_2600_checks_what_is_written_and_goes_on() -> None:
    pytest.importorskip("lupa")
    with served(built("2600")) as client:
        for line, code in (
            ("smua.source.levelv = 99", 1101),
            ("smua.source.limiti = 0", 1102),
            ("smua.source.rangev = 1 smua.source.levelv = 3", 5005),
            ("smua.source.limiti = 3 smua.source.levelv = 30", 5007),
            ("smua.measure.v(smua.nvbuffer1) smua.nvbuffer1.collecttimestamps = 0", 5032),
            ("smua.measure.count = 2 smua.measure.filter.count = 3", 5025),
            ("b = smua.makebuffer(2) smua.measure.count = 3 smua.measure.v(b)", 4901),
            ("smua.source.nothing = 1", -286),
            ("smua.source.leveli = = 1", -285),
            ("os.exit()", -286),
        ):
            client.write(f"smua.reset() errorqueue.clear() {line}")
            if code != -285:
                assert client.query("print(errorqueue.count)") == "1.00000e+00", line
            assert float(client.query("print(errorqueue.next())").split("\t")[0]) == code, line
        assert client.query("print(errorqueue.next())").split("\t")[1] == "Queue Is Empty"
        client.write("smua.source.levelv = 99 print('on')")
        assert client.read() == "on", "an attribute's error does not end the script"


def test_2600_functions_do_their_work_every_time_they_are_called() -> None:
    pytest.importorskip("lupa")
    with served(built("2600")) as client:
        for _ in range(20):
            client.write("smua.measure.v(smua.nvbuffer1)")
            assert client.query("print(smua.nvbuffer1.n)") == "1.00000e+00"
            client.write("smua.nvbuffer1.clear()")
            assert client.query("print(smua.nvbuffer1.n)") == "0.00000e+00"


def test_2600_buffers_have_counts_statuses_and_times() -> None:
    pytest.importorskip("lupa")
    with served(built("2600")) as client:
        client.write(SOURCE_AMPS["2600"].format(level=8e-5, limit=0.5))
        client.write("smua.source.output=1 smua.measure.count=4 smua.measure.v(smua.nvbuffer1)")
        client.write("b = smua.nvbuffer1 format.asciiprecision = 12")
        client.write("printbuffer(1, b.n, b, b.statuses, b.timestamps)")
        data = np.array([float(x) for x in client.read().split(",")]).reshape(4, 3)
        assert data[:, 0] == pytest.approx(0.5, abs=1e-4)
        assert np.all(data[:, 1].astype(int) & 64)
        assert data[0, 2] == 0
        assert np.all(np.diff(data[:, 2]) >= 0.02)
        client.write("b.appendmode = 1 smua.measure.v(b) print(b.n)")
        assert float(client.read()) == 8
        client.write("loadscript both")
        client.write("for k = 1, 2 do print(k) end")
        client.write("endscript")
        client.write("both()")
        assert [float(client.read()) for _ in range(2)] == [1, 2]


def test_2600_without_lupa_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lupa.lua51", None)
    with pytest.raises(MissingExtraError, match=r"hilep\[bench\]"):
        built("2600")
