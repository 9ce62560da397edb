"""An array of cells whose word and bit lines have resistance, solved directly by its structure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, checked
from hilep.errors import BadInputError
from hilep.simulators.circuit.chains import Chains
from hilep.simulators.circuit.ladder import Ladder


@dataclass(frozen=True, slots=True)
class LineSolution:
    """Voltages and currents inside an array, each (batch, m, n).

    Attributes:
        word_volts: of word-line node (i, j), volts.
        bit_volts: of bit-line node (i, j), volts.
        cell_amps: from word line to bit line through cell (i, j).
        word_amps: towards word-line node (i, j), from pre node i (j = 0) or node (i, j - 1).
        bit_amps: from bit-line node (i, j), to node (i + 1, j) or (in the last row) post node j.
    """

    word_volts: Doubles
    bit_volts: Doubles
    cell_amps: Doubles
    word_amps: Doubles
    bit_amps: Doubles


class LineArray:
    """One array between its pre ports (word lines, left) and its post ports (bit lines, bottom).

    Word line i runs from pre port i through `lead_ohm` and one segment to the node of cell (i, 0)
    and by one segment to each further cell; bit line j runs from the node of cell (0, j) down to
    that of cell (m - 1, j) and by one segment more to post port j. Each word line is eliminated
    exactly, then the rows are, one after the other, along the shorter side of the array. With s the
    shorter and l the longer side that takes about 1.5 l s^3 multiplications and additions, and
    8 l s^2 bytes for factors, so that new voltages cost no more than products of matrices and
    vectors.

    Args:
        siemens: conductances of the cells (m, n), >= 0; 0 is an open cell.
        word_ohm: of each segment of a word line; 0 makes a word line one node.
        bit_ohm: of each segment of a bit line; 0 makes a bit line its post port.
        lead_ohm: in series with the first segment of every word line, or of each (m,).

    Raises:
        BadInputError: for a negative or non-finite value or a wrong shape.
        NotSettledError: where the numbers overflow.
    """

    def __init__(
        self,
        siemens: ArrayLike,
        word_ohm: float = 0.0,
        bit_ohm: float = 0.0,
        lead_ohm: ArrayLike = 0.0,
    ) -> None:
        g = checked(siemens, (None, None), "array siemens").astype(np.float64)
        if not g.size:
            raise BadInputError(f"array siemens: expected at least one cell, got {g.shape}")
        if g.min() < 0:
            where = tuple(int(k) for k in np.unravel_index(np.argmin(g), g.shape))
            raise BadInputError(f"array siemens: entry {where} is {g.min():.9g}, expected >= 0")
        for name, ohm in (("word_ohm", word_ohm), ("bit_ohm", bit_ohm)):
            if not (math.isfinite(ohm) and ohm >= 0):
                raise BadInputError(f"array {name}: expected a finite number >= 0, got {ohm}")
        shape = g.shape[:1] if np.ndim(lead_ohm) else ()
        lead = checked(lead_ohm, shape, "array lead_ohm").astype(np.float64)
        if lead.min() < 0:
            raise BadInputError(f"array lead_ohm: expected ohms >= 0, got {lead.min():.9g}")
        self.siemens: Doubles = g
        self.joins_pre = bit_ohm > 0
        self.joins_post = word_ohm > 0 or bool(lead.any())
        self._turned = g.shape[1] > g.shape[0] and self.joins_pre and self.joins_post
        self._ohms = word_ohm, bit_ohm, lead
        if not self._bare:
            _ = self._ladder

    @property
    def _bare(self) -> bool:
        """Whether every line is its port, so that nothing has to be eliminated."""
        return not self.joins_pre and not self.joins_post

    @cached_property
    def _ladder(self) -> Ladder:
        g, (m, n) = self.siemens, self.siemens.shape
        word_ohm, bit_ohm, lead = self._ohms
        start = np.broadcast_to(word_ohm + lead, (m,))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if not self._turned:
                return Ladder(Chains(g, word_ohm, start), bit_ohm, np.full(n, bit_ohm))
            # Seen from the post ports, bit lines are the word lines, the last row and column first.
            chains = Chains(g[::-1, ::-1].T.copy(), bit_ohm, np.full(n, bit_ohm))
            return Ladder(chains, word_ohm, start[::-1].copy())

    @property
    def post_siemens(self) -> Doubles:
        """Admittance at the post ports, pre ports at 0 V.

        (n,) where word lines join no post ports (`joins_post` is false), else (n, n), symmetric.
        """
        if self._bare:
            return np.asarray(self.siemens.sum(axis=0))
        return self.ports()[2] if self._turned else self._ladder.post_siemens

    def ports(self) -> tuple[Doubles, Doubles, Doubles]:
        """Return pre_siemens, transfer and post_siemens.

        The currents into the array are pre_siemens pre - transfer post at the pre ports and
        post_siemens post - transfer^T pre at the post ports. Admittances are symmetric, positive on
        the diagonal and not positive off it, and every row of the whole sums to 0. The array keeps
        them: read them, never write them.

        Returns:
            pre_siemens, (m,) where bit lines join no pre ports (`joins_pre` is false), else (m, m);
            transfer (m, n), not negative; and `post_siemens`.
        """
        if self._bare:
            return np.asarray(self.siemens.sum(axis=1)), self.siemens, self.post_siemens
        siemens, transfer = self._ports
        ladder = self._ladder
        if not self._turned:
            return siemens, transfer, ladder.post_siemens
        return (
            ladder.post_siemens[::-1, ::-1],
            transfer[::-1, ::-1].T,
            siemens[::-1, ::-1],
        )

    def inflow(self, pre_volts: ArrayLike) -> Doubles:
        """Return the amperes into the grounded post ports (batch, n) at `pre_volts` (batch, m).

        Raises:
            BadInputError: for a wrong shape or a value that is not finite.
        """
        volts = self._volts(pre_volts, 0, "pre_volts")
        if self._bare:
            return np.asarray(volts @ self.siemens)
        if not self._turned:
            return self._ladder.inflow(volts.T).T
        return volts @ self.ports()[1]

    def solve(self, pre_volts: ArrayLike, post_volts: ArrayLike | None = None) -> LineSolution:
        """Return all voltages and currents inside the array.

        Args:
            pre_volts: (batch, m).
            post_volts: (batch, n), or None for 0 V.

        Raises:
            BadInputError: for a wrong shape or a value that is not finite.
        """
        pre = self._volts(pre_volts, 0, "pre_volts")
        if post_volts is None:
            post = np.zeros((len(pre), self.siemens.shape[1]))
        else:
            post = self._volts(post_volts, 1, "post_volts", len(pre))
        source, sink = (post.T[::-1], pre.T[::-1]) if self._turned else (pre.T, post.T)
        source = np.ascontiguousarray(source)
        ladder = self._ladder
        rows, columns = ladder.chains.siemens.shape
        # One block of memory, which the system hands out faster than five. Word lines are kept
        # column by column and bit lines row by row: so run the sums along them.
        block = np.empty((5, rows * columns * len(pre)))
        bit, down = block[:2].reshape(2, rows, columns, len(pre))
        word, amps, along = block[2:].reshape(3, columns, rows, len(pre)).transpose(0, 2, 1, 3)
        ladder.bit_volts(source, sink, bit)
        ladder.chains.volts(source, bit, word.transpose(1, 0, 2))
        np.subtract(word, bit, out=amps)
        amps *= ladder.chains.siemens[:, :, None]
        along[:, -1], down[0] = amps[:, -1], amps[0]
        for column in reversed(range(columns - 1)):
            np.add(along[:, column + 1], amps[:, column], out=along[:, column])
        for row in range(1, rows):
            np.add(down[row - 1], amps[row], out=down[row])
        if self._turned:
            turned = (bit, word, -amps, -down, -along)
            return LineSolution(*(part[::-1, ::-1].T for part in turned))
        return LineSolution(*(part.transpose(2, 0, 1) for part in (word, bit, amps, along, down)))

    @cached_property
    def _ports(self) -> tuple[Doubles, Doubles]:
        return self._ladder.ports()

    def _volts(self, values: ArrayLike, side: int, what: str, batch: int | None = None) -> Doubles:
        volts = checked(values, (batch, self.siemens.shape[side]), f"array {what}")
        return volts.astype(np.float64, copy=False)
