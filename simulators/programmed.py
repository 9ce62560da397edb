"""A crossbar whose conductances a simulator holds: programming, updates, and going on later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats, checked, checked_count
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError, LimitError
from hilep.limits import checked_conductances, within_limit
from hilep.network import Network
from hilep.pulsing import checked_pause, checked_pulses
from hilep.reading import ProgramReport, Update
from hilep.simulators.imperfect import ImperfectCells
from hilep.simulators.solver import Holder


class ProgrammedCrossbar(Crossbar):
    """The verbs that change conductances, on a `Holder` of them.

    Args:
        network: layers, diodes, biases and limits.
        solver: holds the conductances.
        cells: what becomes of conductances that are programmed; None where cells are ideal. Then
            the solver must be open to any conductance, because cells miss their targets.
    """

    def __init__(self, network: Network, solver: Holder, cells: ImperfectCells | None) -> None:
        self.network = network
        self.solver = solver
        self.cells = cells
        self._programmed = False
        self._waited_s = 0.0

    def forget(self) -> None:
        """Drop voltages that were found with other conductances."""

    def program(
        self, conductances: Sequence[ArrayLike], bias_currents: ArrayLike | None = None
    ) -> ProgramReport:
        """See `Crossbar.program`; an ideal cell takes any conductance of the window."""
        network = self.network
        arrays = checked_conductances(network, conductances)
        held = self.solver.conductances[0].dtype
        for layer, g in enumerate(arrays):
            if g.max() > np.finfo(held).max:
                raise LimitError(
                    f"program: conductances of layer {layer} reach {g.max():.9g} S, {held} holds "
                    f"{np.finfo(held).max:.9g} S"
                )
        if bias_currents is not None:
            bias = checked(bias_currents, (network.free_nodes,), "program: bias currents")
            if network.bias != "current" and bias.any():
                raise BadInputError(
                    f"program: bias currents given, but network.bias is {network.bias!r}"
                )
            self.solver.bias_currents[:] = bias
        self._programmed = True
        self.forget()
        if self.cells is not None:
            report = self.cells.write(arrays)
            self.solver.load(self.cells.siemens())
            return report
        self.solver.load(arrays)
        return ProgramReport(sum(g.size for g in arrays))

    def conductances(self) -> list[Floats]:
        """See `Crossbar.conductances`; with ideal cells views of the simulator's memory."""
        return self.solver.conductances if self.cells is None else self.cells.achieved()

    def measure_conductances(self, reads: int = 1) -> list[Doubles]:
        """See `Crossbar.measure_conductances`: what the cells conduct now, without an error."""
        self._require_programmed("measure_conductances")
        held = self.solver.conductances if self.cells is None else self.cells.siemens()
        return [np.repeat(np.array(g, np.float64)[None], checked_count(reads), 0) for g in held]

    def pulse_response(self, cells: ArrayLike, directions: ArrayLike) -> Doubles:
        """See `Crossbar.pulse_response`; each pulse takes the time of an update."""
        self._require_programmed("pulse_response")
        if self.cells is None:
            return super().pulse_response(cells, directions)
        found = self.cells.pulse_response(*checked_pulses(self.network.shapes, cells, directions))
        self.solver.load(self.cells.siemens())
        self.forget()
        return found

    def wait(self, seconds: float) -> float:
        """See `Crossbar.wait`: on the cells' own clock, at once."""
        pause = checked_pause(seconds)
        self._waited_s += pause
        if self.cells is None:
            return self._waited_s
        self.cells.cells.advance(pause)
        if self.cells.moving and self._programmed:
            self.solver.load(self.cells.siemens())
            self.forget()
        return self.cells.cells.now_s

    def bias_currents(self) -> Floats:
        """See `Crossbar.bias_currents`."""
        return self.solver.bias_currents

    def update(
        self, blocks: Iterable[Update], next_volts: ArrayLike | None = None
    ) -> ProgramReport:
        """See `Crossbar.update`; with ideal cells one pass over the memory per block."""
        self._require_programmed("update")
        if self.cells is not None:
            return self._changed(self.cells, blocks)
        following = None
        if next_volts is not None:
            following = self._checked_inputs(next_volts)
        self.forget()
        pending: Update | None = None
        for block in blocks:
            if pending is not None:
                self.solver.add(pending, clip=False, next_inputs=None)
            pending = block
        if pending is not None:
            self.solver.add(pending, clip=True, next_inputs=following)
        return ProgramReport(sum(pre * post for pre, post in self.network.shapes))

    def owed(self) -> list[Floats] | None:
        """See `Crossbar.owed`; None without a deadband."""
        return None if self.cells is None else self.cells.owed()

    def owe(self, siemens: Sequence[ArrayLike]) -> None:
        """See `Crossbar.owe`."""
        if self.cells is None:
            super().owe(siemens)
        else:
            self.cells.owe(siemens)

    def state(self) -> dict[str, Any]:
        """Return the state of cells that are not ideal."""
        return {} if self.cells is None else {"cells": self.cells.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the cells where `state` found them, holding what was programmed last."""
        if self.cells is not None:
            self.cells.restore(state["cells"])
            self.solver.load(self.cells.siemens())
            self.forget()

    def _changed(self, cells: ImperfectCells, blocks: Iterable[Update]) -> ProgramReport:
        changes = [np.zeros(shape) for shape in self.network.shapes]
        for block in blocks:
            for change, layer in zip(changes, block.layers, strict=True):
                change += layer.dense()
            if block.bias_currents is not None:
                self.solver.bias_currents += block.bias_currents
        require_finite(changes, self.solver.bias_currents)
        report = cells.change(changes)
        self.solver.load(cells.siemens())
        self.forget()
        return report

    def _require_programmed(self, verb: str) -> None:
        if not self._programmed:
            raise BadInputError(f"{verb}: program the conductances first")

    def _checked_inputs(self, volts: ArrayLike) -> Floats:
        self._require_programmed("clamp")
        inputs = checked(volts, (None, self.network.inputs), "clamp volts")
        limit = self.network.voltage_limit_v
        if np.isfinite(limit) and inputs.size and np.abs(inputs).max() > limit:
            for row in inputs:
                within_limit(row, limit, "clamp", "V")
        return inputs


def require_finite(conductances: Iterable[Floats], bias_currents: Floats) -> None:
    """Refuse to go on from an update that left the range of float64.

    Raises:
        LimitError: naming the layer.
    """
    held = {f"conductances of layer {k}": g for k, g in enumerate(conductances)}
    for what, values in {**held, "bias currents": bias_currents}.items():
        if not np.isfinite(values).all():
            raise LimitError(f"update: {what} are no longer finite numbers")
