"""What a person sees while a crossbar trains, and how the run is asked to stop."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hilep.callbacks import Callback
from hilep.evaluation import Evaluation
from hilep.experiment import Experiment
from hilep.trainer import Trainer
from hilep.verdict import Outcome

SECONDS_BETWEEN_DRAWINGS = 0.1
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""What asks a run to stop: Ctrl-C, `kill`, a closed terminal, and Ctrl-Break on Windows."""


def say(line: str) -> None:
    """Write a line to standard error; a reader that has gone away does not end a run."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)


def resume_command(path: Path) -> str:
    """Return what to type in order to go on with a run file."""
    words = ["hilep", "train", "--resume", str(path)]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def announce(experiment: Experiment) -> None:
    """Say on standard error what is about to be trained, on what, and where it is recorded."""
    config, network = experiment.config, experiment.crossbar.network
    sizes = "-".join(str(n) for n in network.layers)
    training = config.training
    say(
        f"{config.data.name}: {len(experiment.dataset.train)} training, "
        f"{len(experiment.dataset.validation)} validation, {len(experiment.dataset.test)} test "
        f"samples; network {sizes}\n"
        f"{experiment.crossbar.description}; {training.variant} {training.nudging} nudging, "
        f"beta {training.beta_siemens:g} S, {training.reads} reads; "
        f"run file {experiment.run.path}"
    )
    done = experiment.trainer.update
    if done >= training.updates:
        say(f"all {done} updates were already done; nothing is left but the test split")
    elif done:
        say(f"going on after update {done}")


class TrainingProgress(Callback):
    """A progress bar on a terminal; elsewhere one line per look at the validation split."""

    def __init__(self, experiment: Experiment) -> None:
        console = Console(stderr=True)
        self._updates = experiment.config.training.updates
        self._drawn = 0.0
        self._text = ""
        self._bar = (
            Progress(
                TextColumn("{task.completed:,}/{task.total:,} updates"),
                BarColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
                auto_refresh=False,
            )
            if console.is_terminal
            else None
        )

    def __enter__(self) -> TrainingProgress:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("", total=self._updates)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._take_away()

    def on_update(self, trainer: Trainer) -> None:
        """Draw the bar anew, a few times a second."""
        if self._bar is None:
            return
        now = time.monotonic()
        if now - self._drawn > SECONDS_BETWEEN_DRAWINGS:
            self._drawn = now
            # A terminal may be closed while the run goes on.
            with contextlib.suppress(OSError):
                self._bar.update(
                    self._task, completed=trainer.update, description=self._text, refresh=True
                )

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        """Show the validation accuracy."""
        self._text = (
            f"validation {100 * evaluation.accuracy:.2f} +- {100 * evaluation.standard_error:.2f} %"
        )
        if self._bar is None:
            say(f"update {trainer.update}: {self._text}")

    def _take_away(self) -> None:
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.stop()

    def on_end(self, trainer: Trainer, outcome: Outcome) -> None:
        """Take the bar away."""
        self._take_away()


class StopOnSignal:
    """Turns Ctrl-C and a termination into a run that ends saved.

    A second one raises KeyboardInterrupt, so that the crossbar is made safe on the way out.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._asked = False
        self._before: dict[int, Callable[..., Any] | int | None] = {}

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            # A third must not reach the crossbar while it is made safe.
            for each in self._before:
                signal.signal(each, signal.SIG_IGN)
            raise KeyboardInterrupt
        self._asked = True
        self._trainer.stop()
        # A handler may interrupt a write to the same stream, which Python's own does not allow.
        with contextlib.suppress(OSError):
            os.write(2, b"hilep: saving after this update; once more to stop at once\n")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __enter__(self) -> StopOnSignal:
        for name in SIGNALS:
            number = getattr(signal, name, None)
            # `nohup` has closed terminals ignored, and means it.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()
