"""Attributes of virtual NI devices, tasks and channels, by their numbers in NIDAQmx.h."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hilep.errors import MissingExtraError
from hilep.simulators.virtual.nidaqmx_device import VirtualChannel, VirtualDevice, VirtualTask

try:
    from nidaqmx.constants import ChannelType, ResolutionType, UsageTypeAI
    from nidaqmx.error_codes import DAQmxErrors
    from nidaqmx.errors import DaqError
    from nidaqmx.types import DriverVersion
except ImportError as error:
    raise MissingExtraError("a virtual NI device", "bench") from error

VERSION = DriverVersion(25, 0, 0)
"""The version of NI-DAQmx that the virtual one behaves as."""


class Attributes:
    """What the driver says of its devices and tasks when asked.

    Attributes:
        calls: names of the driver's functions in the order in which they were called, the last
            ten thousand.
        faults: error number that the next call of a function gives; removed when given.
    """

    devices: dict[str, VirtualDevice]
    calls: deque[str]
    faults: dict[str, int]
    _tasks: dict[int, VirtualTask]

    def get_task_attribute_string(self, task: int, attribute: int) -> str:
        """Name and channels of a task."""
        one = self._tasks[task]
        return one.name if attribute == 0x1276 else _names(one)

    def get_task_attribute_uint32(self, task: int, attribute: int) -> int:
        """Count of a task's channels, or of its devices."""
        channels = self._tasks[task].channels
        return len(channels) if attribute == 0x2181 else len({c.device.name for c in channels})

    def get_read_attribute_uint32(self, task: int, attribute: int) -> int:
        """Channels to read, or the samples that "all" stands for."""
        one = self._tasks[task]
        return len(one.channels) if attribute == 0x217B else one.samples

    def get_read_attribute_string(self, task: int, attribute: int) -> str:
        """Names of the channels to read."""
        return _names(self._tasks[task])

    def get_write_attribute_uint32(self, task: int, attribute: int) -> int:
        """Channels to write."""
        return len(self._tasks[task].channels)

    def get_chan_attribute_int32(self, task: int, channel: str, attribute: int) -> int:
        """Kind of a channel, of its measurement, its terminals or the unit of its resolution."""
        one = self._channel(task, channel)
        kind = ChannelType.ANALOG_INPUT if one.kind == "ai" else ChannelType.ANALOG_OUTPUT
        known = {0x187F: kind.value, 0x695: UsageTypeAI.VOLTAGE.value, 0x1097: one.terminals}
        return int(known.get(attribute, ResolutionType.BITS.value))

    def get_chan_attribute_double(self, task: int, channel: str, attribute: int) -> float:
        """Limits, range (volts) and resolution (bits) of a channel."""
        one = self._channel(task, channel)
        known = {0x17DD: one.high, 0x17DE: one.low, 0x1186: one.high, 0x1187: one.low}
        known |= {0x1815: one.range_v, 0x1816: -one.range_v, 0x182E: one.range_v}
        known |= {0x182D: -one.range_v, 0x1765: float(one.device.bits)}
        known[0x182C] = float(one.device.bits)
        return known[attribute]

    def get_timing_attribute_double(self, task: int, attribute: int) -> float:
        """Rate of the sample clock, or of the converter that goes round the channels."""
        one = self._tasks[task]
        if attribute == 0x1848:
            return min(channel.device.max_rate_hz for channel in one.channels)
        return one.rate_hz

    def get_timing_attribute_uint64(self, task: int, attribute: int) -> int:
        """Samples of each channel."""
        return self._tasks[task].samples

    def set_timing_attribute_uint64(self, task: int, attribute: int, value: int) -> None:
        """Set the samples of each channel; a finite, clocked task takes two or more."""
        one = self._tasks[task]
        if one.running:
            raise daq_error(DAQmxErrors.CANNOT_SET_PROPERTY_WHEN_TASK_RUNNING, "running")
        if value < 2:
            raise daq_error(DAQmxErrors.INVALID_ATTRIBUTE_VALUE, "samples per channel")
        one.samples = int(value)

    def get_timing_attribute_bool(self, task: int, attribute: int) -> bool:
        """Whether the outputs of a task move together."""
        return self._tasks[task].simultaneous

    def set_timing_attribute_bool(self, task: int, attribute: int, value: bool) -> None:
        """Make the outputs of a task move together."""
        self._called("set_timing_attribute_bool")
        self._tasks[task].simultaneous = bool(value)

    def get_device_attribute_string(self, device_name: str, attribute: int) -> str:
        """Product type, or the names of the inputs or the outputs."""
        device = self._device(device_name)
        names = {0x231E: device.terminals("ai"), 0x231F: device.terminals("ao")}
        return device.product if attribute == 0x631 else ", ".join(names.get(attribute, []))

    def get_device_attribute_uint32(self, device_name: str, attribute: int) -> int:
        """Serial number."""
        return self._device(device_name).serial

    def get_device_attribute_bool(self, device_name: str, attribute: int) -> bool:
        """Whether the device is simulated by the driver, or samples all inputs at once: no."""
        self._device(device_name)
        return False

    def get_device_attribute_double(self, device_name: str, attribute: int) -> float:
        """Highest rate of the converter, samples per second."""
        return self._device(device_name).max_rate_hz

    def get_device_attribute_double_array(self, device_name: str, attribute: int) -> list[float]:
        """Ranges of the inputs or the outputs: low, high, low, high, in volts."""
        device = self._device(device_name)
        ranges = device.input_ranges_v if attribute == 0x2990 else device.output_ranges_v
        return [edge for top in ranges for edge in (-top, top)]

    def get_system_info_attribute_uint32(self, attribute: int) -> int:
        """Major, minor and update number of the driver."""
        return int(VERSION[{0x1272: 0, 0x1923: 1, 0x2F22: 2}[attribute]])

    def get_system_info_attribute_string(self, attribute: int) -> str:
        """Names of the devices."""
        return ", ".join(self.devices) if attribute == 0x193B else ""

    def _called(self, name: str, make: Callable[[str, int], Exception] | None = None) -> None:
        self.calls.append(name)
        code = self.faults.pop(name, 0)
        if code:
            raise (make or DaqError)(f"injected at {name}", code)

    def _device(self, name: str) -> VirtualDevice:
        self._called("device")
        try:
            return self.devices[name]
        except KeyError:
            raise daq_error(DAQmxErrors.INVALID_DEVICE_ID, f"no device {name}") from None

    def _channel(self, task: int, names: str) -> VirtualChannel:
        first = names.split(",")[0].split(":")[0].strip()
        channels = self._tasks[task].channels
        return next((c for c in channels if c.terminal == first), channels[0])


def daq_error(code: DAQmxErrors, message: str) -> DaqError:
    """Return the error that the package raises for `code`."""
    return DaqError(message, code)


def _names(task: VirtualTask) -> str:
    return ", ".join(channel.terminal for channel in task.channels)
