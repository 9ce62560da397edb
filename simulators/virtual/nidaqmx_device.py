"""A virtual NI device: what it can do, the lines it is wired to, and the tasks that run on it.

Numbers are those of the NI 6363 (PCIe/PXIe/USB-6363 Specifications): 16 bits each way, 1 MS/s
for several channels, a multiplexed converter.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Lines(Protocol):
    """The wires of a device's terminals: whatever circuit stands behind them."""

    def drive(self, channel: str, volts: float) -> None:
        """Hold the terminal of an analog output, such as "Dev1/ao0", at `volts`."""

    def sense(self, channels: Sequence[str], samples: int) -> NDArray[np.float64]:
        """Return volts (samples, channels) at analog inputs such as "Dev1/ai0", noise included.

        A differential input is named by its positive terminal and is what stands across it.
        """


@dataclass(frozen=True, slots=True)
class VirtualDevice:
    """One device.

    Attributes:
        name: as in NI's configuration, the first part of a channel's name.
        product: product type.
        serial: serial number.
        inputs: analog inputs ai0 to ai(inputs - 1).
        outputs: analog outputs ao0 to ao(outputs - 1).
        input_ranges_v: volts of each input range, which lies symmetrically about zero.
        output_ranges_v: the same of the outputs.
        bits: resolution of the converters of both directions.
        max_rate_hz: samples per second, shared by the channels of a task.
    """

    name: str = "Dev1"
    product: str = "PCIe-6363"
    serial: int = 0x01C2D3E4
    inputs: int = 32
    outputs: int = 4
    input_ranges_v: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    output_ranges_v: tuple[float, ...] = (5.0, 10.0)
    bits: int = 16
    max_rate_hz: float = 1e6

    def terminals(self, kind: str) -> list[str]:
        """Return the full names of the channels of `kind`, "ai" or "ao"."""
        count = self.inputs if kind == "ai" else self.outputs
        return [f"{self.name}/{kind}{number}" for number in range(count)]

    def range_v(self, kind: str, low: float, high: float) -> float | None:
        """Return the smallest range that holds `low` to `high` volts, or None."""
        need = max(abs(low), abs(high))
        ranges = self.input_ranges_v if kind == "ai" else self.output_ranges_v
        return next((top for top in sorted(ranges) if need <= top * (1 + 1e-12)), None)

    def converted(self, volts: NDArray[np.float64], top: float) -> NDArray[np.float64]:
        """Return `volts` as a converter with a range of plus and minus `top` gives them."""
        step = 2 * top / 2**self.bits
        codes = np.clip(np.round(volts / step), -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1)
        return np.asarray(codes * step, np.float64)


@dataclass(slots=True)
class VirtualChannel:
    """One channel of a task: its terminal, direction, limits and the range they chose, volts."""

    terminal: str
    kind: str
    device: VirtualDevice
    low: float
    high: float
    range_v: float
    terminals: int = -1


@dataclass(slots=True)
class VirtualTask:
    """One task. `rate_hz` is 0 while it has no clock; `left` counts the samples still to come."""

    name: str
    channels: list[VirtualChannel] = field(default_factory=list)
    rate_hz: float = 0.0
    samples: int = 0
    finite: bool = True
    simultaneous: bool = False
    running: bool = False
    left: int = 0


def named(physical: str, devices: Mapping[str, VirtualDevice]) -> list[tuple[VirtualDevice, str]]:
    """Return (device, terminal) of each channel in a list such as "Dev1/ai0:3, Dev1/ai7".

    Raises:
        KeyError: a device or a terminal that does not exist, with its name.
    """
    found = []
    for part in (piece.strip() for piece in physical.split(",")):
        first, _, last = part.partition(":")
        device_name, _, channel = first.partition("/")
        kind = channel.rstrip("0123456789")
        start = int(channel[len(kind) :] or -1)
        stop = int(last.rpartition("/")[2].removeprefix(kind) or -1) if last else start
        device = devices.get(device_name)
        for number in range(start, stop + 1) if stop >= start else range(start, stop - 1, -1):
            terminal = f"{device_name}/{kind}{number}"
            if device is None or terminal not in device.terminals(kind):
                raise KeyError(terminal)
            found.append((device, terminal))
    return found


def wait_s(task: VirtualTask, samples: int) -> float:
    """Return how long the clock of `task` takes for `samples`, seconds."""
    return samples / task.rate_hz if task.rate_hz else 0.0


def overcommitted(task: VirtualTask) -> bool:
    """Whether the task's channels together ask for more than their device's converter can do."""
    inputs = [channel for channel in task.channels if channel.kind == "ai"]
    grouped = itertools.groupby(inputs, key=lambda channel: channel.device.name)
    totals = [(task.rate_hz * len(list(group)), name) for name, group in grouped]
    rates = {channel.device.name: channel.device.max_rate_hz for channel in inputs}
    return any(total > rates[name] or math.isnan(total) for total, name in totals)
