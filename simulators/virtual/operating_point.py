"""Operating points of a circuit of conductances, sources with limits, and rectifiers.

Every element's current falls, or stays, as its node rises, so that the circuit minimises a convex
co-content (Millar, "Some general theorems for non-linear systems possessing resistance", 1951) and
has one solution. Which sources and ideal diodes are at a corner is found by moving all that are at
a wrong place; where that returns to places seen before, one at a time is certain to end (Murty,
"Note on a Bard-type scheme for solving the complementarity problem", 1974).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import NotSettledError
from hilep.simulators.cells.thermal import BOLTZMANN
from hilep.simulators.circuit.rectifiers import IdealDiode, Rectifier
from hilep.simulators.virtual.staircases import Places, Treads

MOST_MOVES = 2000
MOST_STEPS = 200
CLOSE = 1e-13
"""Difference between a rectifier's current and its tangent, as a fraction of its node's."""
STALLED = 1e-11
"""The same, where it no longer shrinks."""
_KEPT = 64


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A solution.

    Attributes:
        volts: of every node (nodes,).
        supplied: amperes that the staircase at every node gives (nodes,).
        floating: the nodes that no staircase holds.
        factor: lower Cholesky factor of the admittance between those, rectifiers' slopes included.
    """

    volts: Doubles
    supplied: Doubles
    floating: Places
    factor: Doubles

    def thermal(
        self, kelvin: float, seconds: float, generator: np.random.Generator, samples: int
    ) -> Doubles:
        """Return thermal noise (samples, nodes), volts, of means over `seconds`.

        Their covariance is 4 k T B times the resistance matrix, with the bandwidth B = 1 / (2
        seconds) of a mean: see `hilep.simulators.cells.thermal.ThermalNoise`.
        """
        from scipy.linalg.lapack import dtrtrs

        noise = np.zeros((samples, self.volts.size))
        drawn = generator.standard_normal((self.floating.size, samples))
        if self.floating.size:
            # scipy.linalg.solve_triangular takes longer to look at its arguments than to solve.
            shared, _ = dtrtrs(self.factor, drawn, lower=1, trans=1)
            noise[:, self.floating] = np.sqrt(2 * BOLTZMANN * kelvin / seconds) * shared.T
        return noise

    def slowest_ohm(self, loaded: Places) -> float:
        """Return a bound of what a capacitance at each of `loaded` discharges through.

        No eigenvalue of their resistance matrix is more than its largest sum along a row.
        """
        from scipy.linalg import cho_solve

        those = np.isin(self.floating, loaded).astype(np.float64)
        if not those.any():
            return 0.0
        sums = cho_solve((self.factor, True), those, check_finite=False)
        return float(sums[those > 0].max())


class Circuit:
    """A conductance matrix with a staircase at every node, and rectifiers at some.

    Args:
        names: of the nodes, for errors.
        rectifier: of the nodes in `rectified`.
        rectified: nodes with a rectifier other than an ideal diode, which is a staircase.
        polarity: of each.

    Attributes:
        treads: the staircases.
        volts: where the last solution was; the next one starts from there.
        inflow: amperes into every node besides (nodes,), such as those of capacitors; None for 0.
    """

    def __init__(
        self, names: Sequence[str], rectifier: Rectifier, rectified: Places, polarity: Doubles
    ) -> None:
        self.names = names
        self.treads = Treads(len(names))
        self.inflow: Doubles | None = None
        self.volts = np.zeros(len(names))
        self._matrix = self._sizes = np.zeros((len(names), len(names)))
        self._law = rectifier
        self._at = rectified
        self._sign = polarity
        self.conducting = True
        self._factors: dict[bytes, tuple[Places, Places, Any]] = {}

    @property
    def matrix(self) -> Doubles:
        """The conductance matrix (nodes, nodes)."""
        return self._matrix

    @property
    def rectified(self) -> Places:
        """Nodes with a rectifier other than an ideal diode."""
        return self._at

    def slopes(self, volts: Doubles) -> Doubles:
        """Return dI/dV of the rectifiers at volts (..., nodes), siemens (..., rectified)."""
        u = self._sign * volts[..., self._at]
        if not (self._at.size and self.conducting) or isinstance(self._law, IdealDiode):
            return np.zeros(u.shape)
        return self._law.current(u)[1]

    def load(self, matrix: Doubles) -> None:
        """Take another conductance matrix (nodes, nodes), positive definite."""
        self._matrix, self._sizes = matrix, np.abs(matrix)
        # Not cleared: a copy of this circuit may have the same ones.
        self._factors = {}

    def solve(self) -> OperatingPoint:
        """Return the operating point.

        Raises:
            NotSettledError: naming a node that no conductance decides, or that does not settle.
        """
        seen: set[tuple[int, ...]] = set()
        single = False
        for _ in range(MOST_MOVES):
            volts, through, floating, factor = self._rectified()
            supplied = self._matrix @ volts
            supplied[self._at] -= through
            if self.inflow is not None:
                supplied -= self.inflow
            rounding = 4e-16 * (self._sizes @ np.abs(volts))
            nodes, steps = self.treads.wrong(volts, supplied, rounding)
            if not nodes.size:
                self.volts = volts
                supplied[floating] = self.treads.value[floating]
                return OperatingPoint(volts, supplied, floating, factor)
            places = self.treads.places()
            single = single or places in seen
            seen.add(places)
            self.treads.move(*((nodes[:1], steps[:1]) if single else (nodes, steps)))
            self.volts = volts
        raise NotSettledError(f"{self.names[int(nodes[0])]}: its source's limit is not decided")

    def _rectified(self) -> tuple[Doubles, Doubles, Places, Doubles]:
        """Return volts and the rectifiers' amperes into their nodes, at the present places."""
        at, sign, law = self._at, self._sign, self._law
        injected = np.where(self.treads.held, 0.0, self.treads.value)
        if self.inflow is not None:
            injected += self.inflow
        if not at.size or not self.conducting or isinstance(law, IdealDiode):
            volts, floating, factor = self._linear(injected, None)
            return volts, np.zeros(at.size), floating, factor
        own = self._matrix[at, at]
        u = sign * np.where(self.treads.held[at], self.treads.value[at], self.volts[at])
        free = ~self.treads.held[at]
        before = np.inf
        for step in range(MOST_STEPS):
            amps, slope = law.current(u)
            slope = np.where(free, slope, 0.0)
            inflow = injected.copy()
            inflow[at] += sign * (amps + slope * u)
            volts, floating, factor = self._linear(inflow, slope)
            new = sign * volts[at]
            tangent = amps - slope * (new - u)
            actual, _ = law.current(new)
            size = np.abs(tangent) + own * np.abs(new) + np.finfo(float).tiny
            off = float((np.abs(actual - tangent) / size)[free].max(initial=0.0))
            if off <= CLOSE or (off <= STALLED and off > 0.5 * before):
                return volts, sign * np.where(free, tangent, actual), floating, factor
            before = off
            with np.errstate(all="ignore"):
                ahead = law.balanced(own * new - tangent, own)
            ahead = np.where(np.isfinite(ahead) & free, ahead, new)
            # Halved where full steps go back and forth.
            u = ahead if step < MOST_STEPS // 4 else 0.5 * (u + ahead)
        worst = int(at[np.argmax(np.abs(actual - tangent) / size)])
        raise NotSettledError(f"{self.names[worst]}: its rectifier does not settle")

    def _linear(self, injected: Doubles, slope: Doubles | None) -> tuple[Doubles, Places, Doubles]:
        from scipy.linalg import cho_solve

        held = self.treads.held
        key = held.tobytes() + (b"" if slope is None else slope.tobytes())
        found = self._factors.get(key)
        if found is None:
            free, fixed = np.flatnonzero(~held), np.flatnonzero(held)
            matrix = self._matrix[np.ix_(free, free)]
            if slope is not None:
                full = np.zeros(held.size)
                full[self._at] = slope
                matrix[np.diag_indices_from(matrix)] += full[free]
            factor = self._factored(matrix, free)
            if len(self._factors) >= _KEPT:
                self._factors.clear()
            found = self._factors[key] = (free, fixed, factor)
        free, fixed, factor = found
        volts = np.where(held, self.treads.value, 0.0)
        if free.size:
            known = injected[free] - self._matrix[np.ix_(free, fixed)] @ volts[fixed]
            volts[free] = cho_solve(factor, known, check_finite=False)
        return volts, free, factor[0]

    def _factored(self, matrix: Doubles, free: Places) -> tuple[Doubles, bool]:
        """Return the Cholesky factor of the admittance between the free nodes."""
        from scipy.linalg import cho_factor
        from scipy.sparse.csgraph import connected_components

        try:
            return cho_factor(matrix, lower=True, check_finite=False)  # type: ignore[no-any-return]
        except np.linalg.LinAlgError:
            pass
        # Nodes that relays join to each other, and nothing to anything else, are held by the
        # insulation alone, which next to a relay is lost in rounding.
        own = np.diagonal(matrix).copy()
        _, island = connected_components(matrix != 0, directed=False)
        outward, largest = np.bincount(island, matrix.sum(1)), np.zeros(island.max() + 1)
        np.maximum.at(largest, island, own)
        adrift = (outward < 1e-12 * largest)[island]
        matrix[np.diag_indices_from(matrix)] += np.where(adrift, 1e-12 * own, 0.0)
        try:
            return cho_factor(matrix, lower=True, check_finite=False)  # type: ignore[no-any-return]
        except np.linalg.LinAlgError:
            name = self.names[int(free[np.argmin(own)])]
            raise NotSettledError(f"{name}: no conductance decides its voltage") from None
