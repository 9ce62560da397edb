"""The driver's functions that a virtual NI device does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hilep.errors import MissingExtraError

try:
    from nidaqmx.errors import DaqFunctionNotSupportedError
except ImportError as error:
    raise MissingExtraError("a virtual NI device", "bench") from error

_Kind = TypeVar("_Kind", bound=type)


def completed(kind: _Kind) -> _Kind:
    """Let every abstract function that `kind` leaves out refuse by name.

    nidaqmx's own base class has some 380 of them, and every version adds a few.
    """
    for name in getattr(kind, "__abstractmethods__", ()):
        setattr(kind, name, _refusal(name))
    kind.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
    return kind


def _refusal(name: str) -> Callable[..., Any]:
    def refuse(self: object, *arguments: object, **keywords: object) -> Any:
        raise DaqFunctionNotSupportedError(f"{name}: the virtual NI device cannot do this")

    refuse.__name__ = name
    return refuse
