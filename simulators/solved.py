"""A crossbar whose true voltages are computed and whose reads are drawn: what simulators share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats, checked, checked_count
from hilep.crossbar import Crossbar, checked_conductances, within_limit
from hilep.errors import BadInputError, LimitError
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.reading import Contrast, ProgramReport, Reading, Statistic, Update
from hilep.simulators.imperfect import ImperfectCells
from hilep.simulators.noise import ReadNoise
from hilep.simulators.pull import Drive, Pull
from hilep.simulators.solver import Holder

BLOCK_BYTES = 1 << 18
"""Samples held at once, at the least, where every sample is needed."""


class SolvedCrossbar(Crossbar):
    """A crossbar on a `Holder` of conductances, with read noise; override `settled`.

    A nudged phase begins from the free state, as in the paper.

    Args:
        network: layers, diodes, biases and limits.
        noise: how reads differ from the true voltages.
        solver: holds the conductances.
        cells: what becomes of conductances that are programmed; None where cells are ideal. Then
            the solver must be open to any conductance, because cells miss their targets.
    """

    has_spring: ClassVar[bool] = True
    has_amplifiers: ClassVar[bool] = True

    def __init__(
        self,
        network: Network,
        noise: ReadNoise,
        solver: Holder,
        cells: ImperfectCells | None = None,
    ) -> None:
        self.network = network
        self.noise = noise
        self.solver = solver
        self.cells = cells
        self._programmed = False
        self._inputs: Floats | None = None
        self._pull: Pull | None = None
        self._drive: Drive | None = None
        self._free: Doubles | None = None
        self._volts: Doubles | None = None

    def settled(self, drive: Drive, pull: Pull | None, start: Doubles | None) -> Doubles:
        """Return the true volts (batch, n_free) in a phase.

        Args:
            drive: the clamped inputs.
            pull: what a nudge does to the outputs; None is the free phase.
            start: the volts of the free phase, to begin a nudged one from.
        """
        raise NotImplementedError

    @property
    def in_turn(self) -> bool:
        """Whether images have to be gone through one by one, because time matters."""
        return self.cells is not None and self.cells.moving

    # The four verbs -------------------------------------------------------------------------------

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
        self._drive = self._volts = None
        if self.cells is not None:
            report = self.cells.write(arrays)
            self.solver.load(self.cells.siemens())
            return report
        self.solver.load(arrays)
        return ProgramReport(sum(g.size for g in arrays))

    def conductances(self) -> list[Floats]:
        """See `Crossbar.conductances`; with ideal cells views of the simulator's memory."""
        return self.solver.conductances if self.cells is None else self.cells.achieved()

    def bias_currents(self) -> Floats:
        """See `Crossbar.bias_currents`."""
        return self.solver.bias_currents

    def clamp(self, volts: ArrayLike) -> None:
        """See `Crossbar.clamp`."""
        row = checked(volts, (self.network.inputs,), "clamp volts")
        within_limit(row, self.network.voltage_limit_v, "clamp", "V")
        self._inputs = row[None, :].copy()
        self._pull = self._drive = self._volts = None

    def nudge(self, amps: ArrayLike | None) -> Doubles:
        """See `Crossbar.nudge`; an ideal source achieves what is asked."""
        if amps is None:
            self._set_pull(None)
            return np.zeros(self.network.outputs)
        current = checked(amps, (self.network.outputs,), "nudge amps").astype(np.float64)
        within_limit(current, self.network.current_limit_a, "nudge", "A")
        self._set_pull(Pull(current[None, :].copy()))
        return current

    def nudge_spring(self, siemens: float, volts: ArrayLike) -> None:
        """See `Crossbar.nudge_spring`; negative siemens are allowed while an equilibrium exists."""
        if np.isnan(siemens) or siemens == -np.inf:
            raise BadInputError(f"nudge_spring: expected siemens, got {siemens}")
        targets = checked(volts, (self.network.outputs,), "nudge_spring volts")
        self._set_pull(Pull.spring(siemens, targets[None, :]))

    def read(self, samples: int = 1) -> Reading:
        """See `Crossbar.read`."""
        count = checked_count(samples)
        self._require_programmed("read")
        if self._inputs is None:
            raise BadInputError("read: clamp the inputs first")
        stream = "first" if self._pull is None else "second"
        if self.cells is not None and self.cells.moving:
            self.solver.load(self.cells.siemens())
            self._drive = self._volts = None
        if self._drive is None:
            self._drive = self.solver.forward(self._inputs)
            self._free = self.settled(self._drive, None, None)
        if self._volts is None:
            self._volts = self.settled(self._drive, self._pull, self._free)
        if self.cells is not None:
            self.cells.read(count)
        return self.noise.samples(self._volts[0], count, stream, self._inputs[0])

    def safe(self) -> None:
        """Release the nudge and the inputs; a simulated crossbar has no output to switch off."""
        self._inputs = self._pull = self._drive = self._volts = None

    # Their batch and low-rank forms ---------------------------------------------------------------

    def read_batch(self, volts: ArrayLike, samples: int = 1) -> Reading:
        """See `Crossbar.read_batch`; N reads of a node are drawn as their mean.

        On the clock of the cells a look takes no time.
        """
        count = checked_count(samples)
        inputs = self._checked_inputs(volts)
        rows = self._rows_at_once()
        readings = []
        for start in range(0, max(1, inputs.shape[0]), rows):
            chunk = inputs[start : start + rows]
            free = self.settled(self.solver.glance(chunk), None, None)
            readings.append(self._reading(free, count, "evaluation", chunk, "mean"))
        self._hold(inputs)
        mean = np.concatenate([reading.mean for reading in readings])
        status = None
        if any(reading.status is not None for reading in readings):
            status = np.concatenate([reading.flags for reading in readings])
        return Reading(mean, count, status=status)

    def free_and_nudged(
        self,
        volts: ArrayLike,
        targets: ArrayLike,
        nudging: Nudging,
        samples: int = 1,
        statistic: Statistic = "mean",
    ) -> Contrast:
        """See `Crossbar.free_and_nudged`; keeps the statistic that is asked for and no more."""
        count = checked_count(samples)
        if self.in_turn:
            self._require_programmed("free_and_nudged")
            return super().free_and_nudged(volts, targets, nudging, count, statistic)
        network = self.network
        drive = self.solver.held(volts)
        if drive is None:
            drive = self.solver.forward(self._checked_inputs(volts))
        inputs = drive.inputs
        aims = checked(targets, (drive.batch, network.outputs), "free_and_nudged targets")
        free = self.settled(drive, None, None)
        out = network.output_slice
        first_strength, second_strength = nudging.strengths
        saved = self.noise.state() if statistic == "samples" else {}
        if first_strength == 0.0:
            first_volts = free
            first = self._reading(free, count, "first", inputs, statistic)
            free_outputs = first.mean[:, out]
        else:
            free_outputs = self._reading(free, count, "free", inputs, "mean").mean[:, out]
            pull = self._pulled(nudging, first_strength, aims, free_outputs)
            first_volts = self.settled(drive, pull, free)
            first = self._reading(first_volts, count, "first", inputs, statistic)
        pull = self._pulled(nudging, second_strength, aims, free_outputs)
        second_volts = self.settled(drive, pull, free)
        second = self._reading(second_volts, count, "second", inputs, statistic)
        blocks = None
        if statistic == "samples" and (first.volts is None or second.volts is None):

            def blocks() -> Iterator[tuple[Reading, Reading]]:
                # The same draws again: moments were taken from them, block by block.
                size = self._block(inputs)
                again = self.noise.repeating(saved)
                yield from zip(
                    again.blocks(first_volts, count, "first", inputs, size),
                    again.blocks(second_volts, count, "second", inputs, size),
                    strict=True,
                )

        self._hold(inputs)
        amps = pull.amps if nudging.kind == "current" else None
        return Contrast(inputs, first, second, free_outputs, amps, blocks)

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
        self._drive = self._volts = None
        pending: Update | None = None
        for block in blocks:
            if pending is not None:
                self.solver.add(pending, clip=False, next_inputs=None)
            pending = block
        if pending is not None:
            self.solver.add(pending, clip=True, next_inputs=following)
        return ProgramReport(sum(pre * post for pre, post in self.network.shapes))

    def state(self) -> dict[str, Any]:
        """Return the state of the noise streams, and of cells that are not ideal."""
        state: dict[str, Any] = {"noise": self.noise.state()}
        if self.cells is not None:
            state["cells"] = self.cells.state()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Take up noise and cells where `state` found them."""
        self.noise.restore(state["noise"])
        if self.cells is not None:
            self.cells.restore(state["cells"])
            self.solver.load(self.cells.siemens())
            self._drive = self._volts = None

    def snapshot(self) -> dict[str, Any]:
        """Return how this crossbar is simulated."""
        converter = self.noise.converter
        return {
            "description": self.description,
            "solver": self.solver.name,
            "precision": str(self.solver.conductances[0].dtype),
            "sigma_v": self.noise.sigma_v.tolist(),
            "clamped_sigma_v": self.noise.clamped_sigma_v,
            "converter_step_v": None if converter is None else converter.step_v,
            "reads": "drawn as mean and variance unless every sample is needed",
            "cells": None if self.cells is None else self.cells.snapshot(),
        }

    # What the verbs share -------------------------------------------------------------------------

    def _changed(self, cells: ImperfectCells, blocks: Iterable[Update]) -> ProgramReport:
        changes = [np.zeros(shape) for shape in self.network.shapes]
        for block in blocks:
            for change, layer in zip(changes, block.layers, strict=True):
                change += layer.dense()
            if block.bias_currents is not None:
                self.solver.bias_currents += block.bias_currents
        report = cells.change(changes)
        self.solver.load(cells.siemens())
        self._drive = self._volts = None
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

    def _hold(self, inputs: Floats) -> None:
        """Be where image by image would have led: the last one clamped, without a nudge."""
        if inputs.shape[0]:
            self._inputs = inputs[-1:].copy()
            self._pull = self._drive = self._volts = None

    def _set_pull(self, pull: Pull | None) -> None:
        self._require_programmed("nudge")
        if pull is not None:
            pull.require_equilibrium(self.solver.output_siemens())
        self._pull = pull
        self._volts = None

    def _pulled(
        self, nudging: Nudging, strength: float, aims: Floats, free_outputs: Floats
    ) -> Pull:
        if nudging.kind == "current":
            amps = strength * (aims - free_outputs)
            if np.isfinite(self.network.current_limit_a):
                for row in amps:
                    within_limit(row, self.network.current_limit_a, "nudge", "A")
            return Pull(amps.astype(np.float64, copy=False))
        pull = Pull.spring(strength, aims)
        pull.require_equilibrium(self.solver.output_siemens())
        return pull

    def _rows_at_once(self) -> int:
        """Return how many images a look may relax at once: a tenth of the conductances' bytes."""
        held = sum(g.nbytes for g in self.solver.conductances)
        row = 8 * (self.network.inputs + 3 * self.network.free_nodes)
        return max(16, min(1024, int(held // 10 // row)))

    def _block(self, inputs: Floats) -> int:
        """Return how many samples of a batch may be held at once.

        A tenth of the conductances' own bytes, shared by both phases and the rule's factors.
        """
        nodes = self.network.free_nodes
        if self.noise.clamped_sigma_v:
            nodes += self.network.inputs
        sample_bytes = 8 * inputs.shape[0] * nodes
        held = sum(g.nbytes for g in self.solver.conductances)
        return max(1, int(max(BLOCK_BYTES, held // 10) // (8 * sample_bytes)))

    def _reading(
        self, volts: Doubles, count: int, stream: str, inputs: Floats, statistic: Statistic
    ) -> Reading:
        noise = self.noise
        if statistic != "samples" and noise.converter is None:
            return noise.moments(volts, count, stream, inputs, statistic)
        block = self._block(inputs)
        if count <= block:
            return noise.samples(volts, count, stream, inputs)
        return noise.accumulated(volts, count, stream, inputs, block)
