"""Calls of the nidaqmx package through a tap: each is recorded, or answered from a recording.

An object of the package stands here as where it came from, "nidaqmx.Task().ao_channels": what is
got, set or called on it is a message with that path, its arguments and its answer, as JSON. What
belongs to no tapped device goes to the package itself.
"""

from __future__ import annotations

import base64
import enum
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from hilep.instruments.taps import Tap, tap_of, tap_of_speaker

_PLAIN = ("nidaqmx.constants", "nidaqmx.errors", "nidaqmx.error_codes")
"""Modules that ask nothing of the driver."""

_LEGIBLE = 64
"""Numbers of an array that are written out; Python's digits bring back the very same doubles."""


def tapped(name: str, module: Any) -> Any:
    """Return `module` of the package, called `name`, so that calls for a tapped device are said."""
    return module if name in _PLAIN else _Module(name, module)


class _Module:
    def __init__(self, name: str, module: Any) -> None:
        self._name, self._module = name, module

    def __getattr__(self, name: str) -> Any:
        if name == "Device":
            return self._device
        tap = tap_of_speaker()
        if tap is None:
            return getattr(self._module, name)
        return getattr(_Object(tap, self._name, self._module), name)

    def _device(self, resource: str) -> Any:
        tap = tap_of(resource)
        if tap is None:
            return self._module.Device(resource)
        return _Object(tap, self._name, self._module).Device(resource)


class _Object:
    """An object of the package that a tapped device has to do with; None behind it in a replay."""

    def __init__(self, tap: Tap, path: str, target: Any) -> None:
        for name, value in (("_tap", tap), ("_path", path), ("_target", target)):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        path = f"{self._path}.{name}"
        calls = self._tap.calls(path) if self._target is None else None
        if calls is None:
            # From the class: a property of the instance would already ask the driver.
            found = self._target
            owner = found if hasattr(found, "__name__") else type(found)
            calls = callable(getattr(owner, name, None)) and not isinstance(
                getattr(owner, name), type
            )
            calls = calls or name in ("Task", "Device") or name.startswith("Analog")
        if calls:
            return lambda *values, **keywords: self._called(name, values, keywords)
        return self._answer({"get": path}, lambda: getattr(self._target, name))

    def __setattr__(self, name: str, value: Any) -> None:
        request = {"set": f"{self._path}.{name}", "to": self._json(value)}
        self._answer(request, lambda: setattr(self._target, name, value))

    def _called(self, name: str, values: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        # The arrays that these methods are given are for their answer.
        filled = [one for one in values if isinstance(one, np.ndarray)]
        filled = filled if name.startswith("read_") else []
        request = {
            "call": f"{self._path}.{name}",
            "with": [self._shape(v) if _among(v, filled) else self._json(v) for v in values],
            "keywords": {key: self._json(value) for key, value in keywords.items()},
        }

        def act() -> Any:
            given = (_target(value) for value in values)
            return getattr(self._target, name)(
                *given, **{key: _target(value) for key, value in keywords.items()}
            )

        return self._answer(request, act, filled)

    def _answer(self, request: dict[str, Any], act: Callable[[], Any], filled: Any = ()) -> Any:
        came: list[Any] = []

        def asked() -> dict[str, Any]:
            came.append(act())
            try:
                answer = {"value": self._json(came[0])}
            except TypeError:
                answer = {"object": True}
            if filled:
                answer["filled"] = [self._json(array) for array in filled]
            return answer

        answer = self._tap.asked(request, asked)
        if not came:
            for array, recorded in zip(filled, answer.get("filled", ()), strict=True):
                array[...] = _value(recorded)
        if "value" in answer:
            return _value(answer["value"])
        path = request.get("call") or request["get"]
        return _Object(self._tap, f"{path}()" if "call" in request else path, (*came, None)[0])

    def _json(self, value: Any) -> Any:
        """Return `value` as JSON. Raises TypeError for an object of the package."""
        if isinstance(value, _Object):
            return {"object": value._path}
        if isinstance(value, enum.Enum):
            kind = type(value)
            return {"enum": [kind.__module__, kind.__qualname__, value.name]}
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self._tap.plain(value)
        if isinstance(value, np.ndarray):
            if value.dtype == float and value.size <= _LEGIBLE and np.isfinite(value).all():
                return {**self._shape(value), "numbers": value.ravel().tolist()}
            content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
            return {**self._shape(value), "base64": content}
        if isinstance(value, (list, tuple)):
            return [self._json(one) for one in value]
        raise TypeError(type(value).__name__)

    @staticmethod
    def _shape(value: Any) -> dict[str, Any]:
        return {"dtype": value.dtype.str, "shape": list(value.shape)}


def _among(value: Any, arrays: list[Any]) -> bool:
    return any(value is array for array in arrays)


def _target(value: Any) -> Any:
    return value._target if isinstance(value, _Object) else value


def _value(found: Any) -> Any:
    if isinstance(found, list):
        return [_value(one) for one in found]
    if not isinstance(found, dict):
        return found
    if "enum" in found:
        module, kind, name = found["enum"]
        return getattr(importlib.import_module(module), kind)[name]
    if "numbers" in found:
        content = np.array(found["numbers"], found["dtype"])
    else:
        content = np.frombuffer(base64.b64decode(found["base64"]), found["dtype"])
    return content.reshape(found["shape"])
