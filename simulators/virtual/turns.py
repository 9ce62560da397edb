"""The order in which several virtual instruments act on what one program sends them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from hilep.simulators.virtual.server import InstrumentServer

_PATIENCE_S = 1.0


class Turns:
    """Lets a measurement wait for the commands that were sent before it to other instruments.

    A program sends a level to one instrument, which answers nothing, and asks another one to read.
    On a bench the settling time between the two is longer than the first one needs to obey; where
    time is simulated, no time may lie between them. A program that has asked for a measurement
    sends nothing more until it is answered, so whatever has arrived at another instrument by then
    was sent before, or by another program, whose order is free.

    Args:
        servers: of the instruments that share a circuit; may grow.
    """

    def __init__(self, servers: Sequence[InstrumentServer]) -> None:
        self._servers = servers
        self._waiting: set[int] = set()
        self._waited: dict[int, tuple[int, int]] = {}

    def wait(self) -> None:
        """Return when every other instrument has done what was sent to it, or waits like this.

        Within one message that is done once: nothing was sent since.
        """
        here = threading.get_ident()
        message = self._message(here)
        if message is not None and self._waited.get(here) == message:
            return
        self._waiting.add(here)
        try:
            end = time.monotonic() + _PATIENCE_S
            while self._busy(here) and time.monotonic() < end:
                time.sleep(2e-5)
        finally:
            self._waiting.discard(here)
        if message is not None:
            self._waited[here] = message

    def _message(self, here: int) -> tuple[int, int] | None:
        """Return which server's message, counted, this thread acts on; None for none."""
        for place, server in enumerate(self._servers):
            if here in server.active:
                return place, server.messages
        return None

    def _busy(self, here: int) -> bool:
        for server in list(self._servers):
            active = server.active
            if here not in active and (active - self._waiting or server.unread()):
                return True
        return False
