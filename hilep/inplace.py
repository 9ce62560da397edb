"""Writing a preallocated HDF5 file in place, without HDF5.

A contiguous dataset is a plain stretch of bytes. Overwriting those bytes leaves every structure of
the file as it is, reaches the system in the order in which it is written, and fails, if it does,
as an ordinary `OSError` and only once; HDF5 itself keeps bytes back and tries again when it closes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from hilep.errors import RunFileError

_LOCK_OFFSET = 2**31 - 2
"""Where Windows locks a byte: beyond the data, because its locks refuse reads as well, and not
beyond what its C runtime can lock."""


class InPlaceFile:
    """An existing file that one writer at a time overwrites.

    The lock belongs to the open file, so the system drops it however the process ends. Where the
    file system has no locks, and on Windows from 2 GiB on, the file is not protected.

    Args:
        path: the file.

    Raises:
        RunFileError: where another writer, in this process or another, holds the file.
        OSError: where the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("r+b", buffering=0)
        try:
            self._lock()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
                self._stream.close()
                raise RunFileError(f"{path}: in use by another writer") from error

    def _lock(self) -> None:
        if sys.platform == "win32":
            import msvcrt

            if self._stream.seek(0, os.SEEK_END) <= _LOCK_OFFSET:
                self._stream.seek(_LOCK_OFFSET)
                msvcrt.locking(self._stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(self._stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write_at(self, offset: int, data: memoryview) -> None:
        """Overwrite the bytes from `offset` on.

        Raises:
            OSError: where they cannot be written; the first ones may be.
        """
        self._stream.seek(offset)
        rest = data.cast("B")
        while rest:
            # Unbuffered: a disk that fills up takes a part first and refuses the rest.
            rest = rest[self._stream.write(rest) :]

    def force(self) -> None:
        """Return when everything written so far is on the disk."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file and let others write it. Idempotent."""
        if sys.platform == "win32" and not self._stream.closed:
            import msvcrt

            with contextlib.suppress(OSError):
                self._stream.seek(_LOCK_OFFSET)
                msvcrt.locking(self._stream.fileno(), msvcrt.LK_UNLCK, 1)
        self._stream.close()


class Place:
    """The bytes of one contiguous dataset.

    Args:
        dataset: says where they are; it may be closed afterwards.
        target: the file they are in.

    Raises:
        ValueError: for a dataset that has no place of its full size.

    Attributes:
        shape: of the dataset.
        dtype: of the dataset, byte order included.
        fill: what stands where nothing was written.
    """

    def __init__(self, dataset: h5py.Dataset, target: InPlaceFile) -> None:
        offset = dataset.id.get_offset()
        if offset is None or dataset.id.get_storage_size() != dataset.nbytes:
            raise ValueError(f"{dataset.name}: not preallocated in one piece")
        self.shape: tuple[int, ...] = dataset.shape
        self.dtype: np.dtype[Any] = dataset.dtype
        self.fill: Any = dataset.fillvalue
        self._offset = int(offset)
        self._row_bytes = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        self._end = self._offset + int(dataset.nbytes)
        self._target = target

    def write(self, values: ArrayLike, start: int = 0) -> None:
        """Overwrite rows from `start` on, one number or the whole.

        Raises:
            ValueError: for rows beyond the end.
            OSError: where they cannot be written.
        """
        data = np.ascontiguousarray(values, dtype=self.dtype)
        offset = self._offset + start * self._row_bytes
        if not self._offset <= offset <= offset + data.nbytes <= self._end:
            raise ValueError(f"row {start}: beyond the end of a dataset of shape {self.shape}")
        if data.nbytes:
            self._target.write_at(offset, data.view(np.uint8).data)
