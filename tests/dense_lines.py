"""Arrays with lines as plain graphs of conductances, solved node by node."""

from __future__ import annotations

import numpy as np


class Resistors:
    """Conductances between named nodes; 0 ohm makes one node of two."""

    def __init__(self) -> None:
        self.index: dict[object, int] = {}
        self.merged: dict[object, object] = {}
        self.branches: list[tuple[object, object, float]] = []

    def node(self, name: object) -> object:
        while name in self.merged:
            name = self.merged[name]
        return name

    def resistor(self, one: object, other: object, ohm: float) -> None:
        """Join two nodes; of two nodes made one, the name of `one` stays."""
        if ohm == 0:
            self.merged[self.node(other)] = self.node(one)
        else:
            self.conductance(one, other, 1 / ohm)

    def conductance(self, one: object, other: object, siemens: float) -> None:
        self.branches.append((one, other, siemens))

    def array(self, g, word_ohm, bit_ohm, lead_ohm, pre, post, tag=0) -> None:
        """Add an array: `pre` and `post` are the names of its ports."""
        m, n = g.shape
        lead = np.broadcast_to(lead_ohm, (m,))
        for i in range(m):
            self.resistor(pre[i], ("w", tag, i, 0), word_ohm + lead[i])
            for j in range(n - 1):
                self.resistor(("w", tag, i, j), ("w", tag, i, j + 1), word_ohm)
        for j in range(n):
            self.resistor(post[j], ("b", tag, m - 1, j), bit_ohm)
            for i in reversed(range(m - 1)):
                self.resistor(("b", tag, i + 1, j), ("b", tag, i, j), bit_ohm)
        for i, j in np.ndindex(m, n):
            self.conductance(("w", tag, i, j), ("b", tag, i, j), g[i, j])

    def joined(self, ports) -> tuple[list[object], np.ndarray]:
        """Return all nodes, `ports` first, and the conductance between each two of them."""
        nodes = list(ports)
        for one, other, _ in self.branches:
            nodes += [self.node(one), self.node(other)]
        nodes = list(dict.fromkeys(nodes))
        at = {name: k for k, name in enumerate(nodes)}
        between = np.zeros((len(nodes), len(nodes)))
        for one, other, siemens in self.branches:
            a, b = at[self.node(one)], at[self.node(other)]
            between[a, b] += siemens
            between[b, a] += siemens
        return nodes, between

    def star_mesh(self, ports) -> np.ndarray:
        """Return the conductance between each two ports, every other node eliminated.

        The star-mesh transformation only adds and divides positive numbers: every entry is right
        to rounding, however different the conductances are.
        """
        nodes, between = self.joined(ports)
        for k in reversed(range(len(ports), len(nodes))):
            star = between[k, :k]
            total = star.sum()
            between = between[:k, :k]
            if total > 0:
                between += np.outer(star, star / total)
            np.fill_diagonal(between, 0.0)
        return between

    def volts(self, ports, known: np.ndarray) -> dict[object, np.ndarray]:
        """Return the volts of every node at `known` volts (batch, n_ports) of the ports."""
        nodes, between = self.joined(ports)
        siemens = np.diag(between.sum(axis=1)) - between
        k = len(ports)
        inside = np.linalg.solve(siemens[k:, k:], -siemens[k:, :k] @ known.T)
        everywhere = np.concatenate([known.T, inside])
        return dict(zip(nodes, everywhere, strict=True))
