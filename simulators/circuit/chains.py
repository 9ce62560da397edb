"""Word lines as chains of segments and cells, eliminated without a subtraction.

A word line is a tridiagonal system. Looking from its node j to the right, own cell included, one
sees a conductance; looking to the left, a resistance; both are continued fractions of positive
terms, and so is every entry of the inverse. Small resistances beside large ones cost no digits.
"""

from __future__ import annotations

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import NotSettledError

OVERFLOWN = "lines: resistances times conductances of an array leave the range of float64"

STEEPEST = 1e-100
"""Volts at a line's end over those at its first node, below which products of ratios underflow."""


def diagonal(matrix: Doubles) -> Doubles:
    """Return a view of the diagonal of a square matrix that is contiguous in memory."""
    return matrix.reshape(-1)[:: len(matrix) + 1]


class Chains:
    """All word lines of an array, each between its source and the bit nodes of its row.

    Args:
        siemens: of the cells (m, n).
        segment_ohm: between neighbouring cells.
        start_ohm: between each source and the first cell (m,).

    Attributes:
        siemens: of the cells (m, n).
        drive: amperes into each grounded bit node at 1 V of the line's source (m, n).
        drawn: amperes from each source at 1 V and grounded bit nodes (m,).
        apart: whether every word line is one node with its source, so that none joins bit nodes.

    Raises:
        NotSettledError: where the numbers overflow.
    """

    def __init__(self, siemens: Doubles, segment_ohm: float, start_ohm: Doubles) -> None:
        self.siemens = siemens
        self.apart = segment_ohm == 0 and not start_ohm.any()
        cells = np.ascontiguousarray(siemens.T)
        count = len(cells)
        right = cells.copy()
        beyond = np.zeros_like(cells)
        ratio = np.empty_like(cells)  # of a node's volts to those of the node before it
        for j in reversed(range(count)):
            ratio[j] = 1 / (1 + (segment_ohm if j else start_ohm) * right[j])
            if j:
                np.multiply(right[j], ratio[j], out=beyond[j - 1])
                right[j - 1] += beyond[j - 1]
        left = np.empty_like(cells)
        left[0] = start_ohm
        for j in range(1, count):
            left[j] = segment_ohm + left[j - 1] / (1 + cells[j - 1] * left[j - 1])
        whole = 1 + left * right
        if not np.isfinite(whole).all():
            raise NotSettledError(OVERFLOWN)
        self.drawn: Doubles = right[0] * ratio[0]
        self._own: Doubles = np.ascontiguousarray((cells * ((1 + left * beyond) / whole)).T)
        self._ohm: Doubles = np.ascontiguousarray((left / whole).T)
        self._ratio: Doubles = ratio.T.copy()
        self._before_ohm = np.full(siemens.shape, segment_ohm, dtype=np.float64)
        self._before_ohm[:, 0] = start_ohm
        self.drive: Doubles = siemens * np.cumprod(self._ratio, axis=1)
        ratio[0] = 1.0
        fall = np.cumprod(ratio, axis=0)
        self._steep = fall[-1] < STEEPEST
        rising = np.divide(left / whole, fall, out=np.zeros_like(fall), where=~self._steep)
        self._rising: Doubles = np.ascontiguousarray((rising * cells).T)
        self._falling: Doubles = np.ascontiguousarray((fall * cells).T)
        # Scratch of the products: in the cache from one line to the next.
        self._products: Doubles = np.empty((2, *(0 if self.apart else count,) * 2))

    def add_schur(self, line: int, factor: float, matrix: Doubles) -> None:
        """Add `factor` times what a line leaves between the bit nodes of its row, in place.

        That is diag(g) - G T^-1 G (n, n), with T the line's own matrix; its rows sum to `drive`.
        Only its diagonal (n,) is added where the lines are `apart`.

        Entry j, k of T^-1 is p of the smaller index times q of the larger: q falls along the line
        like the volts of a source at its start, and p rises. It is therefore the smaller one of
        p_j q_k and p_k q_j.
        """
        if self.apart:
            matrix += factor * self._own[line]
            return
        if self._steep[line]:
            ohms = factor * self._steep_ohms(line)
        else:
            p, q = factor * self._rising[line, None], self._falling[line, None]
            ohms, other = self._products
            np.dot(p.T, q, out=ohms)
            np.dot(q.T, p, out=other)
            np.minimum(ohms, other, out=ohms)
        diagonal(ohms)[:] = -factor * self._own[line]
        matrix -= ohms

    def volts(self, sources: Doubles, bit_volts: Doubles, columns: Doubles) -> None:
        """Find the volts of the word nodes.

        Args:
            sources: volts (m, batch).
            bit_volts: (m, n, batch).
            columns: where the volts go (n, m, batch).
        """
        if self.apart:
            columns[:] = sources
            return
        np.multiply(bit_volts.transpose(1, 0, 2), self.siemens.T[:, :, None], out=columns)
        ratio = np.ascontiguousarray(self._ratio.T)[:, :, None]
        ohm = np.ascontiguousarray(self._before_ohm.T)[:, :, None]
        passed_on = np.empty_like(sources)
        # First each node's current into ground through all that is right of it, own cell included.
        for j in reversed(range(len(columns) - 1)):
            np.multiply(ratio[j + 1], columns[j + 1], out=passed_on)
            columns[j] += passed_on
        before = sources
        for j, here in enumerate(columns):
            here *= ohm[j]
            here += before
            here *= ratio[j]
            before = here

    def _steep_ohms(self, line: int) -> Doubles:
        """Return G T^-1 G of a line by one product per entry, where p overflows and q underflows.

        Its diagonal is left out.
        """
        cells, count = self.siemens[line], len(self.siemens[line])
        later = np.triu(np.ones((count, count), dtype=bool), 1)
        upper = np.cumprod(np.where(later, self._ratio[line], 1.0), axis=1)
        upper *= (cells * self._ohm[line])[:, None] * cells
        upper[~later] = 0.0
        return np.asarray(upper + upper.T)
