"""What a device may be able to do beyond the verbs of every crossbar."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats
from hilep.comparing import ChannelComparison
from hilep.errors import UnsupportedError
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.pulsing import checked_pause
from hilep.reading import Reading


class Capabilities:
    """Verbs that a backend overrides where its device can: without that they refuse.

    A spring nudge, with `has_spring`; amplifiers between layers, with `has_amplifiers`; reads at a
    stated time after a change; other settings of the reader; reads of single cells, pulses to them,
    and time in which they age; a comparison of channels with a reference; changes too small to be
    written, owed until they have added up.
    """

    network: Network
    has_spring: ClassVar[bool] = False
    """Whether `nudge_spring` works, and with infinite siemens clamps the outputs."""
    has_amplifiers: ClassVar[bool] = False
    """Whether hidden nodes drive the next array through the gains that `network` states."""

    def nudge_spring(self, siemens: float, volts: ArrayLike) -> None:
        """Join each output to `volts` (n_out,) through `siemens`; infinity clamps the outputs.

        Raises:
            UnsupportedError: where the backend has no such nudge.
        """
        raise UnsupportedError(f"{type(self).__name__}: no spring nudge; use nudging = 'current'")

    def read_after(self, delay_s: float, samples: int = 1) -> Reading:
        """Read every free node from `delay_s` after the last clamp or nudge on, settled or not.

        The reads are those of `read`, as fast as the device takes them. It is meant for the first
        read after a clamp or a nudge.

        Args:
            delay_s: seconds, 0 or more; a device that cannot begin as soon does so as soon as it
                can.
            samples: reads of each node, one after the other.

        Returns:
            A `Reading` with volts and with the delays achieved, `delays_s`, both (samples, n_free).

        Raises:
            UnsupportedError: where the backend has no time in which it settles.
            BadInputError: as `read`, and for a delay that is negative or not finite.
        """
        raise UnsupportedError(f"{type(self).__name__}: no reads at a stated time after a change")

    def reading_with(self, **settings: float) -> None:
        """Read with other settings of the reader from now on, such as `nplc` or `range_v`.

        Without a setting those of the beginning hold again. What was clamped may be released:
        clamp again before the next read.

        Raises:
            UnsupportedError: where the backend's reader has no such settings.
        """
        raise UnsupportedError(f"{type(self).__name__}: its reader has no settings to change")

    def measure_conductances(self, reads: int = 1) -> list[Doubles]:
        """Read every cell alone, without changing it: optional.

        Returns:
            Siemens (reads, n_pre, n_post) per layer, which may lie outside the network's window;
            NaN where a read is no good.

        Raises:
            UnsupportedError: where the device reads no single cells.
        """
        raise UnsupportedError(f"{type(self).__name__}: reads no single cells")

    def pulse_response(self, cells: ArrayLike, directions: ArrayLike) -> Doubles:
        """Give single pulses of one width to some cells, each read before and after: optional.

        Nothing is verified: program these cells again afterwards.

        Args:
            cells: layer, row and column of each (cells, 3).
            directions: +1 or -1 for each pulse (pulses,); every cell gets all of them.

        Returns:
            Siemens (pulses + 1, cells); NaN from where on a cell could not be read or pulsed.

        Raises:
            UnsupportedError: where the device gives no single pulses.
            BadInputError: for a cell that is not there, or more pulses than it may take.
        """
        raise UnsupportedError(f"{type(self).__name__}: gives no single pulses")

    def wait(self, seconds: float) -> float:
        """Leave the cells alone for `seconds`; clamp again afterwards.

        Returns:
            The seconds of the device's own clock, from any start.

        Raises:
            BadInputError: for seconds that are negative or not finite.
        """
        time.sleep(checked_pause(seconds))
        return time.monotonic()

    def channel_comparison(self) -> ChannelComparison:
        """Return what compares sources and readers with a reference; clamp again afterwards.

        Raises:
            UnsupportedError: where the device has no reference.
        """
        raise UnsupportedError(f"{type(self).__name__}: no reference to compare channels with")

    def require(self, nudging: Nudging) -> None:
        """Refuse, before anything is clamped, a nudging or gains that this backend cannot do.

        Raises:
            UnsupportedError: naming the nudging or the gains.
        """
        name = type(self).__name__
        if self.network.amplified and not self.has_amplifiers:
            raise UnsupportedError(
                f"network.voltage_gain, current_gain: {name} has no amplifiers; leave both at 1"
            )
        if nudging.kind != "current" and not self.has_spring:
            raise UnsupportedError(
                f"training.nudging: {name} cannot do {nudging.kind!r}; use 'current'"
            )

    def owed(self) -> list[Floats] | None:
        """Return what updates asked for beyond `conductances`, siemens (n_pre, n_post) per layer.

        A device whose writes resolve only so much owes smaller changes until they have added up;
        see `hilep.owed`. None where updates leave nothing owed. Run files keep it.
        """
        return None

    def owe(self, siemens: Sequence[ArrayLike]) -> None:
        """Owe `siemens` more: what `owed` returned with the conductances just programmed.

        Raises:
            UnsupportedError: where updates leave nothing owed.
        """
        raise UnsupportedError(f"{type(self).__name__}: owes its cells nothing between updates")
