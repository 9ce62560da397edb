"""Brings the cells of a bench to conductances that tell its lines apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.instruments.findings import Finding
from hilep.instruments.stations import Station
from hilep.network import Network

LEAST_SIEMENS = 1e-15
"""What a cell that reads as nothing or less is taken for."""


@dataclass
class TestCells:
    """The cells as the check found or wrote them.

    Attributes:
        siemens: of each cell as verified, one (n_pre, n_post) per layer.
        pulses: that writing took.
        failed: (layer, row, column) of cells that would not go.
        written: whether they were written.
    """

    __test__ = False

    siemens: list[Doubles]
    pulses: int = 0
    failed: tuple[tuple[int, int, int], ...] = ()
    written: bool = False

    def finding(self) -> Finding:
        """Return what to say about them. A cell that would not go stands in nobody's way."""
        count = sum(array.size for array in self.siemens)
        low = min(float(array.min()) for array in self.siemens)
        high = max(float(array.max()) for array in self.siemens)
        done = f"written with a test pattern, {self.pulses} pulses" if self.written else "as found"
        text = f"{count} cells {done}, {low:.3g} to {high:.3g} S"
        if self.failed:
            places = ", ".join(str(cell) for cell in self.failed[:5])
            more = ", ..." if len(self.failed) > 5 else ""
            text += f"; {len(self.failed)} would not go (layer, row, column): {places}{more}"
        values = {
            "siemens": [array.tolist() for array in self.siemens],
            "pulses": self.pulses,
            "failed_cells": [list(cell) for cell in self.failed],
        }
        return Finding("cells", "array", "note" if self.failed else "ok", text, values)


def prepared_cells(
    station: Station,
    network: Network,
    tolerance: float,
    keep: bool,
    tell_apart: Callable[[Sequence[Doubles]], bool],
    generator: np.random.Generator,
) -> TestCells:
    """Read the cells, and write a pattern if these would not tell the lines apart.

    Args:
        station: with its sources off.
        network: shapes and window.
        tolerance: what counts as achieved, as a fraction.
        keep: leave cells as they are, except where they are lost with every switching off.
        tell_apart: whether such conductances do.
        generator: draws the pattern.
    """
    cells = every_cell(network)
    if not station.programmer.volatile:
        # Anything is within such a tolerance, so that cells are read and none is pulsed.
        report = station.programmer.program(
            cells, np.full(len(cells), network.g_min_siemens or LEAST_SIEMENS), np.inf
        )
        found = _arrays(network, report.siemens)
        if keep or tell_apart(found):
            return TestCells(found, int(report.pulses))
    asked = _pattern(network, len(cells), generator)
    report = station.programmer.program(cells, asked, tolerance)
    failed = tuple((int(k), int(i), int(j)) for k, i, j in cells[report.failed])
    return TestCells(_arrays(network, report.siemens), int(report.pulses), failed, True)


def every_cell(network: Network) -> NDArray[np.int64]:
    """Return layer, row and column of every cell (cells, 3)."""
    return np.array(
        [
            (layer, row, column)
            for layer, shape in enumerate(network.shapes)
            for row, column in np.ndindex(*shape)
        ],
        np.int64,
    )


def _pattern(network: Network, count: int, generator: np.random.Generator) -> Doubles:
    """Return conductances that are far from alike, in the lower decade of the window."""
    low = network.g_min_siemens or network.g_max_siemens / 100
    spread = min(10.0, network.g_max_siemens / low)
    # Away from the ends of the window, which a cell may not quite reach.
    ladder = np.linspace(0.1, 0.9, count)
    drawn: Doubles = low * spread ** generator.permutation(ladder)
    return drawn


def _arrays(network: Network, siemens: Doubles) -> list[Doubles]:
    parts = np.split(siemens, np.cumsum([rows * columns for rows, columns in network.shapes])[:-1])
    return [
        np.maximum(part.reshape(shape), LEAST_SIEMENS)
        for part, shape in zip(parts, network.shapes, strict=True)
    ]
