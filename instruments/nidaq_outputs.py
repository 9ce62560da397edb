"""Analog outputs of an NI-DAQmx device: one task, one write for all channels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilep.errors import BadInputError
from hilep.instruments.errors import RangeLimitError
from hilep.instruments.nidaq_calls import module, told


@dataclass(frozen=True, slots=True)
class Output:
    """One output: its limit, range and step in volts."""

    channel: str
    limit_v: float
    range_v: float
    step_v: float

    def checked(self, volts: float, device: str) -> float:
        """Return `volts`.

        Raises:
            RangeLimitError: not finite, beyond the limit, or not zero and below one step.
        """
        where = f"{device}/{self.channel}"
        if not math.isfinite(volts):
            raise RangeLimitError(f"{where}: {volts} V, expected a finite number")
        if abs(volts) > self.limit_v:
            raise RangeLimitError(f"{where}: {volts:g} V is beyond its limit of {self.limit_v:g} V")
        if 0 < abs(volts) < self.step_v:
            raise RangeLimitError(
                f"{where}: {volts:g} V is below one step of the output, {self.step_v:.3g} V"
            )
        return float(volts)


class OutputTask:
    """A task over some outputs of a device; the limits are given to the driver as well.

    Attributes:
        outputs: by channel, in the order of the task.
        simultaneous: whether the device moves all of them at the same instant.
        levels: volts last written, by channel; empty until the first write.
    """

    def __init__(
        self, device: str, limits: Mapping[str, float], ranges_v: Sequence[float], timeout_s: float
    ) -> None:
        self._device = device
        self._timeout_s = timeout_s
        self.levels: dict[str, float] = {}
        tops = {ch: range_of(limit, ranges_v, f"{device}/{ch}") for ch, limit in limits.items()}
        self._task = module("nidaqmx").Task()
        try:
            self.outputs = {
                channel: self._added(channel, limit, tops[channel])
                for channel, limit in limits.items()
            }
            self.simultaneous = self._together()
            self._writer = module("nidaqmx.stream_writers").AnalogMultiChannelWriter(
                self._task.out_stream, auto_start=True
            )
            # The array below has the right shape; asking the driver each time would tell no more.
            self._writer.verify_array_shape = False
        except BaseException:
            self.clear()
            raise

    def write(self, levels: Mapping[str, float]) -> None:
        """Write volts to every channel in one call; channels not in `levels` keep theirs."""
        asked = {**dict.fromkeys(self.outputs, 0.0), **self.levels, **levels}
        self._writer.write_one_sample(
            np.array([asked[channel] for channel in self.outputs]), timeout=self._timeout_s
        )
        self.levels = asked

    def clear(self) -> None:
        """Give the outputs back to the driver. They keep their value."""
        self._task.close()

    def _added(self, channel: str, limit_v: float, top: float) -> Output:
        made = self._task.ao_channels.add_ao_voltage_chan(
            f"{self._device}/{channel}", min_val=-limit_v, max_val=limit_v
        )
        top = told(lambda: float(made.ao_dac_rng_high), top)
        step = 2 * top / 2 ** told(lambda: _bits(made), 16.0)
        if limit_v < step:
            raise RangeLimitError(
                f"{self._device}/{channel}: limit {limit_v:g} V is below one step, {step:.3g} V"
            )
        return Output(channel, limit_v, top, step)

    def _together(self) -> bool:
        # Devices that cannot do it say so by refusing the property or forgetting it.
        def enabled() -> bool:
            self._task.timing.simultaneous_ao_enable = True
            return bool(self._task.timing.simultaneous_ao_enable)

        return told(enabled, False)


def _bits(channel: Any) -> float:
    units = module("nidaqmx.constants").ResolutionType
    if channel.ao_resolution_units == units.BITS:
        return float(channel.ao_resolution)
    return 16.0


def range_of(limit_v: float, ranges_v: Sequence[float], where: str) -> float:
    """Return the smallest output range that holds `limit_v`, volts.

    Raises:
        RangeLimitError: not a positive number, or beyond every range.
    """
    if not (math.isfinite(limit_v) and limit_v > 0):
        raise RangeLimitError(f"{where}: limit {limit_v} V, expected more than 0")
    top = max(ranges_v, default=0.0)
    if limit_v > top:
        raise RangeLimitError(f"{where}: limit {limit_v:g} V is beyond its range of {top:g} V")
    return min(edge for edge in ranges_v if edge >= limit_v)


def known(channels: Sequence[str], have: Sequence[str], device: str) -> tuple[str, ...]:
    """Return `channels`, names such as "ao0".

    Raises:
        BadInputError: none, one twice, or one that the device does not have.
    """
    found = tuple(channels)
    if not found:
        raise BadInputError(f"{device}: expected at least one channel")
    for channel in found:
        if found.count(channel) > 1:
            raise BadInputError(f"{device}: channel {channel} is named twice")
        if channel not in have:
            span = f"{have[0]} to {have[-1]}" if have else "none"
            raise BadInputError(f"{device}: no channel {channel!r}, expected {span}")
    return found
