"""Checkpoints: two slots in a run file, each one unit that is whole by its CRC or not there.

A slot is overwritten in an order that leaves the other one as the newest valid checkpoint until the
last write: head invalid, flush, data, flush, head with CRC, flush.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hilep.arrays import Doubles, Floats
from hilep.errors import BadInputError, RunFileError

STATE_BYTES = 65536
BLOCK_BYTES = 262144
"""Rows are copied in blocks of this size: a device's arrays stand the other way round in memory,
and a copy of a whole layer would double it."""

# The flag comes last: a head that was cut short is an invalid one.
HEAD = np.dtype(
    [("serial", "<i8"), ("update", "<i8"), ("state_bytes", "<i8"), ("crc", "<u4"), ("valid", "u1")]
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that a resume needs.

    Attributes:
        update: number of updates done.
        conductances: siemens, one (n_pre, n_post) per layer.
        bias_currents: amperes (n_free,).
        state: plain JSON values, such as the state of generators.
    """

    update: int
    conductances: list[Floats]
    bias_currents: Doubles
    state: dict[str, Any]


class Slot:
    """One of the two places for a checkpoint: the group `checkpoints/0` or `checkpoints/1`."""

    def __init__(self, group: h5py.Group) -> None:
        self._flush = group.file.flush
        self._head = group["head"]
        self._conductances = [
            group[f"conductances/{layer}"] for layer in range(len(group["conductances"]))
        ]
        self._bias_currents = group["bias_currents"]
        self._state = group["state"]

    def head(self) -> np.void:
        """Return the head: serial, update, state_bytes, crc, valid."""
        head: np.void = self._head[()]
        return head

    def write(self, serial: int, update: int, checked: tuple[list[Floats], Doubles, bytes]) -> None:
        """Replace what the slot holds.

        Args:
            serial: greater than that of every earlier checkpoint.
            update: number of updates done.
            checked: what `checked` returned.
        """
        conductances, bias_currents, state = checked
        self._head[()] = np.array((-1, -1, 0, 0, 0), dtype=HEAD)
        self._flush()
        crc = _crc_of_head(serial, update, len(state))
        for array, dataset in zip(conductances, self._conductances, strict=True):
            crc = _write_rows(array, dataset, crc)
        self._bias_currents[...] = bias_currents
        self._state[: len(state)] = np.frombuffer(state, dtype=np.uint8)
        crc = zlib.crc32(state, zlib.crc32(bias_currents.data, crc))
        self._flush()
        self._head[()] = np.array((serial, update, len(state), crc, 1), dtype=HEAD)
        self._flush()

    def checked(
        self, conductances: Sequence[Floats], bias_currents: Floats, state: dict[str, Any]
    ) -> tuple[list[Floats], Doubles, bytes]:
        """Return what `write` stores, no conductance copied.

        Raises:
            BadInputError: for another shape, a type that the file would round, state that is not
                JSON, or state larger than its place.
        """
        arrays = [np.asanyarray(array) for array in conductances]
        shapes = [array.shape for array in arrays]
        if shapes != [dataset.shape for dataset in self._conductances]:
            raise BadInputError(
                "checkpoint: expected conductances of shapes "
                f"{[dataset.shape for dataset in self._conductances]}, got {shapes}"
            )
        for array, dataset in zip(arrays, self._conductances, strict=True):
            if not np.can_cast(array.dtype, dataset.dtype, "safe"):
                raise BadInputError(
                    f"checkpoint: expected conductances as {dataset.dtype}, got {array.dtype}"
                )
        bias = np.ascontiguousarray(bias_currents, dtype="<f8")
        if bias.shape != self._bias_currents.shape:
            raise BadInputError(
                f"checkpoint: expected bias currents of shape {self._bias_currents.shape}, "
                f"got {bias.shape}"
            )
        try:
            text = json.dumps(state).encode()
        except (TypeError, ValueError) as error:
            raise BadInputError(f"checkpoint state: expected JSON values: {error}") from error
        if len(text) > STATE_BYTES:
            raise BadInputError(
                f"checkpoint state: expected at most {STATE_BYTES} bytes of JSON, got {len(text)}"
            )
        return arrays, bias, text

    def read(self) -> Checkpoint | None:
        """Return the checkpoint, or None where the head is invalid or the CRC does not hold."""
        head = self.head()
        serial, update, length = (int(head[k]) for k in ("serial", "update", "state_bytes"))
        if head["valid"] != 1 or not 0 <= length <= STATE_BYTES:
            return None
        crc = _crc_of_head(serial, update, length)
        conductances = []
        for dataset in self._conductances:
            array = dataset[...]
            crc = zlib.crc32(array.data, crc)
            conductances.append(array.astype(array.dtype.newbyteorder("="), copy=False))
        bias = self._bias_currents[...]
        state = self._state[:length].tobytes()
        if zlib.crc32(state, zlib.crc32(bias.data, crc)) != head["crc"]:
            return None
        return Checkpoint(update, conductances, bias.astype(np.float64), json.loads(state))


def slots_of(file: h5py.File) -> tuple[Slot, Slot]:
    """Return both slots of a run file."""
    return Slot(file["checkpoints/0"]), Slot(file["checkpoints/1"])


def newest(slots: Sequence[Slot], path: Path) -> tuple[int, Checkpoint | None]:
    """Return the index of the newest valid slot and its checkpoint.

    Returns:
        (-1, None) where no checkpoint was ever completed.

    Raises:
        RunFileError: where one was, and none is valid.
    """
    heads = [slot.head() for slot in slots]
    marked = [k for k, head in enumerate(heads) if head["valid"]]
    for k in sorted(marked, key=lambda k: int(heads[k]["serial"]), reverse=True):
        checkpoint = slots[k].read()
        if checkpoint is not None:
            return k, checkpoint
    if marked:
        raise RunFileError(f"{path}: no valid checkpoint: the data do not match their checksum")
    return -1, None


def _crc_of_head(serial: int, update: int, state_bytes: int) -> int:
    return zlib.crc32(struct.pack("<qqq", serial, update, state_bytes))


def _write_rows(array: Floats, dataset: h5py.Dataset, crc: int) -> int:
    """Write an array (n_pre, n_post) of any memory order and return the CRC with it included."""
    rows, columns = dataset.shape
    step = max(1, min(rows, BLOCK_BYTES // (columns * dataset.dtype.itemsize)))
    buffer = np.empty((step, columns), dtype=dataset.dtype)
    for start in range(0, rows, step):
        block = buffer[: min(step, rows - start)]
        block[...] = array[start : start + step]
        dataset[start : start + step] = block
        crc = zlib.crc32(block.data, crc)
    return crc
