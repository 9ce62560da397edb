"""Reports of files that are no run: each kind is known by the schema that the file states.

An entry point of the group `hilep.reports` has the schema as its name, and refers to a function
that takes the path of such a file and returns a `FileReport`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeAlias

import h5py

from hilep.errors import BadInputError

GROUP = "hilep.reports"
SCHEMA = "schema"
"""The attribute of an HDF5 file that says what it holds. A run file has none."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """A page about a file.

    Attributes:
        page: HTML in UTF-8 that loads nothing from anywhere.
        said: what `--json` says besides the path of the page, plain JSON values.
    """

    page: bytes
    said: dict[str, Any]


Reporter: TypeAlias = Callable[[Path], FileReport]


def schema_of(path: Path) -> str | None:
    """Return the schema that a file states, or None where it states none or is no HDF5 file."""
    try:
        if not h5py.is_hdf5(path):
            return None
        with h5py.File(path, "r", locking=False) as file:
            stated = file.attrs.get(SCHEMA)
    except (OSError, RuntimeError):
        return None
    return None if stated is None else str(stated)


def reporter(path: Path) -> Reporter | None:
    """Return what makes the page of a file, or None where it states no schema, as a run file.

    Raises:
        BadInputError: no installed package has a page for its schema, or that cannot be loaded.
    """
    schema = schema_of(path)
    if schema is None:
        return None
    found = entry_points(group=GROUP)
    for entry in found.select(name=schema):
        try:
            made: Reporter = entry.load()
        except (ImportError, AttributeError) as error:
            raise BadInputError(f"{path}: no page of a {schema!r} file: {error}") from error
        return made
    known = ", ".join(sorted(found.names)) or "none"
    raise BadInputError(
        f"{path}: no page of a {schema!r} file, expected a run file or one of: {known}"
    )
