"""The cells of a crossbar on a bench: what voltages, controls and time do to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.simulators.cells.array import CellArray
from hilep.simulators.circuit.wiring import Wiring
from hilep.simulators.virtual.crossbar_nodes import CrossbarNodes, LineArray
from hilep.simulators.virtual.switching import Switching


class CrossbarCells:
    """Cells between the lines of every array.

    The state of a cell does not move within a pulse before its end, and what is left over of a
    whole pulse counts with its next.

    Args:
        cells: of the network's shapes.
        nodes: where their lines begin and end.
        wiring: resistance of the lines.
        switching: how voltages move cells; None where they do not.
        control: siemens at volts of a cell's control; None where cells have none.

    Attributes:
        controls: (layer, row, column) of each control, by its terminal's name, `g0_3_5`.
        control_volts: of each, 0 V where none was set.
    """

    def __init__(
        self,
        cells: CellArray,
        nodes: CrossbarNodes,
        wiring: Wiring,
        switching: Switching | None = None,
        control: Callable[[float], float] | None = None,
    ) -> None:
        self.cells = cells
        self._nodes, self._wiring = nodes, wiring
        self._switching, self._control = switching, control
        self.controls = {
            f"g{k}_{i}_{j}": (k, i, j)
            for k, (n, m) in enumerate(cells.shapes if control else ())
            for i in range(n)
            for j in range(m)
        }
        self.control_volts = dict.fromkeys(self.controls, 0.0)
        self._asked = dict(self.control_volts)
        self._owed = [np.zeros(shape) for shape in cells.shapes]
        self._arrays: list[LineArray | None] = [None] * len(cells.shapes)

    @property
    def stale(self) -> bool:
        """Whether any array's conductances may have moved since `admittances`."""
        return bool(self._asked) or None in self._arrays

    def siemens(self) -> list[Doubles]:
        """Return what the cells conduct now, one (n_pre, n_post) per layer."""
        self._write_controlled()
        return [self.cells.siemens(k).copy() for k in range(len(self._arrays))]

    def write(self, conductances: Sequence[ArrayLike]) -> None:
        """Write all cells."""
        self._asked.clear()
        self.cells.write(conductances)
        self._forget(range(len(self._arrays)))

    def set_control(self, terminal: str, volts: float) -> None:
        """Note a control's volts; cells are written together, before they are next needed."""
        if self.control_volts[terminal] != volts:
            self.control_volts[terminal] = self._asked[terminal] = volts

    def admittances(self) -> list[LineArray]:
        """Return every array between its lines."""
        self._write_controlled()
        found = []
        for k, array in enumerate(self._arrays):
            if array is None:
                array = self._arrays[k] = LineArray(self.cells.siemens(k), self._wiring)
            found.append(array)
        return found

    def pass_time(self, seconds: float, volts: Doubles | None) -> None:
        """Let `seconds` pass at these volts of the nodes; None where no cell can switch."""
        if self._switching is not None and volts is not None:
            self._switch(self._switching, seconds, volts)
        self.cells.advance(seconds)
        kind = self.cells.cell
        if kind.ageing is not None or kind.flicker is not None:
            self._forget(range(len(self._arrays)))

    @property
    def switches(self) -> bool:
        """Whether voltages move the cells."""
        return self._switching is not None

    def _switch(self, law: Switching, seconds: float, volts: Doubles) -> None:
        if max(float(np.ptp(volts)), float(np.abs(volts).max())) <= law.threshold_v:
            return
        for k, array in enumerate(self.admittances()):
            across = array.across(volts[self._nodes.rows[k]], volts[self._nodes.columns[k]])
            self._owed[k] += law.pulses(across, seconds)
            whole = np.trunc(self._owed[k])
            self._owed[k] -= whole
            if whole.any():
                self.cells.pulse(k, whole.astype(np.int64))
                self._forget([k])

    def _write_controlled(self) -> None:
        """Write the cells whose control was moved."""
        if not self._asked or self._control is None:
            return
        asked, self._asked = self._asked, {}
        targets = [self.cells.siemens(k).copy() for k in range(len(self._arrays))]
        where = [np.zeros(shape, dtype=np.bool_) for shape in self.cells.shapes]
        for terminal, volts in asked.items():
            k, i, j = self.controls[terminal]
            targets[k][i, j] = self._control(volts)
            where[k][i, j] = True
        self.cells.write(targets, where)
        self._forget([k for k, some in enumerate(where) if some.any()])

    def _forget(self, layers: Sequence[int]) -> None:
        for layer in layers:
            self._arrays[layer] = None
