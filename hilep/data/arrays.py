"""A user's own data: arrays `x` and `y`, and if wanted `x_test` and `y_test`, in an .npz file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import checked
from hilep.data.source import Labels, Samples, Source
from hilep.errors import BadInputError, DataError

REQUIRED = ("x", "y")
OPTIONAL = ("x_test", "y_test")


def from_file(path: Path) -> Source:
    """Return the data in an .npz file.

    `x` is (n, features) or images (n, height, width): uint8, where 255 is full scale, or other real
    numbers, whose range in the training split becomes 0 to 1. `y` is (n,), integers from 0 to the
    number of classes less one, each of which occurs.

    Raises:
        DataError: one line with the file, the array and what was expected.
    """
    found = _members(path)
    for name in REQUIRED:
        if name not in found:
            raise DataError(f"{path}: no array {name!r}, expected x and y, found {_listed(found)}")
    unknown = [name for name in found if name not in REQUIRED + OPTIONAL]
    if unknown:
        raise DataError(
            f"{path}: unknown arrays {_listed(unknown)}, expected x, y, x_test and y_test"
        )
    x = _samples(path, "x", found["x"])
    y = _labels(path, "y", found["y"], len(x))
    classes = _count_classes(path, y)
    return Source(
        x=x,
        y=y,
        classes=tuple(str(label) for label in range(classes)),
        full_scale=255.0 if x.dtype == np.uint8 else None,
        test=_test_set(path, found, x, classes),
    )


def _members(path: Path) -> dict[str, NDArray[Any]]:
    """Return every array of the file by name."""
    try:
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise DataError(f"{path}: not an .npz archive, or a truncated one")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                return {name: np.asarray(archive[name]) for name in archive.files}
    except DataError:
        raise
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: an array cannot be read: {reason}") from error
    except OSError as error:
        raise DataError(f"data.file: {path} cannot be read: {error.strerror or error}") from error


def _test_set(
    path: Path, found: dict[str, NDArray[Any]], x: Samples, classes: int
) -> tuple[Samples, Labels] | None:
    """Return x_test and y_test, or None where the file has neither."""
    given = [name for name in OPTIONAL if name in found]
    if not given:
        return None
    if len(given) == 1:
        raise DataError(f"{path}: {given[0]} is alone, expected both x_test and y_test")
    x_test = _samples(path, "x_test", found["x_test"])
    y_test = _labels(path, "y_test", found["y_test"], len(x_test))
    if x_test.shape[1:] != x.shape[1:]:
        raise DataError(
            f"{path}: x_test: expected samples of shape {x.shape[1:]} as in x, "
            f"got {x_test.shape[1:]}"
        )
    if (x_test.dtype == np.uint8) != (x.dtype == np.uint8):
        raise DataError(
            f"{path}: x_test: expected the type of x, {found['x'].dtype}, "
            f"got {found['x_test'].dtype}"
        )
    if y_test.max() >= classes:
        raise DataError(
            f"{path}: y_test: expected labels 0 to {classes - 1} as in y, got {y_test.max()}"
        )
    return x_test, y_test


def _samples(path: Path, name: str, array: NDArray[Any]) -> Samples:
    """Return samples as uint8 where they are, else as finite floating-point numbers."""
    if array.ndim not in (2, 3):
        raise DataError(
            f"{path}: {name}: expected (n, features) or (n, height, width), got {array.shape}"
        )
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path}: {name}: expected real numbers, got type {array.dtype}")
    if array.size == 0:
        raise DataError(f"{path}: {name}: no values, its shape is {array.shape}")
    if array.dtype == np.uint8:
        return array
    try:
        numbers = checked(array, (None,) * array.ndim, f"{path}: {name}")
    except BadInputError as error:
        raise DataError(str(error)) from error
    return numbers.astype(np.float64, copy=False)


def _labels(path: Path, name: str, array: NDArray[Any], samples: int) -> Labels:
    """Return labels as int64, one per sample and none negative."""
    if array.dtype.kind not in "iu":
        raise DataError(f"{path}: {name}: expected integer labels, got type {array.dtype}")
    if array.ndim != 1:
        raise DataError(f"{path}: {name}: expected shape (n,), got {array.shape}")
    if len(array) != samples:
        raise DataError(
            f"{path}: {name}: expected {samples} labels, one per sample, got {len(array)}"
        )
    if array.min() < 0:
        where = int(np.argmin(array))
        raise DataError(f"{path}: {name}[{where}] is {array[where]}, expected labels from 0 up")
    if array.max() > np.iinfo(np.int64).max:
        raise DataError(f"{path}: {name}: label {array.max()} is too large")
    return array.astype(np.int64, copy=False)


def _count_classes(path: Path, y: Labels) -> int:
    """Return the number of classes, all of which must occur."""
    present = np.unique(y)
    if len(present) < 2:
        raise DataError(f"{path}: y: expected at least 2 classes, got {len(present)}")
    missing = np.flatnonzero(present != np.arange(len(present)))
    if len(missing):
        raise DataError(
            f"{path}: y: expected labels from 0 up without a gap, "
            f"no sample has label {missing[0]} but one has {present[-1]}"
        )
    return len(present)


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "nothing"
