"""The cell that the paths lead to: read and pulsed by source-measure units, from 0 V and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilep.instruments.errors import (
    ComplianceError,
    GarbledAnswerError,
    InstrumentError,
    NotAnswering,
    StateUnknownError,
)
from hilep.instruments.isolation import Biasing
from hilep.instruments.programsections import PulseProgram
from hilep.instruments.status import COMPLIANCE, INVALID, OVERRANGE, SATURATED
from hilep.instruments.wiring import Line, channel_at, lines_of
from hilep.instruments.writeverify import Verified


@dataclass(slots=True)
class PulseStatistics:
    """What write-verify took so far.

    Attributes:
        cells: writes of cells.
        failed: of these, cells that would not go.
        pulses: given, or perhaps given.
        reversals: changes of direction.
        limited: pulses during which the source met its current limit.
        unanswered: pulses that were not answered.
    """

    cells: int = 0
    failed: int = 0
    pulses: int = 0
    reversals: int = 0
    limited: int = 0
    unanswered: int = 0


class PulsedCell:
    """Reads and pulses through the source and the bias sources of `[roles.program]`.

    Args:
        section: `[roles.program]`.
        biasing: of unselected lines.
        instruments: started, by name.
        statistics: to count in.

    Attributes:
        driving: whether a level is other than 0 V, or may be.
        trace: every read of the selected cell so far.
    """

    def __init__(
        self,
        section: PulseProgram,
        biasing: Biasing,
        instruments: Mapping[str, Any],
        statistics: PulseStatistics,
    ) -> None:
        self.section = section
        self.biasing = biasing
        self.instruments = instruments
        self.statistics = statistics
        self.source = Line.of(section.source)
        self.bias = lines_of(section.bias_sources)
        self.driving = False
        self.trace: list[Verified] = []
        self._unanswered = False

    def switch_on(self) -> None:
        """Configure, limit before level, and switch on at 0 V.

        Raises:
            RangeLimitError: a limit or range that the instrument does not have; no output is on.
        """
        lines = (self.source, *self.bias)
        for line in lines:
            if self._channel(line).setup is None:
                self._configure(line)
        for line in lines:
            self._channel(line).on()
        self.zero()

    def switch_off(self) -> None:
        """Switch the outputs off, one by one; with a poisoned session the whole instrument."""
        failure: Exception | None = None
        made_safe: set[str] = set()
        for line in (self.source, *self.bias):
            # A dead instrument is waited for once: others are still to be switched off.
            if line.instrument in made_safe:
                continue
            try:
                self._channel(line).off()
            except Exception as error:
                failure = failure or error
                made_safe.add(line.instrument)
                self.instruments[line.instrument].safe()
        if failure is not None:
            raise failure
        self.driving = False

    def begin(self) -> None:
        """Take note that another cell is selected: one unanswered pulse is allowed again."""
        self._unanswered = False
        self.trace = []

    def zero(self) -> None:
        """Set every source to 0 V."""
        self._set([0.0] * (1 + len(self.bias)))

    def read(self) -> Verified:
        """Read the cell at `read_v`, unselected lines guarded at the same where they have a source.

        Raises:
            ComplianceError: a guard met its limit, so that the cell was not read alone.
            InstrumentError: a sample is called wrong.
        """
        volts = self.section.read_v
        self._set([volts, *self.biasing.read_volts(volts)])
        found = self._acquired()
        self.zero()
        self.trace.append(found)
        return found

    def pulse(self, volts: float, seconds: float) -> None:
        """Give one pulse, unselected lines biased meanwhile. It is never repeated.

        Raises:
            InstrumentError: the second pulse of a cell that was not answered.
            StateUnknownError: the source could not be recovered.
        """
        self._set([0.0, *self.biasing.pulse_volts(volts)])
        self.driving = True
        self.statistics.pulses += 1
        try:
            given = self.instruments[self.source.instrument].pulse(
                self.source.channel, volts, seconds, self.section.limit_a
            )
        except (NotAnswering, GarbledAnswerError, StateUnknownError):
            self.statistics.unanswered += 1
            if self._unanswered:
                raise
            self._unanswered = True
            self._recover()
        else:
            self.statistics.limited += bool((given.status & COMPLIANCE).any())
        self.zero()

    def _acquired(self) -> Verified:
        lines = (self.source, *self.bias)
        verified = Verified(0.0, good=False)
        for name in dict.fromkeys(line.instrument for line in lines):
            channels = [line.channel for line in lines if line.instrument == name]
            acquired = self.instruments[name].acquire(self.section.read_samples, channels)
            for channel in channels:
                column = acquired.channels.index(channel)
                volts, amps = acquired.volts[:, column], acquired.amps[:, column]
                status = int(np.bitwise_or.reduce(acquired.status[:, column]))
                line = Line(name, channel)
                if status & INVALID:
                    raise InstrumentError(f"{line}: a sample is called wrong; it was not used")
                if line == self.source:
                    verified = self._verified(volts, amps, status)
                elif status & COMPLIANCE:
                    raise ComplianceError(
                        f"guard {line}", self.section.limit_a, float(amps[-1]), "A"
                    )
        return verified

    def _verified(self, volts: Any, amps: Any, status: int) -> Verified:
        across = np.where(np.isfinite(volts), volts, self.section.read_v)
        if status & (COMPLIANCE | OVERRANGE | SATURATED) or not np.isfinite(amps).all():
            # It conducts at least so much.
            return Verified(self.section.limit_a / self.section.read_v, good=False)
        return Verified(float(np.mean(amps) / np.mean(across)))

    def _set(self, levels: Sequence[float]) -> None:
        """Set the levels of source and bias sources, in one message for each instrument."""
        by_name: dict[str, dict[str, float]] = {}
        for line, level in zip((self.source, *self.bias), levels, strict=True):
            by_name.setdefault(line.instrument, {})[line.channel] = level
        self.driving = True
        for name, wanted in by_name.items():
            self.instruments[name].apply(wanted)
        self.driving = any(levels)

    def _recover(self) -> None:
        """Make the source's session usable and its channel what it was configured to be, at 0 V."""
        instrument = self.instruments[self.source.instrument]
        outputs = instrument.recover()
        lines = [
            line for line in (self.source, *self.bias) if line.instrument == self.source.instrument
        ]
        # The pulse may have been cut short at its height.
        instrument.apply({line.channel: 0.0 for line in lines if outputs.get(line.channel)})
        # A cut pulse may have left its own limit, aperture or delay.
        self._configure(self.source)
        self._channel(self.source).on()

    def _configure(self, line: Line) -> None:
        section = self.section
        self._channel(line).source_voltage(
            section.limit_a, range_v=section.range_v, nplc=section.nplc
        )

    def _channel(self, line: Line) -> Any:
        return channel_at(self.instruments, line)
