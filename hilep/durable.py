"""HDF5 files that are whole or absent, and storage errors in one line."""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from hilep.errors import StorageError


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

    Raises:
        OSError: where `path` is a device, a pipe or a folder, or the file cannot be written.
    """
    _require_file_or_nothing(path)
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


def _require_file_or_nothing(path: Path) -> None:
    # Whoever may write there would replace a device such as /dev/null for the whole system.
    if path.exists() and not path.is_file():
        raise OSError("there is something that is no file")


def require_writable(path: Path) -> None:
    """Make sure that a file can be written at `path`, before there is anything to lose.

    Raises:
        StorageError: where it cannot.
    """
    with storing(str(path)):
        _require_file_or_nothing(path)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


@contextlib.contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file, open for writing, that takes the name `path` when it is whole.

    Its metadata carry checksums, and no flag that a killed reader or writer could leave behind.

    Raises:
        OSError: where it cannot be written; nothing is left then.
    """
    with replacing(path) as temporary, _Uncomplaining(temporary, "x+b") as stream:
        with h5py.File(stream, "w", libver=("v108", "v108")) as file:
            yield file
        if stream.failure is not None:
            raise stream.failure


@contextlib.contextmanager
def new_small_hdf5(path: Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file in memory that is written to `path`, in one piece, when it is whole.

    Raises:
        OSError: where it cannot be written; nothing is left then.
    """
    _require_file_or_nothing(path)
    version = ("v108", "v108")
    with h5py.File(path.name, "w", driver="core", backing_store=False, libver=version) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with replacing(path) as temporary:
        temporary.write_bytes(image)


class _Uncomplaining(io.FileIO):
    """A stream that keeps the first failure to write for later and goes on.

    HDF5 cannot let go of a file that it cannot write: it tries again when each of its objects is
    closed, and once more when the process ends. An interruption within a write, passed on to it,
    can end the process.
    """

    failure: BaseException | None = None

    def write(self, data: Any) -> int:
        whole = memoryview(data).cast("B")
        rest = whole
        while rest and self.failure is None:
            try:
                rest = rest[super().write(rest) :]
            except BaseException as error:
                self.failure = error
        return len(whole)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except BaseException as error:
            self.failure = self.failure or error
            return size or 0
