"""Numbers, configuration and provenance as text that hides nothing and stays short."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from hilep.config import Config

LONGEST_LIST = 16
"""Entries of a list that are written out; of a longer one, how many and their range."""

_PREFIXES = {
    -18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G",
}  # fmt: skip


def prefixed(value: float) -> tuple[float, str]:
    """Return the power of a thousand nearest below `value` and the letter for it."""
    if value == 0 or not math.isfinite(value):
        return 1.0, ""
    exponent = 3 * math.floor(round(math.log10(abs(value)), 9) / 3)
    exponent = min(max(exponent, min(_PREFIXES)), max(_PREFIXES))
    return 10.0**exponent, _PREFIXES[exponent]


def quantity(value: float, unit: str, digits: int = 6) -> str:
    """Return a value with an SI prefix, such as "12.5 µV" for (1.25e-5, "V").

    The space between them does not break.
    """
    scale, prefix = prefixed(value)
    return f"{value / scale:.{digits}g}\N{NO-BREAK SPACE}{prefix}{unit}"


def abbreviated(value: Any) -> str:
    """Return a plain value as text; of a long list how many entries and, of numbers, the range."""
    if isinstance(value, (list, tuple)) and len(value) > LONGEST_LIST:
        flat = list(_flat(value))
        numbers = [v for v in flat if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if len(numbers) == len(flat) and not any(math.isnan(v) for v in numbers):
            return f"{len(flat)} values, {min(numbers)!r} .. {max(numbers)!r}"
        return f"{len(flat)} values, the first {abbreviated(flat[0])}"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value


def sections(config: Config) -> dict[str, str]:
    """Return each section of a configuration as TOML, every key on a line of its own.

    A key without a value, which TOML cannot say, and a list too long to write out are comments.
    """
    out = {}
    for name in type(config).model_fields:
        lines = [f"[{name}]"]
        for key, value in getattr(config, name).model_dump(mode="python").items():
            if value is None:
                lines.append(f"# {_key(key)}: not given")
            elif isinstance(value, (list, tuple)) and len(value) > LONGEST_LIST:
                lines.append(f"# {_key(key)}: {abbreviated(value)}")
            else:
                lines.append(f"{_key(key)} = {_toml(value)}")
        out[name] = "\n".join(lines)
    return out


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{_key(str(k))} = {_toml(v)}" for k, v in value.items() if v is not None)
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(v) for v in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)


def listed(provenance: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Return name and text of everything in a provenance, nested names joined by a stop."""
    rows: list[tuple[str, str]] = []
    for key, value in provenance.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and value:
            rows += listed(value, f"{name}.")
        elif value is None:
            rows.append((name, "none"))
        elif key == "command" and isinstance(value, list):
            rows.append((name, shlex.join(str(word) for word in value)))
        else:
            rows.append((name, abbreviated(value)))
    return rows
