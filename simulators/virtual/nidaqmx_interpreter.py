"""A stand-in for the NI-DAQmx driver, beneath the nidaqmx package.

`nidaqmx` asks an interpreter for every call; the one that it ships calls the driver's library.
NI's own unit tests put another in its place at `nidaqmx.utils._select_interpreter`
(ni/nidaqmx-python, tests/unit/conftest.py), and so does `nidaqmx_installed`. Error numbers and
their meanings are those of `nidaqmx.error_codes`, attribute numbers those of NIDAQmx.h.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from hilep.errors import MissingExtraError
from hilep.simulators.virtual.nidaqmx_abstract import completed
from hilep.simulators.virtual.nidaqmx_attributes import VERSION, Attributes, daq_error
from hilep.simulators.virtual.nidaqmx_device import Lines as Lines
from hilep.simulators.virtual.nidaqmx_device import (
    VirtualChannel,
    VirtualTask,
    named,
    overcommitted,
    wait_s,
)
from hilep.simulators.virtual.nidaqmx_device import VirtualDevice as VirtualDevice
from hilep.simulators.virtual.nidaqmx_installed import installed as installed

try:
    from nidaqmx._base_interpreter import BaseInterpreter
    from nidaqmx.constants import TerminalConfiguration
    from nidaqmx.error_codes import DAQmxErrors
    from nidaqmx.errors import (
        DaqReadError,
        DaqWriteError,
    )
    from nidaqmx.types import DriverVersion
except ImportError as error:
    raise MissingExtraError("a virtual NI device", "bench") from error

_FINITE = 10178


@completed
class VirtualInterpreter(Attributes, BaseInterpreter):  # type: ignore[misc, unused-ignore]
    """Analog voltage tasks on virtual devices: finite, clocked inputs and on-demand outputs.

    Args:
        lines: what the devices are wired to.
        devices: the devices, with different names.
        sleep: called with the seconds that an acquisition takes; nothing where time is switched
            off.

    Attributes:
        calls: names of the driver's functions in the order in which they were called, the last
            ten thousand.
        faults: error number that the next call of a function gives; removed when given.
        short: samples that the next read leaves out.
    """

    def __init__(
        self,
        lines: Lines,
        devices: Iterable[VirtualDevice] = (VirtualDevice(),),
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.lines = lines
        self.devices = {device.name: device for device in devices}
        self.calls: deque[str] = deque(maxlen=10_000)
        self.faults: dict[str, int] = {}
        self.short = 0
        self._sleep = sleep
        self._tasks: dict[int, VirtualTask] = {}
        self._next = 1
        self._lock = threading.RLock()
        self._last = threading.local()

    @property
    def driver_version(self) -> DriverVersion:
        """The version of NI-DAQmx that this one behaves as."""
        return VERSION

    @property
    def open_tasks(self) -> int:
        """Tasks that were created and not cleared."""
        return len(self._tasks)

    def create_task(self, session_name: str) -> tuple[int, bool]:
        """DAQmxCreateTask."""
        self._called("create_task")
        handle = self._next
        self._next += 1
        self._tasks[handle] = VirtualTask(session_name or f"_unnamedTask<{handle}>")
        return handle, True

    def clear_task(self, task: int) -> None:
        """DAQmxClearTask. An output keeps the last value that was written."""
        self._called("clear_task")
        self._tasks.pop(task, None)

    def hash_task_handle(self, task_handle: int) -> int:
        """Return the hash of a task."""
        return hash(task_handle)

    def create_ai_voltage_chan(
        self,
        task: int,
        physical_channel: str,
        name_to_assign_to_channel: str,
        terminal_config: int,
        min_val: float,
        max_val: float,
        units: int,
        custom_scale_name: str,
    ) -> None:
        """DAQmxCreateAIVoltageChan."""
        self._called("create_ai_voltage_chan")
        kinds = (TerminalConfiguration.RSE, TerminalConfiguration.NRSE, TerminalConfiguration.DIFF)
        if terminal_config not in {-1, *(kind.value for kind in kinds)}:
            raise daq_error(DAQmxErrors.INVALID_ATTRIBUTE_VALUE, "terminal configuration")
        self._add(task, "ai", physical_channel, min_val, max_val, terminal_config)

    def create_ao_voltage_chan(
        self,
        task: int,
        physical_channel: str,
        name_to_assign_to_channel: str,
        min_val: float,
        max_val: float,
        units: int,
        custom_scale_name: str,
    ) -> None:
        """DAQmxCreateAOVoltageChan."""
        self._called("create_ao_voltage_chan")
        self._add(task, "ao", physical_channel, min_val, max_val, -1)

    def internal_get_last_created_chan(self) -> str:
        """Return the name of the channels that this thread created last."""
        return str(self._last.name)

    def cfg_samp_clk_timing(
        self,
        task: int,
        rate: float,
        source: str,
        active_edge: int,
        sample_mode: int,
        samps_per_chan: int,
    ) -> None:
        """DAQmxCfgSampClkTiming."""
        self._called("cfg_samp_clk_timing")
        one = self._tasks[task]
        one.rate_hz, one.finite = float(rate), sample_mode == _FINITE
        if overcommitted(one):
            raise daq_error(DAQmxErrors.INVALID_ATTRIBUTE_VALUE, f"sample clock rate {rate}")
        self.set_timing_attribute_uint64(task, 0x1310, samps_per_chan)

    def start_task(self, task: int) -> None:
        """DAQmxStartTask. Inputs of a device serve one running task at a time."""
        self._called("start_task")
        one = self._tasks[task]
        if one.running:
            return
        busy = {
            (channel.device.name if channel.kind == "ai" else channel.terminal)
            for other in self._tasks.values()
            if other.running
            for channel in other.channels
        }
        mine = {c.device.name if c.kind == "ai" else c.terminal for c in one.channels}
        if busy & mine:
            raise daq_error(DAQmxErrors.PAL_RESOURCE_RESERVED, f"{sorted(busy & mine)} reserved")
        one.running, one.left = True, one.samples

    def stop_task(self, task: int) -> None:
        """DAQmxStopTask."""
        self._called("stop_task")
        self._tasks[task].running = False

    def task_control(self, task: int, action: int) -> None:
        """DAQmxTaskControl: verify, reserve and commit do nothing here."""
        self._called("task_control")

    def is_task_done(self, task: int) -> bool:
        """DAQmxIsTaskDone."""
        return True

    def wait_until_task_done(self, task: int, time_to_wait: float) -> None:
        """DAQmxWaitUntilTaskDone."""
        self._called("wait_until_task_done")
        one = self._tasks[task]
        if 0 <= time_to_wait < wait_s(one, one.left):
            raise daq_error(DAQmxErrors.WAIT_UNTIL_DONE_DOES_NOT_INDICATE_DONE, "not done")

    def write_analog_f64(
        self,
        task: int,
        num_samps_per_chan: int,
        auto_start: bool,
        timeout: float,
        data_layout: int,
        write_array: NDArray[np.float64],
    ) -> int:
        """DAQmxWriteAnalogF64, on demand: the last sample of each channel stands at its line."""
        self._called("write_analog_f64", lambda m, c: DaqWriteError(m, c, 0))
        one = self._tasks[task]
        shape = (len(one.channels), num_samps_per_chan)
        order = "C" if data_layout == 0 else "F"
        volts = np.asarray(write_array, np.float64).reshape(shape, order=order)  # type: ignore[call-overload]
        for channel, row in zip(one.channels, volts, strict=True):
            if not np.all((row >= channel.low) & (row <= channel.high)):
                code = DAQmxErrors.INVALID_AO_DATA_WRITE
                raise DaqWriteError(f"{channel.terminal}: too large or too small", code, 0)
        if auto_start:
            self.start_task(task)
        with self._lock:
            for channel, row in zip(one.channels, volts, strict=True):
                self.lines.drive(
                    channel.terminal, float(channel.device.converted(row[-1:], channel.range_v)[0])
                )
        return num_samps_per_chan

    def read_analog_f64(
        self,
        task: int,
        num_samps_per_chan: int,
        timeout: float,
        fill_mode: int,
        read_array: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], int]:
        """DAQmxReadAnalogF64, started by itself where it was not."""
        self._called("read_analog_f64", lambda m, c: DaqReadError(m, c, 0))
        one = self._tasks[task]
        if one.rate_hz and not one.running:
            self.start_task(task)
        if one.rate_hz and one.finite and num_samps_per_chan > one.left:
            code = DAQmxErrors.SAMPLES_WILL_NEVER_BE_AVAILABLE
            raise DaqReadError("beyond the final sample", code, 0)
        seconds = wait_s(one, num_samps_per_chan)
        if 0 <= timeout < seconds:
            raise DaqReadError("not yet", DAQmxErrors.SAMPLES_NOT_YET_AVAILABLE, 0)
        if self._sleep is not None:
            self._sleep(seconds)
        names = [channel.terminal for channel in one.channels]
        with self._lock:
            volts = np.asarray(self.lines.sense(names, num_samps_per_chan), np.float64)
        given, self.short = num_samps_per_chan - min(self.short, num_samps_per_chan), 0
        read = np.column_stack(
            [
                channel.device.converted(volts[:given, column], channel.range_v)
                for column, channel in enumerate(one.channels)
            ]
        )
        flat = read.T.ravel() if fill_mode == 0 else read.ravel()
        read_array.reshape(-1)[: flat.size] = flat
        one.left -= given
        return read_array, given

    def _add(
        self, task: int, kind: str, physical: str, low: float, high: float, terminals: int
    ) -> None:
        try:
            found = named(physical, self.devices)
        except KeyError as missing:
            code = DAQmxErrors.PHYSICAL_CHAN_DOES_NOT_EXIST
            raise daq_error(code, f"no channel {missing.args[0]}") from None
        for device, terminal in found:
            top = device.range_v(kind, low, high)
            if top is None or low >= high:
                raise daq_error(DAQmxErrors.INVALID_ATTRIBUTE_VALUE, f"{low} V to {high} V")
            self._tasks[task].channels.append(
                VirtualChannel(terminal, kind, device, low, high, top, terminals)
            )
        self._last.name = ", ".join(terminal for _, terminal in found)
