"""The exponentials in which nodes with capacitance come to rest, once no rectifier changes more."""

from __future__ import annotations

import numpy as np

from hilep.arrays import Doubles
from hilep.simulators.circuit.blocks import Blocks
from hilep.simulators.circuit.rectifiers import IdealDiode
from hilep.simulators.circuit.response import Motion

BENT = 1e-7
"""What the slope of a rectifier may change, as a fraction of its node's conductance."""
RATIO = 1.1
"""Of the times between which each exponential is bounded by its values at both."""


class Tail:
    """Volts of one image near rest: V - rest = sum over k of shape_k weight_k exp(-t / tau_k).

    Args:
        motion: of one image; every node has capacitance.
        rest: its volts at rest (n_free,).

    Attributes:
        stable: whether the circuit comes to rest by itself.
    """

    def __init__(self, motion: Motion, rest: Doubles) -> None:
        self._motion, self._rest = motion, rest
        ports, rectifier = motion.ports, motion.rectifier
        self._matrix = Blocks(ports, ports.weight * motion.siemens).times(np.eye(rest.size))
        self._own = self._matrix.diagonal().copy()
        self._at = np.flatnonzero((motion.polarity != 0) & motion.moving)
        self._sign = motion.polarity[self._at].astype(np.float64)
        u = self._sign * rest[self._at]
        self._free = motion.moving.copy()
        self._supplied = np.zeros(0)
        self._bound = np.zeros(0, dtype=np.intp)
        system = self._matrix.copy()
        if isinstance(rectifier, IdealDiode):
            self._slope = np.zeros(u.size)
            bound = u <= rectifier.bias_v
            self._bound = self._at[bound]
            self._free[self._bound] = False
            # What the diodes of these nodes supply; at least 0 while they hold them.
            leaving = self._matrix @ rest - motion.amps[0]
            self._supplied = (motion.polarity * leaving)[self._bound]
        else:
            _, self._slope = rectifier.current(u)
            system[self._at, self._at] += ports.weight[self._at] * self._slope
        free = self._free
        self._root = np.sqrt(ports.weight[free] * motion.farads[free])
        rates, self._vectors = np.linalg.eigh(
            system[np.ix_(free, free)] / np.outer(self._root, self._root)
        )
        self.stable = bool((rates > 1e-9 * np.abs(rates).max(initial=0.0)).all())
        self._rates = rates
        self._shapes = np.zeros((rest.size, rates.size))
        self._shapes[free] = self._vectors / self._root[:, None]

    def weights(self, volts: Doubles) -> Doubles | None:
        """Return the weight of each exponential from `volts` (n_free,) on.

        None where a rectifier may yet change: between the times looked at, every exponential is
        taken at whichever end is worse.
        """
        if not self.stable or (volts[~self._free] != self._rest[~self._free]).any():
            return None
        if not self._keeps(*(2 * [(self._sign * volts[self._at])])):
            return None
        apart = (volts - self._rest)[self._free]
        found = np.asarray(self._vectors.T @ (self._root * apart))
        if not found.size:
            return found
        low, high = self._ranges(self._shapes[self._at] * self._sign[:, None] * found)
        u = self._sign * self._rest[self._at]
        if not self._keeps(u + low, u + high):
            return None
        if self._bound.size:
            outward = self._motion.polarity[self._bound, None] * self._matrix[self._bound]
            low, _ = self._ranges(outward @ self._shapes * found)
            if (self._supplied + low < 0).any():
                return None
        return found

    def value(self, weights: Doubles, seconds: float) -> Doubles:
        """Return the volts (n_free,) after `seconds`."""
        return np.asarray(self._rest + self._shapes @ (weights * np.exp(-self._rates * seconds)))

    def _keeps(self, low: Doubles, high: Doubles) -> bool:
        """Return whether no rectifier leaves its piece between p * volts `low` and `high`."""
        rectifier = self._motion.rectifier
        if isinstance(rectifier, IdealDiode):
            free = self._free[self._at]
            return bool((low[free] >= rectifier.bias_v).all())
        weight = self._motion.ports.weight[self._at]
        allowed = BENT * (self._own[self._at] + weight * self._slope)
        # A law's slope falls or rises all the way, so that it is extreme at the ends.
        return all(
            bool((weight * np.abs(rectifier.current(u)[1] - self._slope) <= allowed).all())
            for u in (low, high)
        )

    def _ranges(self, terms: Doubles) -> tuple[Doubles, Doubles]:
        """Return bounds of the sums of decaying `terms` (n, exponentials) at all times (n,)."""
        first, last = 1e-3 / self._rates.max(), 40.0 / self._rates.min()
        count = int(np.ceil(np.log(last / first) / np.log(RATIO))) + 1
        times = np.concatenate([[0.0], np.geomspace(first, last, count), [np.inf]])
        decays = np.exp(-self._rates[:, None] * times)
        above, below = np.maximum(terms, 0.0), np.minimum(terms, 0.0)
        low = above @ decays[:, 1:] + below @ decays[:, :-1]
        high = above @ decays[:, :-1] + below @ decays[:, 1:]
        return low.min(axis=1), high.max(axis=1)
