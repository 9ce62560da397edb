"""Exponentials in which the nodes of a virtual bench come to rest, where they do so linearly."""

from __future__ import annotations

import numpy as np

from hilep.arrays import Doubles
from hilep.simulators.circuit.blocks import Mask
from hilep.simulators.virtual.operating_point import Circuit, OperatingPoint
from hilep.simulators.virtual.staircases import Places

LOOKS = np.concatenate([[0.0], np.geomspace(1e-3, 25.0, 40)])
"""Times, in slowest time constants, at which nothing may be at another place than at rest."""
BENT = 1e-6
"""What the slope of a rectifier may change, as a fraction of its node's conductance."""
SLACK = 1e-9
"""Of volts and amperes beside the ends of a step of a staircase, as a fraction of the largest."""


class Modes:
    """Small motions about rest: V - rest = sum over k of shape_k weight_k exp(-t / tau_k).

    Time constants are the eigenvalues of the resistance matrix of the nodes with capacitance, times
    the capacitances; nodes without follow them.

    Args:
        circuit: just solved, so that its staircases stand where they do at rest.
        point: where it is at rest.
        farads: of each node to ground (nodes,).

    Attributes:
        seconds: the time constants, ascending.
    """

    def __init__(self, circuit: Circuit, point: OperatingPoint, farads: Doubles) -> None:
        from scipy.linalg import cho_solve

        self._circuit, self._rest, self._floating = circuit, point.volts, point.floating
        self._matrix = circuit.matrix
        treads = circuit.treads
        self._low, self._high = treads.low.copy(), treads.high.copy()
        self._held = treads.held.copy()
        self._slopes = circuit.slopes(point.volts)
        own = farads[point.floating]
        self._with: Mask = own > 0
        self._elsewhere = (farads > 0) & self._held
        ohms = cho_solve((point.factor, True), np.eye(own.size), check_finite=False)
        self._root = root = np.sqrt(own[self._with])
        scaled = root[:, None] * ohms[np.ix_(self._with, self._with)] * root
        self.seconds, self._vectors = np.linalg.eigh(scaled)
        self._shapes = np.zeros((farads.size, root.size))
        self._shapes[point.floating] = ohms[:, self._with] @ (
            root[:, None] * self._vectors / self.seconds
        )

    def weights(self, volts: Doubles) -> Doubles | None:
        """Return the weight of each mode from `volts` (nodes,) on; None where it is not linear."""
        apart = volts - self._rest
        size = max(float(np.abs(volts).max()), float(np.abs(self._rest).max()))
        if np.abs(apart[self._elsewhere]).max(initial=0.0) > 1e-3 * SLACK * size:
            return None
        found = self._vectors.T @ (self._root * apart[self._floating][self._with])
        if not found.any():
            return np.asarray(found)
        times = LOOKS * self.seconds[-1]
        left = np.exp(-times[:, None] / self.seconds) * found
        return np.asarray(found) if self._stays(self._rest + left @ self._shapes.T) else None

    def value(self, weights: Doubles, seconds: Doubles, nodes: Places) -> Doubles:
        """Return what is left after `seconds`, in their shape, at as many nodes."""
        left = np.exp(-seconds[..., None] / self.seconds) * weights
        return np.asarray((left * self._shapes[nodes]).sum(-1))

    def area(self, weights: Doubles, seconds: Doubles, nodes: Places) -> Doubles:
        """Return the integral of that from 0 on, volt seconds."""
        gone = -np.expm1(-seconds[..., None] / self.seconds) * self.seconds * weights
        return np.asarray((gone * self._shapes[nodes]).sum(-1))

    def _stays(self, volts: Doubles) -> bool:
        """Return whether every staircase and rectifier is where it is at rest, at all `volts`."""
        held = self._held
        supplied = volts @ self._matrix
        seen = np.where(held, supplied, volts)
        sizes = np.where(held, np.abs(volts) @ np.abs(self._matrix), np.abs(volts).max())
        slack = SLACK * sizes
        if ((seen > self._high + slack) | (seen < self._low - slack)).any():
            return False
        bent = np.abs(self._circuit.slopes(volts) - self._slopes)
        own = np.diagonal(self._matrix)[self._circuit.rectified] + np.abs(self._slopes)
        return bool((bent <= BENT * own).all())
