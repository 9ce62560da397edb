"""What a device gives back: readings, pairs of phases, and reports of programming."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Floats

Statistic: TypeAlias = Literal["mean", "variance", "samples"]
"""What a learning rule needs of N reads: per-node means; means and variances; or every sample."""


SATURATED = 1
"""Bit of `Reading.status`: at least one read of the node was at an end of the reader's range."""


@dataclass(frozen=True, slots=True)
class Reading:
    """N reads of every free node in one phase, of one image or a batch.

    Attributes:
        mean: volts (..., n_free), the mean over the reads.
        count: N, the number of reads of each node.
        volts: every read, volts (N, ..., n_free), or None where a simulator kept moments only.
        variance: the sample variance (divisor N - 1) in volts squared (..., n_free), or None.
        clamped: reads of the input nodes in the same form, or None where inputs are known.
        time_s: seconds since the epoch when the reads ended; NaN where time has no meaning.
        status: bit field per node (..., n_free) over all its reads, 0 where all are good, such as
            `SATURATED`; or None where every node's are.
        delays_s: seconds from the last clamp or nudge until each read began (N, n_free), from
            `Crossbar.read_after`; None from `read`.
    """

    mean: Floats
    count: int
    volts: Floats | None = None
    variance: Floats | None = None
    clamped: Reading | None = None
    time_s: float = float("nan")
    status: NDArray[np.uint8] | None = None
    delays_s: Floats | None = None

    @property
    def flags(self) -> NDArray[np.uint8]:
        """The status written out, (..., n_free): zeros where it is None."""
        return np.zeros(self.mean.shape, np.uint8) if self.status is None else self.status

    @classmethod
    def of_samples(
        cls, volts: Floats, clamped: Floats | None = None, time_s: float = float("nan")
    ) -> Reading:
        """Return the reading whose samples are `volts` (N, ..., n_free)."""
        count = volts.shape[0]
        return cls(
            mean=volts.mean(axis=0) if count > 1 else volts[0],
            count=count,
            volts=volts,
            variance=volts.var(axis=0, ddof=1) if count > 1 else None,
            clamped=None if clamped is None else cls.of_samples(clamped, time_s=time_s),
            time_s=time_s,
        )


@dataclass(frozen=True, slots=True)
class Contrast:
    """Reads of the two phases that a learning rule contrasts, for a batch of images.

    Attributes:
        inputs: the clamped volts (batch, n_in).
        first: the phase with the smaller nudge, mean volts (batch, n_free).
        second: the other phase.
        free_outputs: mean volts of the outputs in the free phase (batch, n_out).
        amps: currents achieved in the second phase (batch, n_out); None for a spring or a clamp.
            A centred nudge injects their negative in the first.
        blocks: yields (first, second) reads in blocks, together every sample of both phases; one
            block where all samples are held, several where a simulator draws them as it goes.
    """

    inputs: Floats
    first: Reading
    second: Reading
    free_outputs: Floats
    amps: Floats | None = None
    blocks: Callable[[], Iterator[tuple[Reading, Reading]]] | None = None

    def sample_blocks(self) -> Iterator[tuple[Reading, Reading]]:
        """Yield (first, second) in blocks that each hold their samples."""
        if self.blocks is None:
            yield self.first, self.second
        else:
            yield from self.blocks()


@dataclass(frozen=True, slots=True)
class ProgramReport:
    """What programming achieved.

    Attributes:
        programmed: cells whose conductance was asked to change.
        failed: (layer, row, column) of each cell that would not go where it was asked.
        pulses: programming pulses used; 0 where the device needs none.
    """

    programmed: int
    failed: tuple[tuple[int, int, int], ...] = ()
    pulses: int = 0


@dataclass(frozen=True, slots=True)
class LayerUpdate:
    """One layer's change of conductance in factors, siemens.

    dg[i, j] = row[i] + column[j] + sum over r of left[r, i] * right[r, j]

    Attributes:
        left: (rank, n_pre), bias rows included.
        right: (rank, n_post).
        row: (n_pre,) or None for zero.
        column: (n_post,) or None for zero.
    """

    left: Floats
    right: Floats
    row: Floats | None = None
    column: Floats | None = None

    @classmethod
    def zero(cls, shape: tuple[int, int]) -> LayerUpdate:
        """Return no change of a layer with `shape` (n_pre, n_post)."""
        return cls(np.zeros((0, shape[0])), np.zeros((0, shape[1])))

    @property
    def nothing(self) -> bool:
        """Whether there is no term at all."""
        return self.left.shape[0] == 0 and self.row is None and self.column is None

    def dense(self) -> NDArray[np.float64]:
        """Return dg, siemens (n_pre, n_post), in float64."""
        dg = self.left.astype(np.float64).T @ self.right.astype(np.float64)
        if self.row is not None:
            dg += self.row[:, None]
        if self.column is not None:
            dg += self.column
        return dg


@dataclass(frozen=True, slots=True)
class Update:
    """A change of all conductances and bias currents, to be added and then clipped.

    Attributes:
        layers: one `LayerUpdate` per layer.
        bias_currents: amperes to add at every free node (n_free,), or None.
    """

    layers: tuple[LayerUpdate, ...]
    bias_currents: Floats | None = field(default=None)
