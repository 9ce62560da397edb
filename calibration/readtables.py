"""Tables of reads from files: CSV, numpy's .npy, and datasets of HDF5 files."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilep.arrays import Doubles
from hilep.durable import reason
from hilep.errors import BadInputError

DATASET = "::"
"""Between the name of an HDF5 file and that of a dataset in it."""


@dataclass(frozen=True, slots=True)
class ReadTable:
    """Reads of some nodes.

    Attributes:
        volts: (reads, nodes) in the order taken; NaN where the file says so.
        names: of the nodes.
    """

    volts: Doubles
    names: tuple[str, ...]


def read_table(where: str) -> ReadTable:
    """Return the table in a file: a row for each read, a column for each node, volts.

    A CSV file may begin with a line of names. Its numbers have a decimal point; columns are
    separated by commas, semicolons or tabs. Of an HDF5 file with several tables one is named as
    `FILE.h5::DATASET`.

    Raises:
        BadInputError: for a file that is not there or holds no such table, with line and column.
    """
    name, _, dataset = where.partition(DATASET)
    path = Path(name)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not there"
        raise BadInputError(f"{path}: {what}, expected a file of reads")
    suffix = path.suffix.lower()
    try:
        if suffix in (".h5", ".hdf5"):
            return _numbered(_from_hdf5(path, dataset), where)
        if dataset:
            raise BadInputError(f"{where}: only an HDF5 file has datasets")
        if suffix == ".npy":
            return _numbered(np.load(path, allow_pickle=False), where)
        if suffix in (".csv", ".txt", ".tsv"):
            return _from_csv(path)
    except BadInputError:
        raise
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: cannot be read: {reason(error)}") from error
    raise BadInputError(f"{path}: expected a name that ends in .csv, .txt, .tsv, .npy or .h5")


def _numbered(values: object, where: str) -> ReadTable:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2) or array.size == 0:
        raise BadInputError(
            f"{where}: expected volts (reads, nodes), got {array.dtype} of shape {array.shape}"
        )
    volts = array.astype(np.float64).reshape(array.shape[0], -1)
    return ReadTable(volts, tuple(str(node) for node in range(volts.shape[1])))


def _from_hdf5(path: Path, dataset: str) -> object:
    import h5py

    if not h5py.is_hdf5(path):
        raise BadInputError(f"{path}: not an HDF5 file")
    with h5py.File(path, "r", locking=False) as file:
        tables: list[str] = []

        def note(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset) and item.ndim == 2 and item.dtype.kind in "fiu":
                tables.append(name)

        file.visititems(note)
        if dataset:
            if not isinstance(file.get(dataset), h5py.Dataset):
                raise BadInputError(
                    f"{path}: no dataset {dataset!r}, its tables are: {', '.join(tables) or 'none'}"
                )
            return file[dataset][()]
        if len(tables) != 1:
            raise BadInputError(
                f"{path}: expected one table of reads, or {path}{DATASET}DATASET; it has "
                + (", ".join(tables) or "none")
            )
        return file[tables[0]][()]


def _from_csv(path: Path) -> ReadTable:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        text = stream.read()
    first = text.partition("\n")[0]
    delimiter = next((mark for mark in ";\t," if mark in first), ",")
    names: tuple[str, ...] | None = None
    rows: list[list[float]] = []
    width, begun = 0, False
    lines = csv.reader(text.splitlines(), delimiter=delimiter)
    for line in lines:
        where = f"{path}, line {lines.line_num}"
        if not any(cell.strip() for cell in line):
            continue
        # Numbers with a decimal comma are no names.
        if not begun and not any(_is_number(cell.replace(",", ".")) for cell in line):
            names, width, begun = tuple(cell.strip() for cell in line), len(line), True
            continue
        width, begun = width or len(line), True
        if len(line) != width:
            raise BadInputError(f"{where}: {len(line)} columns, expected {width} as before")
        for column, cell in enumerate(line, start=1):
            if not _is_number(cell):
                raise BadInputError(f"{where}, column {column}: expected volts, got {cell!r:.40}")
        rows.append([float(cell) for cell in line])
    if not rows:
        raise BadInputError(f"{path}: no reads in it")
    return ReadTable(np.array(rows), names or tuple(str(node) for node in range(width)))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # which Python takes and no instrument writes
