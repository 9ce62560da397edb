"""A TSP object: a table of attributes that the instrument checks when they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class TspError(Exception):
    """An error of the instrument; -286 ends the script, any other does not."""

    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text
        super().__init__(text)


class Node:
    """A table of attributes.

    Args:
        name: of the table, unique in the instrument.
        permissive: whether any attribute may be written and any function called, with no effect.
        values: attributes that may be read and written.

    Attributes:
        values: attributes that may be read and written.
        constants: attributes, functions and tables that may be read.
        computed: attributes that are worked out when they are read.
        checks: return what is kept of a written value, or raise TspError.
        changed: called after an attribute was written, with its name.
    """

    def __init__(self, name: str, permissive: bool = False, **values: Any) -> None:
        self.name, self.permissive = name, permissive
        self.values: dict[str, Any] = values
        self.constants: dict[str, Any] = {}
        self.computed: dict[str, Callable[[], Any]] = {}
        self.checks: dict[str, Callable[[float], Any]] = {}
        self.changed: Callable[[str], None] | None = None

    def get(self, key: Any) -> Any:
        """Return an attribute, None where there is none of that name."""
        for known in (self.values, self.constants):
            if key in known:
                return known[key]
        if key in self.computed:
            return self.computed[key]()
        if not self.permissive:
            return None
        if key == "()":
            return _nothing
        self.constants[key] = Node(f"{self.name}.{key}", permissive=True)
        return self.constants[key]

    def set(self, key: Any, value: Any) -> None:
        """Write an attribute.

        Raises:
            TspError: -286 for one that cannot be written, -104 for a value of another type, or
                what its check raises.
        """
        if key not in self.values:
            if self.permissive:
                self.values[key] = value
                return
            raise TspError(-286, f"attribute `{key}' of `{self.name}' cannot be written")
        kept = self.values[key]
        if isinstance(kept, (int, float)) and not isinstance(value, (int, float)):
            raise TspError(-104, "Data type error")
        self.values[key] = self.checks[key](value) if key in self.checks else value
        if self.changed is not None:
            self.changed(key)


def _nothing(*given: Any) -> None:
    """Do nothing."""


def bounded(low: float, high: float) -> Callable[[float], float]:
    """Return a check that a number is within bounds: 1102 below them and 1101 above."""

    def check(value: float) -> float:
        if value != value or value < low:
            raise TspError(1102, "Parameter too small")
        if value > high:
            raise TspError(1101, "Parameter too big")
        return float(value)

    return check
