"""Settings read back after they were sent: a message may be lost and nothing else would tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_CLOSE = 0.01
"""How far a number may be off, relative to what was asked for: instruments have steps."""

RANGE = 0.06
"""The same of ranges: some instruments name the end of a range, 105 % of its nominal value."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A setting, how it is asked for, and what it has to be.

    Attributes:
        query: in the instrument's language; errors name the setting by it.
        expected: a number, a flag, or words in their short form, separated by commas: in any
            order, case and length in an answer, with quotes or without. "(@101,102)" is a list of
            channels.
        near: how far a number may be off; 1 % of it at least.
        more: whether an answer may have further words.
    """

    query: str
    expected: str | float | bool
    near: float = 0.0
    more: bool = False

    def holds(self, answer: str) -> bool:
        """Return whether an answer says what was asked for."""
        if isinstance(self.expected, bool):
            return _flag(answer) is self.expected
        if not isinstance(self.expected, str):
            return self._is_near(answer, self.expected)
        if self.expected.startswith("(@"):
            return channels_in(answer) == channels_in(self.expected)
        found, wanted = _words(answer), _words(self.expected)
        if len(found) < len(wanted) or (len(found) > len(wanted) and not self.more):
            return False
        return all(any(_spells(one, word) for one in found) for word in wanted)

    def _is_near(self, answer: str, expected: float) -> bool:
        try:
            off = abs(float(answer) - expected)
        except ValueError:
            return False
        return off <= max(_CLOSE * abs(expected), self.near)


def of_range(query: str, full: float) -> Kept:
    """Return the fixed range whose full scale is `full`."""
    return Kept(query, full, RANGE * full)


def first_wrong(kept: Sequence[Kept], answers: Sequence[str]) -> str | None:
    """Return what is not as asked for: setting, found and expected; None where all is."""
    for one, answer in zip(kept, answers, strict=True):
        if not one.holds(answer):
            expected = one.expected
            if isinstance(expected, bool):
                expected = "on" if expected else "off"
            elif not isinstance(expected, str):
                expected = f"{expected:.6g}"
            return f"{one.query} is {answer.strip()}, expected {expected}"
    return None


def channels_in(answer: str) -> set[str]:
    """Return the channels of a list such as (@101,105:107), which may stand in a block."""
    found: set[str] = set()
    for first, last in re.findall(r"(\d+)(?::(\d+))?", answer.partition("(@")[2]):
        found.update(str(one) for one in range(int(first), int(last or first) + 1))
    return found


def _flag(answer: str) -> bool | None:
    word = answer.strip().upper()
    if word in ("ON", "TRUE"):
        return True
    if word in ("OFF", "FALSE"):
        return False
    try:
        return {1.0: True, 0.0: False}.get(float(word))
    except ValueError:
        return None


def _words(text: str) -> list[str]:
    return [re.sub(r":DC$", "", word.strip().strip("'\"").upper()) for word in text.split(",")]


def _spells(found: str, word: str) -> bool:
    """Return whether `found` is the short form `word` or a longer one."""
    rest = found[len(word) :]
    return found.startswith(word) and (not rest or (rest.isalpha() and word.isalpha()))
