"""Run files: one HDF5 file per training run that opens and resumes after `kill -9` at any moment.

HDF5 writes the file once, at its final size. From then on rows and checkpoints overwrite bytes in
place, and HDF5 only reads. `docs/run-files.md` is the schema.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from hilep.arrays import Floats
from hilep.checkpoint import SLOTS, Checkpoint, SlotWriter, newest
from hilep.config import Config
from hilep.durable import new_hdf5, reason, storing
from hilep.errors import BadInputError, RunFileError, StorageError
from hilep.inplace import InPlaceFile, Place
from hilep.network import Network
from hilep.runlayout import RESULTS, VERDICT_BYTES, lay_out, opened, reading, text_of
from hilep.runrecord import RunRecord, read_run
from hilep.runtables import COLUMNS, TableWriter

__all__ = ["Checkpoint", "RunFile", "RunRecord", "read_run"]


def require_vacant(path: Path, overwrite: bool) -> None:
    """Refuse a name under which no run file can be created.

    Raises:
        RunFileError: for a folder, a file that is there, a folder that is not, or a name that the
            file system does not take.
    """
    try:
        there, folder = path.exists(), path.is_dir()
    except (OSError, ValueError) as error:
        raise RunFileError(f"{path}: no name of a file: {error}") from error
    if folder:
        raise RunFileError(f"{path}: a folder; expected the name of a file")
    if not path.parent.is_dir():
        raise RunFileError(f"{path}: the folder {path.parent} is not there")
    if there and not overwrite:
        raise RunFileError(
            f"{path}: already there; go on with --resume, or give another name with --out"
        )


class RunFile:
    """The writer of a run file. Use `create` or `resume`, and as a context manager.

    After a write that failed every further write raises the same `StorageError`; what was saved
    before stays readable.

    Attributes:
        path: where the file is.
        config: the configuration of the run.
    """

    path: Path
    config: Config

    def __init__(self, path: Path, target: InPlaceFile) -> None:
        self.path = path
        self._target = target
        self._failure: StorageError | None = None
        with opened(path) as file, reading(path):
            self.config = Config.from_json(text_of(file["config"]))
            found = newest(file, path)
            self._slot, self._serial = found.slot, found.serial
            self._saved = -1 if found.checkpoint is None else found.checkpoint.update
            self._slots = [SlotWriter(file[f"checkpoints/{k}"], target) for k in range(SLOTS)]
            self._tables = {
                name: TableWriter(file[name], self.config.training, target) for name in COLUMNS
            }
            self._result = {name: Place(item, target) for name, item in file["result"].items()}

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        config: Config,
        network: Network,
        dtype: np.dtype[Any],
        provenance: dict[str, Any],
        overwrite: bool = False,
        owing: bool = False,
    ) -> RunFile:
        """Create a run file at its final size and open it for writing.

        Args:
            path: where; its folder must exist.
            config: the configuration, stored as text.
            network: whose shapes the checkpoints have.
            dtype: type of the device's conductances.
            provenance: plain JSON values; see `hilep.provenance`.
            overwrite: whether a file that is there is replaced.
            owing: whether checkpoints hold what cells are owed; see `Crossbar.owed`.

        Raises:
            RunFileError: for a file that is there, or its folder that is not.
            StorageError: for a full disk or a folder that cannot be written; nothing is left.
        """
        path = Path(path)
        require_vacant(path, overwrite)
        with storing(f"run file {path}"):
            if path.exists():
                InPlaceFile(path).close()
            with new_hdf5(path) as file:
                lay_out(file, config, network, np.dtype(dtype), provenance, owing)
        return cls._open(path)

    @classmethod
    def resume(cls, path: Path) -> RunFile:
        """Open a run file to go on from its newest valid checkpoint.

        Rows later than that checkpoint are emptied, and so is the verdict unless all updates were
        done. Without a checkpoint the run starts from its beginning.

        Raises:
            RunFileError: for a file that is not there, is not a run file of this version, is
                truncated or damaged, holds no valid checkpoint, or has another writer.
            StorageError: where it cannot be written.
        """
        run = cls._open(Path(path))
        try:
            run._forget()
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def _open(cls, path: Path) -> RunFile:
        # Looked at before it is locked, so that what is not a run file says so first.
        with opened(path):
            pass
        with storing(f"run file {path}"):
            target = InPlaceFile(path)
        try:
            return cls(path, target)
        except BaseException:
            target.close()
            raise

    def record(self, update: int, loss: float, error: float, rate: float) -> None:
        """Write one row of the training curve. What is due at an update goes before its checkpoint.

        Args:
            update: updates done: a multiple of `logged_every`, or all of them.
            loss: volts squared.
            error: fraction misclassified.
            rate: the schedule's factor.

        Raises:
            BadInputError: for an update without a row.
            StorageError: where it cannot be written.
        """
        self._row("curve", update, {"loss": loss, "error": error, "rate": rate})

    def record_evaluation(
        self, update: int, accuracy: float, loss: float, silent: float, classes: int
    ) -> None:
        """Write one look at the validation split.

        Args:
            update: updates done: 0, a multiple of `evaluated_every`, or all of them.
            accuracy: fraction classified correctly.
            loss: volts squared.
            silent: fraction of hidden nodes that no image moves.
            classes: number of different classes among the predictions.

        Raises:
            BadInputError: for an update without a row.
            StorageError: where it cannot be written.
        """
        self._row(
            "evaluations",
            update,
            {"accuracy": accuracy, "loss": loss, "silent": silent, "classes": classes},
        )

    def save(
        self,
        update: int,
        conductances: Sequence[Floats],
        bias_currents: Floats,
        state: dict[str, Any],
        owed: Sequence[Floats] | None = None,
    ) -> None:
        """Write a checkpoint over the older of the two, and force it to disk.

        Args:
            update: number of updates done.
            conductances: siemens, one (n_pre, n_post) per layer, in any memory order.
            bias_currents: amperes (n_free,).
            state: plain JSON values, up to 64 KiB of text.
            owed: as `conductances`, in a file created with `owing`.

        Raises:
            BadInputError: for a wrong shape, a type that the file would round, or other state.
            StorageError: where it cannot be written; the newer checkpoint is kept.
        """
        slot = (self._slot + 1) % SLOTS
        checked = self._slots[slot].checked(conductances, bias_currents, state, owed)
        with self._writing():
            self._slots[slot].write(self._serial + 1, update, checked)
            self._target.force()
        self._slot, self._serial, self._saved = slot, self._serial + 1, update

    def latest(self) -> Checkpoint | None:
        """Return the newest valid checkpoint, or None before the first.

        Raises:
            RunFileError: where checkpoints were saved and none is valid.
        """
        with opened(self.path) as file, reading(self.path):
            return newest(file, self.path).checkpoint

    def finish(self, verdict: str, results: Mapping[str, float]) -> None:
        """Write how the run ended.

        Args:
            verdict: one line, such as "done"; beyond 512 bytes it ends with an ellipsis.
            results: any of test_accuracy, test_loss (V^2), seconds, updates.

        Raises:
            BadInputError: for another result.
            StorageError: where it cannot be written.
        """
        unknown = sorted(set(results) - set(RESULTS))
        if unknown:
            raise BadInputError(f"results: expected {', '.join(RESULTS)}; got {unknown[0]!r}")
        text = verdict.encode("utf-8", "backslashreplace")
        if len(text) > VERDICT_BYTES:
            mark = "…".encode()
            text = text[: VERDICT_BYTES - len(mark)].decode("utf-8", "ignore").encode() + mark
        with self._writing():
            self._write_result(text, results)
            self._result["finished"].write(1)
            self._target.force()

    def _write_result(self, verdict: bytes, results: Mapping[str, float]) -> None:
        self._result["finished"].write(0)
        self._result["verdict"].write(verdict)
        for name in RESULTS:
            self._result[name].write(results.get(name, np.nan))

    def _row(self, table: str, update: int, values: Mapping[str, float]) -> None:
        row = self._tables[table].row_of(update)
        with self._writing():
            self._tables[table].write(row, values)

    def _forget(self) -> None:
        """Empty the rows later than the checkpoint, and the verdict of an unfinished run."""
        with self._writing():
            for table in self._tables.values():
                table.empty_after(self._saved)
            if self._saved < self.config.training.updates:
                self._write_result(b"", {})

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        if self._failure is not None:
            raise self._failure
        kept = ""
        if self._saved >= 0:
            kept = f"; what was saved at update {self._saved} is kept"
        try:
            with storing(f"run file {self.path}", kept):
                yield
        except StorageError as error:
            self._failure = error
            raise

    def close(self) -> None:
        """Close the file and let others write it. Idempotent.

        Raises:
            StorageError: where the last bytes cannot be written and no write has failed before.
        """
        try:
            self._target.close()
        except OSError as error:
            if self._failure is None:
                raise StorageError(
                    f"run file {self.path}: cannot be closed: {reason(error)}"
                ) from error

    def __enter__(self) -> RunFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
