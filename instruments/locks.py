"""A lock on an instrument, re-entrant, over the threads and the processes of one user.

Raw sockets and serial lines have no VISA lock, so that a second program could set a level between
another's level and its read. The lock is a file named after the resource in the user's part of the
temporary folder; the operating system lets go of it when its process ends, however that ends. Two
names of one instrument (its host name and its address, say) are two locks.
"""

from __future__ import annotations

import getpass
import hashlib
import re
import tempfile
import threading
from pathlib import Path

from hilep.errors import MissingExtraError, StorageError
from hilep.instruments.errors import InstrumentError

try:
    from filelock import FileLock, Timeout
except ImportError as error:
    raise MissingExtraError("a bench of instruments", "bench") from error


def lock_folder() -> Path:
    """Return the folder of this user's locks, on this machine's own disk."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = "user"
    return Path(tempfile.gettempdir()) / f"hilep-{user}" / "locks"


def lock_path(resource: str) -> Path:
    """Return the file that stands for the VISA resource `resource`, upper and lower case alike."""
    name = resource.strip().upper()
    readable = re.sub(r"[^A-Z0-9]+", "-", name)[:60].strip("-")
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return lock_folder() / f"{readable}-{digest}.lock"


class InstrumentLock:
    """Re-entrant over threads, and over processes where `resource` is not empty.

    Two sessions of one process on one resource exclude each other as well.
    """

    def __init__(self, resource: str) -> None:
        self._resource = resource
        self._thread = threading.RLock()
        self._depth = 0
        self._file: FileLock | None = None

    def acquire(self, timeout_s: float) -> None:
        """Take the lock.

        Raises:
            InstrumentError: another thread or process held it for all of `timeout_s` seconds.
            StorageError: the lock file cannot be made.
        """
        if not self._thread.acquire(timeout=timeout_s):
            raise InstrumentError(
                f"in use by another thread for {timeout_s:.3g} s", instrument=self._resource
            )
        try:
            if self._depth == 0 and self._resource:
                self._acquire_file(timeout_s)
            self._depth += 1
        except BaseException:
            self._thread.release()
            raise

    def release(self) -> None:
        """Give one acquisition back."""
        self._depth -= 1
        try:
            if self._depth == 0 and self._file is not None:
                self._file.release()
        finally:
            self._thread.release()

    def _acquire_file(self, timeout_s: float) -> None:
        if self._file is None:
            path = lock_path(self._resource)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(f"{path.parent}: no folder for locks: {error}") from error
            # Only the thread that holds the thread lock ever touches it.
            self._file = FileLock(path, thread_local=False)
        try:
            self._file.acquire(timeout=timeout_s, poll_interval=0.005)
        except Timeout as error:
            raise InstrumentError(
                f"in use by another program or session for {timeout_s:.3g} s",
                instrument=self._resource,
            ) from error
        except OSError as error:
            raise StorageError(f"{self._file.lock_file}: cannot be locked: {error}") from error
