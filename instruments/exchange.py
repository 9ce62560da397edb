"""Messages to an instrument, one transaction at a time; what fails poisons the session."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from hilep.errors import BadInputError, MissingExtraError
from hilep.instruments.errors import GarbledAnswerError, InstrumentError, StateUnknownError
from hilep.instruments.kept import Kept, first_wrong
from hilep.instruments.locks import InstrumentLock
from hilep.instruments.session import Session

try:
    from pymeasure.instruments import Instrument
except ImportError as error:
    raise MissingExtraError("a bench of instruments", "bench") from error

if TYPE_CHECKING:
    from pymeasure.adapters import Adapter

_Locked = TypeVar("_Locked", bound="Exchanges")

_QUEUE = 32
"""Entries of an error queue read before giving up: more than any of these instruments holds."""


@dataclass(slots=True)
class Messages:
    """VISA messages so far: commands without an answer, and queries with theirs."""

    writes: int = 0
    queries: int = 0


class Exchanges(Instrument):  # type: ignore[misc]
    """A pymeasure instrument whose every message is counted, locked and checked.

    A message that brings no whole and sensible answer poisons the session: every later one raises
    StateUnknownError. A session that was not started is poisoned too. The arguments are those of
    `hilep.instruments.instrument.BenchInstrument`.
    """

    # pymeasure's own looks for dynamic properties at every access. There are none here, and a
    # training step has tens of thousands of accesses.
    __getattribute__ = object.__getattribute__

    error_query: ClassVar[str] = ":SYST:ERR?"
    """The query of the oldest entry of the error queue."""

    lock_timeout_s: float = 30.0
    """How long a transaction waits for another's end."""

    def __init__(
        self,
        adapter: str | Adapter,
        name: str | None = None,
        *,
        timeout_s: float = 5.0,
        **visa: Any,
    ) -> None:
        if not timeout_s > 0:
            raise BadInputError(f"timeout_s is {timeout_s}, expected more than 0")
        self.session = Session(adapter, timeout_s, visa)
        self.resource = self.session.resource
        named = name or f"{type(self).__name__} {self.resource}".strip()
        super().__init__(self.session.adapter, named, includeSCPI=False)
        self.messages = Messages()
        self._lock = InstrumentLock(self.resource)
        self._poison: str | None = "not started: use it in a with statement, or call start()"
        self._closed = False

    @property
    def poisoned(self) -> str | None:
        """Why the session refuses to go on, or None."""
        return self._poison

    def transaction(self) -> AbstractContextManager[Self]:
        """Keep other threads, programs and sessions off this instrument meanwhile.

        Transactions nest. Set, settle and read belong into one.

        Raises:
            InstrumentError: it was in use elsewhere for all of `lock_timeout_s`.
        """
        return _Transaction(self)

    def command(self, text: str) -> None:
        """Send a message that has no answer.

        Raises:
            StateUnknownError: the session is poisoned.
            NotAnswering: the connection is gone.
        """
        with _Exchange(self, text):
            self.messages.writes += 1
            self.session.write(text)

    def query(self, text: str, timeout_s: float | None = None) -> str:
        """Send a message and return its whole answer.

        Raises:
            StateUnknownError: the session is poisoned.
            NotAnswering: no whole answer within `timeout_s` seconds.
            GarbledAnswerError: the answer is no text.
        """
        with _Exchange(self, text):
            self.messages.queries += 1
            self.session.write(text)
            return self.session.read(text, timeout_s)

    def query_block(
        self, text: str, dtype: str, count: int, timeout_s: float | None = None
    ) -> tuple[NDArray[Any], str]:
        """Return `count` numbers of a definite-length block, and the text that follows it.

        Args:
            text: the query.
            dtype: of the numbers, with its byte order, such as "<f8".
            count: how many there must be.
            timeout_s: seconds to wait for each part.
        """
        with _Exchange(self, text):
            self.messages.queries += 1
            self.session.write(text)
            numbers, tail = self.session.read_block(text, dtype, timeout_s)
            if numbers.size != count:
                raise self._garbled(text, f"expected {count} numbers, got {numbers.size}")
            return numbers, tail

    def numbers_in(self, answer: str, count: int, command: str = "") -> NDArray[np.float64]:
        """Return the `count` numbers of a comma-separated answer, float64; else poison."""
        parts = answer.split(",") if answer else []
        if len(parts) != count:
            raise self.garbled(command, f"expected {count} numbers, got {len(parts)}")
        try:
            return np.array(parts, np.float64)
        except ValueError as error:
            raise self.garbled(command, str(error)) from error

    def garbled(self, command: str, what: str) -> GarbledAnswerError:
        """Poison the session because of an answer; return the error to raise."""
        error = self._garbled(command, what)
        self._poison = str(error)
        return error

    def write(self, command: str, **_: Any) -> None:
        """Send a message that has no answer: `command` under pymeasure's name."""
        self.command(command)

    def ask(self, command: str, query_delay: float | None = None) -> str:
        """Send a message and return its answer: `query` under pymeasure's name."""
        del query_delay
        return self.query(command)

    # Settings as they are kept.

    def answers_to(self, queries: Sequence[str]) -> list[str]:
        """Ask settings in one message; return an answer each. This is how it goes in SCPI."""
        text = ";".join(queries)
        answers = self.query(text).split(";")
        if len(answers) != len(queries):
            raise self.garbled(text, f"expected {len(queries)} answers, got {len(answers)}")
        return answers

    def compare(self, kept: Sequence[Kept], what: str = "") -> None:
        """Ask settings; `what` begins the error.

        Raises:
            InstrumentError: one is not what was asked for; it says which, found and expected.
        """
        answers = self.answers_to([one.query for one in kept]) if kept else []
        wrong = first_wrong(kept, answers)
        if wrong is not None:
            raise InstrumentError(what + wrong, instrument=self.name)

    # The error queue.

    def next_entry(self) -> tuple[int, str]:
        """Ask for the oldest entry of the error queue: (0, ...) where it is empty."""
        return self.entry_in(self.query(self.error_query))

    def entry_in(self, answer: str) -> tuple[int, str]:
        """Return the code and the words of one answer of the error queue; else poison."""
        code, _, words = answer.partition(",")
        try:
            return int(float(code)), words.strip().strip('"')
        except ValueError as error:
            raise self.garbled(self.error_query, f"no error entry: {answer!r}") from error

    def drain_errors(self, after: str) -> None:
        """Empty the error queue.

        Raises:
            InstrumentError: there was an entry. It carries the oldest one's code and words, and
                `after`, the message that it follows.
        """
        with self.transaction():
            entry = self.next_entry()
            if entry[0]:
                self.raise_entry(entry, after)

    def raise_entry(self, entry: tuple[int, str], after: str) -> None:
        """Empty the queue behind `entry`, which was its oldest, and raise it."""
        rest = self._empty_errors()
        words = entry[1] + (f" (and {rest} more)" if rest else "")
        raise InstrumentError(words, instrument=self.name, command=after, code=entry[0])

    # Inside.

    def _refusal(self, text: str) -> StateUnknownError:
        why = "the session is closed" if self._closed else f"state unknown: {self._poison}"
        return StateUnknownError(why, instrument=self.name, command=text)

    def _garbled(self, command: str, what: str) -> GarbledAnswerError:
        return GarbledAnswerError(what, instrument=self.name, command=command)

    def _empty_errors(self) -> int:
        for count in range(_QUEUE):
            if self.next_entry()[0] == 0:
                return count
        raise self.garbled(self.error_query, f"more than {_QUEUE} entries in the error queue")


class _Transaction(AbstractContextManager[_Locked]):
    """An instrument's lock, held; a class because there are several in each exchange."""

    __slots__ = ("_on",)

    def __init__(self, on: _Locked) -> None:
        self._on = on

    def __enter__(self) -> _Locked:
        self._on._lock.acquire(self._on.lock_timeout_s)
        return self._on

    def __exit__(self, *_: object) -> None:
        self._on._lock.release()


class _Exchange:
    """One message and its answer: locked, refused where poisoned, and poisoning where it fails."""

    __slots__ = ("_on", "_text")

    def __init__(self, on: Exchanges, text: str) -> None:
        self._on, self._text = on, text

    def __enter__(self) -> None:
        on = self._on
        on._lock.acquire(on.lock_timeout_s)
        if on._poison is not None or on._closed:
            on._lock.release()
            raise on._refusal(self._text)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is not None:
                # Ctrl-C inside a query leaves an answer on its way, as a time-out does.
                self._on._poison = str(error) or type(error).__name__
        finally:
            self._on._lock.release()
