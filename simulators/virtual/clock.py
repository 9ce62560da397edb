"""The time that virtual instruments share."""

from __future__ import annotations

import threading
import time


class Clock:
    """Seconds since the instruments were switched on.

    Args:
        real: whether `advance` also sleeps; without it a measurement of an hour takes no time.
    """

    def __init__(self, real: bool = False) -> None:
        self.real = real
        self._seconds = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the seconds since the start."""
        with self._lock:
            return self._seconds

    def advance(self, seconds: float) -> float:
        """Let `seconds` pass and return the time at which they began."""
        with self._lock:
            began = self._seconds
            self._seconds += seconds
        if self.real and seconds > 0:
            time.sleep(seconds)
        return began
