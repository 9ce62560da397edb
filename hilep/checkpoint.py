"""Checkpoints: two slots in a run file, each one unit that is whole by its CRC or not there.

A slot is overwritten in an order that leaves the other one as the newest valid checkpoint until the
last write: head invalid, data, head with CRC.
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
from hilep.inplace import InPlaceFile, Place

STATE_BYTES = 65536
SLOTS = 2
BLOCK_BYTES = 262144
"""Rows are copied in blocks of this size: a device's arrays stand the other way round in memory,
and a copy of a whole layer would double it."""

# The flag comes last: a head that was cut short is an invalid one.
HEAD = np.dtype(
    [("serial", "<i8"), ("update", "<i8"), ("state_bytes", "<i8"), ("crc", "<u4"), ("valid", "u1")]
)
EMPTY_HEAD = np.array((-1, -1, 0, 0, 0), dtype=HEAD)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that a resume needs.

    Attributes:
        update: number of updates done.
        conductances: siemens, one (n_pre, n_post) per layer.
        bias_currents: amperes (n_free,).
        state: plain JSON values, such as the state of generators.
        owed: siemens, one (n_pre, n_post) per layer, of a device that owes; see `Crossbar.owed`.
    """

    update: int
    conductances: list[Floats]
    bias_currents: Doubles
    state: dict[str, Any]
    owed: list[Floats] | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """A checkpoint in the form in which a slot stores it."""

    conductances: list[Floats]
    owed: list[Floats]
    bias_currents: Doubles
    state: bytes


def read_slot(group: h5py.Group) -> Checkpoint | None:
    """Return the checkpoint in a slot, or None where its head or its CRC does not hold."""
    head = group["head"][()]
    serial, update, length = (int(head[k]) for k in ("serial", "update", "state_bytes"))
    if head["valid"] != 1 or not 0 <= length <= STATE_BYTES:
        return None
    crc = _crc_of_head(serial, update, length)
    conductances: list[Floats] = []
    owed: list[Floats] = []
    for name, arrays in (("conductances", conductances), ("owed", owed)):
        for layer in range(len(group[name]) if name in group else 0):
            array = group[f"{name}/{layer}"][...]
            crc = zlib.crc32(array.data, crc)
            arrays.append(array.astype(array.dtype.newbyteorder("="), copy=False))
    bias = group["bias_currents"][...]
    state = group["state"][:length].tobytes()
    if zlib.crc32(state, zlib.crc32(bias.data, crc)) != head["crc"]:
        return None
    return Checkpoint(
        update, conductances, bias.astype(np.float64), json.loads(state), owed or None
    )


@dataclass(frozen=True, slots=True)
class Newest:
    """Which slot holds the newest valid checkpoint.

    Attributes:
        slot: 0 or 1; -1 before the first checkpoint.
        serial: its serial; -1 before the first checkpoint.
        checkpoint: the newest valid one, or None before the first.
    """

    slot: int
    serial: int
    checkpoint: Checkpoint | None


def newest(file: h5py.File, path: Path) -> Newest:
    """Return the newest valid checkpoint of a run file.

    Raises:
        RunFileError: where checkpoints were completed and none is valid.
    """
    groups = [file[f"checkpoints/{slot}"] for slot in range(SLOTS)]
    heads = [group["head"][()] for group in groups]
    marked = [slot for slot, head in enumerate(heads) if head["valid"]]
    for slot in sorted(marked, key=lambda slot: int(heads[slot]["serial"]), reverse=True):
        checkpoint = read_slot(groups[slot])
        if checkpoint is not None:
            return Newest(slot, int(heads[slot]["serial"]), checkpoint)
    if marked:
        raise RunFileError(f"{path}: no valid checkpoint: the data do not match their checksum")
    return Newest(-1, -1, None)


class SlotWriter:
    """Writes one of the two places for a checkpoint, the group `checkpoints/0` or `checkpoints/1`.

    Args:
        group: the group.
        target: the file.
    """

    def __init__(self, group: h5py.Group, target: InPlaceFile) -> None:
        self._target = target
        self._head = Place(group["head"], target)
        self._conductances, self._owed = (
            [
                Place(group[f"{name}/{layer}"], target)
                for layer in range(len(group[name]) if name in group else 0)
            ]
            for name in ("conductances", "owed")
        )
        self._bias_currents = Place(group["bias_currents"], target)
        self._state = Place(group["state"], target)

    def write(self, serial: int, update: int, contents: Contents) -> None:
        """Replace what the slot holds.

        Args:
            serial: greater than that of every earlier checkpoint.
            update: number of updates done.
            contents: what `checked` returned.
        """
        bias_currents, state = contents.bias_currents, contents.state
        self._head.write(EMPTY_HEAD)
        crc = _crc_of_head(serial, update, len(state))
        for arrays, places in (
            (contents.conductances, self._conductances),
            (contents.owed, self._owed),
        ):
            for array, place in zip(arrays, places, strict=True):
                crc = _write_rows(array, place, crc)
        self._bias_currents.write(bias_currents)
        self._state.write(np.frombuffer(state, dtype=np.uint8))
        crc = zlib.crc32(state, zlib.crc32(bias_currents.data, crc))
        # On the disk before the head says that they are: a disk may write in any order.
        self._target.force()
        self._head.write(np.array((serial, update, len(state), crc, 1), dtype=HEAD))

    def checked(
        self,
        conductances: Sequence[Floats],
        bias_currents: Floats,
        state: dict[str, Any],
        owed: Sequence[Floats] | None = None,
    ) -> Contents:
        """Return what `write` stores, no conductance copied.

        Raises:
            BadInputError: for another shape, a type that the file would round, state that is not
                JSON, or state larger than its place.
        """
        arrays = _fitting(conductances, self._conductances, "conductances")
        debts = _fitting(owed or (), self._owed, "what is owed")
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
        return Contents(arrays, debts, bias, text)


def _fitting(given: Sequence[Floats], places: Sequence[Place], what: str) -> list[Floats]:
    """Return arrays that fit their places without being rounded, or raise BadInputError."""
    arrays = [np.asanyarray(array) for array in given]
    shapes = [array.shape for array in arrays]
    if shapes != [place.shape for place in places]:
        raise BadInputError(
            f"checkpoint: expected {what} of shapes {[place.shape for place in places]}, "
            f"got {shapes}"
        )
    for array, place in zip(arrays, places, strict=True):
        if not np.can_cast(array.dtype, place.dtype, "safe"):
            raise BadInputError(f"checkpoint: expected {what} as {place.dtype}, got {array.dtype}")
    return arrays


def _crc_of_head(serial: int, update: int, state_bytes: int) -> int:
    return zlib.crc32(struct.pack("<qqq", serial, update, state_bytes))


def _write_rows(array: Floats, place: Place, crc: int) -> int:
    """Write an array (n_pre, n_post) of any memory order and return the CRC with it included."""
    rows, columns = place.shape
    step = max(1, min(rows, BLOCK_BYTES // (columns * place.dtype.itemsize)))
    buffer = np.empty((step, columns), dtype=place.dtype)
    for start in range(0, rows, step):
        block = buffer[: min(step, rows - start)]
        block[...] = array[start : start + step]
        place.write(block, start)
        crc = zlib.crc32(block.data, crc)
    return crc
