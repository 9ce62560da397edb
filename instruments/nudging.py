"""The nudge: currents into the outputs, and their release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.instruments.sourcerole import SourceRole
from hilep.instruments.sources import Sources
from hilep.instruments.wiring import Line


class CurrentNudge(SourceRole):
    """SMU channels in current mode with a voltage limit, one at each output.

    Args:
        sources: every source of the bench.
        lines: channels of the outputs.
        release: "zero-current" is 0 A on the same range; "high-z" opens the relay as well.

    Attributes:
        relay_cycles: how often a relay was opened to release; 0 for "zero-current".
        vanished: nudges that were asked for and became the release, below the source's step.
    """

    def __init__(
        self, sources: Sources, lines: Sequence[Line], release: Literal["zero-current", "high-z"]
    ) -> None:
        super().__init__(sources, lines)
        self._opens = release == "high-z"
        self.relay_cycles = 0
        self.vanished = 0

    def inject(self, amps: ArrayLike) -> Doubles:
        """Set amperes (n_out,), positive into the node; return the amperes achieved.

        A current below half a step of the source becomes 0 and is counted, not refused: small
        nudges are what convergence looks like.
        """
        levels = self.levels(amps)
        if self._opens:
            self.sources.switch_on(self.lines)
        self.sources.send(levels)
        achieved = self.achieved()
        asked = np.array([levels[line] for line in self.lines])
        released = [self.sources.setting(line, 0.0) for line in self.lines]
        same = np.array(self.sources.settings(self.lines)) == released
        self.vanished += int(np.count_nonzero((asked != 0) & same))
        return achieved

    def release(self) -> None:
        """Let go of the outputs."""
        self.sources.send(self.zeros())
        self.open()

    def open(self) -> None:
        """Open the relays where a release is to do that; the level must be 0 already."""
        if self._opens:
            on = self.sources.on(self.lines)
            self.sources.switch_off(on)
            self.relay_cycles += len(on)

    def zeros(self) -> dict[Line, float]:
        """Return 0 A for every channel."""
        return dict.fromkeys(self.lines, 0.0)

    def snapshot(self) -> dict[str, Any]:
        """Return channels, levels, and what was counted."""
        counted = {"relay_cycles": self.relay_cycles, "vanished_nudges": self.vanished}
        return {**super().snapshot(), **counted}
