"""Several readings as one: those of single images as a batch, those of portions as N reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.reading import Reading


def stacked(readings: Sequence[Reading]) -> Reading:
    """Return readings of single images as one reading of a batch: (N, n) becomes (N, batch, n)."""

    def joined(name: str, axis: int) -> Any:
        parts = [getattr(reading, name) for reading in readings]
        if any(part is None for part in parts):
            return None
        return np.stack(parts, axis=axis)

    status = None
    if any(reading.status is not None for reading in readings):
        status = np.stack([reading.flags for reading in readings])
    clamped = [reading.clamped for reading in readings]
    return Reading(
        mean=joined("mean", 0),
        count=readings[0].count,
        volts=joined("volts", 1),
        variance=joined("variance", 0),
        clamped=None if None in clamped else stacked([c for c in clamped if c is not None]),
        time_s=readings[-1].time_s,
        status=status,
    )


def in_succession(readings: Sequence[Reading]) -> Reading:
    """Return readings of the same nodes, in the order taken, as one reading of all their reads.

    Every sample is kept where all of them have theirs, and else their moments. The time is that of
    the last one; status bits add up.
    """
    if len(readings) == 1:
        return readings[0]
    volts = [reading.volts for reading in readings if reading.volts is not None]
    if len(volts) < len(readings):
        return reduce(pooled, readings)
    clamped = [reading.clamped for reading in readings if reading.clamped is not None]
    return replace(
        Reading.of_samples(np.concatenate(volts), time_s=readings[-1].time_s),
        clamped=in_succession(clamped) if len(clamped) == len(readings) else None,
        status=reduce(_either, [reading.status for reading in readings]),
    )


def pooled(a: Reading, b: Reading) -> Reading:
    """Return the moments and status of the reads of `a` and `b` together, without samples.

    By the pairwise formula of Chan, Golub and LeVeque (1983), which does not subtract large sums of
    squares. There is a variance where both have one, or need none because they are a single read.
    """
    count = a.count + b.count
    step = b.mean - a.mean
    spread = step**2 * (a.count * b.count / count)
    known = True
    for part in (a, b):
        if part.variance is not None:
            spread = spread + part.variance * (part.count - 1)
        elif part.count > 1:
            known = False
    clamped = None
    if a.clamped is not None and b.clamped is not None:
        clamped = pooled(a.clamped, b.clamped)
    return Reading(
        mean=a.mean + step * (b.count / count),
        count=count,
        variance=spread / (count - 1) if known else None,
        clamped=clamped,
        time_s=b.time_s,
        status=_either(a.status, b.status),
    )


def _either(a: NDArray[np.uint8] | None, b: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    if a is None or b is None:
        return a if b is None else b
    return a | b
