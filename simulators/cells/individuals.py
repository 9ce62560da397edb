"""The single cells of one layer, and what writes, pulses and time do to each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import BadInputError
from hilep.simulators.cells.cell import Cell
from hilep.simulators.cells.draws import draws
from hilep.simulators.cells.faults import HEALTHY, STUCK, STUCK_HIGH, STUCK_LOW
from hilep.simulators.cells.flicker import Fluctuation
from hilep.simulators.cells.pulses import Counts, PulseResponse


class Individuals:
    """The cells of one layer, each with properties of its own, drawn again from the seed any time.

    It holds no conductances: every method takes them and returns new ones.

    Args:
        cell: their kind.
        shape: (n_pre, n_post).
        layer: which array.
        seed: of the cells.

    Attributes:
        low, high: each cell's bounds in siemens, () where all are alike.
        fluctuation: flicker, or None.
        ails: what ails each cell, see `Faults.drawn`.
    """

    def __init__(self, cell: Cell, shape: tuple[int, int], layer: int, seed: int) -> None:
        self.cell = cell
        self.shape = shape
        self.low, self.high = cell.window.bounds(shape, draws(seed, "window", layer))
        self._gain: Doubles | None = None
        if cell.write_gain.spread:
            self._gain = cell.write_gain.factors(shape, draws(seed, "gain", layer))
        self._response: tuple[Doubles, Doubles, Doubles] | None = None
        if cell.pulses is not None:
            self._response = cell.pulses.individual(shape, draws(seed, "pulses", layer))
        self._ageing: Doubles | None = None
        if cell.ageing is not None:
            self._ageing = cell.ageing.individual(shape, draws(seed, "ageing", layer))
        self.fluctuation: Fluctuation | None = None
        if cell.flicker is not None:
            self.fluctuation = Fluctuation(cell.flicker, seed, layer, shape)
        self.ails = cell.faults.drawn(shape, layer, draws(seed, "faults", layer))
        self._faulty = np.flatnonzero(self.ails != HEALTHY)
        self._stuck_siemens = self._stuck(layer)

    def new(self) -> Doubles:
        """Return what cells hold before anyone wrote them: their lower bound."""
        return self.with_faults(np.full(self.shape, self.low))

    def written(self, targets: Doubles, generator: np.random.Generator) -> Doubles:
        """Return what a closed-loop write of `targets` (n_pre, n_post) reaches, siemens.

        In this order: the nearest level, the cell's gain, noise, the cell's own bounds, faults.
        """
        cell = self.cell
        aims = targets
        if cell.levels is not None:
            aims = cell.levels.nearest(targets, cell.window)
        siemens = aims if self._gain is None else aims * self._gain
        if cell.write_noise.siemens or cell.write_noise.relative:
            drawn = generator.standard_normal(self.shape)
            siemens = siemens + cell.write_noise.deviation(aims) * drawn
        return self.with_faults(np.clip(siemens, self.low, self.high))

    def pulsed(
        self,
        siemens: Doubles,
        counts: Counts,
        at: NDArray[np.intp],
        generator: np.random.Generator,
    ) -> Doubles:
        """Return what cells at flat indices `at` (n,) hold after `counts` (n,) pulses.

        Args:
            siemens: what they hold before (n,).
            counts: signed, none of them 0.
            at: where the cells are.
            generator: of the noise.
        """
        response, (factor, up, down) = self.response()
        upwards = counts > 0
        moved = response.moved(
            siemens,
            self._each(self.low, at),
            self._each(self.high, at),
            response.counted(counts, self._each(factor, at), generator),
            np.where(upwards, self._each(up, at), self._each(down, at)),
            upwards,
        )
        return np.where(self.ails.ravel()[at] == HEALTHY, moved, siemens)

    def response(self) -> tuple[PulseResponse, tuple[Doubles, Doubles, Doubles]]:
        """Return the law of pulses and each cell's factor, a and b.

        Raises:
            BadInputError: for cells that take no pulses.
        """
        if self.cell.pulses is None or self._response is None:
            raise BadInputError("device.cells.pulses: this kind of cell has no pulse response")
        return self.cell.pulses, self._response

    def aged(self, siemens: Doubles, before_s: float, after_s: float) -> Doubles:
        """Return what cells conduct at age `after_s` that conducted `siemens` at `before_s`.

        Ageing keeps a cell within its bounds; faulty cells do not age.
        """
        if self.cell.ageing is None or self._ageing is None or before_s == after_s:
            return siemens
        aged = self.cell.ageing.aged(siemens, self._ageing, before_s, after_s)
        return self.with_faults(np.clip(aged, self.low, self.high))

    def with_faults(self, siemens: Doubles) -> Doubles:
        """Set faulty cells, in place, to what they are stuck at, and return the array."""
        if self._faulty.size:
            siemens.flat[self._faulty] = self._stuck_siemens
        return siemens

    def _each(self, values: Doubles, at: NDArray[np.intp]) -> Doubles:
        return values if values.ndim == 0 else values.ravel()[at]

    def _stuck(self, layer: int) -> Doubles:
        ails = self.ails.ravel()[self._faulty]
        siemens = np.zeros(ails.shape)
        faults = self.cell.faults
        for ailment, given, bounds in (
            (STUCK_LOW, faults.low_siemens, self.low),
            (STUCK_HIGH, faults.high_siemens, self.high),
        ):
            cells = ails == ailment
            value = bounds if given is None else np.asarray(given)
            siemens[cells] = self._each(value, self._faulty[cells])
        given_cells = np.zeros(self.shape)
        for of, row, column, value_siemens in faults.cells:
            if of == layer:
                given_cells[row, column] = value_siemens
        cells = ails == STUCK
        siemens[cells] = given_cells.ravel()[self._faulty[cells]]
        return siemens
