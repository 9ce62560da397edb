"""What stands where in a run file. `docs/run-files.md` says the same to a user of plain h5py.

Every dataset has its final size from the start (contiguous, allocated early, filled), so a run
changes no metadata and the file is readable at every moment.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hilep.checkpoint import EMPTY_HEAD, HEAD, SLOTS, STATE_BYTES
from hilep.config import Config
from hilep.durable import reason
from hilep.errors import BadInputError, RunFileError
from hilep.network import Network
from hilep.provenance import installed_version
from hilep.runtables import COLUMNS, due

FORMAT = "hilep run"
FORMAT_VERSION = 1
VERDICT_BYTES = 512
RESULTS = {"test_accuracy": "1", "test_loss": "V^2", "seconds": "s", "updates": "1"}
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def lay_out(
    file: h5py.File,
    config: Config,
    network: Network,
    dtype: np.dtype[Any],
    provenance: dict[str, Any],
    owing: bool = False,
) -> None:
    """Write every dataset and attribute of a new run file.

    Raises:
        BadInputError: for provenance that is not JSON.
    """
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["hilep_version"] = installed_version("hilep") or "not installed"
    file.attrs["run_id"] = uuid.uuid4().hex
    file.attrs["layers"] = np.array(network.layers, dtype="<i8")
    _text(file, "config", json.dumps(json.loads(config.to_json()), indent=1, sort_keys=True))
    try:
        text = json.dumps(provenance, indent=1)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"provenance: expected plain JSON values: {error}") from error
    _text(file, "provenance", text)
    for key, value in provenance.items():
        small = isinstance(value, int) and abs(value) < 2**63
        if small or isinstance(value, float) or (isinstance(value, str) and len(value) < 4096):
            file["provenance"].attrs[key] = (
                value.encode("utf-8", "backslashreplace").decode()
                if isinstance(value, str)
                else value
            )

    for name, columns in COLUMNS.items():
        table = file.create_group(name)
        rows = due(name, config.training).shape
        _whole(
            table, "update", rows, "<i8", -1,
            unit="1", description="updates done; -1 where the row is not written",
        )  # fmt: skip
        for column, (unit, description) in columns.items():
            kind, fill = ("<i8", -1) if column == "classes" else ("<f8", np.nan)
            _whole(table, column, rows, kind, fill, unit=unit, description=description)

    for slot in range(SLOTS):
        group = file.create_group(f"checkpoints/{slot}")
        _whole(
            group, "head", (), HEAD, EMPTY_HEAD,
            description="the valid slot with the greater serial is the newest",
        )  # fmt: skip
        arrays = {"conductances": dtype.newbyteorder("<")}
        if owing:
            arrays["owed"] = np.dtype("<f8")
        for name, stored in arrays.items():
            for layer, shape in enumerate(network.shapes):
                _whole(
                    group, f"{name}/{layer}", shape, stored, np.nan,
                    unit="S", axes="n_pre, n_post",
                )  # fmt: skip
        _whole(
            group,
            "bias_currents",
            (network.free_nodes,),
            "<f8",
            np.nan,
            unit="A",
            axes="n_free",
        )
        _whole(
            group,
            "state",
            (STATE_BYTES,),
            "u1",
            0,
            description="JSON, UTF-8, the first head['state_bytes'] bytes",
        )

    result = file.create_group("result")
    _whole(result, "finished", (), "u1", 0, description="1 once verdict and results hold")
    _whole(
        result,
        "verdict",
        (),
        h5py.string_dtype("utf-8", VERDICT_BYTES),
        None,
        description="how the run ended",
    )
    for name, unit in RESULTS.items():
        _whole(result, name, (), "<f8", np.nan, unit=unit)


def _whole(
    group: h5py.Group, name: str, shape: tuple[int, ...], dtype: Any, fill: Any, **attributes: str
) -> None:
    """Create a dataset at its final size, its bytes on the disk; h5py's own call cannot."""
    kind = np.dtype(dtype)
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.CONTIGUOUS)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_ALLOC)
    plan.set_obj_track_times(False)
    if fill is not None:
        plan.set_fill_value(np.array(fill, dtype=kind))
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    h5py.h5d.create(
        group.id, name.encode(), h5py.h5t.py_create(kind, logical=True),
        h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR),
        plan, lcpl=links,
    )  # fmt: skip
    group[name].attrs.update(attributes)


def _text(file: h5py.File, name: str, text: str) -> None:
    """Store text as one fixed-length UTF-8 string, which no 64 KiB limit of attributes meets."""
    data = text.encode()
    _whole(file, name, (), h5py.string_dtype("utf-8", len(data)), None, media_type="JSON")
    file[name][()] = data


def text_of(dataset: h5py.Dataset) -> str:
    """Return the text of a fixed-length UTF-8 string dataset."""
    return str(dataset.asstr()[()])


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever damage makes h5py raise into one line.

    Raises:
        RunFileError: for any exception but its own kind.
    """
    try:
        yield
    except RunFileError:
        raise
    except Exception as error:
        raise RunFileError(f"{path}: damaged run file: {reason(error)}") from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a run file of this version for reading, also while a writer is live.

    Raises:
        RunFileError: where there is none, or it is something else, truncated or damaged.
    """
    if path.is_dir():
        raise RunFileError(f"{path}: a folder, not a run file")
    try:
        stream = path.open("rb")
    except FileNotFoundError as error:
        raise RunFileError(f"{path}: no such file") from error
    except OSError as error:
        raise RunFileError(f"{path}: cannot be read: {reason(error)}") from error
    with stream:
        if stream.read(len(_SIGNATURE)) != _SIGNATURE:
            raise RunFileError(f"{path}: not an HDF5 file, so not a run file")
        try:
            # Through a stream HDF5 takes no lock, whatever the environment says, and shares no
            # buffers with another reader in this process.
            file = h5py.File(stream, "r")
        except Exception as error:
            if "truncated file" in str(error):
                raise RunFileError(f"{path}: truncated: the end of the file is missing") from error
            raise RunFileError(f"{path}: damaged HDF5 file: {reason(error)}") from error
        with file:
            with reading(path):
                _check(path, file)
            yield file


def _check(path: Path, file: h5py.File) -> None:
    """Raise RunFileError unless `file` is a run file of this version."""
    if file.attrs.get("format") != FORMAT:
        raise RunFileError(f"{path}: an HDF5 file, but not a run file")
    version = file.attrs.get("format_version")
    if version != FORMAT_VERSION:
        raise RunFileError(
            f"{path}: run file format {version}, this hilep reads format {FORMAT_VERSION}"
        )
