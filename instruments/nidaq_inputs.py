"""Analog inputs of an NI-DAQmx device: one finite, clocked task per acquisition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.errors import BadInputError
from hilep.instruments.errors import RangeLimitError
from hilep.instruments.nidaq_calls import module, told
from hilep.instruments.status import INVALID, SATURATED

TERMINALS = {
    "differential": "DIFF",
    "referenced": "RSE",
    "non-referenced": "NRSE",
    "pseudodifferential": "PSEUDO_DIFF",
}
"""How an input is wired, and NI's name for it."""

FULL = 4_000_000
"""Readings of one call, over all channels: 32 MB of the computer's memory."""


class InputTask:
    """A task over some inputs of a device.

    Attributes:
        channels: names such as "ai0", in the order of the task.
        range_v: volts that the device made of the range asked for.
        rate_hz: samples per second and channel that it made of the rate asked for.
        interval_s: seconds from one channel to the next of the same sample.
    """

    def __init__(
        self,
        device: str,
        channels: Sequence[str],
        range_v: float,
        rate_hz: float,
        terminals: str,
        simultaneous: bool,
    ) -> None:
        constants = module("nidaqmx.constants")
        self.channels = tuple(channels)
        self._samples = 2
        self._task = module("nidaqmx").Task()
        try:
            wired = constants.TerminalConfiguration[TERMINALS[terminals]]
            for channel in channels:
                made = self._task.ai_channels.add_ai_voltage_chan(
                    f"{device}/{channel}", terminal_config=wired, min_val=-range_v, max_val=range_v
                )
            self.range_v = told(lambda: float(made.ai_rng_high), range_v)
            self._low = told(lambda: float(made.ai_rng_low), -range_v)
            bits = told(lambda: float(made.ai_resolution), 16.0)
            self._step = (self.range_v - self._low) / 2**bits
            self._task.timing.cfg_samp_clk_timing(
                rate_hz,
                sample_mode=constants.AcquisitionType.FINITE,
                samps_per_chan=self._samples,
            )
            timing = self._task.timing
            self.rate_hz = told(lambda: float(timing.samp_clk_rate), rate_hz)
            # The driver's own choice is at least that fast.
            converted = told(lambda: float(timing.ai_conv_rate), rate_hz * len(channels))
            self.interval_s = 0.0 if simultaneous else 1 / converted
            self._reader = module("nidaqmx.stream_readers").AnalogMultiChannelReader(
                self._task.in_stream
            )
            # The array below has the right shape; asking the driver each time would tell no more.
            self._reader.verify_array_shape = False
        except BaseException:
            self.clear()
            raise

    def read(self, samples: int, slack_s: float) -> tuple[NDArray[np.float64], int]:
        """Acquire and return volts (samples, channels), and how many samples came.

        What did not come is NaN. The driver has no finite task of one sample, so that one is the
        first of two.
        """
        taken = max(samples, 2)
        if taken != self._samples:
            self._task.timing.samp_quant_samp_per_chan = taken
            self._samples = taken
        volts = np.full((len(self.channels), taken), np.nan)
        self._task.start()
        try:
            came = self._reader.read_many_sample(volts, taken, taken / self.rate_hz + slack_s)
        finally:
            self._task.stop()
        return volts.T[:samples], min(int(came), samples) if came == taken else int(came)

    def status(self, volts: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return SATURATED where `volts` is at an end of the range, INVALID where it is NaN."""
        found = np.zeros(volts.shape, np.uint8)
        ends = (volts >= self.range_v - 1.5 * self._step) | (volts <= self._low + 0.5 * self._step)
        found[ends] = SATURATED
        found[np.isnan(volts)] = INVALID
        return found

    def times(self, samples: int) -> NDArray[np.float64]:
        """Return seconds (samples, channels) since the first sample of the first channel."""
        rows = np.arange(samples) / self.rate_hz
        return np.asarray(rows[:, None] + self.interval_s * np.arange(len(self.channels)))

    def clear(self) -> None:
        """Give the inputs back to the driver."""
        self._task.close()


def checked_range(range_v: float, ranges_v: Sequence[float], device: str) -> float:
    """Return the smallest input range of the device that holds `range_v`, volts.

    Raises:
        RangeLimitError: not a positive number, or beyond every range.
    """
    if not (math.isfinite(range_v) and range_v > 0):
        raise RangeLimitError(f"{device}: range_v is {range_v}, expected more than 0")
    top = max(ranges_v, default=0.0)
    if range_v > top:
        raise RangeLimitError(f"{device}: range_v {range_v:g} V, its widest range is {top:g} V")
    return min(edge for edge in ranges_v if edge >= range_v)


def together(device: Any) -> bool:
    """Return whether a device samples all its inputs at the same instant."""
    return told(lambda: bool(device.ai_simultaneous_sampling_supported), False)


def checked_rate(rate_hz: float | None, count: int, device: Any, name: str) -> float:
    """Return `rate_hz`, by default a thousand a second or what `count` channels can do.

    Raises:
        RangeLimitError: not a positive number, or more than the device can do.
    """
    alone = count == 1 or together(device)
    limit = told(
        lambda: float(
            device.ai_max_single_chan_rate if alone else device.ai_max_multi_chan_rate / count
        ),
        math.inf,
    )
    if rate_hz is None:
        return min(1000.0, limit)
    if not (math.isfinite(rate_hz) and 0 < rate_hz <= limit):
        raise RangeLimitError(
            f"{name}: rate_hz is {rate_hz}, expected more than 0 and up to {limit:g} for "
            f"{count} channels"
        )
    return float(rate_hz)


def checked_terminals(terminals: str, device: str) -> str:
    """Return `terminals`. Raises BadInputError for another word than those of `TERMINALS`."""
    if terminals not in TERMINALS:
        words = ", ".join(TERMINALS)
        raise BadInputError(f"{device}: terminals is {terminals!r}, expected one of {words}")
    return terminals
