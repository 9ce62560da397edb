"""Raw reads on request: closed segment files beside a run, `RUN.reads/000000.h5` and on.

A run's raw reads have no bound, so they cannot be preallocated. Each segment is written under
another name and appears whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hilep.durable import new_hdf5, storing
from hilep.errors import BadInputError, RunFileError
from hilep.network import Network
from hilep.reading import Contrast, Reading
from hilep.runlayout import opened, reading

PHASES = ("first", "second")
FORMAT = "hilep raw reads"
FORMAT_VERSION = 1
_UNITS = {"update": "1", "variance": "V^2", "amps": "A", "time_s": "s", "status": "bit field"}
_AXES = {
    "inputs": "update, batch, n_in",
    "free_outputs": "update, batch, n_out",
    "amps": "update, batch, n_out",
    "volts": "update, read, batch, node",
}


@dataclass(slots=True)
class _Segment:
    """Reads that will share a file: the same fields, shapes and types for every update."""

    updates: list[int] = field(default_factory=list)
    rows: list[dict[str, np.ndarray[Any, Any]]] = field(default_factory=list)
    size: int = 0


class RawReads:
    """The writer of a run's raw reads.

    Reads wait in memory until a segment is full. Call `flush` before each checkpoint: what waits
    when the process is killed is then done again by the resumed run.

    Args:
        run_path: the run file, which must be there.
        network: whose nodes are read.
        segment_bytes: size at which a segment is written.

    Raises:
        RunFileError: for a run file that cannot be read, or a folder with reads of another run.
        StorageError: where the folder cannot be made.
    """

    def __init__(self, run_path: Path, network: Network, segment_bytes: int = 2**26) -> None:
        self.folder = reads_folder(Path(run_path))
        self._network = network
        self._segment_bytes = segment_bytes
        self._run_id = _run_id(Path(run_path))
        self._last = -1
        with storing(f"raw reads {self.folder}"):
            self.folder.mkdir(exist_ok=True)
        there = _segments(self.folder)
        for path in there[-1:]:
            _open_segment(path, self._run_id).close()
        self._number = int(there[-1].stem) + 1 if there else 0
        self._segment = _Segment()

    def append(self, update: int, contrast: Contrast) -> None:
        """Keep the reads of one update.

        Where a reading holds no samples and cannot draw them again, its mean and, if it has one,
        its variance are kept instead, and the file says so.

        Args:
            update: the number of the update (from 0) that the reads led to; ascending.
            contrast: the reads of both phases.

        Raises:
            BadInputError: for an update not after the last one, or another network's reads.
            StorageError: where a full segment cannot be written.
        """
        if update <= self._last:
            raise BadInputError(f"raw reads: update {update} after update {self._last}")
        nodes = (contrast.inputs.shape[-1], contrast.first.mean.shape[-1])
        if nodes != (self._network.inputs, self._network.free_nodes):
            raise BadInputError(
                f"raw reads: expected {self._network.inputs} inputs and "
                f"{self._network.free_nodes} free nodes, got {nodes[0]} and {nodes[1]}"
            )
        # Copies: a device may use its arrays again for the next batch.
        row = {name: np.array(values) for name, values in _fields(contrast)}
        if self._segment.rows and _form(row) != _form(self._segment.rows[0]):
            self.flush()
        self._segment.updates.append(update)
        self._segment.rows.append(row)
        self._segment.size += sum(values.nbytes for values in row.values())
        self._last = update
        if self._segment.size >= self._segment_bytes:
            self.flush()

    def flush(self) -> None:
        """Write what waits in memory as a segment.

        Raises:
            StorageError: where it cannot be written; earlier segments are kept.
        """
        segment = self._segment
        if not segment.rows:
            return
        path = self.folder / f"{self._number:06d}.h5"
        with (
            storing(f"raw reads {path}", "; earlier segments are kept"),
            new_hdf5(path) as file,
        ):
            file.attrs["format"] = FORMAT
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["run_id"] = self._run_id
            file["update"] = np.array(segment.updates, dtype="<i8")
            for name, values in segment.rows[0].items():
                dataset = file.create_dataset(
                    name, (len(segment.rows), *values.shape), values.dtype.newbyteorder("<")
                )
                for k, row in enumerate(segment.rows):
                    dataset[k] = row[name]
                leaf = name.rpartition("/")[2]
                dataset.attrs["unit"] = _UNITS.get(leaf, "1" if leaf == "count" else "V")
                if values.ndim:
                    dataset.attrs["axes"] = _AXES.get(leaf, "update, batch, node")
            for phase in PHASES:
                group = file[phase]
                group.attrs["holds"] = (
                    "every sample"
                    if "volts" in group
                    else "mean and variance only"
                    if "variance" in group
                    else "mean only"
                )
        self._number += 1
        self._segment = _Segment()

    def close(self) -> None:
        """Write what waits in memory. Idempotent."""
        self.flush()


def read_raw_reads(run_path: Path) -> Iterator[tuple[int, Contrast]]:
    """Yield (update, contrast) in ascending order of update.

    A resumed run repeats the updates after its checkpoint: a segment supersedes every earlier one
    from its own first update on.

    Raises:
        RunFileError: for a run file, or a segment, that cannot be read or belongs to another run.
    """
    run_path = Path(run_path)
    run_id = _run_id(run_path)
    wanted: list[tuple[Path, dict[int, int]]] = []
    for path in _segments(reads_folder(run_path)):
        with _open_segment(path, run_id) as file, reading(path):
            rows = {int(update): row for row, update in enumerate(file["update"][...])}
        first = min(rows)
        for _, earlier in wanted:
            for update in [u for u in earlier if u >= first]:
                del earlier[update]
        wanted.append((path, rows))
    for path, rows in wanted:
        if rows:
            with _open_segment(path, run_id) as file:
                for update, row in rows.items():
                    with reading(path):
                        contrast = _contrast(file, row)
                    yield update, contrast


def reads_folder(run_path: Path) -> Path:
    """Return the folder of a run's raw reads: `RUN.reads` for `RUN.h5`."""
    name = run_path.stem if run_path.suffix in (".h5", ".hdf5") else run_path.name
    return run_path.with_name(f"{name}.reads")


def _segments(folder: Path) -> list[Path]:
    return sorted((p for p in folder.glob("*.h5") if p.stem.isdigit()), key=lambda p: int(p.stem))


def _run_id(run_path: Path) -> str:
    with opened(run_path) as file, reading(run_path):
        return str(file.attrs["run_id"])


def _open_segment(path: Path, run_id: str) -> h5py.File:
    """Open a segment of this run for reading."""
    with reading(path):
        file = h5py.File(path, "r", locking=False)
    try:
        with reading(path):
            form = (file.attrs.get("format"), file.attrs.get("format_version"))
            if form != (FORMAT, FORMAT_VERSION):
                raise RunFileError(f"{path}: not raw reads of format {FORMAT_VERSION}")
            if file.attrs["run_id"] != run_id:
                raise RunFileError(
                    f"{path}: holds reads of another run; move the folder {path.parent} away"
                )
    except BaseException:
        file.close()
        raise
    return file


def _form(row: dict[str, np.ndarray[Any, Any]]) -> dict[str, tuple[Any, ...]]:
    return {name: (values.shape, values.dtype) for name, values in row.items()}


def _fields(contrast: Contrast) -> Iterator[tuple[str, Any]]:
    """Yield the name and values of all that a segment stores of one update."""
    yield "inputs", contrast.inputs
    yield "free_outputs", contrast.free_outputs
    if contrast.amps is not None:
        yield "amps", contrast.amps
    for phase, reads in zip(PHASES, _every_read(contrast), strict=True):
        yield from _fields_of(phase, reads)


def _every_read(contrast: Contrast) -> tuple[Reading, Reading]:
    """Return both phases with all their samples where these can be had."""
    if contrast.first.volts is not None or contrast.blocks is None:
        return contrast.first, contrast.second
    pairs = list(contrast.sample_blocks())
    first, second = (
        _joined([pair[phase] for pair in pairs], whole)
        for phase, whole in enumerate((contrast.first, contrast.second))
    )
    return first, second


def _joined(blocks: Sequence[Reading], whole: Reading) -> Reading:
    """Return blocks of samples as one reading with the status of the whole."""
    volts = [block.volts for block in blocks if block.volts is not None]
    clamped = [
        block.clamped.volts
        for block in blocks
        if block.clamped is not None and block.clamped.volts is not None
    ]
    joined = Reading.of_samples(
        np.concatenate(volts), np.concatenate(clamped) if clamped else None, whole.time_s
    )
    return replace(joined, status=whole.status)


def _fields_of(group: str, reads: Reading) -> Iterator[tuple[str, Any]]:
    yield f"{group}/count", np.int64(reads.count)
    yield f"{group}/time_s", np.float64(reads.time_s)
    if reads.volts is not None:
        yield f"{group}/volts", reads.volts
    else:
        yield f"{group}/mean", reads.mean
        if reads.variance is not None:
            yield f"{group}/variance", reads.variance
    if group in PHASES:
        yield f"{group}/status", reads.flags
    if reads.clamped is not None:
        yield from _fields_of(f"{group}/clamped", reads.clamped)


def _contrast(file: h5py.File, row: int) -> Contrast:
    return Contrast(
        inputs=file["inputs"][row],
        first=_reading(file["first"], row),
        second=_reading(file["second"], row),
        free_outputs=file["free_outputs"][row],
        amps=file["amps"][row] if "amps" in file else None,
    )


def _reading(group: h5py.Group, row: int) -> Reading:
    """Return the reading of one update; moments of stored samples are computed again."""
    time_s = float(group["time_s"][row])
    clamped = _reading(group["clamped"], row) if "clamped" in group else None
    status = group["status"][row] if "status" in group else None
    if status is not None and not status.any():
        status = None
    if "volts" in group:
        samples = Reading.of_samples(group["volts"][row], time_s=time_s)
        return Reading(
            samples.mean, samples.count, samples.volts, samples.variance, clamped, time_s, status
        )
    return Reading(
        mean=group["mean"][row],
        count=int(group["count"][row]),
        variance=group["variance"][row] if "variance" in group else None,
        clamped=clamped,
        time_s=time_s,
        status=status,
    )
