"""Plays a recorded session of a bench: no instrument, no sockets, the same bytes.

    with ReplayedBench.load("session.hilep", network) as bench:
        ...

Each message that the bench sends must be the recorded one, and is answered as it was then; what
failed fails again in the same way. The first message that differs ends the replay with one line.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from hilep.errors import HilepError
from hilep.instruments import taps
from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.playing import Player, Replay
from hilep.instruments.recordfile import RecordingError
from hilep.instruments.recording import require_recordable
from hilep.instruments.recordreader import RecordReader
from hilep.network import Network


class ReplayedBench(Bench):
    """A bench that consists of a recording. It needs no arming, and has nothing to switch off.

    Args:
        file: the bench file of the recording.
        network: what it wires.
        reader: of the recording; it is closed with the bench's session.
        real_time: whether messages wait until the time at which they were recorded.

    Raises:
        RecordingError: the recording is of another bench file.
    """

    def __init__(
        self, file: BenchFile, network: Network, reader: RecordReader, real_time: bool = False
    ) -> None:
        head = reader.head
        if head.sha256 != file.sha256:
            raise RecordingError(
                f"{reader.path}: was recorded with another bench file, {head.file} with SHA-256 "
                f"{head.sha256[:12]}...; {file.path} has {file.sha256[:12]}..."
            )
        require_recordable(file)
        self._replay = Replay(reader, real_time)
        replay = self._replay

        @contextlib.contextmanager
        def played(file: BenchFile, network: Network) -> Iterator[_Resources]:
            with reader, _silent(f"replay of {reader.path.name}: ", f"{reader.path}: line "):
                resources = _Resources(replay)
                for name in file.sections.instruments:
                    player = Player(name, replay)
                    resources.players.append(player)
                    resources[name] = player.resource
                    taps.register(player.resource, player)
                try:
                    yield resources
                finally:
                    _forget_locks(resources)

        super().__init__(file, network, twin=played)
        weakref.finalize(self, reader.close)
        self.description = f"replay of {reader.path.name}, {head.file}"

    @classmethod
    def load(
        cls,
        path: str | Path,
        network: Network,
        *,
        file: BenchFile | None = None,
        part: int = 1,
        real_time: bool = False,
    ) -> ReplayedBench:
        """Return the bench of a recording; without `file`, with the bench file that is in it.

        Raises:
            RecordingError: it is no recording, lacks the part, or is of another bench file.
        """
        reader = RecordReader(path, part)
        try:
            return cls(file or bench_file_of(reader), network, reader, real_time)
        except BaseException:
            reader.close()
            raise

    def open(self) -> None:
        """Begin the session. Raises ReplayError where a message differs."""
        try:
            super().open()
        except HilepError as error:
            raise (self._replay.failure or error) from None

    def close(self) -> None:
        """End the session.

        Raises:
            ReplayError: a message differed, if only while switching off.
        """
        super().close()
        if self._replay.failure is not None:
            raise self._replay.failure

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except HilepError as difference:
            # The same line once; and an interrupted session ends as one.
            if difference is not error and not isinstance(error, KeyboardInterrupt):
                raise


class _Resources(dict[str, str]):
    """The resources of players, and their settle time."""

    def __init__(self, replay: Replay) -> None:
        super().__init__()
        self.players: list[Player] = []
        self.sleep = replay.sleep


def bench_file_of(reader: RecordReader) -> BenchFile:
    """Return the bench file that a recording holds."""
    head = reader.head
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.toml"
        path.write_bytes(head.text.encode())
        file = BenchFile.load(path)
    return replace(file, path=Path(head.file), sha256=head.sha256)


@contextlib.contextmanager
def _silent(*words: str) -> Iterator[None]:
    """Keep `Connections` from reporting outputs as perhaps on: there are none."""

    def unrelated(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not any(part in message for part in words)

    log = logging.getLogger("hilep.instruments")
    log.addFilter(unrelated)
    try:
        yield
    finally:
        log.removeFilter(unrelated)


def _forget_locks(resources: _Resources) -> None:
    from hilep.instruments.locks import lock_path

    for resource in resources.values():
        for name in (resource, f"NIDAQMX::{resource}", f"run on {resource}"):
            with contextlib.suppress(OSError):
                lock_path(name).unlink(missing_ok=True)
