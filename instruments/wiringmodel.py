"""What the nodes of a crossbar answer to each source, for any way of wiring it.

The cells are linear, so Kirchhoff's current law is one matrix over all terminals: inputs, bias rows
and free nodes. A rectifier makes its node nonlinear, but only towards one side. For the other side
it carries no current; for its own side the node's measured volts are taken as they are, and
everything else follows from them. So the law of the rectifier need not be known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles
from hilep.instruments.wiring import Line, node_names
from hilep.network import Network

OPEN = -1
"""The terminal of a channel whose wire is broken."""

_SHORT = 1e6
"""Conductance of a short, over the largest conductance of any terminal."""

_LEAK = 1e-9
"""Conductance to ground in the same measure, for what nothing else joins to anything."""


@dataclass(frozen=True, slots=True)
class Wires:
    """A way of wiring.

    Attributes:
        at: the terminal of each channel, or `OPEN`.
        joined: pairs of terminals that touch; `OPEN` stands for ground.
        held: (hidden node's terminal, polarity) where its reader does not show its volts.
    """

    at: tuple[int, ...]
    joined: tuple[tuple[int, int], ...] = ()
    held: tuple[tuple[int, int], ...] = ()

    def swapped(self, first: int, second: int) -> Wires:
        """Return the wires with those of two channels exchanged."""
        at = list(self.at)
        at[first], at[second] = at[second], at[first]
        return replace(self, at=tuple(at))

    def opened(self, channel: int, polarity: int = 0) -> Wires:
        """Return the wires without that of a channel, whose node has a rectifier or none."""
        at = list(self.at)
        node, at[channel] = at[channel], OPEN
        held = (*self.held, (node, polarity)) if polarity else self.held
        return replace(self, at=tuple(at), held=held)

    def shorted(self, first: int, second: int) -> Wires:
        """Return the wires with two terminals touching."""
        return replace(self, joined=(*self.joined, (first, second)))


class WiringModel:
    """The circuit of a bench.

    Channels are numbered: inputs, bias rows, nudges, then the readers that are none of these.

    Args:
        network: layers.
        siemens: of the cells, one (n_pre, n_post) per layer.
        clamps: channels of inputs and bias rows.
        nudges: channels of the outputs.
        readers: channels of the free nodes.

    Attributes:
        lines: every channel.
        readers: the channel number of each free node's reader (n_free,).
        clamps: how many channels, from the first, are of volts.
        drives: how many, from the first, drive anything.
        first_free, first_output: terminals.
        names: of the terminals.
        kirchhoff: amperes into each terminal per volt at each (terminals, terminals).
        right: the wires as they should be.
    """

    def __init__(
        self,
        network: Network,
        siemens: Sequence[ArrayLike],
        clamps: Sequence[Line],
        nudges: Sequence[Line],
        readers: Sequence[Line],
    ) -> None:
        biases = len(clamps) - network.inputs
        own = [line for line in readers if line not in nudges]
        self.lines = (*clamps, *nudges, *own)
        self.readers = np.array([self.lines.index(line) for line in readers])
        self.clamps, self.drives = len(clamps), len(clamps) + len(nudges)
        self.first_free = len(clamps)
        self.first_output = self.first_free + network.output_slice.start
        rows = [f"bias row {k}" for k in range(biases)]
        self.names = [f"input {k}" for k in range(network.inputs)] + rows + node_names(network)
        self.kirchhoff = _kirchhoff(network, siemens, biases)
        outputs = range(self.first_output, len(self.names))
        places = {line: self.first_free + node for node, line in enumerate(readers)}
        self.right = Wires((*range(self.clamps), *outputs, *(places[line] for line in own)))

    def label(self, channel: int) -> str:
        """Return what a channel should be at, and its name."""
        return f"{self.names[self.right.at[channel]]} ({self.lines[channel]})"

    def answers(
        self,
        wires: Wires,
        driven: NDArray[np.int64],
        levels: Doubles,
        measured: Doubles | None = None,
        polarity: NDArray[np.int64] | None = None,
    ) -> Doubles:
        """Return what every reader shows over what it showed before, volts (rows, n_free).

        NaN where a source and a rectifier pull a node apart: what that comes to is open.

        Args:
            wires: how the channels are wired.
            driven: the one channel that is moved (rows,); all others stay.
            levels: by how many volts or amperes (rows,).
            measured: what the readers showed (rows, n_free).
            polarity: of the rectifier that each reader showed (n_free,); none where None.
        """
        count = len(self.names)
        found = np.zeros((len(driven), len(self.readers)))
        at = np.array(wires.at)
        matrix = self._joined(wires)
        shown = at[self.readers]
        for sign in (1, -1):
            rows = np.flatnonzero(np.sign(levels) == sign)
            if not rows.size:
                continue
            volts, amps = np.zeros((2, len(rows), count))
            known = np.zeros(count, bool)
            for node, side in wires.held:
                known[node] |= side == -sign
            if polarity is not None and measured is not None:
                hidden = (shown >= self.first_free) & (shown < self.first_output)
                for reader in np.flatnonzero(hidden & (polarity == -sign)):
                    known[shown[reader]] = True
                    volts[:, shown[reader]] = np.nan_to_num(measured[rows, reader])
            clamped = [place for place in at[: self.clamps].tolist() if place != OPEN]
            torn = self._torn(wires, set(np.flatnonzero(known)), set(clamped))
            known[clamped] = True
            volts[:, clamped] = 0.0
            for k, row in enumerate(rows):
                place = at[driven[row]]
                if place != OPEN:
                    (volts if driven[row] < self.clamps else amps)[k, place] = levels[row]
            volts = _solved(matrix, known, volts, amps)
            for ends in wires.joined:
                if max(ends) < self.first_free and min(ends) != OPEN:
                    chosen = np.isin(at[driven[rows]], ends) & (driven[rows] < self.clamps)
                    self._share(matrix, known, ends, volts, shown, chosen, measured, rows)
            volts[np.isin(at[driven[rows]], sorted(torn))] = np.nan
            there = shown != OPEN
            found[np.ix_(rows, there)] = volts[:, shown[there]]
        return found

    def _torn(self, wires: Wires, held: set[int], clamped: set[int]) -> set[int]:
        """Return the clamped terminals that touch a node which its rectifier holds."""
        found = clamped & held
        for first, second in wires.joined:
            found |= {
                a for a, b in ((first, second), (second, first)) if a in clamped and b in held
            }
        return found

    def _share(
        self,
        matrix: Doubles,
        known: NDArray[np.bool_],
        ends: tuple[int, int],
        volts: Doubles,
        shown: NDArray[np.int64],
        chosen: NDArray[np.bool_],
        measured: Doubles | None,
        rows: NDArray[np.int64],
    ) -> None:
        """Put two clamps that touch at the common volts that suit what was measured best.

        One pulls the other, and how far depends on how each of them gives in.
        """
        there = shown != OPEN
        for k in np.flatnonzero(chosen):
            level = float(volts[k, list(ends)].sum())
            parts = []
            for common in (0.0, level):
                one = volts[k : k + 1].copy()
                one[:, list(ends)] = common
                parts.append(_solved(matrix, known, one, np.zeros_like(one))[0])
            apart, share = parts[1] - parts[0], 0.5
            if measured is not None:
                seen = measured[rows[k], there] - parts[0][shown[there]]
                slope = np.where(np.isfinite(seen), apart[shown[there]], 0.0)
                most = float(slope @ slope)
                share = float(slope @ np.nan_to_num(seen)) / most if most else 0.5
            volts[k] = parts[0] + min(max(share, 0.0), 1.0) * apart

    def _joined(self, wires: Wires) -> Doubles:
        matrix = self.kirchhoff.copy()
        most = float(self.kirchhoff.diagonal().max())
        matrix[np.diag_indices_from(matrix)] += _LEAK * most
        for first, second in wires.joined:
            ends = [end for end in (first, second) if end != OPEN]
            matrix[ends, ends] += _SHORT * most
            if len(ends) == 2:
                matrix[ends, ends[::-1]] -= _SHORT * most
        return matrix


def _solved(matrix: Doubles, known: NDArray[np.bool_], volts: Doubles, amps: Doubles) -> Doubles:
    """Return `volts` (rows, terminals) with those that are not known by Kirchhoff's law."""
    free, found = ~known, volts.copy()
    inflow = amps[:, free] - volts[:, known] @ matrix[np.ix_(known, free)]
    found[:, free] = np.linalg.solve(matrix[np.ix_(free, free)], inflow.T).T
    return found


def _kirchhoff(network: Network, siemens: Sequence[ArrayLike], biases: int) -> Doubles:
    first = network.inputs + biases
    count = first + network.free_nodes
    joined = np.zeros((count, count))
    pre = np.arange(network.inputs)
    for layer, (values, nodes) in enumerate(zip(siemens, network.slices, strict=True)):
        start = network.inputs + (network.bias_rows * layer if biases > network.bias_rows else 0)
        rows = np.concatenate([pre, start + np.arange(network.bias_rows)])
        post = first + np.arange(nodes.start, nodes.stop)
        joined[np.ix_(rows, post)] = np.maximum(np.asarray(values, np.float64), 0.0)
        pre = post
    joined += joined.T
    matrix: Doubles = np.diag(joined.sum(axis=1)) - joined
    return matrix
