"""Comparing a device's channels with a reference instrument, as far as its wiring lets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hilep.arrays import Doubles
from hilep.corrections import Role


@dataclass(frozen=True, slots=True)
class ComparableChannel:
    """A channel that the reference can reach.

    Attributes:
        channel: its name in the bench file.
        role: what is compared.
        unit: "V" or "A".
        most: the largest magnitude to go to, in that unit.
    """

    channel: str
    role: Role
    unit: str
    most: float


@dataclass(frozen=True, slots=True)
class Compared:
    """Inputs and outputs of one channel, in its unit.

    Attributes:
        inputs: of a reader what is there, of a source what was set (levels,).
        outputs: of a reader what it returned, of a source what is there (levels,).
        u_common: standard uncertainty of what was taken off all of them alike.
    """

    inputs: Doubles
    outputs: Doubles
    u_common: float = 0.0


class ChannelComparison(Protocol):
    """What `Crossbar.channel_comparison` returns.

    Attributes:
        reference: the instrument compared with, its serial number included.
        u_gain: standard uncertainty of its gain by unit, relative.
        u_offset: standard uncertainty of its offset by unit, in that unit.
    """

    @property
    def reference(self) -> str:
        """The instrument compared with."""

    @property
    def u_gain(self) -> Mapping[str, float]:
        """Standard uncertainty of its gain, relative, by unit."""

    @property
    def u_offset(self) -> Mapping[str, float]:
        """Standard uncertainty of its offset, by unit."""

    def channels(self) -> tuple[ComparableChannel, ...]:
        """Return what can be compared."""

    def compare(self, channel: ComparableChannel, levels: Doubles, reads: int) -> Compared:
        """Go through `levels` (n,), with `reads` reads at each.

        A level that cannot be reached is left out.
        """

    def released(self, channel: ComparableChannel, reads: int) -> Doubles:
        """Return amperes (reads,) that a nudge at 0 A leaves, against its output switched off."""
