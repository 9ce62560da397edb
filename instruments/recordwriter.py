"""Appends to a recording, one line for each message, before the message goes out."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from hilep.errors import StorageError
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.recordfile import Head, Message, RecordingError


class RecordWriter:
    """Appends messages to a recording; what cannot be written never stops a message.

    Attributes:
        path: of the recording.
        failure: why the recording ended early, or None.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: str | None = None
        self._lock = threading.Lock()
        self._file: Any = None
        self._numbers: dict[str, int] = defaultdict(int)
        self._zero = 0.0

    def begin(self, file: BenchFile, resources: dict[str, str]) -> None:
        """Append a head. Raises StorageError where that is not possible."""
        head = Head(file.path.name, file.sha256, file.text, resources, time.time())
        try:
            # Without a buffer: what has been said is with the operating system before it is sent.
            self._file = self.path.open("a+b", buffering=0)
            size = self._file.seek(0, 2)
            if size:
                self._require_recording()
            self._put((b"\n" if self._cut(size) else b"") + head.line())
        except OSError as error:
            self.close()
            raise StorageError(f"{self.path}: cannot be recorded to: {error}") from error
        except BaseException:
            self.close()
            raise
        self._zero = time.monotonic()

    def append(
        self, instrument: str, did: str, content: bytes = b"", fields: dict[str, Any] | None = None
    ) -> None:
        """Append one message. It never raises: an output must go off even where a disk is full."""
        with self._lock:
            if self.failure is not None or self._file is None:
                return
            self._numbers[instrument] += 1
            message = Message(
                instrument,
                self._numbers[instrument],
                did,
                content,
                fields or {},
                time.monotonic() - self._zero,
            )
            try:
                self._put(message.line())
            except (OSError, ValueError, TypeError) as error:
                self.failure = str(error)

    def require(self) -> None:
        """Raise StorageError where messages have been lost."""
        if self.failure is not None:
            raise StorageError(f"{self.path}: cannot be recorded to: {self.failure}")

    def close(self) -> None:
        """Close the file; later messages are not recorded."""
        with self._lock:
            stream, self._file = self._file, None
            if stream is not None:
                stream.close()

    def __del__(self) -> None:
        self.close()

    def _put(self, line: bytes) -> None:
        if self._file.write(line) != len(line):
            raise OSError("no space left")

    def _require_recording(self) -> None:
        self._file.seek(0)
        if not self._file.read(21).startswith(b'{"hilep": "recording"'[:21]):
            raise RecordingError(f"{self.path}: is no recording, expected a new file or one")

    def _cut(self, size: int) -> bool:
        if not size:
            return False
        self._file.seek(size - 1)
        return bool(self._file.read(1) != b"\n")
