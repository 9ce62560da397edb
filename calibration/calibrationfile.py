"""Calibration files: one HDF5 file per calibration; `docs/calibration-files.md` is the schema."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import h5py

from hilep.calibration.calibration import Calibration
from hilep.calibration.filerecords import load, store
from hilep.durable import new_small_hdf5, reason, storing
from hilep.errors import BadInputError

SCHEMA = "hilep-calibration"
VERSION = 1
ATTRIBUTES = ("created", "hilep_version", "config", "device")


def write(path: Path, calibration: Calibration) -> None:
    """Write a calibration; a file that is there is replaced in one step, or stays as it was.

    Raises:
        StorageError: where it cannot be written; nothing is left then.
    """
    with storing(f"calibration file {path}"), new_small_hdf5(Path(path)) as file:
        file.attrs["schema"] = SCHEMA
        file.attrs["version"] = VERSION
        for name in ATTRIBUTES:
            file.attrs[name] = getattr(calibration, name)
        store(file, calibration, skip=ATTRIBUTES)


def read(path: Path) -> Calibration:
    """Return the calibration in a file.

    Raises:
        BadInputError: where the file is not there, is no calibration of this version, or is
            damaged.
    """
    with _opened(Path(path)) as file:
        fields = {name: str(file.attrs[name]) for name in ATTRIBUTES}
        if not isinstance(json.loads(fields["device"]), dict):
            raise ValueError("its device is no JSON object")
        found: Calibration = load(file, Calibration, **fields)
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    what = f"calibration file {path}"
    try:
        if not path.is_file():
            raise BadInputError(f"{what}: not there")
        if not h5py.is_hdf5(path):
            raise BadInputError(f"{what}: expected a file that `hilep calibrate` wrote")
        with h5py.File(path, "r", locking=False) as file:
            if file.attrs.get("schema") != SCHEMA:
                raise BadInputError(f"{what}: expected a file that `hilep calibrate` wrote")
            if file.attrs.get("version") != VERSION:
                raise BadInputError(
                    f"{what}: version {file.attrs.get('version')}, expected {VERSION}"
                )
            yield file
    except BadInputError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise BadInputError(f"{what}: damaged: {reason(error)}") from error
