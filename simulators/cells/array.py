"""The cells of a network's arrays: what they were asked to hold, and what they hold by now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles, checked
from hilep.errors import BadInputError
from hilep.simulators.cells.bursts import checked_bursts
from hilep.simulators.cells.cell import Cell
from hilep.simulators.cells.draws import draws
from hilep.simulators.cells.individuals import Individuals
from hilep.simulators.cells.pulses import Counts, Rounding
from hilep.simulators.cells.ranges import whole


@dataclass(frozen=True, slots=True)
class Written:
    """What a closed-loop write reached.

    Attributes:
        achieved: as `CellArray.achieved` returns it.
        failed: (layer, row, column) of each cell that missed its target, (n, 3); see
            `Cell.tolerance`.
    """

    achieved: list[Doubles]
    failed: NDArray[np.int64]


class CellArray:
    """All cells of one network, on one clock that starts at 0 s. New cells hold their lower bound.

    Two conductances of a cell are kept apart: what it held when its layer was last programmed,
    `achieved`, and what it conducts now, `siemens`. Layers share no random numbers: what happens to
    one changes nothing in another.

    Age counts from the last write of more than half of a layer. Fewer writes, and pulses, start
    from what their cells conduct by then, but make no cell younger: the ages of single cells would
    have to be stored with every run.

    Args:
        shapes: (n_pre, n_post) of each layer's cells, such as `Network.shapes`.
        cell: their kind.
        seed: of everything random here; the same seed is the same array.

    Raises:
        BadInputError: for a negative seed, or dead lines that no layer has.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]], cell: Cell, seed: int = 0) -> None:
        whole(0, seed=seed)
        cell.faults.check_lines(shapes)
        self.shapes = tuple((int(pre), int(post)) for pre, post in shapes)
        self.cell = cell
        self.layers = [
            Individuals(cell, shape, layer, seed) for layer, shape in enumerate(self.shapes)
        ]
        self.now_s = 0.0
        self._seed = seed
        self._held = [own.new() for own in self.layers]
        # When a layer was last written, and the time for which its `_held` is right.
        self._written_s = [0.0] * len(self.shapes)
        self._held_s = [0.0] * len(self.shapes)
        self._operations = [0] * len(self.shapes)

    # Programming ----------------------------------------------------------------------------------

    def write(
        self,
        targets: Sequence[ArrayLike],
        where: Sequence[NDArray[np.bool_]] | None = None,
    ) -> Written:
        """Write every cell until it reads as asked, as far as it can.

        Args:
            targets: siemens, one (n_pre, n_post) per layer.
            where: which cells to write, one (n_pre, n_post) per layer; None for all. The others of
                the layer keep what they conduct by now.

        Raises:
            BadInputError: for other shapes, or entries that are not finite; nothing has changed.
        """
        failed = [np.zeros((0, 3), dtype=np.int64)]
        for layer, target in enumerate(self._checked(targets, "write")):
            asked = np.ones(target.shape, np.bool_) if where is None else where[layer]
            if not asked.any():
                continue
            held = self.layers[layer].written(target, self._fresh(layer))
            if not asked.all():
                held = np.where(asked, held, self._aged(layer, self.now_s))
            self._held[layer] = held
            self._held_s[layer] = self.now_s
            if 2 * np.count_nonzero(asked) > asked.size:
                self._written_s[layer] = self.now_s
            missed = np.abs(held - target) > self.cell.tolerance(target)
            failed.append(np.insert(np.argwhere(missed & asked), 0, layer, axis=1))
        return Written(self.achieved(), np.concatenate(failed).astype(np.int64, copy=False))

    def pulse(
        self,
        layer: int,
        counts: ArrayLike,
        cells: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> None:
        """Send pulses and verify nothing.

        Args:
            layer: which array.
            counts: pulses, positive up: (n_pre, n_post), or (n,) for the `cells` given.
            cells: rows (n,) and columns (n,), each cell at most once; None for all.

        Raises:
            BadInputError: for cells that take no pulses, another shape, counts that are not whole,
                or cells that the layer does not have or that are given twice.
        """
        own = self.layers[layer]
        own.response()
        bursts, at = checked_bursts(counts, cells, self.shapes[layer])
        self._held[layer] = self._aged(layer, self.now_s)
        self._held_s[layer] = self.now_s
        held = self._held[layer].reshape(-1)
        held[at] = own.pulsed(held[at], bursts, at, self._fresh(layer))

    def pulses_for(
        self, layer: int, change: ArrayLike, rounding: Rounding = "stochastic"
    ) -> Counts:
        """Return the pulses (n_pre, n_post) that an open-loop controller sends for `change`.

        It knows the nominal response only; see `PulseResponse.counts_for`.

        Args:
            layer: which array.
            change: siemens (n_pre, n_post).
            rounding: of parts of a pulse; at random keeps the mean.

        Raises:
            BadInputError: for cells that take no pulses, another shape, or another rounding.
        """
        response, _ = self.layers[layer].response()
        wanted = checked(change, self.shapes[layer], "cells: pulses_for").astype(np.float64)
        return response.counts_for(wanted, self.cell.window, rounding, self._fresh(layer))

    def take(self, achieved: Sequence[ArrayLike]) -> None:
        """Let the cells hold what `achieved` returned, without writing; faults stay.

        Together with `restore`, in any order, this goes on bit-identically.

        Raises:
            BadInputError: for other shapes, or entries that are not finite.
        """
        arrays = self._checked(achieved, "take")
        self._held = [own.with_faults(g.copy()) for own, g in zip(self.layers, arrays, strict=True)]

    # Reading --------------------------------------------------------------------------------------

    def achieved(self) -> list[Doubles]:
        """Return what the cells held when last programmed, siemens, one (n_pre, n_post) per layer.

        Healthy cells are within their own bounds; stuck ones hold what they are stuck at, dead ones
        0 S. The arrays are the cells' own memory: read them, never write them, copy to keep.
        """
        return list(self._held)

    def siemens(self, layer: int, at_s: float | None = None) -> Doubles:
        """Return what the cells of a layer conduct (n_pre, n_post); may be their own memory.

        Faulty cells do not age, and the stuck ones fluctuate like any conductor. Ageing keeps every
        cell within its bounds; flicker may leave them.

        Args:
            layer: which array.
            at_s: a time on the cells' clock, not before the layer was last programmed; None is now.

        Raises:
            BadInputError: for an earlier time.
        """
        when = self.now_s if at_s is None else float(at_s)
        if not self._held_s[layer] <= when < math.inf:
            raise BadInputError(
                f"cells: layer {layer} was last programmed at {self._held_s[layer]} s; "
                f"expected a later time, got {when} s"
            )
        aged = self._aged(layer, when)
        fluctuation = self.layers[layer].fluctuation
        return aged if fluctuation is None else aged * fluctuation.factor(when)

    def advance(self, seconds: float) -> None:
        """Move the clock on.

        Raises:
            BadInputError: for negative or infinite seconds.
        """
        if not 0 <= seconds < math.inf:
            raise BadInputError(f"cells: advance: expected finite seconds >= 0, got {seconds}")
        self.now_s += float(seconds)

    # Going on later -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what a later run needs besides seed and `achieved`, as plain JSON values."""
        return {
            "now_s": self.now_s,
            "operations": list(self._operations),
            "written_s": list(self._written_s),
            "held_s": list(self._held_s),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the state that `state` returned; see `take`.

        Raises:
            BadInputError: for the state of another number of layers.
        """
        for name in ("operations", "written_s", "held_s"):
            if len(state[name]) != len(self.shapes):
                raise BadInputError(
                    f"cells: state: expected {len(self.shapes)} layers, got {len(state[name])}"
                )
        self.now_s = float(state["now_s"])
        self._operations = [int(n) for n in state["operations"]]
        self._written_s = [float(s) for s in state["written_s"]]
        self._held_s = [float(s) for s in state["held_s"]]

    # What the verbs share -------------------------------------------------------------------------

    def _fresh(self, layer: int) -> np.random.Generator:
        """Return the generator of the next operation on a layer."""
        self._operations[layer] += 1
        return draws(self._seed, "operation", layer, self._operations[layer])

    def _aged(self, layer: int, when: float) -> Doubles:
        birth = self._written_s[layer]
        return self.layers[layer].aged(self._held[layer], self._held_s[layer] - birth, when - birth)

    def _checked(self, values: Sequence[ArrayLike], verb: str) -> list[Doubles]:
        if len(values) != len(self.shapes):
            raise BadInputError(
                f"cells: {verb}: expected {len(self.shapes)} layers, got {len(values)}"
            )
        return [
            np.ascontiguousarray(checked(g, shape, f"cells: {verb}: layer {layer}"), np.float64)
            for layer, (g, shape) in enumerate(zip(values, self.shapes, strict=True))
        ]
