"""Runs in processes of their own that are interrupted, terminated or killed at a message."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fault_bench import UPDATES
from fault_kinds import Case, Result
from fault_rig import Message, Rig

from hilep.errors import HilepError
from hilep.runfile import RunFile, read_run

SIGNALS = ("Ctrl-C of a process", "termination", "kill -9")
_NUMBERS = {"Ctrl-C of a process": "SIGINT", "termination": "SIGTERM", "kill -9": "SIGKILL"}
OFF_WITHIN_S = 60.0
"""For so long a supervisor tries; outputs are looked at all the while."""


class Processes:
    """Runs each case in a child, against the instruments of this process.

    Children are forked from a process that has imported what a run needs. Each starts a supervisor
    of its own, as any run does. Each goes on from the run file that the one before has left.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.path = rig.folder / "process.h5"
        # Supervisors keep their locks where their runs do.
        os.environ["TMPDIR"] = str(rig.folder)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__, "hilep.instruments.keithley2600"])
        self._resumable = False

    def enumerate(self, todo: list[Case], out: Path) -> None:
        """Run cases, and add a line for each to a file."""
        began = time.monotonic()
        with out.open("a") as stream:
            for number, case in enumerate(todo, 1):
                result = self.run(case)
                print(json.dumps(result.record()), file=stream, flush=True)
                if not result.good:
                    print(f"NOT GOOD {result}", flush=True)
                if number % 10 == 0:
                    each = (time.monotonic() - began) / number
                    print(f"{number} of {len(todo)}, {each:.2f} s each", file=sys.stderr)

    def run(self, case: Case) -> Result:
        """Start a run, send it the signal at the message, and wait until nothing is on."""
        if not self._resumable:
            self.rig.fresh(self.path)
        struck: list[int] = []
        here, there = self._context.Pipe()
        child = self._context.Process(target=_train, args=(str(self.path), there))

        def strike(message: Message) -> None:
            if (message.instrument, message.number) == (case.instrument, case.number):
                struck.append(case.number)
                os.kill(child.pid or 0, getattr(signal, _NUMBERS[case.kind]))

        self.rig.restore()
        child.start()
        there.close()
        wrong = []
        try:
            here.recv()
            self.rig.listen(strike)
            here.send("go")
        except EOFError:
            wrong.append("the run file of the case before did not resume")
        child.join(OFF_WITHIN_S)
        self.rig.rest()
        if child.is_alive():
            wrong.append("it did not end")
            child.kill()
            child.join()
        on = self._on()
        wrong += self._kept()
        return Result(case, bool(struck), on, f"exit status {child.exitcode}", tuple(wrong))

    def _on(self) -> tuple[str, ...]:
        """Return what is on once every instrument is let go of."""
        servers, end = self.rig.resources.servers.values(), time.monotonic() + OFF_WITHIN_S
        while time.monotonic() < end:
            if not self.rig.on(set()) and not any(server.clients for server in servers):
                break
            time.sleep(0.05)
        return tuple(sorted(self.rig.on(set())))

    def _kept(self) -> list[str]:
        """Return what is wrong with the run file."""
        self._resumable = False
        try:
            RunFile.resume(self.path).close()
            saved = read_run(self.path).checkpoint
        except HilepError as error:
            return [f"the run file does not open: {error}"]
        if saved is None or saved.update not in self.rig.asked:
            return ["the run file has lost its checkpoint"]
        self._resumable = saved.update < UPDATES
        return self.rig.differences(saved)


def _train(path: str, parent: Connection) -> None:
    """Resume a run, say so, and train when told to."""
    from hilep import experiment
    from hilep.instruments import arming

    # What supervisors say is of no interest.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    armed = Path(path).parent / "armed"
    arming.records = lambda: armed
    resumed: Any = experiment.resume(Path(path))
    if resumed.crossbar.session.connections is not None:
        resumed.crossbar.session.require_supervisor()
    parent.send("ready")
    parent.recv()
    resumed.execute()
