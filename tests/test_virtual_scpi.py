"""The grammar of SCPI and the registers of IEEE 488.2, over sockets where bytes matter."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_bench import built, served

from hilep.simulators.virtual.parameters import Number, channel_list, number
from hilep.simulators.virtual.scpi import Commands, units
from hilep.simulators.virtual.scpi_errors import ErrorQueue, ScpiError

SCPI = ["2400", "2450", "B2900", "DAQ6510", "34970A", "DAQ970A"]


@st.composite
def spelling(draw, pattern: str) -> str:
    """Any way to send a header: short or long forms, optional nodes or not, any case."""
    while match := re.search(r"\[([^\[\]]*)\]", pattern):
        inside = match[1] if draw(st.booleans()) else ""
        pattern = pattern[: match.start()] + inside + pattern[match.end() :]
    nodes = []
    for node in pattern.replace("#", "").strip(":").split(":"):
        short = re.match(r"[^a-z]*", node)[0]
        digits = re.search(r"\d*$", node)[0] if node != short else ""
        nodes.append(node if draw(st.booleans()) else short + digits)
    text = ":".join(nodes)
    flips = draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    text = "".join(c.upper() if flip else c.lower() for c, flip in zip(text, flips, strict=True))
    return (":" if draw(st.booleans()) else "") + text


@pytest.mark.parametrize("name", SCPI)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_spelling_of_a_header_is_the_same_command(name: str, data: st.DataObject) -> None:
    commands = built(name).commands
    patterns = [p for p in commands.patterns if not p.startswith("*")]
    pattern = data.draw(st.sampled_from(patterns))
    first, second = (data.draw(spelling(pattern)) for _ in range(2))
    found = [commands.find(next(units(text)).header)[0] for text in (first, second)]
    assert found[0] is found[1]


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=6))
def test_a_form_between_short_and_long_is_no_command(letters: str) -> None:
    commands = Commands()
    commands.add(":VOLTage:RANGe", lambda call: None)
    text = f":VOLT{letters}:RANG"
    if letters == "age":
        commands.find(text.upper())
        return
    with pytest.raises(ScpiError) as error:
        commands.find(text.upper())
    assert error.value.code == -113


@pytest.mark.parametrize(
    ("message", "headers"),
    [
        ("SENS:VOLT:RANG 1;NPLC 2", [":SENS:VOLT:RANG", ":SENS:VOLT:NPLC"]),
        (":SENS:VOLT:RANG 1;:OUTP ON", [":SENS:VOLT:RANG", ":OUTP"]),
        ("TRAC:FEED:CONT NEXT;*CLS;CONT NEV", [":TRAC:FEED:CONT", "*CLS", ":TRAC:FEED:CONT"]),
        ("OUTP ON;SENS:VOLT:RANG 1;", [":OUTP", ":SENS:VOLT:RANG"]),
        ("DISP:TEXT 'a;b';STAT 1", [":DISP:TEXT", ":DISP:STAT"]),
    ],
)
def test_a_header_continues_from_the_path_of_the_one_before(
    message: str, headers: list[str]
) -> None:
    assert [unit.header for unit in units(message)] == headers


def test_what_follows_an_invalid_command_is_ignored() -> None:
    with served(built("2400")) as client:
        client.write(":SOUR:VOLT 1;:NONSENSE 1;:SOUR:VOLT 2")
        assert float(client.query(":SOUR:VOLT?")) == 1.0
        assert client.query("SYST:ERR?") == '-113,"Undefined header"'
        assert client.query("SYST:ERR?") == '0,"No error"'


@pytest.mark.parametrize(
    ("message", "code", "bit"),
    [
        ("NONSENSE", -113, 32),
        ("NONSENSEBEYONDMEASURE", -112, 32),
        ("*SRE", -109, 32),
        ("*SRE 1,2", -108, 32),
        ("*ESE bad", -141, 32),
        ("*ESE 300", -222, 16),
        ("TRAC:DATA$?", -101, 32),
        ("*TRG", -211, 16),
        ("*ESE 'x", -151, 32),
    ],
)
def test_an_error_has_its_code_and_its_bit(message: str, code: int, bit: int) -> None:
    with served(built("2400")) as client:
        assert client.query("*ESR?") == "128", "power on"
        client.write(message)
        assert client.query("*STB?") == "4"
        assert client.query("*ESR?") == str(bit)
        assert client.query("*ESR?") == "0", "reading clears it"
        assert int(client.query("SYST:ERR?").split(",")[0]) == code
        assert client.query("*STB?") == "0"


def test_events_reach_the_status_byte_through_their_masks() -> None:
    with served(built("2400")) as client:
        client.write("*CLS;*ESE 1;*SRE 32")
        assert client.query("*STB?") == "0"
        client.write("*OPC")
        assert client.query("*STB?") == str(32 + 64)
        assert client.query("*ESE?;*SRE?;*OPC?") == "1;32;1"
        client.write("*CLS")
        assert client.query("*STB?") == "0"


@pytest.mark.parametrize("name", SCPI)
def test_a_full_queue_ends_with_overflow_and_clears(name: str) -> None:
    instrument = built(name)
    with served(instrument) as client:
        for _ in range(instrument.queue_length + 3):
            client.write("NONSENSE")
        entries = [client.query("SYST:ERR?") for _ in range(instrument.queue_length)]
        assert all(entry.startswith("-113") for entry in entries[:-1])
        assert entries[-1].startswith("-350")
        assert int(client.query("SYST:ERR?").split(",")[0]) == 0
        client.write("NONSENSE")
        client.write("*CLS")
        assert int(client.query("SYST:ERR?").split(",")[0]) == 0


def test_the_queue_is_first_in_first_out() -> None:
    queue = ErrorQueue(3)
    for code in (-100, -101, -102):
        queue.push(ScpiError(code))
    assert [queue.pop().code for _ in range(4)] == [-100, -101, -102, 0]


def test_a_message_before_its_answer_was_read_interrupts_the_query() -> None:
    instrument = built("2400")
    instrument.write("*IDN?")
    instrument.write("*OPC?")
    assert instrument.read() == b"1\n"
    assert instrument.errors.pop().code == -410
    assert instrument.read() == b""
    assert instrument.errors.pop().code == -420


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("1.5E-3", "V", 1.5e-3), ("2 mV", "V", 2e-3), ("3UA", "A", 3e-6), ("4KOHM", "OHM", 4e3),
        ("5MOHM", "OHM", 5e6), ("#HFF", "", 255.0), ("#B101", "", 5.0), (".5", "", 0.5),
        ("+2.", "", 2.0),
    ],
)  # fmt: skip
def test_numbers_are_read_with_their_units(text: str, unit: str, value: float) -> None:
    assert number(text, unit) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "code"),
    [("1 V", -131), ("1.2.3", -121), ("'1'", -104), ("1E99999", -123), ("MIN", -104)],
)
def test_what_is_no_number_is_refused(text: str, code: int) -> None:
    with pytest.raises(ScpiError) as error:
        number(text, "A")
    assert error.value.code == code


@given(st.floats(-210, 210))
def test_a_number_within_bounds_is_read_exactly(value: float) -> None:
    assert Number(-210, 210, 0, "V").read(repr(value)) == value


def test_minimum_maximum_and_default_are_numbers_and_queries() -> None:
    with served(built("2400")) as client:
        client.write("SENS:CURR:NPLC MAX")
        assert float(client.query("SENS:CURR:NPLC?")) == 10
        assert float(client.query("SENS:CURR:NPLC? minimum")) == 0.01
        client.write("SENS:CURR:NPLC DEF")
        assert float(client.query("SENS:CURR:NPLC?")) == 1


def test_a_channel_list_has_ranges_and_single_channels() -> None:
    assert channel_list("(@101:110, 201)") == [(101, 110), (201, 201)]
    for bad in ("(101)", "(@a)", "(@101:)"):
        with pytest.raises(ScpiError):
            channel_list(bad)


@pytest.mark.parametrize("name", SCPI)
def test_reset_restores_what_was_changed(name: str) -> None:
    instrument = built(name)
    before = dict(instrument.values)
    with served(instrument) as client:
        changes = {"2400": ":SOUR:VOLT 1;:SENS:CURR:PROT 1e-3", "2450": ":SENS:COUN 5"}
        client.write(changes.get(name, ":FORM:BORD SWAP;:SENS:VOLT:NPLC 1,(@101)"))
        assert client.query("*RST;*OPC?") == "1"
    assert instrument.values == before
