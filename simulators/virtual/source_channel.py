"""One channel of a source-measure unit, wired to a terminal of the world."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Floats
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.world import Drive, World

_OFF = Drive()


@dataclass(frozen=True, slots=True)
class Samples:
    """N readings of a channel.

    Attributes:
        volts: (N,), NaN where the range does not hold the value.
        amps: (N,), the same.
        limited: whether the source was at its limit.
        times: (N,), seconds of the clock at which each reading ended.
        volts_range: the range of the volts.
        amps_range: the range of the amperes.
    """

    volts: Floats
    amps: Floats
    limited: bool
    times: Floats
    volts_range: float
    amps_range: float


class SourceChannel:
    """A source and two converters at one terminal.

    Args:
        world: what it is wired to.
        terminal: where.
        clock: the time that passes while it measures.
        generator: draws the noise of its readings.
        volts: its voltmeter.
        amps: its ammeter.
        line_hz: mains frequency.
        source_step: step of the source as a fraction of its range.

    Attributes:
        source_gain: what is there over the setting, dimensionless.
        source_offset: what is there at a setting of 0, volts or amperes.
    """

    def __init__(
        self,
        world: World,
        terminal: str,
        clock: Clock,
        generator: np.random.Generator,
        volts: Converter,
        amps: Converter,
        line_hz: float = 50.0,
        source_step: float = 1 / 40_000,
    ) -> None:
        self.world, self.terminal, self.clock = world, terminal, clock
        self.generator, self.volts, self.amps = generator, volts, amps
        self.line_hz, self.source_step = line_hz, source_step
        self.source_gain, self.source_offset = 1.0, 0.0

    def drive(self, drive: Drive) -> None:
        """Make the source do this, its level at the nearest step of the range."""
        if drive.kind != "off" and drive.range > 0 and self.source_step > 0:
            step = drive.range * self.source_step
            drive = replace(drive, level=round(drive.level / step) * step)
        if drive.kind != "off":
            drive = replace(drive, level=self.source_gain * drive.level + self.source_offset)
        self.world.drive(self.terminal, drive)

    def off(self) -> None:
        """Open the output relay."""
        self.world.drive(self.terminal, _OFF)

    def sample(
        self,
        count: int,
        nplc: float,
        volts_range: float | None = None,
        amps_range: float | None = None,
        extra_seconds: float = 0.0,
        first_seconds: float = 0.0,
    ) -> Samples:
        """Take readings of both quantities.

        Args:
            count: N.
            nplc: integration time in power line cycles.
            volts_range: None for the smallest that holds the value.
            amps_range: the same.
            extra_seconds: of delay and overhead in each reading.
            first_seconds: of delay before the first one.
        """
        seconds = nplc / self.line_hz
        settling = self.world.settle()
        each = seconds + extra_seconds
        begins = settling + first_seconds + each * np.arange(1.0, count + 1) - seconds
        truth = self.world.measure([self.terminal], seconds, self.generator, count, begins[:, None])
        began = self.clock.advance(settling + first_seconds + count * each)
        volts, amps = truth.volts[:, 0], truth.amps[:, 0]
        volts_range = volts_range or self._auto(self.volts, volts)
        amps_range = amps_range or self._auto(self.amps, amps)
        return Samples(
            volts=self.volts.read(volts, volts_range, nplc, self.generator),
            amps=self.amps.read(amps, amps_range, nplc, self.generator),
            limited=bool(truth.limited[0]),
            times=began + settling + first_seconds + each * np.arange(1, count + 1),
            volts_range=volts_range,
            amps_range=amps_range,
        )

    @staticmethod
    def _auto(converter: Converter, values: Floats) -> float:
        return converter.holding(float(np.abs(values).max())) or converter.ranges[-1]


def overflowed(values: Floats, sentinel: float) -> NDArray[np.float64]:
    """Return `values` with the instrument's sentinel where the range did not hold them."""
    return np.where(np.isnan(values), sentinel, values)
