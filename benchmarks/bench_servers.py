"""Instruments for `bench.py`, in a process of their own."""

from __future__ import annotations

import multiprocessing
import selectors
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hilep.instruments.benchfile import BenchFile
from hilep.network import Network
from hilep.simulators.virtual.twin import twin

Answers = Mapping[str, list[str | None]]
"""By instrument: what it says to each message of a round, None to a command."""


@contextmanager
def computing(path: Path, network: Network) -> Iterator[Mapping[str, str]]:
    """The resources of the virtual twin of a bench file."""
    with _elsewhere(_twin, path, network) as resources:
        yield resources


@contextmanager
def playing(answers: Answers) -> Iterator[Mapping[str, str]]:
    """The resources of instruments that say the same in every round, whatever they are asked."""
    with _elsewhere(_play, answers) as resources:
        yield resources


def _twin(pipe: Connection, path: Path, network: Network) -> None:
    with twin(BenchFile.load(path), network) as resources:
        pipe.send(dict(resources))
        _wait(pipe)


def _play(pipe: Connection, answers: Answers) -> None:
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in answers}
    pipe.send(
        {
            name: f"TCPIP0::127.0.0.1::{listener.getsockname()[1]}::SOCKET"
            for name, listener in listeners.items()
        }
    )
    with selectors.DefaultSelector() as ready:
        for name, listener in listeners.items():
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ready.register(connection, selectors.EVENT_READ, _cycle(answers[name]))
        ready.register(pipe, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.data is None:
                    return
                # A message comes in one piece: the next one waits for what this one does.
                for _ in range(key.fileobj.recv(65536).count(b"\n")):  # type: ignore[union-attr]
                    answer = next(key.data)
                    if answer is not None:
                        key.fileobj.sendall(answer)  # type: ignore[union-attr]


def _cycle(answers: list[str | None]) -> Iterator[bytes | None]:
    coded = [None if answer is None else answer.encode() + b"\n" for answer in answers]
    while True:
        yield from coded


def _wait(pipe: Connection) -> None:
    try:
        pipe.recv()
    except EOFError:
        return


@contextmanager
def _elsewhere(target: Callable[..., None], *given: Any) -> Iterator[Mapping[str, str]]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(there, *given), daemon=True)
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        process.join(10)
