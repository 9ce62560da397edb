"""The order in which the reads of two phases are taken: one after the other, or in portions.

With k portions each phase's N reads are shared out evenly, and the phases take turns in pairs of
portions of which every second one is turned round: for k = 4 free, nudged, nudged, free, free,
nudged, nudged, free. Neighbours of one phase are one read, so that k portions take k + 1 reads and
k changes of the nudge, where plain alternation takes 2 k and 2 k - 1. Where k is even and divides
N, free and nudged reads lie at the same mean time: a drift that is linear in time cancels. Plain
alternation would leave that of N / k reads.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats, checked, checked_count
from hilep.errors import BadInputError
from hilep.joining import in_succession, stacked
from hilep.nudging import Nudging
from hilep.reading import Contrast, Reading

if TYPE_CHECKING:
    from hilep.crossbar import Crossbar


def portions(reads: int, interleave: int) -> list[int]:
    """Return how many of N reads each portion has, the larger ones first.

    Raises:
        BadInputError: for fewer than one portion, or more of them than reads.
    """
    if not 1 <= interleave <= reads:
        raise BadInputError(
            f"training.interleave: expected 1 to training.reads ({reads}), got {interleave}"
        )
    least, more = divmod(reads, interleave)
    return [least + 1] * more + [least] * (interleave - more)


def turns(reads: int, interleave: int) -> list[tuple[int, int]]:
    """Return (0 for the phase that begins or 1 for the other, reads) in the order taken.

    Raises:
        BadInputError: as `portions`.
    """
    order: list[tuple[int, int]] = []
    for number, size in enumerate(portions(reads, interleave)):
        for phase in (0, 1) if number % 2 == 0 else (1, 0):
            if order and order[-1][0] == phase:
                order[-1] = (phase, order[-1][1] + size)
            else:
                order.append((phase, size))
    return order


def lag(reads: int, interleave: int) -> float:
    """Return by how many reads the second phase lies behind the first on average.

    Times the drift of one read it is what a linear drift adds to the difference of the two means:
    N without interleaving, N / k^2 for an odd k that divides N, 0 for an even one. The time in
    which the network settles after a change of the nudge adds in the same way.
    """
    sizes = portions(reads, interleave)
    return (sum(size**2 for size in sizes[::2]) - sum(size**2 for size in sizes[1::2])) / reads


def contrasted(
    device: Crossbar,
    volts: ArrayLike,
    targets: ArrayLike,
    nudging: Nudging,
    samples: int,
    interleave: int = 1,
) -> Contrast:
    """Return reads of two phases, image by image, by the verbs of a device alone.

    A nudge current follows the outputs in the first portion of the free phase, and is the same in
    all its turns, so that each phase is one equilibrium. A centred nudge contrasts no free phase:
    it follows N free reads that come before. The nudge is released by the next image's clamp, and
    after the last image.

    Args:
        device: programmed.
        volts: input volts (batch, n_in).
        targets: output volts to aim at (batch, n_out).
        nudging: kind and strengths of the two phases.
        samples: N, reads of each node in each phase.
        interleave: portions of each phase, at most N.

    Raises:
        BadInputError: for a wrong shape, or more portions than reads.
    """
    network = device.network
    inputs = checked(volts, (None, network.inputs), "free_and_nudged volts")
    aims = checked(targets, (inputs.shape[0], network.outputs), "free_and_nudged targets")
    order = turns(checked_count(samples), interleave)
    try:
        images = [
            _image(device, row, aim, nudging, order) for row, aim in zip(inputs, aims, strict=True)
        ]
    except BaseException:
        # What went wrong first is what has to be told.
        with contextlib.suppress(Exception):
            device.nudge(None)
        raise
    device.nudge(None)
    first, second, free_outputs, amps = zip(*images, strict=True)
    return Contrast(
        inputs,
        stacked(first),
        stacked(second),
        np.stack(free_outputs),
        np.stack(amps) if nudging.kind == "current" else None,
    )


def _image(
    device: Crossbar, row: Floats, aim: Floats, nudging: Nudging, order: list[tuple[int, int]]
) -> tuple[Reading, Reading, Floats, Doubles]:
    """Return the reads of both phases, the free outputs and the amperes of one image."""
    out = device.network.output_slice
    strengths = nudging.strengths
    phases: tuple[list[Reading], list[Reading]] = ([], [])
    achieved = [np.full(device.network.outputs, np.nan)] * 2
    begins = strengths.index(0.0) if 0.0 in strengths else 0
    device.clamp(row)
    free = device.read(order[0][1] if 0.0 in strengths else sum(n for _, n in order) // 2)
    aimed = aim - free.mean[out]
    if 0.0 in strengths:
        phases[begins].append(free)
        order = order[1:]
    for turn, reads in order:
        phase = turn ^ begins
        if strengths[phase] == 0.0:
            device.nudge(None)
        elif nudging.kind == "current":
            achieved[phase] = device.nudge(strengths[phase] * aimed)
        else:
            device.nudge_spring(strengths[phase], aim)
        phases[phase].append(device.read(reads))
    first, second = (in_succession(readings) for readings in phases)
    free_outputs = (first, second)[begins].mean[out] if 0.0 in strengths else free.mean[out]
    return first, second, free_outputs, achieved[1 if strengths[1] != 0.0 else 0]
