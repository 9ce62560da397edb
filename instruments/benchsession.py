"""The life of a bench's connections: armed, opened, taken in turns, and closed on every way out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from hilep.corrections import Corrections
from hilep.instruments.arming import require_armed
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.connections import Connections
from hilep.instruments.stations import Station
from hilep.instruments.trips import InterlockError, OverRangeError
from hilep.instruments.twins import Twin as Twin
from hilep.instruments.twins import served
from hilep.network import Network


class BenchSession:
    """Opens when it is first needed, closes when it is told to, and may be opened again.

    Args:
        file: the bench file.
        network: what it wires.
        drivers: the class of each instrument, by name.
        twin: serves virtual instruments; the cells are in it, so it lives until `end`.
        unchecked: whether outputs need no passing check.

    Attributes:
        station: the roles on the open instruments, or None while they are closed.
        connections: the sessions, or None while they are closed.
        tried: the sessions that were opened last, or that it was tried with.
        virtual: whether the instruments are those of a twin.
        corrections: gains and offsets of channels, or None; taken up when the bench is opened.
        sleep: waits for the network to settle: the twin's own where its resources have a `sleep`.
        now: the seconds of the clock by which it does: the twin's own where they have a `now`.
    """

    def __init__(
        self,
        file: BenchFile,
        network: Network,
        drivers: Mapping[str, Any],
        twin: Twin | None,
        unchecked: bool,
    ) -> None:
        self.file = file
        self.network = network
        self.station: Station | None = None
        self.connections: Connections | None = None
        self.tried: Connections | None = None
        self._drivers = drivers
        self._twin = twin
        self._needs_check = twin is None and not unchecked
        self._resources: Mapping[str, str] | None = {} if twin is None else None
        self.virtual = twin is not None
        self.corrections: Corrections | None = None
        self.sleep: Callable[[float], None] = time.sleep
        self.now: Callable[[], float] = time.monotonic
        self._epoch_s: float | None = None
        self._served = ExitStack()
        self._lock = threading.RLock()
        self._depth = 0

    def open(self) -> None:
        """Lock, open, identify and switch off every instrument, if that is not done yet."""
        with self._lock:
            if self.connections is not None:
                return
            if self._needs_check:
                require_armed(self.file)
            if self._resources is None and self._twin is not None:
                self._resources = self._served.enter_context(
                    served(self._twin, self.file, self.network)
                )
                self.sleep = getattr(self._resources, "sleep", time.sleep)
                self.now = getattr(self._resources, "now", time.monotonic)
                self._epoch_s = time.time() - self.now()
            sections = self.file.sections
            connections = Connections(
                self.file,
                self._drivers,
                {channel.partition(".")[0] for _, channel in sections.sources()},
                self._resources or {},
                supervised=sections.interlock.supervisor and self._twin is None,
            )
            self.tried = connections
            connections.open()
            try:
                self.station = Station(
                    self.file, self.network, connections.instruments, self.corrections
                )
            except BaseException:
                connections.close()
                raise
            self.connections = connections

    def time_s(self) -> float:
        """Return the seconds since the epoch; on a twin as its own clock has counted them."""
        return time.time() if self._epoch_s is None else self._epoch_s + self.now()

    def safe(self) -> None:
        """Switch every output off, whoever has the turn."""
        connections, station = self.connections, self.station
        if station is not None:
            station.sources.forget()
        if connections is not None:
            connections.safe()

    def close(self) -> None:
        """Switch every output off and close every session."""
        if self.connections is not None:
            try:
                self.connections.close()
            finally:
                self.connections = self.station = None

    def end(self) -> None:
        """Close for good, the virtual twin included."""
        try:
            self.close()
        finally:
            self._served.close()

    @contextmanager
    def turn(self, tripped: Callable[[], None]) -> Iterator[Station]:
        """Keep other threads and programs off every instrument, until the outermost turn ends.

        Args:
            tripped: called after the outermost turn that a reading beyond a limit has ended: each
                instrument is switched off in a thread of its own, which needs its lock.
        """
        trip = False
        try:
            with self._lock, ExitStack() as held:
                self.open()
                assert self.connections is not None
                assert self.station is not None
                if self._depth == 0:
                    for instrument in self.connections.instruments.values():
                        held.enter_context(instrument.transaction())
                self._depth += 1
                try:
                    yield self.station
                except (InterlockError, OverRangeError):
                    trip = self._depth == 1
                    raise
                finally:
                    self._depth -= 1
        finally:
            if trip:
                tripped()

    def require_supervisor(self) -> None:
        """Refuse to drive anything without the process that switches off after a crash."""
        if self.connections is not None:
            self.connections.require_supervisor()

    def snapshots(self) -> dict[str, Any]:
        """Return every setting of every instrument and role, read back now."""
        assert self.connections is not None
        assert self.station is not None
        instruments = self.connections.instruments
        return {
            "instruments": {name: one.snapshot() for name, one in instruments.items()},
            "roles": self.station.snapshot(),
        }
