"""What the drivers of source-measure units share: configuration, levels, reads and pulses."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hilep.errors import BadInputError
from hilep.instruments.acquisition import Acquisition
from hilep.instruments.errors import InstrumentError, RangeLimitError
from hilep.instruments.instrument import BenchInstrument, SafeReport
from hilep.instruments.kept import Kept
from hilep.instruments.smu import (
    Capability,
    Quantity,
    Setup,
    achieved_level,
    check_pulse,
    checked_setup,
)
from hilep.instruments.source_channel import SourceChannel


class SourceMeter(BenchInstrument):
    """A source-measure unit of one or two channels.

    `channels` holds them by name. Levels and reads go through the instrument, so that all channels
    share one message.
    """

    channel_names: ClassVar[tuple[str, ...]] = ("a",)
    largest_read: ClassVar[int] = 1000
    """Samples of each channel that one query brings."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.channels: dict[str, SourceChannel] = {
            name: SourceChannel(self, name) for name in self.channel_names
        }
        self._setups: dict[str, Setup] = {}
        self._levels: dict[str, float] = {}
        self._on: set[str] = set()

    # What each driver says in its own language.

    @abstractmethod
    def capability(self) -> Capability:
        """Return what this model can do."""

    @abstractmethod
    def setup_messages(self, channel: str, setup: Setup) -> Sequence[str]:
        """Return the messages of a configuration: the limit before the level, which is 0."""

    @abstractmethod
    def kept(self, channel: str, setup: Setup) -> Sequence[Kept]:
        """Return what a configuration sets and a reading or the output depends on."""

    @abstractmethod
    def output_message(self, channel: str, on: bool) -> str:
        """Return the message that switches the output."""

    @abstractmethod
    def level_message(self, levels: Mapping[str, float]) -> str:
        """Return the one message that sets these levels."""

    @abstractmethod
    def read_samples(self, samples: int, channels: Sequence[str], start: int) -> Acquisition:
        """Bring samples `start` + 1 to `start` + `samples` in one query."""

    @abstractmethod
    def pulse_once(
        self, channel: str, setup: Setup, volts: float, seconds: float, limit_a: float
    ) -> Acquisition:
        """Give one pulse in one query; the answer comes after it."""

    # The verbs.

    def apply(self, levels: Mapping[str, float]) -> dict[str, float]:
        """Set the levels of channels, volts or amperes, in one message and nothing else.

        Returns:
            The nearest step of each source: what it is asked for. A current that became 0 though
            another was wanted is 0 here.

        Raises:
            RangeLimitError: a level is beyond its range, or a voltage below the resolution;
                nothing was sent.
        """
        achieved = {
            name: achieved_level(self._configured(name), level, self._named(name))
            for name, level in levels.items()
        }
        with self.transaction():
            self.command(self.level_message(achieved))
            self._levels.update(achieved)
        return achieved

    def zero(self, channels: Sequence[str] | None = None) -> dict[str, float]:
        """Set channels to 0 on the range they have: the release of a nudge."""
        return self.apply(dict.fromkeys(channels or tuple(self._setups), 0.0))

    def acquire(self, samples: int, channels: Sequence[str] | None = None) -> Acquisition:
        """Read channels `samples` times each, in one query per `largest_read` samples.

        Levels, limits, ranges and outputs stay as they are.

        Args:
            samples: N, at least 1.
            channels: which; all that are configured where None.

        Raises:
            BadInputError: a channel is unknown, off or not configured.
            InstrumentError: the error queue had an entry, an output went off by itself, or a level
                is not what was applied.
            GarbledAnswerError: not exactly N samples of each channel; the session is poisoned.
        """
        names = tuple(self._setups) if channels is None else tuple(channels)
        if samples < 1 or not names:
            raise BadInputError(
                f"{self.name}: {samples} samples of {len(names)} channels, expected at least 1"
            )
        for name in names:
            self._configured(name)
            if name not in self._on:
                raise BadInputError(f"{self._named(name)}: its output is off, expected on() before")
        with self.transaction():
            parts = []
            for start in range(0, samples, self.largest_read):
                count = min(self.largest_read, samples - start)
                parts.append(self._checked(self.read_samples(count, names, start), count))
            return Acquisition.joined(parts)

    def pulse(
        self, channel: str, volts: float, seconds: float, limit_a: float, count: int = 1
    ) -> Acquisition:
        """Give programming pulses from 0 V, one query each; none is repeated after a fault.

        The channel must source volts, be on and be at 0 V. Its own limit comes back afterwards.

        Args:
            channel: its name.
            volts: the height.
            seconds: the width; the driver's page says how well it is kept.
            limit_a: the current limit during the pulse, amperes.
            count: how many.

        Returns:
            One sample per pulse with its status, such as `COMPLIANCE`.

        Raises:
            RangeLimitError: a value is out of its bounds; nothing was sent.
        """
        setup, what = self._configured(channel), self._named(channel)
        height = check_pulse(self.capability(), setup, volts, seconds, limit_a, what)
        if count < 1:
            raise RangeLimitError(f"{what}: {count} pulses, expected at least 1")
        if channel not in self._on or self._levels.get(channel) != 0:
            raise BadInputError(f"{what}: expected to be on and at 0 V before a pulse")
        with self.transaction():
            return Acquisition.joined(
                [
                    self._checked(self.pulse_once(channel, setup, height, seconds, limit_a), 1)
                    for _ in range(count)
                ]
            )

    def safe(self) -> SafeReport:
        """Switch every output off and verify; channels must then be configured anew."""
        self._setups.clear()
        self._levels.clear()
        self._on.clear()
        return super().safe()

    def recover(self) -> dict[str, bool]:
        """Make a poisoned session usable, and learn anew which outputs are on.

        Raises:
            StateUnknownError: it cannot be had; the session stays poisoned.
        """
        outputs = super().recover()
        self._on = {name for name, on in outputs.items() if on}
        return outputs

    # What its channels call.

    def setup_of(self, channel: str) -> Setup | None:
        """Return how a channel is configured, None before that and after `safe`."""
        return self._setups.get(channel)

    def configure(
        self,
        channel: str,
        quantity: Quantity,
        limit: float,
        source_range: float,
        measure_range: float | None,
        nplc: float,
        four_wire: bool,
    ) -> Setup:
        """Configure a channel: `SourceChannel.source_voltage`, which says what is raised."""
        what = self._named(channel)
        with self.transaction():
            self._refuse_unless_started()
            can = self.capability()
            setup = checked_setup(
                can, quantity, limit, source_range, measure_range, nplc, four_wire, what
            )
            self._setups.pop(channel, None)
            self._on.discard(channel)
            self.command(self.output_message(channel, False))
            for message in self.setup_messages(channel, setup):
                self.command(message)
            self.drain_errors(f"the configuration of channel {channel}")
            try:
                self.compare(self.kept(channel, setup), f"channel {channel}: ")
            except InstrumentError:
                # What was lost may have been the message that switched it off.
                if self._poison is None:
                    self.command(self.output_message(channel, False))
                raise
            self._setups[channel] = setup
            self._levels[channel] = 0.0
        return setup

    def switch(self, channel: str, on: bool) -> None:
        """Switch an output: `SourceChannel.on` and `off`, which say what is raised."""
        if on:
            self._configured(channel)
        message = self.output_message(channel, on)
        with self.transaction():
            self._on.discard(channel)
            self.command(message)
            self.drain_errors(message)
            if self.read_outputs()[channel] != on:
                raise InstrumentError(
                    f"channel {channel} did not go {'on' if on else 'off'}",
                    instrument=self.name,
                    command=message,
                )
            if on:
                self._on.add(channel)

    # Inside.

    def words_in(self, values: NDArray[np.float64], command: str) -> NDArray[np.int64]:
        """Return status words as integers; else poison."""
        if not values.any():  # A NaN is not zero.
            return np.zeros(values.shape, np.int64)
        if not (np.abs(values) < 2**53).all() or (values % 1 != 0).any():
            raise self.garbled(command, "a status word is no whole number")
        return values.astype(np.int64)

    def _named(self, channel: str) -> str:
        return f"{self.name} channel {channel}"

    def _configured(self, channel: str) -> Setup:
        if channel not in self.channels:
            offered = ", ".join(self.channels)
            raise BadInputError(f"{self.name}: no channel {channel!r}, expected one of {offered}")
        try:
            return self._setups[channel]
        except KeyError:
            raise BadInputError(
                f"{self._named(channel)}: not configured, expected source_voltage or "
                "source_current before"
            ) from None

    def _checked(self, part: Acquisition, count: int) -> Acquisition:
        if part.samples != count:
            raise self.garbled("", f"expected {count} samples, got {part.samples}")
        gone = [name for name, on in part.outputs.items() if not on]
        if gone:
            self._on.difference_update(gone)
            raise InstrumentError(
                f"output of channel {', '.join(gone)} is off, though it was switched on",
                instrument=self.name,
            )
        for name, found in part.levels.items():
            setup, wanted = self._setups.get(name), self._levels.get(name)
            if setup is None or wanted is None:
                raise InstrumentError("switched off by safe() meanwhile", instrument=self.name)
            if not math.isclose(found, wanted, rel_tol=1e-4, abs_tol=setup.source.step):
                raise InstrumentError(
                    f"channel {name} is set to {found:.9g} {setup.quantity}, "
                    f"but {wanted:.9g} was applied",
                    instrument=self.name,
                )
        return part

    def _refuse_unless_started(self) -> None:
        if self._poison is not None or self._closed:
            raise self._refusal("")
