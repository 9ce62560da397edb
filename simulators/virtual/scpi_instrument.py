"""The part of a SCPI instrument that IEEE 488.2 and SCPI-99 prescribe for every one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.parameters import Kind, Number, spelled
from hilep.simulators.virtual.scpi import Call, Commands, Unit, units
from hilep.simulators.virtual.scpi_errors import ErrorQueue, ScpiError

_POWER_ON, _OPERATION_COMPLETE = 128, 1
_BYTE = Number(0, 255, 0, integer=True)
_WORD = Number(0, 65535, 0, integer=True)
_REGISTERS = {"MEASurement": 1, "QUEStionable": 8, "OPERation": 128}


@dataclass
class Register:
    """A condition, event and enable register."""

    condition: int = 0
    event: int = 0
    enable: int = 0

    def happened(self, bits: int) -> None:
        """Set event bits."""
        self.event |= bits


class ScpiInstrument:
    """Common commands, status, the error queue, and settings that *RST restores.

    Args:
        clock: the time that passes while it measures.
        serial: its serial number in *IDN?.

    Attributes:
        values: every setting by its name; with channels, by name and channel.
        errors: the error queue.
        status: the registers of :STATus, by name.
    """

    max_clients = 1
    maker: ClassVar[str] = ""
    model: ClassVar[str] = ""
    firmware: ClassVar[str] = "1.0.0"
    queue_length: ClassVar[int] = 10
    error_available: ClassVar[int] = 4
    no_error: ClassVar[str] = '0,"No error"'
    scpi_version: ClassVar[str] = "1999.0"
    registers: ClassVar[tuple[str, ...]] = ("QUEStionable", "OPERation")

    def __init__(self, clock: Clock, serial: str = "1000001") -> None:
        self.clock = clock
        self.serial = serial
        self.errors = ErrorQueue(self.queue_length)
        self.status = {name: Register() for name in self.registers}
        self.values: dict[Any, Any] = {}
        self._kinds: dict[Any, Kind] = {}
        self._event, self._event_enable, self._request_enable = _POWER_ON, 0, 0
        self._output: list[bytes] = []
        self.commands = Commands()
        self._common()

    @property
    def identity(self) -> str:
        """The answer to *IDN?."""
        return f"{self.maker},{self.model},{self.serial},{self.firmware}"

    def answer(self, message: str) -> bytes:
        """Act on a message and return its response at once, as a socket does."""
        self.write(message)
        return self.read() if self._output else b""

    def write(self, message: str) -> None:
        """Act on a message and keep its response; -410 when one was not read."""
        if self._output:
            self._output.clear()
            self.note(ScpiError(-410))
        responses: list[bytes] = []
        try:
            for unit in units(message):
                try:
                    self._act(unit, responses)
                except ScpiError as error:
                    self.note(error)
                    # What follows an invalid command in a message is ignored (Keithley 2400
                    # Series User's Manual, section 14, "Command execution rules").
                    if -200 < error.code < -99:
                        break
        except ScpiError as error:
            self.note(error)
        if responses:
            self._output.append(b";".join(responses) + b"\n")

    def read(self) -> bytes:
        """Return the response that waits; b"" and -420 where none does."""
        if not self._output:
            self.note(ScpiError(-420))
            return b""
        return self._output.pop()

    def overrun(self) -> None:
        """Note -363."""
        self.note(ScpiError(-363))

    def note(self, error: ScpiError) -> None:
        """Put an error into the queue and its bit into the standard event register."""
        self.errors.push(error)
        self._event |= error.event

    def reset(self) -> None:
        """Restore every setting; a subclass also switches its outputs off."""
        for name, kind in self._kinds.items():
            self.values[name] = kind.default

    def trigger(self) -> None:
        """Act on *TRG; -211 unless a subclass waits for it."""
        raise ScpiError(-211)

    def setting(
        self,
        name: Hashable,
        pattern: str,
        kind: Kind,
        then: Callable[..., None] | None = None,
        channels: Sequence[int] = (),
        check: Callable[..., Any] | None = None,
    ) -> None:
        """Add a command that sets a value and a query that returns it.

        Args:
            name: key in `values`; (name, channel) where the pattern's first "#" is a channel.
            pattern: of the command.
            kind: of its parameter.
            then: called after it was set, with the channel where there are channels.
            channels: the channels there are.
            check: called with the value (and the channel) before; what it returns is kept.
        """
        for channel in channels:
            self._kinds[name, channel] = kind
            self.values[name, channel] = kind.default
        if not channels:
            self._kinds[name] = kind
            self.values[name] = kind.default

        def key(call: Call) -> tuple[Any, tuple[int, ...]]:
            if not channels:
                return name, ()
            channel = call.suffixes[0] or 1
            if channel not in channels:
                raise ScpiError(-114)
            return (name, channel), (channel,)

        def setter(call: Call) -> None:
            where, channel = key(call)
            value = kind.read(call.take(1)[0])
            if check is not None:
                value = check(value, *channel)
            self.values[where] = value
            if then is not None:
                then(*channel)

        def getter(call: Call) -> str:
            where, _ = key(call)
            limit = call.take(0, 1)
            return kind.write(kind.named(limit[0]) if limit else self.values[where])

        self.commands.add(pattern, setter, getter)

    def ignored(self, *patterns: str) -> None:
        """Add commands that exist and change nothing here, such as those of the display."""
        for pattern in patterns:
            self.commands.add(pattern, lambda call: None)

    def status_byte(self) -> int:
        """Return the status byte with its master summary."""
        byte = sum(
            bit
            for name, bit in _REGISTERS.items()
            if name in self.status and self.status[name].event & self.status[name].enable
        )
        byte |= self.error_available if len(self.errors) else 0
        byte |= 32 if self._event & self._event_enable else 0
        return byte | (64 if byte & self._request_enable else 0)

    def error_text(self, error: ScpiError) -> str:
        """Return an entry of the queue as SYSTem:ERRor? gives it."""
        return f'{error.code},"{error.text}"' if error.code else self.no_error

    def _act(self, unit: Unit, responses: list[bytes]) -> None:
        command, suffixes = self.commands.find(unit.header)
        call = Call(suffixes, unit.parameters)
        if unit.query:
            if command.getter is None:
                raise ScpiError(-113)
            response = command.getter(call)
            responses.append(response if isinstance(response, bytes) else response.encode())
        elif command.setter is None:
            raise ScpiError(-113)
        else:
            command.setter(call)

    def _common(self) -> None:
        add = self.commands.add
        add("*IDN", getter=lambda call: self.identity)
        add("*RST", lambda call: self.reset())
        add("*CLS", lambda call: self._clear())
        add("*OPC", lambda call: self._set_event(_OPERATION_COMPLETE), lambda call: "1")
        add("*WAI", lambda call: None)
        add("*TRG", lambda call: self.trigger())
        add("*TST", getter=lambda call: "0")
        add("*OPT", getter=lambda call: "0")
        add("*ESR", getter=lambda call: self._read_event())
        add("*STB", getter=lambda call: str(self.status_byte()))

        def enable(call: Call) -> None:
            self._event_enable = int(_BYTE.read(call.take(1)[0]))

        def request(call: Call) -> None:
            self._request_enable = int(_BYTE.read(call.take(1)[0])) & ~64

        add("*ESE", enable, lambda call: str(self._event_enable))
        add("*SRE", request, lambda call: str(self._request_enable))
        add(":SYSTem:ERRor[:NEXT]", getter=lambda call: self.error_text(self.errors.pop()))
        add(":SYSTem:ERRor:COUNt", getter=lambda call: str(len(self.errors)))
        add(":SYSTem:ERRor:ALL", getter=lambda call: self._all_errors())
        add(":SYSTem:CLEar", lambda call: self.errors.clear())
        add(":SYSTem:VERSion", getter=lambda call: self.scpi_version)
        add(":STATus:PRESet", lambda call: self._preset())
        for name in self.registers:
            self._register(name)

    def _register(self, name: str) -> None:
        register = self.status[name]

        def enable(call: Call) -> None:
            register.enable = int(_WORD.read(call.take(1)[0]))

        def event(call: Call) -> str:
            register.event, value = 0, register.event
            return str(value)

        self.commands.add(f":STATus:{name}[:EVENt]", getter=event)
        self.commands.add(f":STATus:{name}:CONDition", getter=lambda call: str(register.condition))
        self.commands.add(f":STATus:{name}:ENABle", enable, lambda call: str(register.enable))

    def _set_event(self, bits: int) -> None:
        self._event |= bits

    def _read_event(self) -> str:
        self._event, value = 0, self._event
        return str(value)

    def _clear(self) -> None:
        self.errors.clear()
        self._event = 0
        for register in self.status.values():
            register.event = 0

    def _preset(self) -> None:
        for register in self.status.values():
            register.enable = 0

    def _all_errors(self) -> str:
        entries = [self.error_text(self.errors.pop()) for _ in range(len(self.errors))]
        return ",".join(entries) or self.no_error


def is_name(text: str, *options: str) -> bool:
    """Return whether `text` spells one of several mnemonics."""
    return any(spelled(text, option) for option in options)
