"""Paths of the switch matrix that select one cell, by the wiring map and proven by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hilep.instruments.errors import InstrumentError
from hilep.instruments.programsections import MatrixSection
from hilep.instruments.wiring import Line, lines_of


class MatrixPaths:
    """One or more instruments with relays, of which exactly the wanted paths are closed.

    Args:
        matrix: the wiring map.
        instruments: started, by name.
        cold: tells whether no source drives the lines; relays ask it before they switch.
    """

    def __init__(
        self, matrix: MatrixSection, instruments: Mapping[str, Any], cold: Callable[[], bool]
    ) -> None:
        self.matrix = matrix
        self.instruments = instruments
        self.run = frozenset(lines_of(matrix.run))
        every = [matrix.rows, matrix.columns, matrix.unselected_rows, matrix.unselected_columns]
        named = [lines_of(row) for arrays in every for row in arrays]
        self.lines = self.run.union(*named)
        self._names = sorted({line.instrument for line in self.lines})
        for name in self._names:
            instruments[name].cold = cold

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(rows, columns) of each layer's array."""
        pairs = zip(self.matrix.rows, self.matrix.columns, strict=True)
        return [(len(rows), len(columns)) for rows, columns in pairs]

    def of_cell(self, layer: int, row: int, column: int) -> frozenset[Line]:
        """Return the paths that select a cell and bias the other lines of its array."""
        matrix = self.matrix
        found = [matrix.rows[layer][row], matrix.columns[layer][column]]
        for held, selected in ((matrix.unselected_rows, row), (matrix.unselected_columns, column)):
            if held:
                found += [path for place, path in enumerate(held[layer]) if place != selected]
        return frozenset(lines_of(found))

    def select(self, layer: int, row: int, column: int) -> None:
        """Make the paths of one cell the only closed ones.

        Raises:
            InstrumentError: a relay did not follow, or another path is closed.
        """
        self._make(self.of_cell(layer, row, column))

    def connect_run(self) -> None:
        """Make the paths of the running network the only closed ones. Raises as `select` does."""
        self._make(self.run)

    def _make(self, wanted: Iterable[Line]) -> None:
        by_name = _by_name(wanted, self._names)
        for name, channels in by_name.items():
            cards = self.instruments[name]
            surplus = [path for path in cards.closed if path not in channels]
            # With one instrument this and what closes could be one message; with several, all
            # have to open before any closes, or two lines meet that never should.
            if surplus and len(by_name) > 1:
                cards.open(surplus)
        for name, channels in by_name.items():
            cards = self.instruments[name]
            if channels:
                cards.connect(sorted(channels))
            elif cards.closed:
                cards.open_all()
        for name, channels in by_name.items():
            if set(self.instruments[name].closed) != channels:
                raise InstrumentError(
                    f"closed are {', '.join(self.instruments[name].closed) or 'no paths'}, "
                    f"expected {', '.join(sorted(channels)) or 'none'}",
                    instrument=name,
                )


def _by_name(lines: Iterable[Line], names: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {name: set() for name in names}
    for line in lines:
        found[line.instrument].add(line.channel)
    return found
