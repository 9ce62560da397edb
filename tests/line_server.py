"""A TCP server of lines on loopback whose answers a test scripts, and a small driver for it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from hilep.instruments.instrument import BenchInstrument

SHORT_S = 0.4
"""A time-out that a test does not mind waiting for."""

IDN = "MAKER,MODEL 1,123,1.0"


@dataclass(frozen=True)
class Late:
    """An answer that comes only when the next line has arrived, before that line's own answer."""

    text: str


@dataclass(frozen=True)
class HangUp:
    """The connection is closed instead of an answer."""


Answer = str | bytes | Late | HangUp | None


class LineServer:
    """Serves one client after another; `received` holds every line in the order of its arrival."""

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        self.answer = answer
        self.received: list[str] = []
        self._late: str | None = None
        self._clients: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.resource = f"TCPIP0::127.0.0.1::{self.port}::SOCKET"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.die()
        for thread in self._threads:
            thread.join(5)

    def die(self) -> None:
        """Close every connection and listen no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, client.makefile("rb") as lines:
            for raw in lines:
                line = raw.decode().rstrip("\n")
                self.received.append(line)
                answer = self.answer(line)
                if self._late is not None:
                    client.sendall(self._late.encode() + b"\n")
                    self._late = None
                if isinstance(answer, HangUp):
                    client.shutdown(socket.SHUT_RDWR)
                    return
                if isinstance(answer, Late):
                    self._late = answer.text
                elif isinstance(answer, bytes):
                    client.sendall(answer)
                elif answer is not None:
                    client.sendall(answer.encode() + b"\n")


class Output:
    """The least instrument: identity, one output, an error queue, and answers by question."""

    def __init__(self, answers: dict[str, Answer] | None = None) -> None:
        self.answers = answers or {}
        self.on = True
        self.obeys = True
        self.errors: list[str] = []

    def __call__(self, line: str) -> Answer:
        if line in self.answers:
            return self.answers[line]
        if line == "*IDN?":
            return IDN
        if line in (":OUTP OFF", ":OUTP ON"):
            self.on = line.endswith("ON") or not self.obeys
            return None
        if line == ":OUTP?":
            return str(int(self.on))
        if line == ":SYST:ERR?":
            return self.errors.pop(0) if self.errors else '0,"No error"'
        return f"echo {line}" if line.endswith("?") else None


class Small(BenchInstrument):
    """A driver with one output."""

    def off_messages(self) -> Sequence[str]:
        return (":OUTP OFF",)

    def read_outputs(self) -> dict[str, bool]:
        return {"1": self.query(":OUTP?") == "1"}

    def settings(self) -> dict[str, Any]:
        return {"level": self.query(":LEV?")}


def small(server: LineServer) -> Small:
    """Return a session of `server` with a short time-out, not started."""
    return Small(server.resource, timeout_s=SHORT_S)
