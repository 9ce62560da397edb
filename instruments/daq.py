"""Readers that scan: a list of channels, N sweeps over it, one exchange for all of that."""

from __future__ import annotations

import math
import re
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import checked_count
from hilep.errors import BadInputError
from hilep.instruments.acquisition import Acquisition
from hilep.instruments.errors import InstrumentError, RangeLimitError
from hilep.instruments.kept import Kept, first_wrong
from hilep.instruments.relays import RelayCards, listed
from hilep.instruments.status import without_sentinels


@dataclass(frozen=True, slots=True)
class Scan:
    """How every channel of a scan is read.

    Attributes:
        channels: numbers of the channels, in the order of the columns.
        range_v: the fixed range, volts.
        nplc: aperture in cycles of the mains.
        delay_s: seconds from closing a channel to its conversion.
        autozero: whether each conversion is followed by one of the instrument's own zero.
    """

    channels: tuple[str, ...]
    range_v: float
    nplc: float
    delay_s: float
    autozero: bool

    def sweep_s(self, line_hz: int, overhead_s: float) -> float:
        """Return how long one sweep takes at most, seconds."""
        conversions = 2 if self.autozero else 1
        one = conversions * self.nplc / line_hz + self.delay_s + overhead_s
        return len(self.channels) * one


class ScanReader(RelayCards):
    """A voltmeter behind multiplexer cards, read by scans of a fixed list and range.

    Filters, scaling and automatic ranges are off: every sample comes back as it was converted.
    """

    ranges_v: ClassVar[tuple[float, ...]]
    """The voltmeter's ranges, rising."""

    fields: ClassVar[tuple[str, ...]]
    """What comes with each reading, in order: of "volts", "time", "status" and "channel"."""

    capacity: int
    """Readings that the instrument's memory holds."""

    max_sweeps: int
    """Sweeps of one scan."""

    overhead_s: float = 0.03
    """Seconds per reading for its relay and the instrument itself, an upper bound."""

    transfer_s: float = 1e-3
    """Seconds that a reading takes over the bus at most; a serial line takes its own time."""

    @abstractmethod
    def checked_nplc(self, nplc: float) -> float:
        """Return `nplc`. Raises RangeLimitError where the instrument does not have it."""

    @abstractmethod
    def scan_messages(self, scan: Scan) -> Sequence[str]:
        """Return the messages that set the scan up, and start nothing."""

    @abstractmethod
    def scan_query(self, sweeps: int, channels: int) -> str:
        """Return the query that starts `sweeps` sweeps, waits for them and returns all readings."""

    @abstractmethod
    def kept(self, scan: Scan) -> Sequence[Kept]:
        """Return what a configuration sets once and a reading depends on."""

    @abstractmethod
    def kept_of_channels(self, scan: Scan) -> Sequence[Kept]:
        """Return what it sets for each channel; the queries go out with the list of channels."""

    def status_of(self, words: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the bits of `hilep.instruments.status` for the instrument's own status words."""
        return np.zeros(words.shape, np.uint8)

    @property
    def scan(self) -> Scan | None:
        """How the channels are read, or None before `configure`."""
        return self._scan

    _scan: Scan | None = None

    def configure(
        self,
        channels: Sequence[str],
        range_v: float,
        nplc: float = 1.0,
        *,
        delay_s: float = 1e-3,
        autozero: bool = True,
    ) -> None:
        """Set the scan up, and read every setting back.

        Args:
            channels: numbers, in the order of the columns of every acquisition.
            range_v: volts that the readings must fit; the next range that there is is used.
            nplc: aperture in cycles of the mains.
            delay_s: seconds to wait behind each relay, 0 to 60.
            autozero: measure the instrument's own zero after each reading.

        Raises:
            BadInputError: no such channel, or one that is closed as a path.
            RangeLimitError: no such range, aperture or delay; nothing was sent.
            InstrumentError: the instrument refused something or keeps another value.
        """
        chosen = self.checked_channels(channels)
        for channel in chosen:
            if channel in self._paths:
                raise BadInputError(f"{self.name}: channel {channel} is closed as a path")
        if not 0 <= delay_s <= 60:
            raise RangeLimitError(f"{self.name}: delay_s is {delay_s}, expected 0 to 60")
        if len(chosen) > self.capacity:
            raise BadInputError(f"{self.name}: {len(chosen)} channels, at most {self.capacity}")
        top = self._checked_range(range_v)
        scan = Scan(chosen, top, self.checked_nplc(nplc), float(delay_s), bool(autozero))
        with self.transaction():
            self._scan, self._scanned = None, ()
            for message in self.scan_messages(scan):
                self.command(message)
            self.drain_errors("configure")
            for one in self.kept_of_channels(scan):
                self._compare_each(one, chosen)
            self.compare(self.kept(scan))
            self._scan, self._scanned = scan, chosen

    def acquire(self, samples: int, channels: Sequence[str] | None = None) -> Acquisition:
        """Sweep over all channels `samples` times; one query per memory-full.

        Args:
            samples: N, at least 1.
            channels: those to return, in this order; None for all.

        Raises:
            NotAnswering: the readings did not come in time.
            GarbledAnswerError: another number of readings, or of other channels, came.
            InstrumentError: the instrument reported an error; no reading is returned.
        """
        count = checked_count(samples)
        if self._scan is None:
            raise BadInputError(f"{self.name}: nothing to read, call configure first")
        whole_list = channels is None or tuple(channels) == self._scan.channels
        chosen = self._scan.channels if whole_list else self.checked_channels(channels or ())
        for channel in chosen:
            if channel not in self._scan.channels:
                raise BadInputError(f"{self.name}: channel {channel} is not in the scan list")
        columns = [self._scan.channels.index(channel) for channel in chosen]
        size = min(self.capacity // len(self._scan.channels), self.max_sweeps)
        parts: list[Acquisition] = []
        with self.transaction():
            zero, after = time.monotonic(), 0.0
            for begun in range(0, count, size):
                # Each memory-full has its own clock; a simulated one may run ahead of ours.
                after = max(after, time.monotonic() - zero)
                parts.append(self._memory_full(self._scan, min(size, count - begun), after))
                after = float(parts[-1].time_s.max())
        whole = Acquisition.joined(parts)
        if chosen == whole.channels:
            return whole
        return Acquisition(
            chosen,
            whole.volts[:, columns],
            whole.amps[:, columns],
            whole.time_s[:, columns],
            whole.status[:, columns],
        )

    def wait_s(self, scan: Scan, sweeps: int) -> float:
        """Return the time-out of a query for `sweeps` sweeps, seconds."""
        readings = sweeps * len(scan.channels)
        # 64 characters of ten bits at the slowest rate that the front panels offer by default.
        serial = self.resource.upper().startswith("ASRL")
        transfer = readings * (640 / 9600 if serial else self.transfer_s)
        return (
            self.session.timeout_s + sweeps * scan.sweep_s(self.line_hz, self.overhead_s) + transfer
        )

    def recover(self) -> dict[str, bool]:
        """End the scan that may still be running, then do what every instrument does."""
        with self.transaction():
            if not self._closed and self._idn:
                try:
                    self.session.write(":ABOR")
                    self.messages.writes += 1
                except InstrumentError:
                    pass  # A connection that is gone is opened afresh next.
            return super().recover()

    def _compare_each(self, one: Kept, channels: Sequence[str]) -> None:
        text = f"{one.query} {listed(channels)}"
        # Whichever of the two separators a firmware puts between them.
        answers = re.split("[;,]", self.query(text))
        if len(answers) != len(channels):
            raise self.garbled(text, f"expected {len(channels)} answers, got {len(answers)}")
        for channel, answer in zip(channels, answers, strict=True):
            wrong = first_wrong([one], [answer])
            if wrong is not None:
                raise InstrumentError(f"channel {channel}: {wrong}", instrument=self.name)

    def _memory_full(self, scan: Scan, sweeps: int, begun_s: float) -> Acquisition:
        text = f"{self.scan_query(sweeps, len(scan.channels))};{self.error_query}"
        data, entry = self.answer_and_entry(self.query(text, self.wait_s(scan, sweeps)), text)
        if entry[0]:
            self.raise_entry(entry, text)
        shape = (sweeps, len(scan.channels), len(self.fields))
        table = self.numbers_in(data, math.prod(shape), text).reshape(shape)
        column = {name: table[..., place] for place, name in enumerate(self.fields)}
        order = self._order_of(column["channel"], scan, text)
        times = column["time"]
        if not (np.isfinite(times).all() and (np.diff(times.ravel()) >= 0).all()):
            raise self.garbled(text, "times that do not rise")
        volts, status = without_sentinels(column["volts"])
        if "status" in column:
            words = self.status_of(column["status"])
            status |= words
            volts[words != 0] = np.nan
        self.closures.update(dict.fromkeys(scan.channels, sweeps))
        return Acquisition(
            scan.channels,
            volts[:, order],
            np.full(shape[:2], np.nan),
            begun_s + times[:, order],
            status[:, order],
        )

    def _order_of(self, numbers: NDArray[np.float64], scan: Scan, text: str) -> list[int]:
        """Return where each channel of the scan stands in a sweep: the instrument may sort them."""
        swept = [f"{number:.0f}" for number in numbers[0]]
        if sorted(swept) != sorted(scan.channels) or (numbers != numbers[0]).any():
            raise self.garbled(text, "readings of other channels than those of the scan")
        return [swept.index(channel) for channel in scan.channels]

    def _checked_range(self, range_v: float) -> float:
        if not (math.isfinite(range_v) and range_v > 0):
            raise RangeLimitError(f"{self.name}: range_v is {range_v}, expected more than 0")
        if range_v > self.ranges_v[-1]:
            raise RangeLimitError(
                f"{self.name}: range_v {range_v:g} V, its widest range is {self.ranges_v[-1]:g} V"
            )
        return min(top for top in self.ranges_v if top >= range_v)
