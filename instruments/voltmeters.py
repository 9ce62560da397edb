"""The voltmeter: every free node read through scanners, analog inputs or the nudging SMUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hilep.arrays import Doubles
from hilep.corrections import ChannelLine, columns
from hilep.instruments.acquisition import Acquisition
from hilep.instruments.roles import NodeReadings
from hilep.instruments.sourcerole import identities
from hilep.instruments.sources import Sources
from hilep.instruments.status import INVALID, OVERRANGE, names_of
from hilep.instruments.trips import InterlockError, OverRangeError
from hilep.instruments.wiring import Line


class BenchVoltmeter:
    """Reads the nodes: one query per instrument and buffer-full for all nodes and samples.

    Sources are read in the same go, so that a limit that was met is seen: an SMU that reads its own
    output brings that along, any other one adds one sample.

    Args:
        sources: every source of the bench.
        lines: channels of the nodes, in order.
        names: of the nodes, for errors.
        range_v: volts that the readings must fit.
        max_node_v: the interlock's limit, volts.
        corrections: gains and offsets of readers, by channel; none unless given.

    Attributes:
        acquired: what each instrument brought in the last read.
        began_s: when each was asked to, on the clock that the last `read` was given.
    """

    def __init__(
        self,
        sources: Sources,
        lines: Sequence[Line],
        names: Sequence[str],
        range_v: float,
        max_node_v: float,
        corrections: Mapping[str, ChannelLine] | None = None,
    ) -> None:
        self.sources = sources
        self.lines = tuple(lines)
        self.names = tuple(names)
        self.range_v = range_v
        self.max_node_v = max_node_v
        channels = [str(line) for line in self.lines]
        self._gain, self._offset_v = columns(corrections or {}, channels)
        self.acquired: dict[str, Acquisition] = {}
        self.began_s: dict[str, float] = {}
        self._channels: dict[str, list[str]] = {}
        for line in self.lines:
            if line not in sources.lines:
                self._channels.setdefault(line.instrument, []).append(line.channel)
        self._nodes: dict[str, list[int]] = {}
        for node, line in enumerate(self.lines):
            self._nodes.setdefault(line.instrument, []).append(node)
        self._found: dict[str, tuple[tuple[str, ...], list[int]]] = {}
        self._own = {line.instrument for line in self.lines if line in sources.lines}

    def configure(self, options: Mapping[str, Any]) -> None:
        """Set every reader up.

        Args:
            options: what the bench file gives besides channels and range.

        Raises:
            BadInputError: a reader has no such channel or range.
        """
        for name, channels in self._channels.items():
            self.sources.instruments[name].configure(channels, self.range_v, **options)

    def read(
        self,
        nodes: Sequence[int] | None,
        samples: int,
        clock: Callable[[], float] | None = None,
    ) -> NodeReadings:
        """Read `nodes` (None for all) `samples` times.

        Args:
            nodes: which.
            samples: how often.
            clock: tells when each instrument was asked; see `began_s`.

        Raises:
            ComplianceError: a source met its limit meanwhile.
            OverRangeError: a sample is missing, over-range or wrong.
            InterlockError: a node is beyond the interlock's limit.
        """
        instruments = self.sources.instruments
        acquired: dict[str, Acquisition] = {}
        began: dict[str, float] = {}
        for name, channels in self._channels.items():
            if clock is not None:
                began[name] = clock()
            acquired[name] = instruments[name].acquire(samples, channels)
        for name in self.sources.names:
            if name not in acquired:
                if clock is not None:
                    began[name] = clock()
                found = self.sources.acquire(samples if name in self._own else 1, name)
                if found is not None:
                    acquired[name] = found
        self.acquired, self.began_s = acquired, began
        for name, found in acquired.items():
            self.sources.check(name, found)
        whole = self._readings(acquired, samples)
        self._check(whole)
        if nodes is None:
            return whole
        chosen = list(nodes)
        return NodeReadings(
            whole.volts[:, chosen], whole.time_s[:, chosen], whole.status[:, chosen]
        )

    def delays_s(self, readings: NodeReadings, moved: float) -> Doubles:
        """Return the seconds from `moved` until each of these readings began (samples, nodes).

        The first of each instrument begins when that is asked; the others as much later as the
        instrument's own clock says.

        Args:
            readings: of all nodes, just read with a clock.
            moved: on that clock.
        """
        began = [self.began_s[line.instrument] - moved for line in self.lines]
        later = readings.time_s - readings.time_s[:1]
        later[0] = 0.0
        return np.asarray(np.array(began) + later)

    @property
    def identity(self) -> Mapping[str, str]:
        """Which instruments read."""
        return identities(self.sources.instruments, self.lines)

    def safe(self) -> None:
        """Do nothing: reading drives nothing. A scanner's relays open with its instrument."""

    def snapshot(self) -> dict[str, Any]:
        """Return channels, range and limit."""
        return {
            "channels": [str(line) for line in self.lines],
            "range_v": self.range_v,
            "max_node_v": self.max_node_v,
        }

    def _readings(self, acquired: Mapping[str, Acquisition], samples: int) -> NodeReadings:
        shape = (samples, len(self.lines))
        volts, times = np.full(shape, np.nan), np.full(shape, np.nan)
        status = np.full(shape, INVALID, np.uint8)
        for name, nodes in self._nodes.items():
            found = acquired[name]
            columns = self._columns(name, found.channels)
            volts[:, nodes] = found.volts[:, columns]
            times[:, nodes] = found.time_s[:, columns]
            status[:, nodes] = found.status[:, columns]
        return NodeReadings((volts - self._offset_v) / self._gain, times, status)

    def _columns(self, name: str, channels: tuple[str, ...]) -> list[int]:
        known = self._found.get(name)
        if known is None or known[0] != channels:
            places = {channel: column for column, channel in enumerate(channels)}
            known = (channels, [places[self.lines[node].channel] for node in self._nodes[name]])
            self._found[name] = known
        return known[1]

    def _check(self, readings: NodeReadings) -> None:
        bad = (readings.status & (OVERRANGE | INVALID) != 0) | ~np.isfinite(readings.volts)
        beyond = np.abs(readings.volts) > self.max_node_v
        if beyond.any():
            node = int(np.flatnonzero(beyond.any(axis=0))[0])
            raise InterlockError(
                self._named(node), self.max_node_v, _largest(readings.volts[:, node])
            )
        if bad.any():
            node = int(np.flatnonzero(bad.any(axis=0))[0])
            words = names_of(np.bitwise_or.reduce(readings.status[:, node]))
            raise OverRangeError(self._named(node), self.range_v, words)

    def _named(self, node: int) -> str:
        return f"{self.names[node]} ({self.lines[node]})"


def _largest(volts: Doubles) -> float:
    return float(volts[np.nanargmax(np.abs(volts))])
