"""Rows of an array joined by bit-line segments, marched through from the first row to the last.

With Q the admittance at the bit nodes of a row of this row and all above, looking from one segment
of r ohms further down turns it into (Q^-1 + r)^-1 = (1 + r Q)^-1 Q, to which the next row adds its
own. r Q may be 1e-6 or less, so no admittance is found as a difference of numbers like 1 / r: the
matrices that are inverted are 1 + r Q, whose condition is near 1.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import NotSettledError
from hilep.simulators.circuit.chains import OVERFLOWN, Chains, diagonal

PORTS_AT_ONCE = 128
"""Sources followed through the array together where `ports` forms whole matrices."""
MOST_LOST = 1e3
"""Conductance of a cell times resistance of a segment from which on inverses are kept."""


class Ladder:
    """The bit lines of an array, its word lines eliminated.

    Holds 8 m n^2 bytes of factors, or 8 m n where no word line joins bit nodes.

    Args:
        chains: the word lines.
        segment_ohm: of a bit line, between neighbouring rows.
        end_ohm: between the last row and each post port (n,).

    Raises:
        NotSettledError: where the numbers overflow.
    """

    def __init__(self, chains: Chains, segment_ohm: float, end_ohm: Doubles) -> None:
        self.chains = chains
        self._segment_ohm = segment_ohm
        self._end_ohm = end_ohm
        rows, columns = chains.siemens.shape
        shape = (columns,) if chains.apart else (columns, columns)
        # In units of 1 / r, so that nothing has to be scaled on the way.
        self._unit = segment_ohm or 1.0
        self._factors: Doubles = np.empty((rows - 1 if segment_ohm else 0, *shape))
        # Taken from 1, r R costs digits where it is nearly 1: there the inverse itself is kept.
        self._inverted = chains.apart or segment_ohm * chains.siemens.max() > MOST_LOST
        above: Doubles = np.zeros(shape)
        # Rows are counted from the top; the last one has the post ports below it.
        for row in range(rows - 1):
            chains.add_schur(row, self._unit, above)
            if segment_ohm:
                self._go_on(row, above)
        chains.add_schur(rows - 1, self._unit, above)
        above /= self._unit
        if not np.isfinite(above).all():
            raise NotSettledError(OVERFLOWN)
        self._last: Doubles = above
        self._end: Doubles | None = None
        if not end_ohm.any():
            return
        if chains.apart:
            self._end = 1 + end_ohm * above
            return
        from scipy.linalg.lapack import dgetrf

        joined = end_ohm[:, None] * above
        diagonal(joined)[:] += 1.0
        self._end, self._pivots, _ = dgetrf(joined)

    @cached_property
    def post_siemens(self) -> Doubles:
        """Admittance of the post ports, sources at 0 V: (n,) where `apart`, else (n, n)."""
        if self.chains.apart:
            return self._last if self._end is None else self._last / self._end
        siemens = self._past_end(self._last, transposed=True)
        siemens = (siemens + siemens.T) / 2
        # The rows of the whole sum to 0, which loses nothing where a row nearly does without ports.
        diagonal(siemens)[:] = 0.0
        total = self.inflow(np.ones((len(self.chains.siemens), 1)))[:, 0]
        diagonal(siemens)[:] = total - siemens.sum(axis=1)
        return siemens

    def _go_on(self, row: int, above: Doubles) -> None:
        """Look from one segment further down: S = r Q becomes (1 + S)^-1 S, in place.

        Keeps it, or (1 + S)^-1, for `_through`. Segments are added to one half of the bit lines,
        then to the other: adding them to some lines p takes S_qp (1 + S_pp)^-1 S_pq from what the
        others q see. That is 1.5 n^3 multiplications and additions, where all at once are 2.3 n^3.
        """
        factor = self._factors[row]
        if self.chains.apart:
            np.divide(1.0, 1.0 + above, out=factor)
            above *= factor
            return
        if self._inverted:
            factor[:] = np.eye(len(above))
            _solve_one_plus(above, factor)
        middle = (len(above) + 1) // 2
        first, second = slice(0, middle), slice(middle, len(above))
        _add_segments(above, first, second)
        if len(above) > 1:
            _add_segments(above, second, first)
        if not self._inverted:
            factor[:] = above

    def inflow(self, sources: Doubles) -> Doubles:
        """Return amperes into the grounded post ports (n, batch) from source volts (m, batch)."""
        amps = np.zeros((self.chains.siemens.shape[1], sources.shape[1]))
        for row, (volts, drive) in enumerate(zip(sources, self.chains.drive, strict=True)):
            if row:
                amps = self._through(row - 1, amps)
            amps += np.multiply.outer(drive, volts)
        return self._past_end(amps, transposed=True)

    def bit_volts(self, sources: Doubles, posts: Doubles, volts: Doubles) -> None:
        """Find the volts of all bit nodes.

        Args:
            sources: volts (m, batch).
            posts: volts (n, batch).
            volts: where those of the bit nodes go (m, n, batch).
        """
        self._gather(sources, volts)
        self._back(volts, posts)

    def ports(self) -> tuple[Doubles, Doubles]:
        """Return the admittance of the sources, (m,) or (m, m), and the transfer (m, n).

        The transfer is amperes into each grounded post port per volt of a source.
        """
        rows, columns = self.chains.siemens.shape
        if not self._segment_ohm and not self._end_ohm.any():
            return self.chains.drawn, self.chains.drive
        siemens = np.zeros((rows, rows))
        transfer = np.empty((rows, columns))
        for first in range(0, rows, PORTS_AT_ONCE):
            block = slice(first, min(first + PORTS_AT_ONCE, rows))
            count = block.stop - first
            # What the rows above the block draw is known already, by symmetry.
            bits = np.empty((rows - first, columns, count))
            self._gather(np.eye(rows - first, count), bits, first)
            transfer[block] = self._past_end(bits[-1], transposed=True).T
            self._back(bits, np.zeros((columns, count)), first)
            taken = (self.chains.drive[first:, None, :] @ bits)[:, 0]
            siemens[first:, block] = -taken
            siemens[block, first:] = -taken.T
        siemens = (siemens + siemens.T) / 2
        np.fill_diagonal(siemens, 0.0)
        np.fill_diagonal(siemens, transfer.sum(axis=1) - siemens.sum(axis=1))
        return siemens, transfer

    def _gather(self, sources: Doubles, amps: Doubles, first: int = 0) -> None:
        """Find the amperes that each row would pass down into ground (rows, n, batch).

        Rows and sources are counted from `first`; the sources before it are at 0 V.
        """
        np.multiply(self.chains.drive[first:, :, None], sources[:, None, :], out=amps)
        for row in range(1, len(amps)):
            amps[row] += self._through(first + row - 1, amps[row - 1])

    def _back(self, amps: Doubles, posts: Doubles, first: int = 0) -> None:
        """Turn the amperes that `_gather` found into volts of the bit nodes, in place."""
        amps[-1] = self._past_end(posts + self._end_ohm[:, None] * amps[-1], transposed=False)
        for row in reversed(range(len(amps) - 1)):
            here = amps[row]
            here *= self._segment_ohm
            here += amps[row + 1]
            here[:] = self._through(first + row, here)

    def _through(self, row: int, values: Doubles) -> Doubles:
        """Return (1 + r Q)^-1 of a row times `values` (n, batch)."""
        if not self._segment_ohm:
            return values
        factor = self._factors[row]
        product: Doubles = factor[:, None] * values if self.chains.apart else factor @ values
        return product if self._inverted else np.subtract(values, product, out=product)

    def _past_end(self, values: Doubles, *, transposed: bool) -> Doubles:
        """Return (1 + D Q)^-1, or its transpose, times `values` (n, batch)."""
        if self._end is None:
            return values
        if self._end.ndim == 1:
            return values / self._end[:, None]
        from scipy.linalg.lapack import dgetrs

        return np.asarray(dgetrs(self._end, self._pivots, values, trans=int(transposed))[0])


def _add_segments(above: Doubles, here: slice, others: slice) -> None:
    """Look past the segments of the bit lines `here`, in place."""
    seen = above[:, here].copy()
    _solve_one_plus(above[here, here], seen)
    above[others, others] -= above[others, here] @ seen[others].T
    above[:, here] = seen
    above[here, others] = seen[others].T


def _solve_one_plus(matrix: Doubles, rows: Doubles) -> None:
    """Multiply each of the rows (k, n) by (1 + matrix)^-1, in place.

    Raises:
        NotSettledError: where 1 + matrix is not finite and positive definite.
    """
    from scipy.linalg.lapack import dposv

    own = matrix.copy()
    diagonal(own)[:] += 1.0
    # Transposed is LAPACK's order in memory: rows become right-hand sides, changed in place.
    _, _, wrong = dposv(own.T, rows.T, lower=0, overwrite_a=1, overwrite_b=1)
    if wrong:
        raise NotSettledError(OVERFLOWN)
