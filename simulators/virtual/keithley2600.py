"""The Keithley 2600B System SourceMeter: TSP, which is Lua with the instrument in it.

After "Series 2600B System SourceMeter Instrument Reference Manual", 2600BS-901-01 Rev. F: sections
"TSP command reference", "Introduction to TSP operation" and the error summary list. Every line is
one chunk; `loadscript` to `endscript` makes a script of many. Lua is 5.1, the instrument's 5.0.
Overlapped measurements are done when the command returns. The trigger model, sweeps, TSP-Link,
digital lines and the status model beyond the error queue are not there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from hilep.errors import BadInputError
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.formats import indefinite_block, packed
from hilep.simulators.virtual.keithley2600_smu import AMPS, AREAS, VOLTS, Smu
from hilep.simulators.virtual.source_channel import SourceChannel
from hilep.simulators.virtual.tsp_interpreter import Interpreter
from hilep.simulators.virtual.tsp_node import Node
from hilep.simulators.virtual.world import World

_SEVERE, _QUEUE_LENGTH = 20, 100


class Keithley2600:
    """A 2602B with smua and, at a second terminal, smub.

    Args:
        world: what it is wired to.
        terminals: of smua and smub.
        clock: the time that passes while it measures.
        generator: draws the noise of its readings.
        volts: the voltmeters; their ranges are the sources' too.
        amps: the ammeters.
        line_hz: mains frequency.
        model: what `localnode.model` and *IDN? say.
        areas: (volts, amperes) of which one has to hold level and limit.

    Raises:
        MissingExtraError: without lupa.
    """

    max_clients = 1
    firmware: ClassVar[str] = "3.4.0"

    def __init__(
        self,
        world: World,
        terminals: Sequence[str],
        clock: Clock,
        generator: np.random.Generator,
        *,
        volts: Converter = VOLTS,
        amps: Converter = AMPS,
        line_hz: float = 50.0,
        model: str = "2602B",
        serial: str = "4000001",
        areas: tuple[tuple[float, float], ...] = AREAS,
    ) -> None:
        if len(terminals) not in (1, 2):
            raise BadInputError(f"terminals: expected one or two, got {len(terminals)}")
        self.clock, self.model, self.serial, self.line_hz = clock, model, serial, line_hz
        self.errors: deque[tuple[int, str]] = deque()
        self.smus = [
            Smu(
                f"smu{letter}",
                SourceChannel(world, terminal, clock, generator, volts, amps, line_hz, 1 / 50_000),
                self.note,
                areas,
            )
            for letter, terminal in zip("ab", terminals, strict=False)
        ]
        self._output: list[bytes] = []
        self._script: tuple[str, list[str]] | None = None
        self._timer_zero = 0.0
        self._interpreter = Interpreter()
        self._provide(self._interpreter)
        self._reset()

    @property
    def identity(self) -> str:
        """The answer to *IDN?."""
        return f"Keithley Instruments Inc., Model {self.model}, {self.serial}, {self.firmware}"

    def answer(self, message: str) -> bytes:
        """Run a line and return everything that it printed."""
        line = message.strip()
        if self._script is not None:
            self._continue_script(line)
        elif line.startswith("*"):
            for command in line.split(";"):
                self._common(command.strip().lower())
        elif line.split(" ")[0] in ("loadscript", "loadandrunscript"):
            self._script = line, []
        elif line != "abort":
            self._run(line)
        printed, self._output = b"".join(self._output), []
        return printed

    def overrun(self) -> None:
        """Note -363."""
        self.note(-363, "Input buffer overrun")

    def note(self, code: int, text: str) -> None:
        """Put an error into the queue; the last place of a full one says so."""
        if len(self.errors) >= _QUEUE_LENGTH:
            self.errors[-1] = (-350, "Queue overflow")
        else:
            self.errors.append((code, text))

    def _run(self, chunk: str) -> None:
        for code, text in self._interpreter.run(chunk):
            self.note(code, text)

    def _continue_script(self, line: str) -> None:
        assert self._script is not None
        head, lines = self._script
        if line != "endscript":
            lines.append(line)
            return
        self._script = None
        command, _, name = head.partition(" ")
        body = "\n".join(lines)
        if name.strip():
            self._run(f"{name.strip()} = setmetatable({{run = function()\n{body}\nend}}, "
                      "{__call = function(script) return script.run() end})")  # fmt: skip
        if command == "loadandrunscript" or not name.strip():
            self._run(body)

    def _common(self, command: str) -> None:
        answers = {"*idn?": self.identity, "*opc?": "1", "*tst?": "0", "*esr?": "0", "*stb?": "0"}
        if command in answers:
            self._output.append(answers[command].encode() + b"\n")
        elif command == "*rst":
            self._reset()
        elif command == "*cls":
            self.errors.clear()
        elif command not in ("*wai", "*opc", "*trg"):
            self.note(-285, f"TSP Syntax error at line 1: unexpected symbol near `{command}'")

    def _reset(self) -> None:
        for smu in self.smus:
            smu.reset()
        self.format.values.update(data=1.0, asciiprecision=6.0, byteorder=1.0)

    def _provide(self, interpreter: Interpreter) -> None:
        """Put the instrument into the interpreter."""
        self.format = Node("format", data=1.0, asciiprecision=6.0, byteorder=1.0)
        self.format.constants.update(
            ASCII=1.0, SREAL=2.0, REAL32=2.0, REAL=3.0, REAL64=3.0, DREAL=3.0,
            NORMAL=0.0, BIGENDIAN=0.0, NETWORK=0.0, SWAPPED=1.0, LITTLEENDIAN=1.0,
        )  # fmt: skip
        interpreter.provide("format", self.format)
        for smu in self.smus:
            interpreter.provide(smu.name, smu)
        interpreter.provide("print", self._print)
        interpreter.provide("printnumber", lambda *given: self._print_line(", ", given))
        interpreter.provide("printbuffer", self._print_buffer)
        interpreter.provide("reset", self._reset)
        interpreter.provide("delay", self._delay)
        interpreter.provide("waitcomplete", lambda *given: None)
        interpreter.provide("opc", lambda *given: None)
        queue = Node("errorqueue")
        queue.computed["count"] = lambda: float(len(self.errors))
        queue.constants.update(next=self._next_error, clear=self.errors.clear)
        interpreter.provide("errorqueue", queue)
        timer = Node("timer")
        timer.constants["reset"] = self._zero_timer
        measure = Node("timer.measure")
        measure.constants["t"] = lambda: self.clock.now() - self._timer_zero
        timer.constants["measure"] = measure
        interpreter.provide("timer", timer)
        here = Node("localnode", linefreq=self.line_hz, prompts=0.0, showerrors=0.0)
        here.values.update(autolinefreq=True, prompts4882=1.0, description="")
        here.constants.update(model=self.model, serialno=self.serial, version=self.firmware)
        interpreter.provide("localnode", here)
        for name in ("display", "beeper", "status", "eventlog", "lan", "digio", "trigger"):
            interpreter.provide(name, Node(name, permissive=True))

    def _number(self, value: float) -> str:
        return f"{value:.{int(self.format.values['asciiprecision']) - 1}e}"

    def _text(self, value: Any) -> str:
        if isinstance(value, bool) or value is None:
            return {True: "true", False: "false", None: "nil"}[value]
        return self._number(value) if isinstance(value, (int, float)) else str(value)

    def _print(self, *given: Any) -> None:
        self._print_line("\t", given)

    def _print_line(self, separator: str, given: Sequence[Any]) -> None:
        self._output.append(separator.join(map(self._text, given)).encode() + b"\n")

    def _print_buffer(self, first: float, last: float, *given: Any) -> None:
        """Print elements of buffers or tables, those of one reading together."""
        columns = []
        for one in given:
            values = one.get("readings") if isinstance(one, Node) else list(one.values())
            columns.append(values)
        start, end = max(1, int(first)), min(int(last), min(map(len, columns), default=0))
        values = [column[k] for k in range(start - 1, end) for column in columns]
        kind = int(self.format.values["data"])
        if kind == 1:
            self._output.append(", ".join(map(self._text, values)).encode() + b"\n")
            return
        swapped = self.format.values["byteorder"] == 1.0
        data = packed([float(v) for v in values], 32 if kind == 2 else 64, swapped)
        self._output.append(indefinite_block(data) + b"\n")

    def _next_error(self) -> tuple[Any, ...]:
        if not self.errors:
            return 0.0, "Queue Is Empty", 0.0, 1.0
        code, text = self.errors.popleft()
        return float(code), text, float(_SEVERE), 1.0

    def _delay(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def _zero_timer(self, *given: Any) -> None:
        self._timer_zero = self.clock.now()
