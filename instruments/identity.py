"""Who answers: the fields of `*IDN?`, and whether they name the instrument that was asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """The four fields of `*IDN?` (IEEE 488.2-1992, section 10.14)."""

    maker: str
    model: str
    serial: str
    firmware: str


def mentions(found: str, expected: str) -> bool:
    """Return whether `expected` is in `found`, in whatever case and however spaced.

    Firmwares of one model differ in both.
    """
    return _plain(expected) in _plain(found)


def _plain(text: str) -> str:
    return re.sub(r"\s*,\s*", ",", " ".join(text.split())).casefold()
