"""Reads of a programmed crossbar as training takes them: pairs of phases, and a long record.

Only the verbs of `hilep.crossbar.Crossbar` are used, so that a simulator and a bench are measured
alike. What was read before something fails is kept: `alternating` yields pair by pair.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles, checked_count
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError, UnsupportedError
from hilep.reading import Reading

_READS_TO_TELL = 16
"""How many reads show their interval."""


@dataclass(frozen=True, slots=True)
class PairedReads:
    """Reads of both phases in turn, in the order taken, of every free node.

    Attributes:
        free: volts (n, nodes), without a nudge.
        nudged: volts (n, nodes); row k was taken next to row k of `free`.
        free_time_s: seconds since the epoch when each free read ended (n,); NaN where unknown.
        nudged_time_s: seconds since the epoch when each nudged read ended (n,).
        free_status: bits of `hilep.reading.Reading.status` (n, nodes).
        nudged_status: status bits of the nudged reads (n, nodes).
        amps: amperes that the nudge achieved (outputs,).
    """

    free: Doubles
    nudged: Doubles
    free_time_s: Doubles
    nudged_time_s: Doubles
    free_status: NDArray[np.uint8]
    nudged_status: NDArray[np.uint8]
    amps: Doubles

    @property
    def status(self) -> NDArray[np.uint8]:
        """Status of both phases together (n, nodes)."""
        return self.free_status | self.nudged_status

    @property
    def delay_s(self) -> float:
        """Median seconds from a free read to the nudged one next to it; NaN where unknown."""
        delays = self.nudged_time_s - self.free_time_s
        return float(np.median(delays)) if np.isfinite(delays).all() and delays.size else math.nan


@dataclass(frozen=True, slots=True)
class LongRecord:
    """Many reads of one phase, taken at once.

    Attributes:
        volts: volts (n, nodes), in the order taken.
        status: bits of `hilep.reading.Reading.status` (nodes,).
        interval_s: seconds from one read to the next; NaN where unknown.
    """

    volts: Doubles
    status: NDArray[np.uint8]
    interval_s: float


@dataclass(frozen=True, slots=True)
class Pair:
    """One block of reads without and one with a nudge.

    Attributes:
        free: without.
        nudged: with.
        amps: amperes achieved (outputs,).
    """

    free: Reading
    nudged: Reading
    amps: Doubles


def alternating(
    device: Crossbar, volts: ArrayLike, amps: ArrayLike, pairs: int, block: int = 1
) -> Iterator[Pair]:
    """Clamp `volts` and yield pair after pair; inputs stay clamped, as between phases in training.

    Args:
        device: programmed.
        volts: inputs (n_in,).
        amps: amperes into the outputs (n_out,).
        pairs: how many.
        block: reads of each phase before the other one's turn.

    Raises:
        BadInputError: for a wrong shape or count.
        UnsupportedError: for a device that keeps moments in place of reads.
    """
    checked_count(pairs)
    checked_count(block)
    device.clamp(volts)
    for _ in range(pairs):
        free = device.read(block)
        achieved = device.nudge(amps)
        nudged = device.read(block)
        device.nudge(None)
        _samples(free), _samples(nudged)
        yield Pair(free, nudged, np.asarray(achieved, dtype=np.float64))


def gathered(pairs: Sequence[Pair]) -> PairedReads:
    """Return pairs as arrays, in the order taken.

    Raises:
        BadInputError: for none at all.
    """
    if not pairs:
        raise BadInputError("pairs of reads: expected at least one")
    free, nudged = [pair.free for pair in pairs], [pair.nudged for pair in pairs]
    return PairedReads(
        free=np.concatenate([_samples(reading) for reading in free]),
        nudged=np.concatenate([_samples(reading) for reading in nudged]),
        free_time_s=np.concatenate([np.full(reading.count, reading.time_s) for reading in free]),
        nudged_time_s=np.concatenate(
            [np.full(reading.count, reading.time_s) for reading in nudged]
        ),
        free_status=np.concatenate([_flags(reading) for reading in free]),
        nudged_status=np.concatenate([_flags(reading) for reading in nudged]),
        amps=pairs[-1].amps,
    )


def paired_reads(
    device: Crossbar, volts: ArrayLike, amps: ArrayLike, pairs: int, block: int = 1
) -> PairedReads:
    """Return reads of the free and the nudged phase in turn; see `alternating`."""
    return gathered(list(alternating(device, volts, amps, pairs, block)))


def long_record(
    device: Crossbar, volts: ArrayLike, amps: ArrayLike | None, reads: int
) -> LongRecord:
    """Return `reads` reads of one phase, taken as training takes N of them: by one `read`.

    Their interval is that of a few reads before, where the device tells when each of them was
    taken; else, where it knows when a reading ended, what many reads take longer than one.

    Args:
        device: programmed.
        volts: inputs (n_in,).
        amps: amperes into the outputs (n_out,), or None for the free phase.
        reads: how many.

    Raises:
        BadInputError: for a wrong shape or count.
        UnsupportedError: for a device that keeps moments in place of reads.
    """
    checked_count(reads)
    device.clamp(volts)
    device.nudge(amps)
    interval = _told_interval(device)
    before, one = device.read(1).time_s, device.read(1).time_s
    reading = device.read(reads)
    if amps is not None:
        device.nudge(None)
    if reads > 1 and math.isnan(interval):
        interval = ((reading.time_s - one) - (one - before)) / (reads - 1)
        interval = interval if interval > 0 else math.nan
    return LongRecord(_samples(reading), reading.flags.copy(), interval)


def _told_interval(device: Crossbar) -> float:
    """Return the seconds between reads that the device itself states; NaN where it does not."""
    try:
        delays = device.read_after(0.0, _READS_TO_TELL).delays_s
    except UnsupportedError:
        return math.nan
    interval = math.nan if delays is None else float(np.median(np.diff(delays, axis=0)))
    return interval if interval > 0 else math.nan


def nudge_like_training(free: Reading, targets: ArrayLike, siemens: float) -> Doubles:
    """Return amperes (n_out,): siemens * (target - output as read), what training injects.

    Args:
        free: a reading without a nudge; the outputs are its last nodes.
        targets: volts (n_out,).
        siemens: strength of the nudge.
    """
    aim = np.asarray(targets, dtype=np.float64)
    return np.asarray(siemens * (aim - free.mean[-aim.size :]), dtype=np.float64)


def _samples(reading: Reading) -> Doubles:
    if reading.volts is not None:
        return np.array(reading.volts, dtype=np.float64)
    if reading.count == 1:
        return np.array(reading.mean, dtype=np.float64)[None, :]
    raise UnsupportedError("calibration: this device keeps moments of its reads, not every read")


def _flags(reading: Reading) -> NDArray[np.uint8]:
    return np.repeat(reading.flags[None, :], reading.count, axis=0)
