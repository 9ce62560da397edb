"""What the roles that source volts or amperes share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, checked
from hilep.instruments.sources import Sources
from hilep.instruments.wiring import Line


class SourceRole:
    """A role played by source channels.

    Args:
        sources: every source of the bench, started.
        lines: the channels of this role, in order.
    """

    def __init__(self, sources: Sources, lines: Sequence[Line]) -> None:
        self.sources = sources
        self.lines = tuple(lines)

    @property
    def identity(self) -> Mapping[str, str]:
        """Which instruments play the role."""
        return identities(self.sources.instruments, self.lines)

    def safe(self) -> None:
        """Switch off every instrument that plays the role, whatever else it does."""
        for name in {line.instrument for line in self.lines}:
            with contextlib.suppress(Exception):
                self.sources.instruments[name].safe()
        self.sources.forget()

    def snapshot(self) -> dict[str, Any]:
        """Return channels and the levels achieved last."""
        levels = self.sources.achieved(self.lines)
        names = [str(line) for line in self.lines]
        return {"channels": names, "levels": dict(zip(names, levels, strict=True))}

    def levels(self, values: ArrayLike) -> dict[Line, float]:
        """Return the level of each channel for `values` (channels,)."""
        asked = checked(values, (len(self.lines),), f"{type(self).__name__} levels")
        return dict(zip(self.lines, asked.astype(np.float64).tolist(), strict=True))

    def achieved(self) -> Doubles:
        """Return the levels achieved last (channels,)."""
        return np.array(self.sources.achieved(self.lines), np.float64)


def identities(instruments: Mapping[str, Any], lines: Iterable[Line]) -> dict[str, str]:
    """Return maker, model, serial number and firmware of the instruments of `lines`."""
    found = {}
    for name in dict.fromkeys(line.instrument for line in lines):
        one = instruments[name].identity
        found[name] = ", ".join(str(getattr(one, part)) for part in _PARTS)
    return found


_PARTS = ("maker", "model", "serial", "firmware")
