"""What a person sees while a device is measured."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any


class Progress:
    """A progress bar on a terminal's standard error; nothing elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console

        console = Console(stderr=True)
        self._bar: Any = None
        if console.is_terminal:
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:,}/{task.total:,}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
        self._tasks: dict[str, Any] = {}

    def show(self, what: str, done: int, of: int) -> None:
        """Draw that `done` of `of` is measured."""
        if self._bar is None:
            return
        # A terminal may be closed while the measurement goes on.
        with contextlib.suppress(OSError):
            if what not in self._tasks:
                self._tasks[what] = self._bar.add_task(what, total=of)
            self._bar.update(self._tasks[what], completed=done)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.stop()
