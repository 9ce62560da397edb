"""The nodes of a crossbar network on a bench, and the conductances between them.

Sources stand at `x0` (inputs) and at `bp`, `bn` (bias rows; `bp0`, `bn0`, `bp1` where each array
has its own), rectifiers and meters at `h1_0` (hidden, layer first) and `y0` (outputs). `r0_3` is
where row 3 of array 0 begins, `c0_5` where its column 5 ends. A node may have several names:
without a resistance between them a source and its row are one, and a hidden node, its column and
its row of the next array are one.

A terminal may be parted from its lines by a relay. `x0 line`, `bp line`, `y0 line` and `h1_0 line`
name the other end. The relay of a hidden node has two poles: one to its column, one to its row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import BadInputError
from hilep.network import Network
from hilep.simulators.circuit.wiring import Wiring

GROUND = "ground"


class CrossbarNodes:
    """Which nodes there are and what, besides cells, joins them.

    Args:
        network: without amplifiers; bias currents are not there.
        wiring: resistance of sources and meters; that of lines is `LineArray`'s.
        shared_bias: whether two sources feed the bias rows of all arrays.
        parted: names of the terminals that have a relay of their own.
        extra: further nodes that nothing but a relay joins.

    Attributes:
        names: one of the names of each node.
        index: node by name; the ground is one more than the last.
        rows, columns: per array, the nodes of its lines (n_pre,), (n_post,).
        free: the free nodes, in the order of reads (n_free,).
        branches: (node, node, siemens) that are always there.
        poles: the pairs of nodes that a relay between two terminals joins, where that is not just
            the two.

    Raises:
        BadInputError: for a name that cannot be parted.
    """

    def __init__(
        self,
        network: Network,
        wiring: Wiring,
        shared_bias: bool = True,
        parted: Collection[str] = (),
        extra: Sequence[str] = (),
    ) -> None:
        self.names: list[str] = []
        self.index: dict[str, int] = {}
        self.branches: list[tuple[int, int, float]] = []
        self.poles: dict[frozenset[str], list[tuple[int, int]]] = {}
        self._parted = set(parted)
        self._source_ohm = wiring.source_ohm
        last = len(network.shapes) - 1
        rows: list[list[int]] = []
        columns: list[list[int]] = []
        heads = [self._source(f"x{i}") for i in range(network.inputs)]
        shared = [self._source(f"b{s}") for s in "pn"[: network.bias_rows] if shared_bias]
        free: list[int] = []
        for k, (_, n_post) in enumerate(network.shapes):
            before = [self._line(f"r{k}_{i}", head, k == 0) for i, head in enumerate(heads)]
            own = shared
            if network.bias_rows and not shared_bias:
                own = [self._source(f"b{s}{k}") for s in "pn"]
            place = len(before)
            rows.append(
                before + [self._line(f"r{k}_{place + n}", b, True) for n, b in enumerate(own)]
            )
            ends, heads = [], []
            for j in range(n_post):
                name = f"y{j}" if k == last else f"h{k + 1}_{j}"
                node = self._node(name)
                free.append(node)
                column, row = self._free(name, node, f"c{k}_{j}", k == last)
                ends.append(column)
                heads.append(row)
            columns.append(ends)
        for name in extra:
            self._node(name)
        if unknown := self._parted - self.index.keys():
            raise BadInputError(f"relay: nothing is called {min(unknown)!r}")
        self.rows = [np.array(nodes) for nodes in rows]
        self.columns = [np.array(nodes) for nodes in columns]
        self.free = np.array(free)
        ground = len(self.names)
        self.index[GROUND] = ground
        if wiring.meter_siemens:
            self.branches += [(node, ground, wiring.meter_siemens) for node in free]

    def ends(self, first: str, second: str) -> list[tuple[int, int]]:
        """Return the pairs of nodes that a relay between two terminals joins."""
        found = self.poles.get(frozenset((first, second)))
        return found or [(self.index[first], self.index[second])]

    def _node(self, name: str) -> int:
        if name in self.index:
            raise BadInputError(f"terminal {name!r}: expected each name once")
        self.index[name] = len(self.names)
        self.names.append(name)
        return self.index[name]

    def _source(self, name: str) -> int:
        """Return the node where the line of a source begins."""
        node = self._node(name)
        if name in self._parted:
            node = self._node(f"{name} line")
        return node

    def _line(self, name: str, head: int, driven: bool) -> int:
        """Return the beginning of a row that a source (or a hidden node) at `head` feeds."""
        if not (driven and self._source_ohm):
            self.index[name] = head
            return head
        node = self._node(name)
        self.branches.append((head, node, 1 / self._source_ohm))
        return node

    def _free(self, name: str, node: int, column: str, output: bool) -> tuple[int, int]:
        """Return the end of a free node's column and the beginning of the row that it feeds."""
        if name not in self._parted:
            self.index[column] = node
            return node, node
        end = self._node(column)
        self.index[f"{name} line"] = end
        poles = [(node, end)]
        row = node
        if not output:
            row = self._node(f"{name} row")
            poles.append((node, row))
        self.poles[frozenset((name, f"{name} line"))] = poles
        return end, row


class LineArray:
    """The admittance of one array of cells between the beginnings of its rows and column ends.

    Args:
        siemens: of its cells (n_pre, n_post).
        wiring: resistance of its lines.

    Attributes:
        admittance: between rows, then columns (n_pre + n_post, n_pre + n_post).
    """

    def __init__(self, siemens: Doubles, wiring: Wiring) -> None:
        self._shape = n, m = siemens.shape
        self._drops: Doubles | None = None
        if wiring.word_ohm or wiring.bit_ohm:
            self.admittance, self._drops = _eliminated(siemens, wiring)
            return
        self.admittance = np.zeros((n + m, n + m))
        self.admittance[:n, n:] = -siemens
        self.admittance[n:, :n] = -siemens.T
        totals = np.concatenate([siemens.sum(1), siemens.sum(0)])
        self.admittance[np.diag_indices(n + m)] = totals

    def across(self, rows: Doubles, columns: Doubles) -> Doubles:
        """Return the volts across every cell, positive where its row is higher (n_pre, n_post).

        Args:
            rows: volts where the rows begin (n_pre,).
            columns: volts where the columns end (n_post,).
        """
        if self._drops is None:
            return rows[:, None] - columns[None, :]
        drops = self._drops @ np.concatenate([rows, columns])
        return np.asarray(drops.reshape(self._shape))


def _eliminated(siemens: Doubles, wiring: Wiring) -> tuple[Doubles, Doubles]:
    """Return the admittance of an array with resistive lines, and its cells' volts per line's."""
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    n, m = siemens.shape
    rows, columns = np.arange(n), n + np.arange(m)
    words = np.broadcast_to(rows[:, None], (n, m))
    bits = np.broadcast_to(columns[None, :], (n, m))
    size = n + m
    pairs: list[tuple[NDArray[np.intp], NDArray[np.intp], Doubles]] = []

    def lead(first: NDArray[np.intp], second: NDArray[np.intp], ohm: float) -> None:
        pairs.append((first.ravel(), second.ravel(), np.full(first.size, 1 / ohm)))

    if wiring.word_ohm:
        words = size + np.arange(n * m).reshape(n, m)
        size += n * m
        lead(rows, words[:, 0], wiring.word_ohm)
        lead(words[:, :-1], words[:, 1:], wiring.word_ohm)
    if wiring.bit_ohm:
        bits = size + np.arange(n * m).reshape(n, m)
        size += n * m
        lead(bits[-1], columns, wiring.bit_ohm)
        lead(bits[:-1], bits[1:], wiring.bit_ohm)
    pairs.append((words.ravel(), bits.ravel(), siemens.ravel()))
    first, second, values = (np.concatenate(part) for part in zip(*pairs, strict=True))
    at = np.concatenate([first, second, first, second])
    to = np.concatenate([first, second, second, first])
    matrix = coo_array((np.concatenate([values, values, -values, -values]), (at, to))).tocsc()
    outer = n + m
    inward = matrix[outer:, :outer].toarray()
    inner = -splu(matrix[outer:, outer:].tocsc()).solve(inward)
    admittance = matrix[:outer, :outer].toarray() + inward.T @ inner
    volts = np.vstack([np.eye(outer), inner])
    return 0.5 * (admittance + admittance.T), volts[words.ravel()] - volts[bits.ravel()]
