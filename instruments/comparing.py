"""A bench's channels against its reference, in place: `[roles.reference]` of the bench file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.comparing import ComparableChannel, Compared
from hilep.errors import BadInputError, UnsupportedError
from hilep.instruments.sourcerole import identities
from hilep.instruments.stations import Station
from hilep.instruments.status import COMPLIANCE
from hilep.instruments.wiring import Line

if TYPE_CHECKING:
    from hilep.instruments.acquisition import Acquisition
    from hilep.instruments.benchcapabilities import BenchCapabilities

_OF_LIMIT = 0.9
"""How far to the interlock's limit a node is driven: its reader may have an offset."""


_BEFORE = 4
"""Times the reads of a level go into what is taken off all levels."""


class BenchComparison:
    """Joins the reference to one channel after the other; all else is at a setting of 0 meanwhile.

    Args:
        bench: without corrections.

    Raises:
        UnsupportedError: the bench file names no reference.
        BadInputError: corrections are applied.
    """

    def __init__(self, bench: BenchCapabilities) -> None:
        roles = bench.file.sections.roles
        if roles.reference is None:
            raise UnsupportedError(
                f"{bench.file.path}: roles.reference: missing, expected what channels are compared "
                "with"
            )
        if bench.session.corrections is not None:
            raise BadInputError(
                "device.calibration: given, expected channels to be compared without corrections"
            )
        self._bench, self._roles, self._section = bench, roles, roles.reference
        self._line = Line.of(self._section.channel)
        self._limits = bench.file.sections.interlock.max_node_v

    @property
    def reference(self) -> str:
        """Maker, model, serial number and firmware of the reference, and its channel."""
        with self._bench.session.turn(self._bench.safe) as station:
            [identity] = identities(station.sources.instruments, [self._line]).values()
        return f"{identity}, channel {self._line.channel}"

    @property
    def u_gain(self) -> Mapping[str, float]:
        """Standard uncertainty of its gain, relative, by unit."""
        return {"V": self._section.u_gain_v, "A": self._section.u_gain_a}

    @property
    def u_offset(self) -> Mapping[str, float]:
        """Standard uncertainty of its offset, by unit; that of amperes is taken off."""
        return {"V": self._section.u_offset_v, "A": 0.0}

    def channels(self) -> tuple[ComparableChannel, ...]:
        """Return what `roles.reference.paths` reach, each in what it does."""
        roles, found = self._roles, []
        reach = _OF_LIMIT * min(self._limits, self._section.range_v)
        for channel in self._section.paths:
            if channel in roles.nodes.channels:
                found.append(ComparableChannel(channel, "reader", "V", reach))
            if channel in (*roles.clamp.channels, *roles.clamp.bias_channels):
                found.append(ComparableChannel(channel, "source", "V", roles.clamp.max_v))
            if channel in roles.nudge.channels:
                found.append(ComparableChannel(channel, "source", "A", roles.nudge.max_a))
        return tuple(found)

    def compare(self, channel: ComparableChannel, levels: Doubles, reads: int) -> Compared:
        """See `hilep.comparing.ChannelComparison.compare`.

        A level at which the reference meets its limit is left out: a rectifier holds a node there.
        """
        with self._joined(channel.channel) as station:
            if channel.role == "reader":
                return self._reader(station, channel, levels, reads)
            if channel.unit == "V":
                return self._clamp(station, channel, levels, reads)
            return self._nudge(station, channel, levels, reads)

    def released(self, channel: ComparableChannel, reads: int) -> Doubles:
        """Return amperes (reads,) of a nudge at a setting of 0, against its output off.

        Raises:
            UnsupportedError: this bench releases a nudge by opening its relay.
        """
        if self._roles.nudge.release == "high-z":
            raise UnsupportedError("a nudge that is released by its relay leaves no current")
        line = Line.of(channel.channel)
        with self._joined(channel.channel) as station:
            self._hold()
            station.sources.switch_off([line])
            off = self._acquired(reads).amps[:, 0]
            station.sources.switch_on([line])
            # What the source gives flows into the reference.
            return np.asarray(off - self._acquired(reads).amps[:, 0])

    def _reader(
        self, station: Station, channel: ComparableChannel, levels: Doubles, reads: int
    ) -> Compared:
        node = self._roles.nodes.channels.index(channel.channel)
        self._hold()
        there, found = [], []
        for level in levels.tolist():
            self._instrument.apply({self._line.channel: level})
            one = self._acquired(reads)
            if _limited(one).any():
                continue
            there.append(one.volts.mean())
            found.append(station.nodes.read([node], reads).volts.mean())
        return Compared(np.array(there), np.array(found))

    def _clamp(
        self, station: Station, channel: ComparableChannel, levels: Doubles, reads: int
    ) -> Compared:
        section = self._section
        self._channel.source_current(
            section.limit_v, range_a=section.range_a, nplc=section.nplc, four_wire=section.four_wire
        )
        self._channel.on()
        line = Line.of(channel.channel)
        settings, there = [], []
        for level in levels.tolist():
            station.sources.send({line: level})
            one = self._acquired(reads)
            if _limited(one).any():
                continue
            settings += station.sources.settings([line])
            there.append(one.volts.mean())
        return Compared(np.array(settings), np.array(there))

    def _nudge(
        self, station: Station, channel: ComparableChannel, levels: Doubles, reads: int
    ) -> Compared:
        line = Line.of(channel.channel)
        self._hold()
        # Clamps have offsets too: what they send through the network is taken off.
        station.sources.switch_off([line])
        before = self._acquired(_BEFORE * reads).amps
        station.sources.switch_on([line])
        settings, there = [], []
        for level in levels.tolist():
            station.sources.send({line: level})
            one = self._acquired(reads)
            if _limited(one).any():
                continue
            settings += station.sources.settings([line])
            there.append(before.mean() - one.amps.mean())
        u_before = float(before.std(ddof=1)) / math.sqrt(before.size)
        return Compared(np.array(settings), np.array(there), u_before)

    # The reference --------------------------------------------------------------------------------

    @property
    def _instrument(self) -> Any:
        station = self._bench.session.station
        assert station is not None
        return station.sources.instruments[self._line.instrument]

    @property
    def _channel(self) -> Any:
        try:
            return self._instrument.channels[self._line.channel]
        except (KeyError, AttributeError):
            raise self._bench.file.error(
                "roles.reference.channel", f"{self._line}: expected an SMU's channel"
            ) from None

    def _hold(self) -> None:
        """Make the reference a source of 0 V."""
        section = self._section
        self._channel.source_voltage(
            section.limit_a, range_v=section.range_v, nplc=section.nplc, four_wire=section.four_wire
        )
        self._channel.on()

    def _acquired(self, reads: int) -> Acquisition:
        self._bench.session.sleep(self._bench.file.sections.settle.seconds)
        found: Acquisition = self._instrument.acquire(reads, [self._line.channel])
        if not (np.isfinite(found.volts).all() and np.isfinite(found.amps).all()):
            raise BadInputError(f"{self._line}: its ranges do not hold what it reads")
        return found

    @contextmanager
    def _joined(self, channel: str) -> Iterator[Station]:
        """Join the reference to the line of a channel, everything at a setting of 0."""
        bench = self._bench
        path = Line.of(self._section.paths[channel])
        try:
            with bench.session.turn(bench.safe) as station, bench.outputs.steady():
                bench.outputs.idle(station)
                relays = station.sources.instruments[path.instrument]
                # Nothing drives the relay but the offsets of sources that are set to 0.
                relays.close([path.channel], hot=True)
                yield station
                self._channel.off()
                bench.outputs.idle(station)
                relays.open([path.channel], hot=True)
        except BaseException:
            # After the turn: each instrument is switched off in a thread of its own.
            bench.safe()
            raise


def _limited(found: Acquisition) -> NDArray[np.bool_]:
    return np.asarray((found.status & COMPLIANCE) != 0)
