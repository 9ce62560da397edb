"""What stands between a driver and its line: nothing, a recorder, or a player of a recording.

Taps are found by the resource that a driver opens, and live as long as whoever registered them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import WeakValueDictionary


class Tap(Protocol):
    """One instrument's line, listened to or played.

    Attributes:
        instrument: its name in the bench file.
    """

    instrument: str

    def opened(self, connect: Callable[[], Any]) -> Any:
        """Return a pymeasure adapter, which `connect` opens where there is an instrument."""

    def asked(self, request: dict[str, Any], act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the answer to a call, JSON both; `act` makes it where there is an instrument."""

    def calls(self, path: str) -> bool | None:
        """Return whether `path` is called next; None where only the driver can tell."""

    def plain(self, text: str) -> str:
        """Return `text` with the instrument's resource as it is in the recording."""


_TAPS: WeakValueDictionary[str, Tap] = WeakValueDictionary()
_speaking = threading.local()


def register(resource: str, tap: Tap) -> None:
    """Let every session on `resource` that opens from now on go through `tap`."""
    _TAPS[resource] = tap


def tap_of(resource: str) -> Tap | None:
    """Return the tap on `resource`, or None."""
    return _TAPS.get(resource)


def opened(resource: str, connect: Callable[[], Any]) -> Any:
    """Return what `connect` opens, tapped where there is a tap on `resource`."""
    tap = _TAPS.get(resource)
    return connect() if tap is None else tap.opened(connect)


def some() -> bool:
    """Return whether there is any tap at all."""
    return len(_TAPS) > 0


@contextmanager
def speaking(resource: str) -> Iterator[None]:
    """Say to which instrument the calls of this block belong, in this thread."""
    before = getattr(_speaking, "resource", None)
    _speaking.resource = resource
    try:
        yield
    finally:
        _speaking.resource = before


def tap_of_speaker() -> Tap | None:
    """Return the tap on the instrument to which calls belong at present, or None."""
    resource = getattr(_speaking, "resource", None)
    return None if resource is None else _TAPS.get(resource)
