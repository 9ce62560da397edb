"""The instruments of a bench: opened, identified, switched off first, and off on every way out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from hilep.errors import BadInputError, HilepError, StorageError
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.errors import IdentityError, InUseError
from hilep.instruments.roles import SafeReport
from hilep.instruments.sourcerole import identities
from hilep.instruments.supervisor import Charge, Supervisor
from hilep.instruments.wiring import Line

log = logging.getLogger("hilep.instruments")

_INTERRUPTIONS = 1000
"""Interruptions that switching off outlasts, so that a bug cannot keep it going for ever."""

_POLL_S = 0.05


class Connections:
    """Sessions with every instrument of a bench file, and the locks that keep other runs away.

    Args:
        file: the bench file.
        drivers: the class of each instrument, by its name.
        sources: names of the instruments that drive something; they are switched off first.
        resources: to open in place of the file's, by instrument.
        supervised: whether a second process switches off when this one dies.

    Attributes:
        instruments: by name, once `open` has returned.
        reports: what the last `safe` or `close` did, by name.
        failures: what went wrong with each instrument that `open` could not start.
        identities: of those that it started, and kept after `close`.
    """

    def __init__(
        self,
        file: BenchFile,
        drivers: Mapping[str, Any],
        sources: Iterable[str],
        resources: Mapping[str, str],
        supervised: bool,
    ) -> None:
        self.file = file
        self.instruments: dict[str, Any] = {}
        self.reports: dict[str, SafeReport] = {}
        self.failures: dict[str, HilepError] = {}
        self.identities: dict[str, str] = {}
        self._drivers = drivers
        self._sources = set(sources)
        self._resources = resources
        self._supervised = supervised
        self._supervisor: Supervisor | None = None
        self._locks = ExitStack()

    def open(self) -> None:
        """Lock, open and start every instrument: identity first, then off.

        All of them are tried, so that a dead one does not leave another one on.

        Raises:
            InUseError: another run has one of them.
            InstrumentError: one does not answer.
            IdentityError: one is another instrument than the file expects.
        """
        try:
            self._lock()
            for name in self._drivers:
                failure = self._started(name)
                if failure is not None:
                    self.failures[name] = failure
            for failure in self.failures.values():
                raise failure
            if self._supervised:
                self._supervisor = Supervisor(self._charges())
        except BaseException:
            self.close()
            raise

    def require_supervisor(self) -> None:
        """Refuse to go on where the supervisor is not there. Raises SupervisorError."""
        if self._supervisor is not None:
            self._supervisor.require()

    def safe(self) -> dict[str, SafeReport]:
        """Switch everything off: sources at once and together, then readers."""
        return self._everywhere(lambda instrument: instrument.safe())

    def close(self) -> dict[str, SafeReport]:
        """Switch everything off, close every session and let go of the locks."""
        try:
            return self._everywhere(_shut)
        finally:
            known = all(report.off is True for report in self.reports.values())
            self.instruments.clear()
            if self._supervisor is not None:
                supervisor, self._supervisor = self._supervisor, None
                supervisor.dismiss(goodbye=known)
            self._locks.close()

    def _everywhere(self, act: Callable[[Any], SafeReport]) -> dict[str, SafeReport]:
        reports: dict[str, SafeReport] = {}
        interrupted: BaseException | None = None
        acting, finished = threading.Lock(), threading.Event()

        def once() -> None:
            if acting.acquire(blocking=False):
                try:
                    if not finished.is_set():
                        self._in_stages(act, reports)
                        finished.set()
                finally:
                    acting.release()

        # Ctrl-C reaches the main thread alone, so that a second one cannot leave an output on. It
        # may strike within `start`, after which the thread says neither that it runs nor that it
        # does not.
        worker, tried = threading.Thread(target=once), False
        for _ in range(_INTERRUPTIONS):
            try:
                if not tried:
                    tried = True
                    with suppress(RuntimeError):  # No new thread at the interpreter's end.
                        worker.start()
                while not finished.wait(_POLL_S):
                    if not worker.is_alive():
                        once()
                break
            except BaseException as error:
                interrupted = error
        self.reports = reports
        if interrupted is not None:
            raise interrupted
        return reports

    def _in_stages(self, act: Callable[[Any], SafeReport], reports: dict[str, SafeReport]) -> None:
        """Act on all sources at once, so that a dead one delays no other, and then on the rest."""
        for stage in (True, False):
            names = [name for name in self.instruments if (name in self._sources) is stage]
            workers = []
            for name in names:
                worker = threading.Thread(target=self._act, args=(name, act, reports))
                try:
                    worker.start()
                    workers.append(worker)
                except RuntimeError:
                    self._act(name, act, reports)
            for worker in workers:
                worker.join()

    def _act(
        self, name: str, act: Callable[[Any], SafeReport], reports: dict[str, SafeReport]
    ) -> None:
        try:
            reports[name] = act(self.instruments[name])
        except Exception as error:
            reports[name] = Unsafe(f"{name}: {error}")
        if reports[name].off is not True:
            log.error("outputs not known to be off: %s", reports[name].text)

    def _started(self, name: str) -> HilepError | None:
        section = self.file.sections.instruments[name]
        try:
            instrument = self._drivers[name](
                self._resources.get(name, section.resource), name, **self._keywords(name)
            )
        except HilepError as error:
            return self._named(name, error)
        except TypeError as error:
            return self.file.error(f"instruments.{name}.options", str(error))
        self.instruments[name] = instrument
        try:
            instrument.start()
            self.identities.update(identities(self.instruments, [Line(name, "")]))
        except HilepError as error:
            return self._named(name, error)
        return None

    def _keywords(self, name: str) -> dict[str, Any]:
        section = self.file.sections.instruments[name]
        return {
            "expect": section.expect,
            "timeout_s": section.timeout_s,
            "line_hz": section.line_hz,
            **section.options,
        }

    def _named(self, name: str, error: HilepError) -> HilepError:
        if isinstance(error, IdentityError):
            return IdentityError(f"{self.file.path}: instruments.{name}.expect: {error}")
        if isinstance(error, BadInputError):
            return self.file.error(f"instruments.{name}", str(error))
        return error

    def _charges(self) -> list[Charge]:
        found = []
        for name, instrument in self.instruments.items():
            driver = type(instrument)
            found.append(
                Charge(
                    name,
                    driver.__module__,
                    driver.__qualname__,
                    self._resources.get(name, self.file.sections.instruments[name].resource),
                    self._keywords(name),
                )
            )
        return found

    def _lock(self) -> None:
        from hilep.instruments.locks import lock_path  # Says what to install where it is missing.
        from filelock import FileLock, Timeout  # isort: skip

        for name in sorted(self._drivers):
            resource = self._resources.get(name, self.file.sections.instruments[name].resource)
            path = lock_path(f"run on {resource}")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                # Any thread may close what another one opened.
                lock = FileLock(path, thread_local=False)
                lock.acquire(timeout=self.file.sections.lock.wait_s)
            except Timeout as error:
                raise InUseError(
                    f"{self.file.path}: instruments.{name}: another run has {resource}"
                ) from error
            except OSError as error:
                raise StorageError(f"{path}: cannot be locked: {error}") from error
            self._locks.callback(lock.release)


class Unsafe:
    """The report of an instrument whose `safe` itself failed."""

    off: bool | None = None

    def __init__(self, text: str) -> None:
        self.text = text


def _shut(instrument: Any) -> SafeReport:
    instrument.shutdown()
    report: SafeReport = instrument.last_report
    return report
