"""Answers for one instrument after another from a recording, as long as the questions are those."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilep.errors import HilepError
from hilep.instruments.recordedfailures import raised
from hilep.instruments.recordfile import Message, RecordingError
from hilep.instruments.recordreader import RecordReader

if TYPE_CHECKING:
    from pymeasure.adapters import Adapter

_AROUND = 60
"""Characters shown on either side of the first one that differs."""

_numbers = itertools.count(1)


class ReplayError(HilepError):
    """The bench said something else than in the recording.

    Attributes:
        instrument: its name in the bench file.
        number: of the message, from 1 on for each instrument.
    """

    def __init__(self, path: Path, instrument: str, number: int, expected: str, got: str) -> None:
        super().__init__(
            f"replay of {path.name}: {instrument}, message {number}: expected {expected}, got {got}"
        )
        self.instrument = instrument
        self.number = number


class Replay:
    """The recording of a bench while it is played, for all its instruments.

    Args:
        reader: of the recording.
        real_time: whether messages wait until the time at which they were recorded.

    Attributes:
        failure: the first difference, or None; every later message raises it again.
    """

    def __init__(self, reader: RecordReader, real_time: bool = False) -> None:
        self.reader = reader
        self.real_time = real_time
        self.failure: HilepError | None = None
        self._zero: float | None = None

    def sleep(self, seconds: float) -> None:
        """Wait for the network to settle, where time is replayed as well."""
        if self.real_time:
            time.sleep(seconds)

    def wait_for(self, message: Message) -> None:
        """Wait until it is time for `message`."""
        if self.real_time:
            now = time.monotonic()
            if self._zero is None:
                self._zero = now - message.time_s
            time.sleep(max(0.0, self._zero + message.time_s - now))

    def fail(self, error: HilepError) -> HilepError:
        """Note the first difference; return the error to raise."""
        if self.failure is None:
            self.failure = error
        return self.failure


class Player:
    """The tap on one instrument that answers from the recording.

    Args:
        instrument: its name in the bench file.
        replay: of the bench.

    Attributes:
        resource: what its driver opens: that of the recording, made unlike any real one.
    """

    def __init__(self, instrument: str, replay: Replay) -> None:
        self.instrument = instrument
        self.replay = replay
        self._recorded = replay.reader.head.resources[instrument]
        # Nobody else's lock is waited for, and the end tells what kind of line it was.
        self.resource = f"REPLAY{os.getpid()}-{next(_numbers)}::{self._recorded}"
        self._number = 0

    def said(self, did: str, content: bytes = b"", fields: dict[str, Any] | None = None) -> None:
        """Go on behind a message of the bench; raise what it raised then.

        Raises:
            ReplayError: another message was recorded.
        """
        self._expect(Message(self.instrument, 0, did, content, fields or {}))
        self._fail_as(did)

    def heard(self, most: int = -1) -> bytes:
        """Return the next answer, of `most` bytes; raise what reading raised then."""
        self._fail_as("read")
        message = self._peek()
        if message is None or message.did != "read" or 0 <= most < len(message.content):
            raise self._differs("a read" if most < 0 else f"a read of {most} bytes")
        self._next()
        return message.content

    def opened(self, connect: Callable[[], Adapter]) -> Adapter:
        """Return an adapter that plays; nothing is connected."""
        from hilep.instruments.recordedadapter import ReplayAdapter

        self.said("open")
        return ReplayAdapter(self)

    def asked(self, request: dict[str, Any], act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the recorded answer; `act` is not called."""
        self.said("ask", b"", request)
        message = self._peek()
        if message is None or message.did != "answer":
            raise self._differs("an answer")
        self._next()
        return message.fields

    def calls(self, path: str) -> bool | None:
        """Return whether `path` is called next."""
        message = self._peek()
        return message is not None and message.fields.get("call") == path

    def plain(self, text: str) -> str:
        """Return `text` with the recorded resource in place of the player's."""
        return text.replace(self.resource, self._recorded)

    # Inside.

    def _fail_as(self, did: str) -> None:
        message = self._peek()
        if message is None or message.did != "failed" or message.fields.get("what") != did:
            return
        self._next()
        raise raised(message.fields)

    def _expect(self, said: Message) -> None:
        message = self._peek()
        if message is None or message.said() != said.said():
            raise self._differs(said.said())
        self._next()

    def _peek(self) -> Message | None:
        if self.replay.failure is not None:
            raise self.replay.failure
        try:
            return self.replay.reader.peek(self.instrument)
        except RecordingError as error:
            raise self.replay.fail(error) from error

    def _next(self) -> None:
        message = self.replay.reader.next(self.instrument)
        assert message is not None
        self._number = message.number
        self.replay.wait_for(message)

    def _differs(self, got: str) -> HilepError:
        message = self._peek()
        expected = "the end of the recording" if message is None else message.said()
        shown = _windows(expected, got)
        return self.replay.fail(
            ReplayError(self.replay.reader.path, self.instrument, self._number + 1, *shown)
        )


def _windows(expected: str, got: str) -> tuple[str, str]:
    """Return both, or where they are long, what is around the first difference."""
    pairs = zip(expected, got, strict=False)
    same = next((k for k, (one, two) in enumerate(pairs) if one != two), None)
    at = min(len(expected), len(got)) if same is None else same
    first = max(0, at - _AROUND)

    def window(text: str) -> str:
        last = at + _AROUND
        return ("..." if first else "") + text[first:last] + ("..." if last < len(text) else "")

    return window(expected), window(got)
