"""Virtual instruments over real sockets, as several tests use them."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

import numpy as np

from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.faults import FaultHook
from hilep.simulators.virtual.keithley2400 import Keithley2400
from hilep.simulators.virtual.keithley2450 import Keithley2450
from hilep.simulators.virtual.keithleydaq6510 import KeithleyDAQ6510
from hilep.simulators.virtual.keysight34970a import DAQ970A, Keysight34970A
from hilep.simulators.virtual.keysightb2900 import KeysightB2900
from hilep.simulators.virtual.resistors import ResistorWorld
from hilep.simulators.virtual.server import Instrument, InstrumentServer
from hilep.simulators.virtual.world import World

LOAD_OHMS = 1e4


class Client:
    """A plain socket that sends and reads lines."""

    def __init__(self, port: int, timeout: float = 5.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._buffer = b""

    def write(self, message: str) -> None:
        self.socket.sendall(message.encode() + b"\n")

    def read(self) -> str:
        while b"\n" not in self._buffer:
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionError("closed")
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("latin-1")

    def query(self, message: str) -> str:
        self.write(message)
        return self.read()

    def numbers(self, message: str) -> list[float]:
        return [float(item) for item in self.query(message).split(",")]

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def served(instrument: Instrument, fault: FaultHook | None = None) -> Iterator[Client]:
    """A client of the instrument's server."""
    with InstrumentServer(instrument, fault=fault) as server, Client(server.port) as client:
        yield client


def load(ohms: float = LOAD_OHMS) -> ResistorWorld:
    """Terminal "a" with a resistor to ground, "b" beside it, and "c" that hangs in the air."""
    return ResistorWorld(["a", "b", "c"], [("a", "ground", ohms), ("b", "ground", ohms)])


def built(
    name: str,
    world: World | None = None,
    *,
    seed: int = 0,
    real: bool = False,
    converters: Mapping[str, Converter] | None = None,
) -> Instrument:
    """An instrument by its name: at "a" and "b", or with channels 101 to 103 at "a", "b", "c"."""
    world = load() if world is None else world
    clock, generator = Clock(real), np.random.default_rng(seed)
    given = dict(converters or {})
    if name in ("2400", "2450"):
        kind = {"2400": Keithley2400, "2450": Keithley2450}[name]
        return kind(world, "a", clock, generator, **given)
    if name == "B2900":
        return KeysightB2900(world, ["a", "b"], clock, generator, **given)
    if name == "2600":
        from hilep.simulators.virtual.keithley2600 import Keithley2600

        return Keithley2600(world, ["a", "b"], clock, generator, **given)
    scanner = {"DAQ6510": KeithleyDAQ6510, "34970A": Keysight34970A, "DAQ970A": DAQ970A}[name]
    channels = {101: "a", 102: "b", 103: "c"}
    return scanner(world, channels, clock, generator, matrix={201: ("b", "c")}, **given)
