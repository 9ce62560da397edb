"""Kirchhoff's current law at every free node, and how exactly it can be met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import HilepError, LimitError, NotSettledError
from hilep.simulators.circuit.blocks import Blocks, IndefiniteError, Mask
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.rectifiers import IdealDiode, PrecisionRectifier, Rectifier

AIM = 1e-14
"""Imbalance at which a solver stops, as a fraction of a node's absolute currents."""
ACCEPTED = 1e-13
"""Imbalance beyond which an answer is refused."""
ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Of a rectifier's corner and volts, through its slope: what volts in double precision leave."""
NOTHING = 1e-24
"""Volts, as a fraction of the image's largest at the start, that count as 0 V: a node whose
neighbours are all at 0 V has no currents that its own could be compared with."""


@dataclass(frozen=True, slots=True)
class State:
    """A batch of volts with what Kirchhoff's law says about them.

    Attributes:
        volts: (batch, n_free).
        leaving: amperes that leave each node, times its weight; 0 at equilibrium and at clamped
            nodes (batch, n_free). Of ideal diodes, whose current no law gives, without theirs.
        scale: sum of each node's absolute currents (batch, n_free).
        floor: amperes below which rounding of the volts decides (batch, n_free).
        current: i of the rectifiers (batch, n_rectifiers).
        slope: -di/du of the rectifiers, siemens (batch, n_rectifiers).
    """

    volts: Doubles
    leaving: Doubles
    scale: Doubles
    floor: Doubles
    current: Doubles
    slope: Doubles

    def off(self, tolerance: float) -> Doubles:
        """Return each image's largest imbalance, 1 where it is just within `tolerance`."""
        return np.asarray(self.each(tolerance).max(axis=1))

    def each(self, tolerance: float) -> Doubles:
        """Return each node's imbalance, 1 where it is just within `tolerance`."""
        limit = tolerance * self.scale + self.floor
        amount = np.abs(self.leaving)
        with np.errstate(invalid="ignore"):
            return np.where(amount > 0, amount / np.where(limit > 0, limit, 1e-300), amount)

    def take(self, rows: Mask | NDArray[np.intp]) -> State:
        """Return some of the images."""
        return State(
            self.volts[rows],
            self.leaving[rows],
            self.scale[rows],
            self.floor[rows],
            self.current[rows],
            self.slope[rows],
        )

    def put(self, rows: Mask | NDArray[np.intp], other: State) -> None:
        """Replace some of the images, in place."""
        self.volts[rows] = other.volts
        self.leaving[rows] = other.leaving
        self.scale[rows] = other.scale
        self.floor[rows] = other.floor
        self.current[rows] = other.current
        self.slope[rows] = other.slope


class Balance:
    """The law of one batch: network, rectifiers, sources and springs.

    Args:
        ports: the network between the free nodes.
        polarity: of each node's rectifier, 0 for none (n_free,).
        rectifier: the law of all of them.
        amps: inflow at 0 V, times weight (batch, n_free).
        size: volts that the images are about, to tell 0 V from rounding (batch,).
        siemens: conductance to ground besides `ports`, without weight (n_free,).
        clamped: nodes that something holds (n_free,).
        names: of the free nodes, for messages.

    Attributes:
        blocks: the linear part.
        at: the free nodes with a rectifier.
        sign: their polarity.
        weight: theirs.
        definite: whether the network has an equilibrium with every rectifier taken out.
    """

    def __init__(
        self,
        ports: PortNetwork,
        polarity: NDArray[np.int8],
        rectifier: Rectifier,
        amps: Doubles,
        size: Doubles,
        siemens: Doubles,
        clamped: Mask,
        names: Sequence[str],
    ) -> None:
        self.blocks = Blocks(ports, ports.weight * siemens)
        self.rectifier = rectifier
        self.amps = amps
        self.size = size
        self.siemens = siemens
        self.clamped = clamped
        self.names = names
        self.at = np.flatnonzero((polarity != 0) & ~clamped)
        self.sign = polarity[self.at].astype(np.float64)
        self.weight = ports.weight[self.at]
        self.load = self.blocks.diagonal[self.at] / self.weight
        self.definite = self._definite()

    def linear(self, volts: Doubles, rows: NDArray[np.intp]) -> tuple[Doubles, Doubles]:
        """Return what leaves each node except through rectifiers, and its absolute currents."""
        leaving = self.blocks.times(volts)
        leaving -= self.amps[rows]
        if self.clamped.any():
            leaving[:, self.clamped] = 0.0
        scale = self.blocks.magnitude(volts)
        scale += np.abs(self.amps[rows])
        return leaving, scale

    def state(self, volts: Doubles, rows: NDArray[np.intp]) -> State:
        """Return the law at `volts` (len(rows), n_free) of the images `rows`."""
        leaving, scale = self.linear(volts, rows)
        floor = NOTHING * self.size[rows, None] * self.blocks.diagonal
        u = self.sign * volts[:, self.at]
        if isinstance(self.rectifier, IdealDiode):
            none = np.zeros_like(u)
            return State(volts, leaving, scale, floor, none, none)
        current, slope = self.rectifier.current(u)
        leaving[:, self.at] -= self.weight * self.sign * current
        scale[:, self.at] += self.weight * np.abs(current)
        rounding = ROUNDING * (np.abs(u) + abs(self.rectifier.corner_v))
        if isinstance(self.rectifier, PrecisionRectifier):
            # At the corner itself rounding would choose the slope, another one in every step.
            conducts = u - rounding < self.rectifier.corner_v
            slope = np.where(conducts, 1 / self.rectifier.on_ohm, slope)
        floor[:, self.at] += self.weight * slope * rounding
        return State(volts, leaving, scale, floor, current, slope)

    def alone(self, leaving: Doubles, volts: Doubles) -> Doubles:
        """Return the rectifiers' nodes' volts, each at rest while all others stay as they are.

        Args:
            leaving: at `volts`, except through the rectifiers (batch, n_rectifiers).
            volts: of the rectifiers' nodes (batch, n_rectifiers).
        """
        amps = self.load * (self.sign * volts) - self.sign * leaving / self.weight
        u = self.rectifier.balanced(amps, np.broadcast_to(self.load, amps.shape))
        return self.sign * u + 0.0

    def swept(self, volts: Doubles) -> Doubles:
        """Return volts of every image after one sweep of the layers, first to last.

        Layer by layer, because the inputs decide a layered network more than its outputs do.
        """
        volts = volts.copy()
        rows = np.arange(volts.shape[0])
        diagonal = self.blocks.diagonal
        for s in self.blocks.slices:
            leaving, _ = self.linear(volts, rows)
            here = np.arange(s.start, s.stop)
            plain = here[~self.clamped[s]]
            plain = plain[diagonal[plain] > 0]
            new = volts.copy()
            new[:, plain] -= leaving[:, plain] / diagonal[plain]
            own = (self.at >= s.start) & (self.at < s.stop)
            if own.any():
                new[:, self.at] = np.where(
                    own, self.alone(leaving[:, self.at], volts[:, self.at]), volts[:, self.at]
                )
            volts = new
        return volts

    def step(self, state: State, fixed: Mask) -> Doubles:
        """Return Newton's step (batch, n_free) at `state`."""
        extra = np.zeros_like(state.volts)
        extra[:, self.at] = self.weight * state.slope
        return -self.blocks.solve(extra, fixed, state.leaving, check=not self.definite)

    def failure(self, error: IndefiniteError, rows: NDArray[np.intp]) -> HilepError:
        """Return what to tell the user about a system without a unique solution."""
        image = int(rows[error.image])
        springs = np.flatnonzero((self.siemens < 0) & ~self.clamped)
        if springs.size:
            weakest = springs[np.argmin(self.blocks.diagonal[springs])]
            node = error.node if error.node in springs else int(weakest)
            return LimitError(
                f"nudge: a spring of {self.siemens[node]:.6g} S at {self.names[node]} leaves no "
                f"stable equilibrium (image {image})"
            )
        return NotSettledError(
            f"circuit: no conductance joins {self.names[error.node]}, or the nodes it is joined "
            f"to, to any source or ground (image {image}); nothing decides its voltage"
        )

    def refusal(self, state: State, image: int) -> NotSettledError:
        """Return what to tell the user about an image that did not settle."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.abs(state.leaving[image]) / state.scale[image]
        share = np.where(state.leaving[image] == 0, 0.0, share)
        node = int(np.argmax(np.where(np.isnan(share), np.inf, state.each(ACCEPTED)[image])))
        return NotSettledError(
            f"circuit: {self.names[node]} is off by {share[node]:.3g} of its currents (image "
            f"{image}), expected <= {ACCEPTED:.3g}"
        )

    def _definite(self) -> bool:
        fixed = self.clamped[None, :]
        none = np.zeros(fixed.shape)
        try:
            self.blocks.solve(none, fixed, none, check=True)
        except IndefiniteError:
            return False
        return True
