"""The line server: connections, faults, and nothing left behind."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from virtual_bench import Client, built, served

from hilep.simulators.virtual.faults import Fault
from hilep.simulators.virtual.server import InstrumentServer


class Echo:
    """Answers every message with itself."""

    max_clients = 1

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.overruns = 0

    def answer(self, message: str) -> bytes:
        self.seen.append(message)
        return message.encode() + b"\n"

    def overrun(self) -> None:
        self.overruns += 1


def once(fault: Fault, at: int = 0):
    return lambda number, message: fault if number == at else None


def test_lines_are_messages_however_they_are_cut() -> None:
    echo = Echo()
    with served(echo) as client:
        for piece in (b"on", b"e\r\ntwo\n", b"three", b"\n"):
            client.socket.sendall(piece)
        assert [client.read() for _ in range(3)] == ["one", "two", "three"]
    assert echo.seen == ["one", "two", "three"]


def test_the_resource_name_is_one_of_visa() -> None:
    with InstrumentServer(Echo()) as server:
        assert server.resource == f"TCPIP0::127.0.0.1::{server.port}::SOCKET"
        assert server.port > 0


def test_one_client_at_a_time_where_the_instrument_allows_one() -> None:
    with InstrumentServer(Echo()) as server:
        with Client(server.port) as first:
            assert first.query("x") == "x"
            with Client(server.port) as second, pytest.raises(OSError, match=r".*"):
                second.query("y")
        with Client(server.port) as third:
            assert third.query("z") == "z"


def test_several_clients_share_one_instrument() -> None:
    with (
        InstrumentServer(built("2450")) as server,
        Client(server.port) as first,
        Client(server.port) as second,
    ):
        first.write(":SENS:COUN 7")
        assert first.query("*OPC?") == "1"
        assert second.query(":SENS:COUN?") == "7"


def test_nothing_is_left_after_many_sessions() -> None:
    before = threading.active_count()
    for _ in range(20):
        with InstrumentServer(Echo()) as server:
            clients = [Client(server.port)]
            assert clients[0].query("x") == "x"
            clients[0].close()
        server.close()
    assert threading.active_count() == before


def test_closing_waits_for_the_message_in_progress() -> None:
    started = threading.Event()

    class Slow(Echo):
        def answer(self, message: str) -> bytes:
            started.set()
            time.sleep(0.3)
            return super().answer(message)

    slow, before = Slow(), threading.active_count()
    with InstrumentServer(slow) as server, Client(server.port) as client:
        client.write("x")
        assert started.wait(5)
        server.close()
        assert slow.seen == ["x"]
        assert threading.active_count() == before


def test_a_cut_connection_can_be_made_again() -> None:
    with InstrumentServer(Echo()) as server:
        with Client(server.port) as client:
            assert client.query("x") == "x"
            server.disconnect()
            with pytest.raises(OSError, match=r".*"):
                client.query("y")
        with Client(server.port) as client:
            assert client.query("z") == "z"


@pytest.mark.parametrize(
    ("fault", "acted"),
    [(Fault("lose"), False), (Fault("drop"), True)],
)
def test_a_lost_message_and_a_lost_answer_differ_in_what_was_done(
    fault: Fault, acted: bool
) -> None:
    echo = Echo()
    with served(echo, once(fault)) as client:
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.query("one")
        client.socket.settimeout(5)
        assert client.query("two") == "two"
    assert ("one" in echo.seen) == acted


def test_a_late_answer_comes_before_the_next_one() -> None:
    with served(Echo(), once(Fault("delay", 0.4))) as client:
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.query("one")
        client.socket.settimeout(5)
        assert client.query("two") == "one"
        assert client.read() == "two"


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Fault("garble"), None),
        (Fault("replace", answer=b"9.91E37\n"), "9.91E37"),
        (Fault("truncate"), "abtail"),
    ],
)
def test_a_spoilt_answer(fault: Fault, answer: str | None) -> None:
    with served(Echo(), once(fault)) as client:
        client.write("abc")
        client.write("tail")
        got = client.read()
    assert got == answer if answer is not None else got not in ("abc", "tail") and len(got) == 3


@pytest.mark.parametrize(("kind", "acted"), [("close", False), ("hang up", True)])
def test_the_connection_ends_before_or_after_the_act(kind: str, acted: bool) -> None:
    echo = Echo()
    with InstrumentServer(echo, fault=once(Fault(kind))) as server:
        with Client(server.port) as client, pytest.raises(OSError, match=r".*"):
            client.query("one")
        with Client(server.port) as client:
            assert client.query("two") == "two"
    assert ("one" in echo.seen) == acted


def test_a_message_without_end_is_an_overrun() -> None:
    echo = Echo()
    with served(echo) as client:
        with contextlib.suppress(OSError):
            client.socket.sendall(b"x" * 1_200_000)
        client.write("")
        client.read()
    assert echo.overruns >= 1


def test_the_hook_sees_every_message() -> None:
    seen: list[tuple[int, str]] = []
    with served(Echo(), lambda number, message: seen.append((number, message))) as client:
        for text in ("a", "b"):
            client.query(text)
    assert seen == [(0, "a"), (1, "b")]
