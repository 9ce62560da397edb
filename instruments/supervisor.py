"""The second process that switches a bench off when the run dies.

The run holds the only writing end of a pipe. When it closes without a goodbye, whatever killed the
run, this process opens each instrument itself, switches its outputs off and verifies. It is an
ordinary child, started with the same Python, so that it works on Windows as well.

It reaches what answers: against a pulled cable only an instrument's own watchdog or interlock
helps.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from hilep.instruments.trips import SupervisorError

GOODBYE = "goodbye"
READY = "watching"
READY_S = 60.0
"""Seconds that the process may take to start: it imports the drivers, to be quick later."""

TRIES = 20
PAUSE_S = 0.5
"""An instrument may still be at the dead run's last acquisition, or not know that it is gone."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One instrument to switch off: its driver's class and what that is built with."""

    name: str
    module: str
    driver: str
    resource: str
    keywords: dict[str, Any] = field(default_factory=dict)

    def loaded(self) -> Any:
        """Return the driver's class."""
        found: Any = import_module(self.module)
        for part in self.driver.split("."):
            found = getattr(found, part)
        return found


class Supervisor:
    """The run's side: starts the process, says goodbye to it.

    Args:
        charges: the instruments; names only, they need not be open.
    """

    def __init__(self, charges: Iterable[Charge]) -> None:
        # Signals of a terminal go to the whole group; the supervisor must outlive them.
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import watch; watch()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(part or str(Path.cwd()) for part in sys.path),
            },
            **apart,
        )
        self._ready = False
        self._say(json.dumps([asdict(one) for one in charges]))

    def require(self) -> None:
        """Refuse to go on unless the process watches.

        Raises:
            SupervisorError: it does not, or it ended.
        """
        if not self._ready:
            reader = threading.Thread(target=self._listen, daemon=True)
            reader.start()
            reader.join(READY_S)
        if not self._ready or self._process.poll() is not None:
            raise SupervisorError(
                "the process that switches the outputs off after a crash is not running "
                f"(exit status {self._process.poll()}); no output is switched on without it"
            )

    def dismiss(self, goodbye: bool) -> None:
        """End the watch.

        Args:
            goodbye: whether every output is known to be off. Else the process tries itself.
        """
        if goodbye:
            self._say(GOODBYE)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if goodbye:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        else:
            # Waited for elsewhere, so that the run's own end does not hang on a dead instrument.
            threading.Thread(target=self._process.wait, daemon=True).start()

    def _say(self, line: str) -> None:
        stream = self._process.stdin
        assert stream is not None
        with contextlib.suppress(OSError, ValueError):
            stream.write(line + "\n")
            stream.flush()

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with contextlib.suppress(OSError, ValueError):
            self._ready = stream.readline().strip() == READY


def watch() -> None:
    """Be the supervisor: wait for the run's end, and switch off unless it says goodbye."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    parent = os.getppid()
    charges = [Charge(**one) for one in json.loads(sys.stdin.readline())]
    for charge in charges:
        charge.loaded()
    # A run that is over by now does not listen any more.
    with contextlib.suppress(OSError):
        print(READY, flush=True)
    said = _last_words(parent)
    if GOODBYE not in said:
        switch_off(charges)
    # The pipe may still be open in a process forked from the run, and a thread waiting on it: an
    # ordinary end of the interpreter would wait for that thread.
    sys.stderr.flush()
    os._exit(0)


def switch_off(charges: Iterable[Charge]) -> dict[str, bool]:
    """Open each instrument and switch its outputs off, all at once, each as often as it takes.

    Returns:
        Whether each is known to be off.
    """
    off: dict[str, bool] = {}
    threads = [threading.Thread(target=_off, args=(charge, off)) for charge in charges]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return off


def _off(charge: Charge, off: dict[str, bool]) -> None:
    text = ""
    for _ in range(TRIES):
        try:
            instrument = charge.loaded()(charge.resource, charge.name, **charge.keywords)
            try:
                # Its first act is to switch off; it is refused where that cannot be verified.
                instrument.start()
            finally:
                instrument.shutdown()
            off[charge.name] = True
            _tell(f"{charge.name}: the run ended without a goodbye; outputs off")
            return
        except Exception as error:
            text = str(error)
            time.sleep(PAUSE_S)
    off[charge.name] = False
    _tell(f"{charge.name}: the run ended without a goodbye; OUTPUTS MAY BE ON: {text}")


def _last_words(parent: int) -> list[str]:
    """Wait until the pipe closes or the parent is gone; return what was said."""
    said: list[str] = []
    ended = threading.Event()

    def listen() -> None:
        with contextlib.suppress(OSError, ValueError):
            said.extend(line.strip() for line in sys.stdin)
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    # A process forked from the run holds the pipe open after the run's death; then the number of
    # the parent, as it was while the run waited for this process, tells of it.
    while not ended.wait(0.2):
        if os.getppid() != parent:
            ended.wait(1.0)  # A goodbye may still be in the pipe.
            break
    return said


def _tell(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"hilep supervisor: {text}", file=sys.stderr, flush=True)
