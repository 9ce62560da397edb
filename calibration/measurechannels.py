"""Gain and offset of every channel that a reference can reach, and what a released nudge leaves.

A reference stands in for what is compared, without rewiring: it holds a node at volts while its
reader reads, reads a clamp's volts without drawing current, and holds an output at 0 V while the
nudge's current flows into it.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, checked, checked_count
from hilep.calibration.channels import (
    ChannelCalibration,
    ReleasedNudge,
    calibrate_channel,
    released_nudge,
)
from hilep.comparing import ChannelComparison, ComparableChannel
from hilep.corrections import Role
from hilep.errors import BadInputError, UnsupportedError

_GOLDEN = 0.6180339887498949
Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class MeasuredChannels:
    """What comparing all channels gave.

    Attributes:
        channels: gain and offset of each.
        released: current that a released nudge leaves; None where no nudge was compared.
        problems: one line for each channel that could not be calibrated.
        notes: one line for each thing worth knowing.
    """

    channels: tuple[ChannelCalibration, ...]
    released: ReleasedNudge | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def levels_of(most: float, count: int) -> Doubles:
    """Return `count` ascending levels within -`most` to `most`, at uneven distances.

    Even ones would meet the steps of a converter alike, so that the line's scatter hid its errors.
    """
    place = np.arange(count)
    shifted = place + 0.5 * ((_GOLDEN * (place + 1)) % 1.0 - 0.5)
    return np.asarray(np.clip(most * (2 * shifted / (count - 1) - 1), -most, most))


def compare_channel(
    channel: str,
    set_level: Callable[[float], float],
    read: Callable[[int], ArrayLike],
    levels: ArrayLike,
    reads: int,
    *,
    role: Role,
    reference: str,
    measured: datetime.date,
    **options: Any,
) -> ChannelCalibration:
    """Go through levels by two functions of one's own; return gain and offset.

    For a reader `set_level` sets the reference and `read` reads the channel; for a source
    `set_level` sets the channel and `read` reads the reference.

    Args:
        channel: its name on the bench.
        set_level: sets a level and waits until it is there; returns what was achieved, in the
            channel's unit.
        read: returns so many reads (reads,), in that unit.
        levels: to go through (levels,); 0 is set at the end, whatever happens.
        reads: at each level, averaged.
        role: "reader" or "source".
        reference: what the channel is compared with, with its serial number.
        measured: the date.
        options: of `calibrate_channel`, such as `u_reference_gain` and `valid_days`.

    Raises:
        BadInputError: as `calibrate_channel`; reads that are not finite.
    """
    asked = checked(levels, (None,), f"channel {channel}: levels").astype(np.float64)
    count = checked_count(reads)
    inputs, outputs = [], []
    try:
        for level in asked.tolist():
            inputs.append(float(set_level(level)))
            values = checked(read(count), (count,), f"channel {channel}: reads")
            outputs.append(float(np.mean(values, dtype=np.float64)))
    finally:
        set_level(0.0)
    return calibrate_channel(
        channel, inputs, outputs, role=role, reference=reference, measured=measured, **options
    )


def measure_channels(
    comparison: ChannelComparison,
    *,
    levels: int = 33,
    reads: int = 4,
    valid_days: int = 365,
    today: datetime.date | None = None,
    smallest_nudge_a: float | None = None,
    told: Told = lambda what, done, of: None,
) -> MeasuredChannels:
    """Compare every channel that the reference reaches.

    Args:
        comparison: from `Crossbar.channel_comparison`.
        levels: from the least to the greatest of each channel, at least 3. Many levels show what a
            converter with steps does, which many reads at one level do not.
        reads: at each level, averaged.
        valid_days: until the calibration expires.
        today: the date that it bears; that of the clock unless given.
        smallest_nudge_a: what a residual current is held against, amperes; a hundredth of each
            bench's largest nudge unless given.
        told: of progress.

    Raises:
        BadInputError: for fewer than 3 levels, or no channel to compare.
    """
    found = comparison.channels()
    if levels < 3 or not found:
        raise BadInputError(
            f"channels: expected at least 3 levels and a channel, got {levels} and {len(found)}"
        )
    day, reference = today or datetime.date.today(), comparison.reference
    channels: list[ChannelCalibration] = []
    problems: list[str] = []
    for done, one in enumerate(found):
        told("channels", done, len(found))
        seen = comparison.compare(one, levels_of(one.most, levels), reads)
        try:
            channels.append(
                calibrate_channel(
                    one.channel,
                    seen.inputs,
                    seen.outputs,
                    role=one.role,
                    reference=reference,
                    measured=day,
                    valid_days=valid_days,
                    u_reference_gain=comparison.u_gain[one.unit],
                    u_reference_offset=math.hypot(comparison.u_offset[one.unit], seen.u_common),
                    unit=one.unit,
                )
            )
        except BadInputError as error:
            problems.append(f"{error} ({seen.inputs.size} of {levels} levels could be reached)")
    told("channels", len(found), len(found))
    nudges = [one for one in found if one.unit == "A"]
    released, notes = _released(comparison, nudges, reads, smallest_nudge_a)
    return MeasuredChannels(tuple(channels), released, tuple(problems), notes)


def _released(
    comparison: ChannelComparison,
    nudges: list[ComparableChannel],
    reads: int,
    smallest_nudge_a: float | None,
) -> tuple[ReleasedNudge | None, tuple[str, ...]]:
    if not nudges:
        return None, ()
    if reads < 2:
        return None, ("channels: a released nudge takes at least 2 reads",)
    try:
        amps = np.stack([comparison.released(one, reads) for one in nudges], axis=1)
    except UnsupportedError as error:
        return None, (f"channels: {error}",)
    smallest = smallest_nudge_a or 0.01 * max(one.most for one in nudges)
    names = tuple(one.channel for one in nudges)
    found = released_nudge(amps, smallest, channels=names)
    left = [
        f"{name} {found.amps[k]:.3g} A"
        for k, name in enumerate(names)
        if not found.released[k] and found.share[k] > 1
    ]
    if not left:
        return found, ()
    return found, (
        "channels: a released nudge leaves more than the smallest nudge of the pairs: "
        f"{', '.join(left)}; device.calibration takes it off",
    )
