"""NI-DAQmx devices: analog outputs and inputs, through NI's own package nidaqmx.

Facts of the driver, from the NI-DAQmx User Manual and the reference of the nidaqmx package:

* An output has no off state. It holds the last value written to it when its task is cleared and,
  on many devices, when the device is reset. `safe` therefore writes 0 V, and says that the line is
  still driven. No watchdog is armed, because few devices have one for analog outputs: where a
  pulled cable must be safe, an interlock has to see to that.
* The converter of most devices goes round the inputs one after another: the times of an
  acquisition say so.
* An input does not integrate over cycles of the mains; it has a rate, not an NPLC.

One program at a time can use the outputs or the inputs of a device.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hilep.arrays import checked_count
from hilep.errors import BadInputError, UnsupportedError
from hilep.instruments.acquisition import Acquisition
from hilep.instruments.errors import (
    GarbledAnswerError,
)
from hilep.instruments.nidaq_calls import spoken
from hilep.instruments.nidaq_inputs import (
    FULL,
    InputTask,
    checked_range,
    checked_rate,
    checked_terminals,
    together,
)
from hilep.instruments.nidaq_outputs import OutputTask, known, range_of
from hilep.instruments.nidaq_session import NISession


class NIDAQmx(NISession):
    """One NI device, with the verbs of a bench instrument.

    Args:
        device: its name in NI's configuration, such as "Dev1".
        name: what errors call it.
        expect: text that must appear in its maker, product type, serial number or driver.
        timeout_s: seconds to wait beyond what a measurement takes.
        line_hz: frequency of the mains, recorded.

    Attributes:
        messages: calls that wrote to outputs and calls that read inputs, so far.
    """

    @property
    def limits(self) -> dict[str, float]:
        """The highest magnitude of each output in use, volts."""
        return {} if self._ao is None else {c: o.limit_v for c, o in self._ao.outputs.items()}

    @property
    def steps(self) -> dict[str, float]:
        """The step of each output in use, volts."""
        return {} if self._ao is None else {c: o.step_v for c, o in self._ao.outputs.items()}

    def configure_outputs(self, limits: Mapping[str, float]) -> None:
        """Take outputs into use, at 0 V.

        Args:
            limits: the highest magnitude in volts of each channel, such as {"ao0": 0.5}.

        Raises:
            BadInputError: no such channel.
            RangeLimitError: a limit that is not positive, below a step or beyond the range.
        """
        with self._usable("configure_outputs"):
            known(tuple(limits), self._outputs, self.resource)
            with spoken(self.name, "configure_outputs"):
                ranges = self._ranges("ao_voltage_rngs")
            for channel, limit in limits.items():
                range_of(limit, ranges, f"{self.resource}/{channel}")
            self._limits = dict(limits)
            try:
                self._make_outputs(ranges)
            except BaseException:
                self._limits = {}
                raise

    def configure(
        self,
        channels: Sequence[str],
        range_v: float,
        nplc: float | None = None,
        *,
        rate_hz: float | None = None,
        terminals: str = "differential",
    ) -> None:
        """Take inputs into use.

        Args:
            channels: names such as "ai0", in the order of the columns.
            range_v: volts that the inputs must hold; the next range that the device has is used.
            nplc: None; these inputs do not integrate.
            rate_hz: samples per second of each channel, by default 1000.
            terminals: "differential", "referenced" (to the device's ground), "non-referenced" (to
                its sense line) or "pseudodifferential".

        Raises:
            BadInputError: no such channel, or another word for the terminals.
            RangeLimitError: a range or a rate that the device does not have.
            UnsupportedError: `nplc` is given.
        """
        if nplc is not None:
            raise UnsupportedError(f"{self.name}: nplc {nplc}: it has none, give rate_hz instead")
        with self._usable("configure"):
            known(tuple(channels), self._inputs, self.resource)
            checked_terminals(terminals, self.resource)
            with spoken(self.name, "configure"):
                ranges = self._ranges("ai_voltage_rngs")
                device = self._device()
                rate = checked_rate(rate_hz, len(channels), device, self.resource)
            top = checked_range(range_v, ranges, self.resource)
            self._asked = (tuple(channels), top, rate, terminals)
            self._make_inputs()

    def apply(self, levels: Mapping[str, float]) -> None:
        """Write volts to outputs, all of them in one call; the others keep theirs.

        Raises:
            RangeLimitError: beyond a limit or below a step; nothing was written.
            BadInputError: an output that was not configured.
        """
        with self._usable("apply"):
            if self._ao is None:
                raise BadInputError(f"{self.name}: no outputs, call configure_outputs first")
            known(tuple(levels), tuple(self._ao.outputs), self.resource)
            asked = {
                channel: self._ao.outputs[channel].checked(volts, self.resource)
                for channel, volts in levels.items()
            }
            with spoken(self.name, "apply", self._fail):
                self.messages.writes += 1
                self._ao.write(asked)

    def acquire(self, samples: int, channels: Sequence[str] | None = None) -> Acquisition:
        """Read every configured input `samples` times.

        Args:
            samples: N, at least 1.
            channels: those to return, in this order; None for all.

        Raises:
            NotAnswering: the samples did not come in time.
            GarbledAnswerError: another number of samples came.
        """
        count = checked_count(samples)
        with self._usable("acquire"):
            if self._ai is None:
                raise BadInputError(f"{self.name}: no inputs, call configure first")
            chosen = known(channels or self._ai.channels, self._ai.channels, self.resource)
            columns = [self._ai.channels.index(channel) for channel in chosen]
            size = FULL // len(self._ai.channels)
            zero, after = time.monotonic(), 0.0
            parts: list[Acquisition] = []
            for begun in range(0, count, size):
                # A device whose time is simulated is done before its clock says so.
                after = max(after, time.monotonic() - zero)
                parts.append(self._buffer_full(min(size, count - begun), chosen, columns, after))
                after += parts[-1].samples / self._ai.rate_hz
        return Acquisition.joined(parts)

    def snapshot(self) -> dict[str, Any]:
        """Return identity and every setting that the driver made of what was asked, as JSON."""
        with self.transaction():
            found = self.identity
            settings: dict[str, Any] = {}
            if self._ao is not None:
                settings["outputs"] = {
                    out.channel: {"limit_v": out.limit_v, "range_v": out.range_v}
                    | {"step_v": out.step_v, "level_v": self._ao.levels.get(out.channel)}
                    for out in self._ao.outputs.values()
                }
                settings["simultaneous_outputs"] = self._ao.simultaneous
            if self._ai is not None and self._asked is not None:
                settings["inputs"] = list(self._ai.channels)
                settings |= {"range_v": self._ai.range_v, "rate_hz": self._ai.rate_hz}
                settings |= {"terminals": self._asked[3], "interval_s": self._ai.interval_s}
            return {
                "driver": type(self).__name__,
                "resource": self.resource,
                "maker": found.maker,
                "model": found.model,
                "serial": found.serial,
                "firmware": found.firmware,
                "line_hz": self.line_hz,
                "outputs": dict.fromkeys(self._limits, True),
                "settings": settings,
            }

    # Inside.

    def _remake(self) -> None:
        if self._limits:
            self._make_outputs(self._ranges("ao_voltage_rngs"))
        if self._asked is not None:
            self._make_inputs()

    def _make_outputs(self, ranges: Sequence[float]) -> None:
        with spoken(self.name, "configure_outputs", self._fail):
            if self._ao is not None:
                self._ao.clear()
                self._ao = None
            self._ao = OutputTask(self.resource, self._limits, ranges, self.timeout_s)
            self.messages.writes += 1
            self._ao.write({})

    def _make_inputs(self) -> None:
        assert self._asked is not None
        with spoken(self.name, "configure"):
            if self._ai is not None:
                self._ai.clear()
                self._ai = None
            self._ai = InputTask(self.resource, *self._asked, together(self._device()))

    def _buffer_full(
        self, samples: int, chosen: tuple[str, ...], columns: list[int], begun_s: float
    ) -> Acquisition:
        assert self._ai is not None
        with spoken(self.name, "acquire", self._fail):
            self.messages.queries += 1
            volts, came = self._ai.read(samples, self.timeout_s)
        if came != samples:
            what = f"expected {samples} samples, got {came}"
            self._fail(what)
            raise GarbledAnswerError(what, instrument=self.name, command="acquire")
        return Acquisition(
            chosen,
            volts[:, columns],
            np.full((samples, len(columns)), np.nan),
            begun_s + self._ai.times(samples)[:, columns],
            self._ai.status(volts)[:, columns],
            self.levels,
            dict.fromkeys(self._limits, True),
        )
