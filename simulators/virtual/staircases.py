"""Sources with limits and ideal diodes as staircases: the amperes that they give at each voltage.

Every one of them gives less current, or the same, as its node rises: between two corners a constant
current, at a corner any current between the two. What stands at one node adds up to one staircase.
"""

from __future__ import annotations

import math
from bisect import bisect
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import NotSettledError
from hilep.simulators.virtual.world import Drive

Places: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Staircase:
    """Amperes into a node against its volts.

    Attributes:
        corners: volts, ascending.
        amps: below the first corner, between each two, and above the last; never rising.
    """

    corners: tuple[float, ...] = ()
    amps: tuple[float, ...] = (0.0,)

    def beside(self, volts: float) -> float:
        """Return the amperes at `volts`, just above it where that is a corner."""
        return self.amps[bisect(self.corners, volts)]

    def between(self, volts: float) -> tuple[float, float]:
        """Return the least and most amperes at `volts`: two at a corner, else the same."""
        above = self.beside(volts)
        at_corner = volts in self.corners
        return above, self.amps[self.corners.index(volts)] if at_corner else above

    def with_(self, other: Staircase, node: str) -> Staircase:
        """Return what both give together.

        Raises:
            NotSettledError: the one insists on more volts than the other allows.
        """
        corners = sorted({*self.corners, *other.corners})
        amps = [self.amps[0] + other.amps[0], *(self.beside(v) + other.beside(v) for v in corners)]
        if any(math.isnan(value) for value in amps):
            raise NotSettledError(f"{node}: a source's voltage limit contradicts the diode there")
        # Beyond an infinite current another corner is none.
        steps = [k for k in range(len(corners)) if amps[k] != amps[k + 1]]
        return Staircase(tuple(corners[k] for k in steps), (amps[0], *(amps[k + 1] for k in steps)))


NOTHING = Staircase()


def source(drive: Drive) -> Staircase:
    """Return the staircase of a source: its level, or its limit where it meets that."""
    if drive.kind == "volts":
        return Staircase((drive.level,), (drive.limit, -drive.limit))
    if drive.kind == "amps":
        if math.isinf(drive.limit):
            return Staircase((), (drive.level,))
        return Staircase((-drive.limit, drive.limit), (math.inf, drive.level, -math.inf))
    return NOTHING


def ideal_diode(polarity: int, bias_v: float) -> Staircase:
    """Return the staircase of an ideal diode: see `IdealDiode`."""
    if polarity > 0:
        return Staircase((bias_v,), (math.inf, 0.0))
    return Staircase((-bias_v,), (0.0, -math.inf))


class Treads:
    """Where on its staircase each node is: between two corners or at one.

    Attributes:
        held: nodes at a corner (nodes,).
        value: volts of a held node, amperes into any other (nodes,).
        low, high: amperes that hold a held node, or volts between which another is (nodes,).
    """

    def __init__(self, nodes: int) -> None:
        self._stairs: list[Staircase] = [NOTHING] * nodes
        self._place = [0] * nodes
        self.held = np.zeros(nodes, dtype=np.bool_)
        self.value = np.zeros(nodes)
        self.low = np.full(nodes, -np.inf)
        self.high = np.full(nodes, np.inf)

    def put(self, node: int, stairs: Staircase, volts: float) -> None:
        """Give `node` a staircase; where it was on one of as many steps, it stays there.

        Args:
            node: which.
            stairs: its staircase.
            volts: where the node is expected to be otherwise.
        """
        if len(stairs.corners) != len(self._stairs[node].corners):
            at = bisect(stairs.corners, volts)
            self._place[node] = 2 * at
            if not math.isfinite(stairs.amps[at]):
                # Infinite currents hold a node at the corner behind which they begin.
                self._place[node] += 1 if stairs.amps[at] > 0 else -1
        self._stairs[node] = stairs
        self._stand(node)

    def move(self, nodes: Places, by: Places) -> None:
        """Move nodes one place up or down their staircases."""
        for node, step in zip(nodes.tolist(), by.tolist(), strict=True):
            self._place[node] += step
            self._stand(node)

    def places(self) -> tuple[int, ...]:
        """Return where all nodes are."""
        return tuple(self._place)

    def wrong(self, volts: Doubles, amps: Doubles, rounding: Doubles) -> tuple[Places, Places]:
        """Return the nodes that have to move, and which way.

        Args:
            volts: of the solution for the present places (nodes,).
            amps: that each node needs from its staircase (nodes,).
            rounding: how far off `amps` may be (nodes,).
        """
        seen = np.where(self.held, amps, volts)
        slack = np.where(self.held, rounding, 1e-15 * np.abs(volts).max(initial=0.0))
        slack = slack + 1e-12 * np.abs(seen)
        above, below = seen > self.high + slack, seen < self.low - slack
        # A node that needs more amperes than hold it falls.
        step = np.where(self.held, -1, 1) * (above.astype(np.intp) - below.astype(np.intp))
        nodes = np.flatnonzero(step)
        return nodes, step[nodes]

    def _stand(self, node: int) -> None:
        stairs, place = self._stairs[node], self._place[node]
        at, held = divmod(place, 2)
        self.held[node] = bool(held)
        if held:
            self.value[node] = stairs.corners[at]
            self.low[node], self.high[node] = stairs.amps[at + 1], stairs.amps[at]
        else:
            self.value[node] = stairs.amps[at]
            self.low[node] = stairs.corners[at - 1] if at else -np.inf
            self.high[node] = stairs.corners[at] if at < len(stairs.corners) else np.inf
