"""Branches of a circuit graph as arrays, and how they are gathered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles, Floats

Indices: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Branches:
    """Conductances between two nodes each.

    Attributes:
        names: of each branch.
        start, end: indices of its nodes (n,); currents count from start to end.
        siemens: (n,); for nonlinear cells at 0 V.
        weight: (n,), the factor that makes Kirchhoff's law symmetric; see `Network.weights`.
    """

    names: tuple[str, ...]
    start: Indices
    end: Indices
    siemens: Doubles
    weight: Doubles


class BranchesFound:
    """Branches as they are found, many at once."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.arrays: list[list[NDArray[Any]]] = [[], [], [], []]

    def join(
        self,
        names: Sequence[str],
        start: Indices,
        end: Indices,
        siemens: float | Floats,
        weight: float | Doubles,
    ) -> None:
        """Add branches, all arguments but the names broadcast against each other."""
        self.names += names
        broadcast = np.broadcast_arrays(start, end, np.float64(siemens), np.float64(weight))
        for kept, new in zip(self.arrays, broadcast, strict=True):
            kept.append(new.ravel())

    def branches(self) -> Branches:
        """Return all of them."""
        types = (np.intp, np.intp, np.float64, np.float64)
        columns = [
            np.concatenate([np.zeros(0, kind), *pieces])
            for kind, pieces in zip(types, self.arrays, strict=True)
        ]
        return Branches(tuple(self.names), *columns)


class NodesFound(BranchesFound):
    """Nodes as they are found, and the resistors between them."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[str] = []

    def add(self, names: Sequence[str]) -> Indices:
        """Add nodes and return their indices."""
        first = len(self.nodes)
        self.nodes += names
        return np.arange(first, len(self.nodes))
