"""Arming: outputs of a bench need a passing `hilep bench check` of this very file.

A check that passes leaves a record in the user's state folder, named after the SHA-256 of the
file's bytes. Change one byte, and the file has to be checked again.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from hilep.errors import StorageError
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.trips import NotArmedError


def records() -> Path:
    """Return the folder that holds the records."""
    return user_state_path("hilep", appauthor=False) / "armed"


def arm(file: BenchFile, result: dict[str, Any]) -> Path:
    """Record that a check of `file` passed.

    Args:
        file: as it was checked.
        result: what the check found, as plain JSON values.

    Returns:
        The record.

    Raises:
        StorageError: it cannot be written.
    """
    path = records() / f"{file.sha256}.json"
    record = {"file": str(file.path.resolve()), "checked_s": time.time(), "result": result}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(record, stream)
        Path(name).replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error}") from error
    return path


def disarm(file: BenchFile) -> None:
    """Take the record of `file` away: its last check did not pass."""
    (records() / f"{file.sha256}.json").unlink(missing_ok=True)


def armed(file: BenchFile) -> dict[str, Any] | None:
    """Return the record of a passing check of `file`, or None."""
    try:
        record = json.loads((records() / f"{file.sha256}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def require_armed(file: BenchFile) -> None:
    """Refuse a file whose check has not passed.

    Raises:
        NotArmedError: there is no record of this very file.
    """
    if armed(file) is None:
        raise NotArmedError(
            f"{file.path}: not armed: expected a passing `hilep bench check {file.path}` of this "
            "very file; no output was switched on"
        )
