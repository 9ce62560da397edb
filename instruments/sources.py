"""Every source of a bench, grouped so that an instrument gets one message for all its channels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilep.errors import BadInputError
from hilep.instruments.acquisition import Acquisition
from hilep.instruments.correcting import SourceCorrections
from hilep.instruments.errors import ComplianceError, InstrumentError
from hilep.instruments.smu import OTHER, Quantity
from hilep.instruments.status import COMPLIANCE, names_of
from hilep.instruments.wiring import Line, channel_at


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One source channel and what it may do.

    Attributes:
        line: which channel.
        node: what errors call what it drives.
        key: of the bench file's section that it is from.
        quantity: "V" or "A", what it sources.
        max_level: largest magnitude, in that unit.
        source_range: full scale of the fixed range, in that unit.
        limit: of the other quantity; None for an analog output, which has none to set.
        measure_range: full scale for the other quantity; None for the smallest that holds `limit`.
        nplc: power line cycles of a reading.
        four_wire: whether it senses at the device.
    """

    line: Line
    node: str
    key: str
    quantity: Quantity
    max_level: float
    source_range: float
    limit: float | None
    measure_range: float | None = None
    nplc: float = 0.1
    four_wire: bool = False


def take_outputs(instrument: Any, limits: Mapping[str, float]) -> None:
    """Take analog outputs into use, at 0 V; those of a device that are in use keep their levels."""
    used = getattr(instrument, "limits", None) or {}
    if all(used.get(channel) == limit for channel, limit in limits.items()):
        return
    kept = {channel: instrument.levels[channel] for channel in used if channel not in limits}
    # A device has one set of outputs, which starts at 0 V.
    instrument.configure_outputs({**used, **limits})
    if kept:
        instrument.apply(kept)


def is_analog_output(driver: Any) -> bool:
    """Return whether a driver's outputs are volts without a current limit to set."""
    return hasattr(driver, "configure_outputs")


class Sources:
    """The source channels of a bench: switched on, set and checked together.

    Args:
        lines: in the order in which they are switched on.
        instruments: started, by name.
        corrections: gains and offsets; none unless given.

    Levels are what is there; settings are what an instrument is told, and differ from levels by the
    corrections.

    Attributes:
        moved: `time.monotonic()` when a level or an output last changed.
    """

    def __init__(
        self,
        lines: Sequence[SourceLine],
        instruments: Mapping[str, Any],
        corrections: SourceCorrections | None = None,
    ) -> None:
        self.lines = {source.line: source for source in lines}
        self.instruments = instruments
        self.corrections = corrections or SourceCorrections({})
        self.moved = time.monotonic()
        self._asked: dict[Line, float] = {}
        self._achieved: dict[Line, float] = {}
        self._on: set[Line] = set()
        self._read: dict[str, list[str]] = {}

    def energise(self, wrapped: Callable[[str, BadInputError], BadInputError]) -> None:
        """Configure every channel, and only then switch on, at 0; see `configure`."""
        self.configure(wrapped)
        self._asked = dict.fromkeys(self.lines, 0.0)
        self._achieved = dict.fromkeys(self.lines, 0.0)
        self.switch_on(self.lines)

    def configure(self, wrapped: Callable[[str, BadInputError], BadInputError]) -> None:
        """Configure every channel, limit before level, without switching on.

        Args:
            wrapped: given the bench file's key and what was refused, returns what to raise.

        Raises:
            BadInputError: a limit or range that the instrument does not have; no output is on.
            InstrumentError: an instrument refused or does not answer.
        """
        outputs: dict[str, dict[str, float]] = {}
        for line, source in self.lines.items():
            instrument = self.instruments[line.instrument]
            try:
                if is_analog_output(instrument):
                    most = self.corrections.most(line, source.max_level, source.source_range)
                    outputs.setdefault(line.instrument, {})[line.channel] = most
                else:
                    _configure(self.instruments, source)
            except BadInputError as error:
                raise wrapped(source.key, error) from error
        for name, limits in outputs.items():
            keys = {self.lines[Line(name, channel)].key for channel in limits}
            try:
                take_outputs(self.instruments[name], limits)
            except BadInputError as error:
                raise wrapped(", ".join(sorted(keys)), error) from error

    def forget(self) -> None:
        """Take note that the outputs were switched off and need `energise` again."""
        self._asked.clear()
        self._achieved.clear()
        self._on.clear()
        self._read.clear()

    def switch_on(self, lines: Iterable[Line]) -> None:
        """Switch channels on, at the level that they have; an analog output always is."""
        for line in lines:
            if line not in self._on:
                instrument = self.instruments[line.instrument]
                if not is_analog_output(instrument):
                    instrument.channels[line.channel].on()
                self._on.add(line)
        self._note()

    def switch_off(self, lines: Iterable[Line]) -> None:
        """Switch channels off; an analog output stays driven."""
        for line in lines:
            instrument = self.instruments[line.instrument]
            if line in self._on and not is_analog_output(instrument):
                self._on.discard(line)
                instrument.channels[line.channel].off()
        self._note()

    def rest(self, lines: Iterable[Line]) -> None:
        """Set channels to a setting of exactly 0, whatever their offsets."""
        self._send(dict.fromkeys(lines, 0.0))

    def setting(self, line: Line, level: float) -> float:
        """Return what to tell a channel for `level`, volts or amperes."""
        source = self.lines[line]
        instrument = self.instruments[line.instrument]
        return self.corrections.setting(line, level, source.max_level, instrument)

    def settings(self, lines: Iterable[Line]) -> list[float]:
        """Return what the channels were set to last, without corrections."""
        return [self._achieved.get(line, 0.0) for line in lines]

    def send(self, levels: Mapping[Line, float]) -> dict[Line, float]:
        """Set levels: one write to each instrument that has a channel to change, in order.

        Returns:
            What each source achieved.

        Raises:
            BadInputError: a source cannot do its level; all are as they were.
            InstrumentError: an instrument did not take it; its levels are not known any more.
        """
        self._send({line: self.setting(line, level) for line, level in levels.items()})
        return dict(zip(levels, self.achieved(levels), strict=True))

    def _send(self, settings: Mapping[Line, float]) -> None:
        """Set settings, as `send` does levels, and raise what it does."""
        before = dict(self._asked)
        changed: dict[str, dict[str, float]] = {}
        for line, level in settings.items():
            if self._asked.get(line) != level:
                changed.setdefault(line.instrument, {})[line.channel] = level
        done: list[str] = []
        for name, wanted in changed.items():
            try:
                self._apply(name, wanted)
            except BadInputError:
                for earlier in done:
                    self._apply(earlier, {c: before[Line(earlier, c)] for c in changed[earlier]})
                raise
            done.append(name)

    def acquire(self, samples: int, name: str) -> Acquisition | None:
        """Read the channels of one instrument that are on, in one query; None where none is."""
        channels = self._read.get(name)
        if not channels:
            return None
        acquired: Acquisition = self.instruments[name].acquire(samples, channels)
        return acquired

    def check(self, name: str, acquired: Acquisition) -> None:
        """Refuse an acquisition during which a source was not what was asked.

        Raises:
            ComplianceError: a source met its limit.
            InstrumentError: an output was off, or a sample is called wrong.
        """
        if not acquired.status.any() and all(acquired.outputs.values()):
            return
        for column, channel in enumerate(acquired.channels):
            source = self.lines.get(Line(name, channel))
            if source is None:
                continue
            status = acquired.status[:, column]
            where = f"{source.node} ({source.line})"
            met = np.flatnonzero(status & COMPLIANCE)
            if met.size and source.limit is not None:
                other = acquired.amps if source.quantity == "V" else acquired.volts
                raise ComplianceError(
                    where, source.limit, float(other[met[0], column]), OTHER[source.quantity]
                )
            if status.any():
                words = names_of(np.bitwise_or.reduce(status))
                raise InstrumentError(f"{where}: {words}; the reading was not used")
            if acquired.outputs.get(channel) is False:
                raise InstrumentError(f"{where}: its output was found off")

    def on(self, lines: Iterable[Line]) -> list[Line]:
        """Return those of `lines` that are on."""
        return [line for line in lines if line in self._on]

    @property
    def names(self) -> list[str]:
        """The instruments that have a source, in the order of their first one."""
        return list(dict.fromkeys(line.instrument for line in self.lines))

    def achieved(self, lines: Iterable[Line]) -> list[float]:
        """Return the levels achieved last, volts or amperes; 0 for what is off."""
        return [
            self.corrections.level(line, self._achieved[line]) if line in self._achieved else 0.0
            for line in lines
        ]

    def _apply(self, name: str, wanted: dict[str, float]) -> None:
        lines = {Line(name, channel): level for channel, level in wanted.items()}
        try:
            reported = self.instruments[name].apply(wanted)
        except BadInputError:
            raise
        except BaseException:
            # Whether the message arrived is open.
            for line in lines:
                self._asked.pop(line, None)
            raise
        self.moved = time.monotonic()
        self._asked.update(lines)
        for line, level in lines.items():
            self._achieved[line] = level if reported is None else float(reported[line.channel])

    def _note(self) -> None:
        self.moved = time.monotonic()
        self._read = {}
        for line in self.lines:
            if line in self._on and not is_analog_output(self.instruments[line.instrument]):
                self._read.setdefault(line.instrument, []).append(line.channel)


def _configure(instruments: Mapping[str, Any], source: SourceLine) -> None:
    channel = channel_at(instruments, source.line)
    if source.quantity == "V":
        channel.source_voltage(
            source.limit,
            range_v=source.source_range,
            measure_range_a=source.measure_range,
            nplc=source.nplc,
            four_wire=source.four_wire,
        )
    else:
        channel.source_current(
            source.limit,
            range_a=source.source_range,
            measure_range_v=source.measure_range,
            nplc=source.nplc,
            four_wire=source.four_wire,
        )
