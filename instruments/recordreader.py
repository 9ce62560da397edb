"""Reads a recording, whole or cut off at any byte."""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hilep.instruments.recordfile import VERSION, Head, Message, RecordingError


class RecordReader:
    """Reads one part of a recording, in any order of instruments, and no more than needed.

    Args:
        path: of the recording.
        part: its number, from 1 on.

    Raises:
        RecordingError: the file is no recording, or has fewer parts.

    Attributes:
        head: of the part.
    """

    def __init__(self, path: str | Path, part: int = 1) -> None:
        self.path = Path(path)
        self._ahead: dict[str, deque[Message]] = defaultdict(deque)
        self._last: dict[str, int] = defaultdict(int)
        self._number = 0
        self._ended = False
        # Instruments are switched off in threads of their own.
        self._lock = threading.RLock()
        try:
            self._file = self.path.open("rb")
        except OSError as error:
            raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            self.head = self._head(part)
        except BaseException:
            self.close()
            raise

    def peek(self, instrument: str) -> Message | None:
        """Return the next message of `instrument`; None where the part ends before.

        Raises:
            RecordingError: a line is damaged, or one is missing.
        """
        with self._lock:
            waiting = self._ahead[instrument]
            while not waiting and not self._ended:
                message = self._message()
                if message is not None:
                    self._ahead[message.instrument].append(message)
            return waiting[0] if waiting else None

    def next(self, instrument: str) -> Message | None:
        """Return the next message of `instrument` and go on behind it."""
        with self._lock:
            message = self.peek(instrument)
            if message is not None:
                self._ahead[instrument].popleft()
            return message

    def close(self) -> None:
        """Close the file; no harm where it is closed."""
        with self._lock:
            self._ended = True
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Inside.

    def _message(self) -> Message | None:
        found = self._line()
        if found is None or "hilep" in found:
            self._ended = True
            return None
        try:
            message = Message.of(found)
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged("no message") from error
        self._last[message.instrument] += 1
        if message.number != self._last[message.instrument]:
            expected = f"message {self._last[message.instrument]} of {message.instrument}"
            raise self._damaged(f"expected {expected}, found {message.number}")
        return message

    def _head(self, part: int) -> Head:
        count = 0
        while (found := self._line()) is not None:
            if "hilep" not in found:
                if not count:
                    break
                continue
            count += 1
            if found.get("hilep") != "recording" or found.get("version") != VERSION:
                raise self._damaged(f"expected a recording of version {VERSION}")
            if count == part:
                try:
                    return Head(
                        str(found["file"]),
                        str(found["sha256"]),
                        str(found["text"]),
                        {str(name): str(one) for name, one in found["resources"].items()},
                        float(found["taken_s"]),
                    )
                except (KeyError, AttributeError, TypeError, ValueError) as error:
                    raise self._damaged("the head lacks something") from error
        if not count:
            raise RecordingError(f"{self.path}: is no recording, it has no whole head")
        raise RecordingError(f"{self.path}: expected part {part}, it has {count}")

    def _line(self) -> dict[str, Any] | None:
        """Return the next whole line; a cut one is at the end, or before another part's head."""
        line = self._file.readline()
        self._number += 1
        if not line.endswith(b"\n"):
            return None
        try:
            found = json.loads(line)
            if isinstance(found, dict):
                return found
        except ValueError:
            pass
        if self._number == 1:
            raise RecordingError(f"{self.path}: is no recording, it begins with no head")
        number = self._number
        after = self._line()
        if after is not None and "hilep" in after:
            return after
        self._number = number
        raise self._damaged("is damaged")

    def _damaged(self, what: str) -> RecordingError:
        return RecordingError(f"{self.path}: line {self._number}: {what}")
