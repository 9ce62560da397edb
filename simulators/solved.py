"""Batches on a crossbar whose true voltages are computed: many images in one solve."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats, checked, checked_count
from hilep.interleaving import portions
from hilep.joining import in_succession
from hilep.limits import within_limit
from hilep.nudging import Nudging
from hilep.reading import Contrast, Reading, Statistic
from hilep.simulators.pull import Pull
from hilep.simulators.solvedverbs import SolvedVerbs

BLOCK_BYTES = 1 << 18
"""Samples held at once, at the least, where every sample is needed."""


class SolvedCrossbar(SolvedVerbs):
    """The batch forms of `SolvedVerbs`, which says what both take; override `settled`, `ports`."""

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

    # What they share ------------------------------------------------------------------------------

    def _hold(self, inputs: Floats) -> None:
        """Be where image by image would have led: the last one clamped, without a nudge."""
        if inputs.shape[0]:
            self._inputs = inputs[-1:].copy()
            self._pull = self._drive = self._volts = None

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
