"""Files that are whole or absent, one writer at a time, and storage errors in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

from hilep.errors import RunFileError, StorageError

_LOCK_OFFSET = 2**62
"""Where Windows locks a byte: far beyond the data, because its locks refuse reads as well."""


@contextlib.contextmanager
def storing(what: str, kept: str = "") -> Iterator[None]:
    """Turn a failure to write into one line.

    Args:
        what: the kind and path of the file.
        kept: what the message adds about data that is safe.

    Raises:
        StorageError: for any `OSError`, or the `RuntimeError` that h5py makes of one.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise StorageError(f"{what}: cannot be written: {reason(error)}{kept}") from error


def reason(error: BaseException) -> str:
    """Return the system's words for an error, which h5py may hold as a number in its text."""
    number = getattr(error, "errno", None)
    found = re.search(r"errno = (\d+)", str(error))
    if number is None and found:
        number = int(found[1])
    if number:
        return os.strerror(number)
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; what is there afterwards becomes `path`.

    The file is forced to disk before it takes its name, and the folder after it where the system
    can. On any failure the temporary file is removed and `path` stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    # Windows cannot open a folder, and some network file systems cannot force one.
    with contextlib.suppress(OSError):
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class WriterLock:
    """The right to write an existing file, and the means to force it to disk.

    The lock belongs to the open file, so the system drops it however the process ends. Where the
    file system has no locks the file is not protected.

    Raises:
        RunFileError: where another writer, in this process or another, holds the file.
        OSError: where the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            self._lock()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
                self.release()
                raise RunFileError(f"{path}: in use by another writer") from error

    def _lock(self) -> None:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(self._descriptor, _LOCK_OFFSET, os.SEEK_SET)
            msvcrt.locking(self._descriptor, msvcrt.LK_NBLCK, 1)
        elif not _hdf5_locks():
            import fcntl

            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def force(self) -> None:
        """Return when everything written to the file so far is on the disk."""
        os.fsync(self._descriptor)

    def release(self) -> None:
        """Let others write the file. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _hdf5_locks() -> bool:
    """Return whether the environment makes HDF5 lock, whatever it is told when it opens a file."""
    # HDF5 would meet our own lock on the same file and refuse it.
    return os.environ.get("HDF5_USE_FILE_LOCKING", "").upper() in ("TRUE", "1", "BEST_EFFORT")
