"""Drivers by name, from the entry-point group `hilep.drivers`: a lab's own among them.

A driver is a class that is built as `driver(resource, name, expect=..., timeout_s=..., line_hz=...,
**options)` and has the members of `hilep.instruments.roles.Instrument`, with those of a `Reader`,
of `VoltageOutputs` or of a `hilep.instruments.smu.SourceMeasureUnit` besides.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from hilep.errors import BadInputError

GROUP = "hilep.drivers"
PROGRAMMERS = "hilep.programmers"
"""Ways of programming by the `kind` of `[roles.program]`: each is called with a `BenchFile` and the
started instruments by name, and returns a `hilep.instruments.roles.ConductanceProgrammer`."""
TWINS = "hilep.twins"
"""Virtual twins of a bench: each is called with a `BenchFile` and a `Network`, and returns a
context manager whose value is the resources to open in place of the file's, by instrument."""


MEMBERS = ("start", "safe", "shutdown", "snapshot", "transaction")
"""What every driver has; see `hilep.instruments.roles.Instrument`."""


def known_drivers() -> list[str]:
    """Return the names of the installed drivers, sorted."""
    return sorted(entry_points(group=GROUP).names)


def entry(group: str, name: str, key: str) -> EntryPoint:
    """Return the entry point called `name`.

    Raises:
        BadInputError: there is none; the message begins with `key` and lists those that there are.
    """
    found = entry_points(group=group)
    matches = list(found.select(name=name))
    if not matches:
        offered = ", ".join(sorted(found.names)) or "none, as none is installed"
        raise BadInputError(f"{key}: unknown name {name!r}, expected one of {offered}")
    return matches[0]


def loaded(group: str, name: str, key: str) -> Any:
    """Return what the entry point called `name` refers to.

    Raises:
        BadInputError: there is none, or it cannot be imported.
        MissingExtraError: it needs a package that is not installed.
    """
    point = entry(group, name, key)
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise BadInputError(f"{key}: {name!r} cannot be loaded: {error}") from error
