"""A crossbar whose true voltages are computed and whose reads are drawn: what simulators share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats, checked, checked_count
from hilep.crossbar import within_limit
from hilep.errors import BadInputError, UnsupportedError
from hilep.interleaving import portions
from hilep.joining import in_succession
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.reading import Contrast, Reading, Statistic
from hilep.simulators.cells.thermal import ThermalNoise
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.rectifiers import IdealDiode, Rectifier
from hilep.simulators.imperfect import ImperfectCells
from hilep.simulators.noise import Disturbance, ReadNoise
from hilep.simulators.programmed import ProgrammedCrossbar
from hilep.simulators.pull import Drive, Pull
from hilep.simulators.solver import Holder
from hilep.simulators.thermal import disturbance

BLOCK_BYTES = 1 << 18
"""Samples held at once, at the least, where every sample is needed."""


class SolvedCrossbar(ProgrammedCrossbar):
    """A crossbar on a `Holder` of conductances, with read noise; override `settled`.

    A nudged phase begins from the free state, as in the paper.

    Args:
        network: layers, diodes, biases and limits.
        noise: how reads differ from the true voltages.
        solver: holds the conductances.
        cells: see `ProgrammedCrossbar`.
        thermal: noise of the conductances themselves, shared between nodes, in every read.

    Raises:
        UnsupportedError: for thermal noise in a network with amplifiers.
    """

    has_spring: ClassVar[bool] = True
    has_amplifiers: ClassVar[bool] = True
    rectifier: Rectifier = IdealDiode()

    def __init__(
        self,
        network: Network,
        noise: ReadNoise,
        solver: Holder,
        cells: ImperfectCells | None = None,
        thermal: ThermalNoise | None = None,
    ) -> None:
        if thermal is not None and network.amplified:
            raise UnsupportedError(
                "device.cells.bandwidth_hz: no thermal noise is known for a network with amplifiers"
            )
        super().__init__(network, solver, cells)
        self.noise = noise
        self.thermal = thermal
        self._inputs: Floats | None = None
        self._pull: Pull | None = None
        self._drive: Drive | None = None
        self._free: Doubles | None = None
        self._volts: Doubles | None = None

    def forget(self) -> None:
        """Drop voltages that were found with other conductances."""
        self._drive = self._volts = None

    def settled(self, drive: Drive, pull: Pull | None, start: Doubles | None) -> Doubles:
        """Return the true volts (batch, n_free) in a phase.

        Args:
            drive: the clamped inputs.
            pull: what a nudge does to the outputs; None is the free phase.
            start: the volts of the free phase, to begin a nudged one from.
        """
        raise NotImplementedError

    def ports(self) -> PortNetwork:
        """Return the linear part of the circuit, for thermal noise."""
        raise NotImplementedError

    @property
    def in_turn(self) -> bool:
        """Whether images have to be gone through one by one, because time matters."""
        return self.cells is not None and self.cells.moving

    # The four verbs -------------------------------------------------------------------------------

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
        return self._read(samples, "first" if self._pull is None else "second")

    def _read(self, samples: int, stream: str) -> Reading:
        count = checked_count(samples)
        self._require_programmed("read")
        if self._inputs is None:
            raise BadInputError("read: clamp the inputs first")
        self._catch_up()
        true = self.present(self._inputs, self._pull)
        if self.cells is not None:
            self.cells.read(count)
        volts, inputs = true[0], self._inputs[0]
        shared = self._disturbance(true, self._pull)
        if shared is None:
            return self.noise.samples(volts, count, stream, inputs)
        return self.noise.samples(
            volts, count, stream, inputs, lambda n, generator: shared(n, generator)[:, 0]
        )

    def _catch_up(self) -> None:
        """Let the solver have what cells that move by themselves conduct by now."""
        if self._programmed and self.cells is not None and self.cells.moving:
            self.solver.load(self.cells.siemens())
            self.forget()

    def present(self, inputs: Floats, pull: Pull | None) -> Doubles:
        """Return the true volts (1, n_free) that a read meets now.

        Args:
            inputs: the clamped volts (1, n_in).
            pull: of the nudge that is on, or None.
        """
        if self._drive is None:
            self._drive = self.solver.forward(inputs)
            self._free = self.settled(self._drive, None, None)
        if self._volts is None:
            self._volts = self.settled(self._drive, pull, self._free)
        return self._volts

    def safe(self) -> None:
        """Release the nudge and the inputs; a simulated crossbar has no output to switch off."""
        self._inputs = self._pull = self._drive = self._volts = None

    # Their batch and low-rank forms ---------------------------------------------------------------

    def read_batch(self, volts: ArrayLike, samples: int = 1) -> Reading:
        """See `Crossbar.read_batch`; N reads of a node are drawn as their mean.

        On the clock of the cells a look takes no time.
        """
        count = checked_count(samples)
        self._catch_up()
        inputs = self._checked_inputs(volts)
        rows = self._rows_at_once()
        readings = []
        for start in range(0, max(1, inputs.shape[0]), rows):
            chunk = inputs[start : start + rows]
            free = self.settled(self.solver.glance(chunk), None, None)
            readings.append(self._reading(free, None, count, "evaluation", chunk, "mean"))
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
        return self._contrast(volts, targets, nudging, count, count, statistic)

    def interleaved(
        self,
        volts: ArrayLike,
        targets: ArrayLike,
        nudging: Nudging,
        samples: int,
        interleave: int,
        statistic: Statistic = "mean",
    ) -> Contrast:
        """See `Crossbar.interleaved`; portion by portion where time matters.

        Elsewhere reads are independent, so that their order changes nothing but how many of them a
        nudge current follows. Where every sample is asked for they are read in their order too.
        """
        count = checked_count(samples)
        leading = portions(count, interleave)[0]
        if self.in_turn or statistic == "samples":
            self._require_programmed("interleaved")
            return super().interleaved(volts, targets, nudging, count, interleave, statistic)
        return self._contrast(volts, targets, nudging, count, leading, statistic)

    def _contrast(
        self,
        volts: ArrayLike,
        targets: ArrayLike,
        nudging: Nudging,
        count: int,
        leading: int,
        statistic: Statistic,
    ) -> Contrast:
        """Return a batch's reads; the nudge follows the first `leading` ones of a free phase.

        With every sample, `leading` has to be `count`.
        """
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
            first_pull = None
            first = self._reading(free, None, leading, "first", inputs, statistic)
            aimed = first.mean[:, out]
            if leading < count:
                rest = self._reading(free, None, count - leading, "first", inputs, statistic)
                first = in_succession([first, rest])
            free_outputs = first.mean[:, out]
        else:
            aimed = self._reading(free, None, count, "free", inputs, "mean").mean[:, out]
            free_outputs = aimed
            first_pull = self._pulled(nudging, first_strength, aims, aimed)
            first_volts = self.settled(drive, first_pull, free)
            first = self._reading(first_volts, first_pull, count, "first", inputs, statistic)
        pull = self._pulled(nudging, second_strength, aims, aimed)
        second_volts = self.settled(drive, pull, free)
        second = self._reading(second_volts, pull, count, "second", inputs, statistic)
        blocks = None
        if statistic == "samples" and (first.volts is None or second.volts is None):

            def blocks() -> Iterator[tuple[Reading, Reading]]:
                # The same draws again: moments were taken from them, block by block.
                size = self._block(inputs)
                again = self.noise.repeating(saved)
                yield from zip(
                    again.blocks(
                        first_volts,
                        count,
                        "first",
                        inputs,
                        size,
                        self._disturbance(first_volts, first_pull),
                    ),
                    again.blocks(
                        second_volts,
                        count,
                        "second",
                        inputs,
                        size,
                        self._disturbance(second_volts, pull),
                    ),
                    strict=True,
                )

        self._hold(inputs)
        amps = pull.amps if nudging.kind == "current" else None
        return Contrast(inputs, first, second, free_outputs, amps, blocks)

    def state(self) -> dict[str, Any]:
        """Return the state of the noise streams, and of cells that are not ideal."""
        return {**super().state(), "noise": self.noise.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up noise and cells where `state` found them."""
        super().restore(state)
        self.noise.restore(state["noise"])

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

    def _hold(self, inputs: Floats) -> None:
        """Be where image by image would have led: the last one clamped, without a nudge."""
        if inputs.shape[0]:
            self._inputs = inputs[-1:].copy()
            self._pull = self._drive = self._volts = None

    def _set_pull(self, pull: Pull | None) -> None:
        self._require_programmed("nudge")
        if pull is not None and pull.siemens < 0:
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
        if pull.siemens < 0:
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

    def _disturbance(self, volts: Doubles, pull: Pull | None) -> Disturbance | None:
        if self.thermal is None:
            return None
        return disturbance(self.thermal, self.network, self.ports(), self.rectifier, volts, pull)

    def _reading(
        self,
        volts: Doubles,
        pull: Pull | None,
        count: int,
        stream: str,
        inputs: Floats,
        statistic: Statistic,
    ) -> Reading:
        noise = self.noise
        if statistic != "samples" and noise.converter is None and self.thermal is None:
            return noise.moments(volts, count, stream, inputs, statistic)
        disturb = self._disturbance(volts, pull)
        block = self._block(inputs)
        if count <= block:
            return noise.samples(volts, count, stream, inputs, disturb)
        return noise.accumulated(volts, count, stream, inputs, block, disturb)
