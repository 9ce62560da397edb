"""Units and descriptions of what a calibration file holds, from the classes that it comes from."""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import Any

_ENDINGS = {"_siemens": "S", "_v2": "V^2", "_v": "V", "_a": "A", "_s": "s", "_hz": "Hz"}
_NAMES = {
    "free": "V",
    "nudged": "V",
    "volts": "V",
    "amps": "A",
    "u_amps": "A",
    "siemens": "S",
    "free_time_s": "s",
}
_OWN = {
    ("StepResponse", "covariance"): "V^2, V and 1",
    ("ChannelCalibration", "covariance"): "1, unit and unit^2",
}
_IN_CHANNELS_UNIT = ("offset", "residual_sd", "low", "high")
_ATTRIBUTE = re.compile(r"^ {4}(\w+(?:, \w+)*): ")


def units(record: Any, name: str) -> str:
    """Return the units of a record's field, "1" where it has none."""
    kind = type(record).__name__
    if kind == "ChannelCalibration" and name in _IN_CHANNELS_UNIT:
        return str(record.unit)
    if kind == "SigmaAtSettings" and name == "values":
        return "V" if record.setting == "range_v" else "1"
    if (kind, name) in _OWN:
        return _OWN[kind, name]
    if name in _NAMES:
        return _NAMES[name]
    # The ends of an interval have the unit of what it is of.
    stem = name.removesuffix("_low").removesuffix("_high")
    return next((unit for ending, unit in _ENDINGS.items() if stem.endswith(ending)), "1")


@cache
def descriptions(kind: type) -> dict[str, str]:
    """Return what a class's docstring says of each attribute; nothing where it was stripped."""
    text = inspect.cleandoc(kind.__doc__ or "")
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.partition("Attributes:\n")[2].splitlines():
        begins = _ATTRIBUTE.match(line)
        if begins:
            name = begins[1]
            found[name] = [line[begins.end() :].strip()]
        elif name and line.startswith("     "):
            found[name].append(line.strip())
        else:
            break
    return {name: " ".join(words) for name, words in found.items()}
