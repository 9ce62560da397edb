"""A voltmeter behind a multiplexer: sweeps over a list of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hilep.arrays import Floats
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.relays import Relays


@dataclass(frozen=True, slots=True)
class ChannelSetup:
    """How one channel is measured.

    Attributes:
        span: its range in volts, None for the smallest that holds the value.
        nplc: integration time in power line cycles.
        delay_s: between the relay and the reading.
    """

    span: float | None
    nplc: float
    delay_s: float


class Scanner:
    """Takes sweeps.

    Args:
        relays: the channels.
        clock: the time that passes.
        generator: draws the noise of readings.
        converter: of the voltmeter.
        line_hz: mains frequency.
        gains: per channel, 1 where there is none.
        offsets: volts per channel, 0 where there is none.
    """

    def __init__(
        self,
        relays: Relays,
        clock: Clock,
        generator: np.random.Generator,
        converter: Converter,
        line_hz: float,
        gains: dict[int, float] | None = None,
        offsets: dict[int, float] | None = None,
    ) -> None:
        self.relays, self.clock, self.generator = relays, clock, generator
        self.converter, self.line_hz = converter, line_hz
        self._gains, self._offsets = gains or {}, offsets or {}

    def sweep(
        self,
        numbers: Sequence[int],
        setups: Sequence[ChannelSetup],
        sweeps: int,
        interval_s: float = 0.0,
    ) -> tuple[Floats, Floats]:
        """Return readings in volts, NaN beyond the range, and times: both (sweeps, channels).

        `interval_s` is from the start of one sweep to the start of the next, where that is longer
        than the sweep. In a world that changes with time every channel is measured for as long as
        the slowest one.
        """
        each = np.array([s.nplc / self.line_hz + s.delay_s for s in setups])
        period = max(interval_s, float(each.sum()))
        world = self.relays.world
        terminals = [self.relays.channels[n] for n in numbers]
        settling = world.settle()
        seconds = max(s.nplc for s in setups) / self.line_hz
        ends = np.arange(sweeps)[:, None] * period + np.cumsum(each)
        apertures = np.array([s.nplc for s in setups]) / self.line_hz
        begins = settling + ends - apertures
        truth = world.measure(terminals, seconds, self.generator, sweeps, begins).volts
        began = settling + self.clock.advance(settling + period * (sweeps - 1) + float(each.sum()))
        readings = np.empty_like(truth)
        for column, (number, setup) in enumerate(zip(numbers, setups, strict=True)):
            volts = truth[:, column] * self._gains.get(number, 1.0)
            volts = volts + self._offsets.get(number, 0.0)
            span = setup.span or self.converter.holding(float(np.abs(volts).max()))
            span = span or self.converter.ranges[-1]
            readings[:, column] = self.converter.read(volts, span, setup.nplc, self.generator)
        return readings, began + ends
