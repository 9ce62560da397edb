"""What goes wrong with one message of a run, and what must hold after it."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from fault_bench import TIMEOUT_S, UPDATES
from fault_rig import Course, Message, Rig

from hilep.errors import HilepError
from hilep.runfile import RunFile, read_run
from hilep.simulators.virtual.faults import Fault
from hilep.simulators.virtual.scpi_errors import ScpiError

LATE_S = TIMEOUT_S + 0.6
OFF_WITHIN_S = 3.0

SPOILT = {
    "connection lost": Fault("hang up"),
    "time-out, never arrived": Fault("lose"),
    "time-out, answer lost": Fault("drop"),
    "late answer": Fault("delay", LATE_S),
    "garbage": Fault("garble"),
    "truncated": Fault("truncate"),
    "truncated, with an end": Fault("cut"),
}
"""Kinds that spoil one answer, or one message on its way."""

KINDS = (
    "instrument gone",
    "instrument silent",
    *SPOILT,
    "error-queue entry",
    "compliance trip",
    "over-range sentinel",
    "Ctrl-C",
    "exception in user code",
)
OF_ANSWERS = {
    "time-out, answer lost",
    "late answer",
    "garbage",
    "truncated",
    "truncated, with an end",
}
"""Kinds that mean nothing where there is no answer."""


class UserError(Exception):
    """Raised in the midst of a run, as by a bug in the user's own code."""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of fault at one message of one instrument."""

    kind: str
    instrument: str
    number: int
    part: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it.

    Attributes:
        injected: whether the message was sent, so that the fault took place.
        on: outputs in reach that were on at the end.
        error: what the run ended with, "" where it went to its end.
        wrong: what of the update, the error or the run file is not as it must be.
    """

    case: Case
    injected: bool
    on: tuple[str, ...]
    error: str
    wrong: tuple[str, ...]

    @property
    def safe(self) -> bool:
        """Whether every output in reach was off."""
        return self.injected and not self.on

    @property
    def good(self) -> bool:
        """Whether all of it is as it must be."""
        return self.safe and not self.wrong

    def record(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)


def cases(clean: Course, kinds: tuple[str, ...] = KINDS) -> list[Case]:
    """Return every kind of fault at every message of a run at which it can happen."""
    measured = set(clean.read)
    scanners = {"daq1", "daq2"}
    found = []
    for kind in kinds:
        for message in clean.messages:
            reads = (message.instrument, message.number) in measured
            if kind in OF_ANSWERS and not message.answered:
                continue
            if kind in ("compliance trip", "over-range sentinel") and not reads:
                continue
            if kind == "compliance trip" and message.instrument in scanners:
                continue
            found.append(Case(kind, message.instrument, message.number, message.part))
    return found


class Injector:
    """Runs cases one after the other; a run that was cut off is gone on with by the next case."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.path = rig.folder / "disturbed.h5"
        self._resumable = False

    def run(self, case: Case) -> tuple[Result, str]:
        """Run one case.

        Returns:
            The result, and why the run file of the case before did not resume, "" where it did.
        """
        trouble = ""
        if not self._resumable:
            self.rig.fresh(self.path)
        hit = _Hit(case, self.rig)
        try:
            with _raising():
                course = self.rig.run(self.path, hit.strike, hit.spoil)
        except HilepError as error:
            trouble = str(error)
            self.rig.fresh(self.path)
            with _raising():
                course = self.rig.run(self.path, hit.strike, hit.spoil)
        on = self._on(hit.gone)
        wrong = self._wrong(course)
        error = "" if course.error is None else f"{type(course.error).__name__}: {course.error}"
        result = Result(case, hit.done, on, error, wrong)
        self._resumable = not wrong and read_run(self.path).checkpoint.update < UPDATES
        return result, trouble

    def to_the_end(self) -> str:
        """Train what the last case left, cells as they are; return what is wrong, "" for nothing.

        Cells that a cut-off update left anywhere are written again.
        """
        if not self._resumable:
            return ""
        self._resumable = False
        try:
            outcome = self.rig.resume(self.path)
        except HilepError as error:
            return str(error)
        if outcome.updates != UPDATES or self.rig.on(set()):
            return f"{outcome.updates} updates; on: {sorted(self.rig.on(set()))}"
        saved = read_run(self.path).checkpoint
        whole = saved is not None and self.rig.as_recorded(saved)
        return "" if whole else "cells are not as recorded"

    def _on(self, gone: set[str]) -> tuple[str, ...]:
        """Return which outputs in reach are on, once what was sent last has arrived."""
        end = time.monotonic() + OFF_WITHIN_S
        while self.rig.on(gone) and time.monotonic() < end:
            time.sleep(0.02)
        return tuple(sorted(self.rig.on(gone)))

    def _wrong(self, course: Course) -> tuple[str, ...]:
        found = []
        expected = (HilepError, KeyboardInterrupt, UserError)
        if course.error is not None and not isinstance(course.error, expected):
            found.append(f"ended with {type(course.error).__name__}: {course.error}")
        for have, want in zip(course.contrasts, self.rig.clean.contrasts, strict=False):
            if not np.allclose(have, want, rtol=0, atol=1e-7):
                found.append(f"readings {have.tolist()} entered, not {want.tolist()}")
        try:
            RunFile.resume(self.path).close()
            saved = read_run(self.path).checkpoint
        except HilepError as error:
            return (*found, f"the run file does not open: {error}")
        if saved is None or saved.update not in self.rig.asked:
            return (*found, "the run file has lost its checkpoint")
        return (*found, *self.rig.differences(saved))


class _Hit:
    """The fault of one case."""

    def __init__(self, case: Case, rig: Rig) -> None:
        self.case, self.rig = case, rig
        self.done = False
        self.gone: set[str] = set()
        self._now = False

    def strike(self, message: Message) -> Fault | None:
        """Return what goes wrong with `message`."""
        case = self.case
        if message.instrument != case.instrument:
            return None
        self._now = message.number == case.number
        self.done |= self._now
        if case.kind in ("instrument gone", "instrument silent"):
            if message.number >= case.number:
                self.gone.add(case.instrument)
                return Fault("close" if case.kind == "instrument gone" else "lose")
            return None
        return self._once(case.kind) if self._now else None

    def spoil(self, name: str, found: Any) -> Any:
        """Return what an instrument measures meanwhile."""
        if not self._now or name != self.case.instrument:
            return found
        if self.case.kind == "compliance trip":
            return replace(found, limited=True)
        if self.case.kind != "over-range sentinel":
            return found
        if isinstance(found, tuple):
            readings, times = found
            readings[-1, -1] = np.nan
            return readings, times
        volts, amps = found.volts.copy(), found.amps.copy()
        volts[-1], amps[-1] = np.nan, np.nan
        return replace(found, volts=volts, amps=amps)

    def _once(self, kind: str) -> Fault | None:
        if kind == "error-queue entry":
            instrument = self.rig.resources.instruments[self.case.instrument]
            given = (-310, "System error")
            instrument.note(*given if hasattr(instrument, "smus") else [ScpiError(-310)])
        elif kind in ("Ctrl-C", "exception in user code"):
            number = signal.SIGINT if kind == "Ctrl-C" else signal.SIGUSR1
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        return SPOILT.get(kind)


@contextlib.contextmanager
def _raising() -> Iterator[None]:
    """Let a signal stand for an exception in the user's own code."""

    def raised(number: int, frame: Any) -> None:
        raise UserError("in the midst of it")

    before = signal.signal(signal.SIGUSR1, raised)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
