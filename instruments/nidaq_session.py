"""An NI device that is known and safe, or that refuses to go on."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from hilep.errors import BadInputError
from hilep.instruments import taps
from hilep.instruments.errors import IdentityError, InstrumentError, StateUnknownError
from hilep.instruments.exchange import Messages
from hilep.instruments.identity import Identity, mentions
from hilep.instruments.instrument import SafeReport
from hilep.instruments.locks import InstrumentLock
from hilep.instruments.nidaq_calls import module, spoken, told
from hilep.instruments.nidaq_inputs import InputTask
from hilep.instruments.nidaq_outputs import OutputTask


class NISession(ABC):
    """Identity, lock, safe state and recovery of one NI device, as of a `BenchInstrument`.

    The arguments are those of `hilep.instruments.nidaq.NIDAQmx`.
    """

    lock_timeout_s: float = 30.0

    def __init__(
        self,
        device: str,
        name: str | None = None,
        *,
        expect: str | None = None,
        timeout_s: float = 5.0,
        line_hz: int = 50,
    ) -> None:
        if not timeout_s > 0:
            raise BadInputError(f"timeout_s is {timeout_s}, expected more than 0")
        module("nidaqmx")
        self.resource = device
        self.name = name or f"{type(self).__name__} {device}"
        self.expect = expect
        self.timeout_s = timeout_s
        self.line_hz = line_hz
        self.messages = Messages()
        self._lock = InstrumentLock(f"NIDAQMX::{device}")
        self._poison: str | None = "not started: use it in a with statement, or call start()"
        self._closed = False
        self._identity: Identity | None = None
        self._inputs: tuple[str, ...] = ()
        self._outputs: tuple[str, ...] = ()
        self._limits: dict[str, float] = {}
        self._asked: tuple[tuple[str, ...], float, float, str] | None = None
        self._ao: OutputTask | None = None
        self._ai: InputTask | None = None

    @property
    def identity(self) -> Identity:
        """Maker, product type, serial number (hexadecimal, as on the device) and driver."""
        return self._identity or Identity("", "", "", "")

    @property
    def poisoned(self) -> str | None:
        """Why the device refuses to go on, or None."""
        return self._poison

    @property
    def levels(self) -> dict[str, float]:
        """Volts last written, by output."""
        return dict(self._ao.levels) if self._ao is not None else {}

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Self]:
        """Keep other threads and programs off this device meanwhile; transactions nest."""
        self._lock.acquire(self.lock_timeout_s)
        try:
            with taps.speaking(self.resource):
                yield self
        finally:
            self._lock.release()

    def start(self) -> Self:
        """Identify the device and write 0 V to every output.

        Raises:
            IdentityError: it is another device; nothing was written to it.
            StateUnknownError: its outputs cannot be made 0 V.
        """
        with self.transaction():
            with spoken(self.name, "identify"):
                self._identity = self._found()
            self._check(self._identity)
            self._poison = None
            report = self.safe()
            if report.off is not True:
                self._poison = report.text
                raise StateUnknownError(report.text, instrument=self.name)
        return self

    def safe(self) -> SafeReport:
        """Write 0 V to every output of the device, whatever happened before. It never raises.

        Returns:
            `off` is True where the driver took the zeros, None where it did not. The lines are
            still driven, at 0 V.
        """
        if self._closed or self._identity is None:
            return SafeReport(None, f"{self.name}: not in use, so nothing was written to it")
        try:
            self._lock.acquire(1.0)
        except Exception as error:
            return self._zeros(f"; {error}")
        try:
            return self._zeros("")
        finally:
            self._lock.release()

    def recover(self) -> dict[str, bool]:
        """Make new tasks on the same device. Its levels cannot be read back, so they become 0 V.

        Raises:
            StateUnknownError: it did not succeed.
        """
        with self.transaction():
            reason = self._poison
            try:
                with spoken(self.name, "recover"):
                    found = self._found()
                if self._closed or found != self._identity:
                    raise InstrumentError("another device answers", instrument=self.name)
                self._forget()
                report = self.safe()
                if report.off is not True:
                    raise InstrumentError(report.text)
                self._remake()
                self._poison = None
            except InstrumentError as error:
                self._poison = reason or str(error)
                raise StateUnknownError(str(error), instrument=self.name) from error
        return dict.fromkeys(self._limits, True)

    def shutdown(self) -> None:
        """Write 0 V and give the device back. It may be called again."""
        if not self._closed:
            self.last_report = self.safe()
            self._forget()
            self._closed = True

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.shutdown()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    # What the device with its tasks adds.

    @abstractmethod
    def _remake(self) -> None:
        """Make the tasks that were configured before."""

    # Inside.

    def _device(self) -> Any:
        return module("nidaqmx.system").Device(self.resource)

    def _found(self) -> Identity:
        device = self._device()
        system = module("nidaqmx.system").System
        version: tuple[object, ...] = told(lambda: tuple(system.local().driver_version), ())
        serial = told(lambda: f"{int(device.serial_num):08X}", "")
        model = str(device.product_type)
        self._inputs = tuple(n.partition("/")[2] for n in device.ai_physical_chans.channel_names)
        self._outputs = tuple(n.partition("/")[2] for n in device.ao_physical_chans.channel_names)
        driver = "NI-DAQmx " + ".".join(str(part) for part in version)
        return Identity("National Instruments", model, serial, driver)

    def _check(self, found: Identity) -> None:
        text = f"{found.maker},{found.model},{found.serial},{found.firmware}"
        if self.expect is not None and not mentions(text, self.expect):
            self._identity = None
            self._poison = "not the expected instrument"
            raise IdentityError(f"expected {self.expect!r}, found {text!r}", instrument=self.name)

    def _ranges(self, attribute: str) -> list[float]:
        edges = getattr(self._device(), attribute)
        return [float(high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low < 0]

    def _zeros(self, trouble: str) -> SafeReport:
        if not self._outputs:
            return SafeReport(True, f"{self.name}: it has no outputs{trouble}")
        try:
            with spoken(self.name, "safe", self._fail), taps.speaking(self.resource):
                self._write_zeros()
        except Exception as error:
            return SafeReport(None, f"{self.name}: 0 V could not be written: {error}{trouble}")
        lines = ", ".join(self._outputs)
        return SafeReport(True, f"{self.name}: {lines} at 0 V, and still driven{trouble}")

    def _write_zeros(self) -> None:
        errors = module("nidaqmx.errors")
        rest = list(self._outputs)
        if self._ao is not None:
            try:
                self.messages.writes += 1
                self._ao.write(dict.fromkeys(self._ao.outputs, 0.0))
                rest = [channel for channel in rest if channel not in self._ao.outputs]
            except errors.Error:
                # A task that failed may keep its outputs from every other one.
                task, self._ao = self._ao, None
                self._fail("the outputs' task failed")
                with contextlib.suppress(errors.Error):
                    task.clear()
        if rest:
            ranges = self._ranges("ao_voltage_rngs")
            zeros = OutputTask(
                self.resource, dict.fromkeys(rest, max(ranges)), ranges, self.timeout_s
            )
            try:
                self.messages.writes += 1
                zeros.write({})
            finally:
                zeros.clear()

    def _fail(self, reason: str) -> None:
        self._poison = reason

    def _forget(self) -> None:
        for task in (self._ao, self._ai):
            if task is not None:
                with contextlib.suppress(module("nidaqmx.errors").Error):
                    task.clear()
        self._ao = self._ai = None

    @contextlib.contextmanager
    def _usable(self, command: str) -> Iterator[None]:
        with self.transaction():
            if self._closed or self._poison is not None:
                why = "the device is closed" if self._closed else f"state unknown: {self._poison}"
                raise StateUnknownError(why, instrument=self.name, command=command)
            yield
