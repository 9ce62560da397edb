"""Answers are whole, counted and in step, or an error; over real sockets."""

from __future__ import annotations

import pytest

pytest.importorskip("pymeasure")
pytest.importorskip("filelock")

from line_server import LineServer, Output, small

from hilep.instruments.errors import (
    GarbledAnswerError,
    InstrumentError,
    NotAnswering,
    StateUnknownError,
)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"#18" + bytes(7), NotAnswering),
        (b"#2", NotAnswering),
        (b"#x8" + bytes(8) + b"\n", GarbledAnswerError),
        (b"1.0,2.0\n", GarbledAnswerError),
        (b"#216" + bytes(16) + b"\n", GarbledAnswerError),
        (b"#17" + bytes(7) + b"\n", GarbledAnswerError),
    ],
    ids=["truncated", "head alone", "no length", "text", "too many", "no whole number"],
)
def test_a_block_is_whole_or_an_error(
    server: LineServer, output: Output, answer: bytes, error: type[Exception]
) -> None:
    output.answers["BLOCK?"] = answer
    with small(server) as instrument:
        with pytest.raises(error):
            instrument.query_block("BLOCK?", "<f8", 1)
        with pytest.raises(StateUnknownError):
            instrument.query("B?")
        instrument.recover()
        assert instrument.query("B?") == "echo B?"


def test_a_block_may_hold_line_feeds_and_have_text_behind(
    server: LineServer, output: Output
) -> None:
    output.answers["BLOCK?"] = b"#216" + b"\n" * 16 + b';0,"No error"\n'
    with small(server) as instrument:
        numbers, tail = instrument.query_block("BLOCK?", ">f8", 2)
        assert numbers.tobytes() == b"\n" * 16
        assert tail == ';0,"No error"'


@pytest.mark.parametrize("answer", ["1.0,2.0", "1.0,2.0,three", "", "1.0,2.0,3.0,4.0"])
def test_numbers_are_counted_and_a_wrong_count_poisons(server: LineServer, answer: str) -> None:
    with small(server) as instrument:
        with pytest.raises(GarbledAnswerError):
            instrument.numbers_in(answer, 3, "READ?")
        with pytest.raises(StateUnknownError):
            instrument.query("B?")


def test_bytes_that_are_no_text_are_an_error(server: LineServer, output: Output) -> None:
    output.answers["A?"] = b"\xff\xfe\n"
    with small(server) as instrument, pytest.raises(GarbledAnswerError):
        instrument.query("A?")


def test_an_error_entry_is_raised_with_its_command_and_the_queue_emptied(
    server: LineServer, output: Output
) -> None:
    with small(server) as instrument:
        output.errors += ['-222,"Parameter data out of range"', '-113,"Undefined header"']
        with pytest.raises(InstrumentError, match="1 more") as caught:
            instrument.drain_errors(":SOUR:VOLT 300")
        assert caught.value.code == -222
        assert caught.value.command == ":SOUR:VOLT 300"
        assert output.errors == []
        instrument.drain_errors("nothing")


def test_an_endless_error_queue_ends(server: LineServer, output: Output) -> None:
    with small(server) as instrument:
        output.answers[":SYST:ERR?"] = '-350,"Queue overflow"'
        with pytest.raises(InstrumentError):
            instrument.drain_errors("x")
        assert server.received.count(":SYST:ERR?") < 100


def test_messages_are_counted(server: LineServer) -> None:
    with small(server) as instrument:
        writes, queries = instrument.messages.writes, instrument.messages.queries
        lines = len(server.received)
        instrument.command(":LEV 1")
        instrument.query(":LEV?;:OUTP?")
        assert instrument.messages.writes - writes == 1
        assert instrument.messages.queries - queries == 1
        assert len(server.received) - lines == 2
