"""A raw-socket line server for one virtual instrument."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from types import TracebackType
from typing import Protocol

from hilep.simulators.virtual.faults import FaultHook

_LONGEST_MESSAGE = 1_000_000
_ROOM_BYTES = 65536
_ROOM_SECONDS = 1.0


class Instrument(Protocol):
    """What the server needs of an instrument."""

    max_clients: int

    def answer(self, message: str) -> bytes:
        """Act on one message, without its end, and return the whole response, b"" for none."""

    def overrun(self) -> None:
        """Note that a message was longer than the input buffer."""


class InstrumentServer:
    """Serves an instrument on loopback; one message is a line that ends with LF or CR LF.

    A context manager: on exit every connection and thread is gone. Clients above what the
    instrument allows are turned away.

    Args:
        instrument: acts on one message at a time, whoever sent it.
        port: 0 for any free one.
        fault: sees every message and may spoil it.

    Attributes:
        messages: how many messages arrived.
    """

    def __init__(
        self,
        instrument: Instrument,
        port: int = 0,
        fault: FaultHook | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.instrument = instrument
        self.fault = fault
        self.messages = 0
        self._address = (host, port)
        self._acting = threading.Lock()
        self._room = threading.Condition()
        self._clients: dict[socket.socket, threading.Thread] = {}
        self._active: set[int] = set()
        self._closing = threading.Event()
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return self._address[1]

    @property
    def resource(self) -> str:
        """The VISA resource name."""
        return f"TCPIP0::{self._address[0]}::{self.port}::SOCKET"

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        with self._room:
            return len(self._clients)

    @property
    def active(self) -> set[int]:
        """The threads that act on a message."""
        return set(self._active)

    def unread(self) -> bool:
        """Return whether a message has come that no thread has taken up."""
        with self._room:
            open_ones = [client for client in self._clients if client.fileno() >= 0]
        try:
            return bool(open_ones and select.select(open_ones, [], [], 0)[0])
        except (OSError, ValueError):
            return False  # One of them was closed meanwhile.

    def __enter__(self) -> InstrumentServer:
        self._listener = socket.create_server(self._address)
        self._address = self._listener.getsockname()[:2]
        self._wake = socket.socketpair()
        self._accepting = threading.Thread(target=self._accept, name=self.resource, daemon=True)
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every connection and thread; more than once does no harm."""
        self._closing.set()
        if self._listener is None or self._wake is None or self._accepting is None:
            return
        self._wake[1].send(b"x")
        self._accepting.join()
        self.disconnect()
        for end in (self._listener, *self._wake):
            end.close()
        self._listener = None

    def disconnect(self) -> None:
        """Cut every connection, as a pulled cable does; new clients may come."""
        with self._room:
            clients = list(self._clients.items())
        for connection, thread in clients:
            _shut(connection)
            thread.join()

    def _accept(self) -> None:
        assert self._listener is not None
        assert self._wake is not None
        while True:
            ready, _, _ = select.select([self._listener, self._wake[0]], [], [])
            if self._wake[0] in ready:
                return
            try:
                connection, _ = self._listener.accept()
            except OSError:
                continue
            with self._room:
                # A client that reconnects at once may be accepted before its old end is seen.
                free = self._room.wait_for(
                    lambda: len(self._clients) < self.instrument.max_clients, _ROOM_SECONDS
                )
                if not free:
                    connection.close()
                    continue
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._clients[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._converse(connection)
        except OSError:
            pass
        finally:
            self._active.discard(threading.get_ident())
            _shut(connection)
            connection.close()
            with self._room:
                self._clients.pop(connection, None)
                self._room.notify_all()

    def _converse(self, connection: socket.socket) -> None:
        buffer, here = b"", threading.get_ident()
        # A fresh buffer for each message, shrunk to its few bytes, would fragment the heap.
        room = memoryview(bytearray(_ROOM_BYTES))
        # Looked at before it is taken, so that it is always either unread or acted on.
        while connection.recv(1, socket.MSG_PEEK):
            self._active.add(here)
            received = connection.recv_into(room)
            *lines, buffer = (buffer + room[:received]).split(b"\n")
            for line in lines:
                if not self._exchange(connection, line.rstrip(b"\r").decode("latin-1")):
                    return
            if len(buffer) > _LONGEST_MESSAGE:
                buffer = b""
                self.instrument.overrun()
            self._active.discard(here)

    def _exchange(self, connection: socket.socket, message: str) -> bool:
        """Act on one message; return whether the connection goes on."""
        here = threading.get_ident()
        self._active.add(here)
        with self._acting:
            number, self.messages = self.messages, self.messages + 1
            fault = self.fault(number, message) if self.fault else None
            if fault and fault.kind in ("lose", "close"):
                return fault.kind == "lose"
            answer = self.instrument.answer(message)
        self._active.discard(here)
        if fault:
            if fault.kind == "hang up":
                return False
            if fault.kind == "delay" and self._closing.wait(fault.seconds):
                return False
            answer = fault.spoil(answer)
        if answer:
            connection.sendall(answer)
        return True


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
