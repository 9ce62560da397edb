"""Dataclasses as HDF5 groups and back, field by field, by the types that they state.

A number, a text or an array is a dataset; a dataclass is a group; None is absent. Many equal
dataclasses become one group of arrays with a first axis more, unequal ones numbered groups.
"""

from __future__ import annotations

import dataclasses
import datetime
import types
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import h5py
import numpy as np

from hilep.calibration import filewords
from hilep.calibration.channels import ChannelCalibration
from hilep.calibration.conductance import LayerCells
from hilep.calibration.retention import LayerRetention
from hilep.calibration.settling import StepResponse
from hilep.calibration.stepreads import StepReads

NUMBERED = (StepResponse, StepReads, ChannelCalibration, LayerCells, LayerRetention)
"""These differ in the shapes of their arrays, or are looked for one by one."""


def store(group: h5py.Group, record: Any, skip: tuple[str, ...] = ()) -> None:
    """Write every field of a dataclass into a group.

    Args:
        group: an empty one.
        record: of a dataclass.
        skip: fields to leave out.
    """
    kind: type = type(record)
    words = filewords.descriptions(kind)
    for name, hint in hints(kind).items():
        value = getattr(record, name)
        if value is None or name in skip:
            continue
        inner = _without_none(hint)
        if dataclasses.is_dataclass(inner):
            store(_group(group, name, words), value)
        elif _is_tuple_of_records(inner):
            _store_many(_group(group, name, words), value, get_args(inner)[0])
        else:
            _dataset(group, name, _plain(value), filewords.units(record, name), words)


def load(group: h5py.Group, kind: type, **given: Any) -> Any:
    """Return the dataclass that `store` wrote.

    Args:
        group: where it stands.
        kind: of the dataclass.
        given: fields that are not read from the group.

    Raises:
        KeyError: where a dataset is not there.
    """
    fields: dict[str, Any] = dict(given)
    for name, hint in hints(kind).items():
        if name in given:
            continue
        inner = _without_none(hint)
        if name not in group and inner is not hint:
            fields[name] = None
        elif dataclasses.is_dataclass(inner):
            fields[name] = load(group[name], inner)  # type: ignore[arg-type]
        elif _is_tuple_of_records(inner):
            fields[name] = _load_many(group[name], get_args(inner)[0])
        else:
            fields[name] = _typed(group[name], inner)
    return kind(**fields)


@cache
def hints(kind: type) -> dict[str, Any]:
    """Return the stated type of each field."""
    stated = get_type_hints(kind)
    return {field.name: stated[field.name] for field in dataclasses.fields(kind)}


# Many records ---------------------------------------------------------------------------------


def _store_many(group: h5py.Group, values: tuple[Any, ...], inner: Any) -> None:
    group.attrs["count"] = len(values)
    if inner in NUMBERED:
        for number, value in enumerate(values):
            store(group.create_group(str(number)), value)
        return
    rows: Any = values
    if get_origin(inner) is tuple:
        # Some for each node: one table, with the place of the node in a column.
        inner = get_args(inner)[0]
        rows = [value for part in values for value in part]
        places = [place for place, part in enumerate(values) for _ in part]
        _dataset(
            group, "place", np.array(places, np.int64), "1", {"place": "which of the nodes, from 0"}
        )
    words = filewords.descriptions(inner)
    for name in hints(inner):
        column = [_plain(getattr(row, name)) for row in rows]
        units = filewords.units(rows[0], name) if rows else "1"
        _dataset(group, name, _stacked(column), units, words)


def _load_many(group: h5py.Group, inner: Any) -> tuple[Any, ...]:
    count = int(group.attrs["count"])
    if inner in NUMBERED:
        return tuple(load(group[str(number)], inner) for number in range(count))
    ragged = get_origin(inner) is tuple
    kind = get_args(inner)[0] if ragged else inner
    columns = {name: (_values(group[name]), hint) for name, hint in hints(kind).items()}
    rows = len(group["place"]) if ragged else count
    records = [
        kind(**{name: _as(column[k], hint) for name, (column, hint) in columns.items()})
        for k in range(rows)
    ]
    if not ragged:
        return tuple(records)
    places = group["place"][()]
    return tuple(
        tuple(record for record, place in zip(records, places, strict=True) if place == number)
        for number in range(count)
    )


def _stacked(column: list[Any]) -> Any:
    if column and isinstance(column[0], list):
        return np.array(column, dtype=object)
    return np.array(column, dtype=np.float64 if not column else None)


# One value ------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Return a value as h5py takes it."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return list(value)
    return value


def _dataset(group: h5py.Group, name: str, value: Any, units: str, words: dict[str, str]) -> None:
    texts = isinstance(value, list) and (not value or isinstance(value[0], str))
    if texts or (isinstance(value, np.ndarray) and value.dtype == object):
        item = group.create_dataset(name, data=np.array(value, object), dtype=h5py.string_dtype())
    else:
        item = group.create_dataset(name, data=value)
    item.attrs["units"] = units
    item.attrs["description"] = words.get(name, name.replace("_", " "))


def _values(item: h5py.Dataset) -> Any:
    return item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item[()]


def _typed(item: h5py.Dataset, hint: Any) -> Any:
    return _as(_values(item), hint)


def _as(value: Any, hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is np.ndarray:
        return np.asarray(value)
    if origin is tuple:
        return tuple((arguments[0] if arguments[0] in (float, bool) else str)(x) for x in value)
    if hint is datetime.date:
        return datetime.date.fromisoformat(str(value))
    if hint is bool or (origin in (Union, types.UnionType) and bool in arguments):
        return {"yes": True, "no": False}.get(str(value), str(value))
    return str(value) if origin is Literal else hint(value)


def _group(group: h5py.Group, name: str, words: dict[str, str]) -> h5py.Group:
    inner = group.create_group(name)
    if name in words:
        inner.attrs["description"] = words[name]
    return inner


def _without_none(hint: Any) -> Any:
    """Return X of `X | None`, and any other type as it is."""
    arguments = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType) and type(None) in arguments:
        [inner] = [argument for argument in arguments if argument is not type(None)]
        return inner
    return hint


def _is_tuple_of_records(hint: Any) -> bool:
    if get_origin(hint) is not tuple:
        return False
    inner = get_args(hint)[0]
    return dataclasses.is_dataclass(inner) or _is_tuple_of_records(inner)
