"""The cells behind a simulated crossbar: what programming does to them, and what time does."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles, Floats
from hilep.errors import BadInputError, UnsupportedError
from hilep.network import Network
from hilep.owed import Due, Owed
from hilep.reading import ProgramReport
from hilep.simulators.cells.array import CellArray

Programming: TypeAlias = Literal["write", "pulses"]
"""How an update reaches its cells: closed-loop writes, or pulses that nothing verifies."""


class ImperfectCells:
    """Cells that a crossbar programs, with the time that its verbs take on their clock.

    What a crossbar reports as achieved is clipped to the network's window, because it has to be
    programmable: a dead cell is reported at g_min.

    Args:
        network: whose window updates are clipped to.
        cells: of the network's shapes.
        programming: see `Programming`; the conductances that a run begins with are written.
        read_s: seconds that one read of all nodes takes.
        update_s: seconds that programming takes.
        deadband_siemens: changes up to this are owed, and so are errors of writes; None for
            neither. See `hilep.owed`.
    """

    def __init__(
        self,
        network: Network,
        cells: CellArray,
        programming: Programming = "write",
        read_s: float = 0.0,
        update_s: float = 0.0,
        deadband_siemens: float | None = None,
    ) -> None:
        self.network = network
        self.cells = cells
        self.programming = programming
        self.read_s = read_s
        self.update_s = update_s
        self._asked: list[Doubles] = cells.achieved()
        self._owed: Owed | None = None
        if deadband_siemens is not None:
            low, high = network.g_min_siemens, network.g_max_siemens
            self._owed = Owed(network.shapes, low, high, deadband_siemens)

    @staticmethod
    def open(network: Network) -> Network:
        """Return `network` without a window, for a solver of cells that miss their targets."""
        return replace(network, g_min_siemens=0.0, g_max_siemens=math.inf)

    @property
    def moving(self) -> bool:
        """Whether conductances change by themselves."""
        return self.cells.cell.ageing is not None or self.cells.cell.flicker is not None

    def siemens(self) -> list[Floats]:
        """Return what the cells conduct now, one (n_pre, n_post) per layer."""
        return [self.cells.siemens(layer) for layer in range(len(self.network.shapes))]

    def achieved(self) -> list[Floats]:
        """Return what the cells held when last programmed, within the network's window."""
        low, high = self.network.g_min_siemens, self.network.g_max_siemens
        return [np.clip(g, low, high) for g in self.cells.achieved()]

    def write(self, targets: Sequence[Floats]) -> ProgramReport:
        """Write every cell, closed loop."""
        self._asked = [np.array(g, dtype=np.float64) for g in targets]
        report = self._written(self._asked, None)
        if self._owed is not None:
            self._owed.forget()
            every = Due(self._asked, [np.ones(g.shape, np.bool_) for g in self._asked])
            self._owed.record(every, self.achieved(), report.failed)
        return report

    def _written(
        self, targets: Sequence[Doubles], where: list[NDArray[np.bool_]] | None
    ) -> ProgramReport:
        self.cells.advance(self.update_s)
        written = self.cells.write(targets, where)
        failed = tuple((int(k), int(i), int(j)) for k, i, j in written.failed)
        programmed = sum(g.size for g in targets)
        if where is not None:
            programmed = sum(int(np.count_nonzero(asked)) for asked in where)
        return ProgramReport(programmed, failed)

    def change(self, changes: Sequence[Doubles]) -> ProgramReport:
        """Add `changes` to what was achieved, clipped to the window; written or pulsed.

        A cell that is to stay as it is, is left alone. With a deadband, so is one that is owed no
        more than that.

        Args:
            changes: siemens, one (n_pre, n_post) per layer.
        """
        low, high = self.network.g_min_siemens, self.network.g_max_siemens
        present = self.achieved()
        if self._owed is not None:
            due = self._owed.ask(present, changes)
            report = self._written(due.targets, due.where)
            self._owed.record(due, self.achieved(), report.failed)
            return report
        targets = [np.clip(g + dg, low, high) for g, dg in zip(present, changes, strict=True)]
        if self.programming == "write":
            asked = [target != g for g, target in zip(present, targets, strict=True)]
            return self._written(targets, asked)
        self.cells.advance(self.update_s)
        programmed = pulses = 0
        for layer, (g, target) in enumerate(zip(present, targets, strict=True)):
            counts = self.cells.pulses_for(layer, target - g)
            self.cells.pulse(layer, counts)
            programmed += int(np.count_nonzero(counts))
            pulses += int(np.abs(counts).sum())
        return ProgramReport(programmed, pulses=pulses)

    def pulse_response(self, cells: NDArray[np.int64], directions: NDArray[np.int64]) -> Doubles:
        """Pulse `cells` (cells, 3) one way or the other, +1 or -1 (pulses,), one pulse at a time.

        Returns:
            Siemens before and after each pulse (pulses + 1, cells).

        Raises:
            UnsupportedError: cells without a response to pulses.
        """
        if self.cells.cell.pulses is None:
            raise UnsupportedError("device.cells.pulses: not given, so cells take no single pulses")
        if self._owed is not None:
            self._owed.forget()
        found = np.empty((len(directions) + 1, len(cells)))
        here = [np.flatnonzero(cells[:, 0] == k) for k in range(len(self.network.shapes))]
        for place in range(len(found)):
            if place:
                self.cells.advance(self.update_s)
            for layer, some in enumerate(here):
                rows, columns = cells[some, 1], cells[some, 2]
                if place and len(some):
                    counts = np.full(len(some), directions[place - 1])
                    self.cells.pulse(layer, counts, (rows, columns))
                found[place, some] = self.cells.siemens(layer)[rows, columns]
        return found

    def owed(self) -> list[Floats] | None:
        """Return what cells are owed, siemens (n_pre, n_post) per layer; None without deadband."""
        return None if self._owed is None else list(self._owed.siemens)

    def owe(self, siemens: Sequence[ArrayLike]) -> None:
        """Owe `siemens` more.

        Raises:
            UnsupportedError: without a deadband.
        """
        if self._owed is None:
            raise UnsupportedError("device.cells.deadband_siemens: not given, so nothing is owed")
        self._owed.owe([np.asarray(part) for part in siemens])

    def read(self, samples: int) -> None:
        """Let the time of `samples` reads pass."""
        self.cells.advance(self.read_s * samples)

    def state(self) -> dict[str, Any]:
        """Return the state of the cells, as plain JSON values."""
        return {**self.cells.state(), "achieved_crc": _crc(self.achieved())}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up `state`, with what the cells achieved then.

        They hold it still, or it was what they were last asked for; then they hold just that,
        without the noise of having been written.

        Raises:
            BadInputError: where neither is so.
        """
        if _crc(self.achieved()) != state["achieved_crc"]:
            if _crc(self._asked) != state["achieved_crc"]:
                raise BadInputError("cells: the state belongs to other conductances")
            self.cells.take(self._asked)
            if self._owed is not None:
                self._owed.forget()
        self.cells.restore(state)

    def snapshot(self) -> dict[str, Any]:
        """Return how cells are programmed and how long the verbs take."""
        return {
            "programming": self.programming,
            "read_s": self.read_s,
            "update_s": self.update_s,
            "deadband_siemens": None if self._owed is None else self._owed.deadband_siemens,
            "cell": repr(self.cells.cell),
        }


def _crc(arrays: Sequence[Floats]) -> int:
    total = 0
    for array in arrays:
        total = zlib.crc32(np.ascontiguousarray(array, dtype=np.float64).data, total)
    return total
