"""A line server on loopback that answers as a script says, and two readers to speak to it.

The answers follow the manuals' examples; the faults are what a script puts in their place.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

Answer = str | bytes | None
Script = Callable[[str], Answer]


class LineServer:
    """Answers one client at a time, a line for a line; bytes are sent as they are.

    `heard` holds every line. `replace(pattern, answer)` puts an answer, or silence, in the place of
    the script's for the next line that `pattern` matches; a number before it waits as many seconds.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.heard: list[str] = []
        self._faults: list[tuple[re.Pattern[str], Answer, float]] = []
        self._end = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.01)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def resource(self) -> str:
        return f"TCPIP0::127.0.0.1::{self._socket.getsockname()[1]}::SOCKET"

    def replace(self, pattern: str, answer: Answer, after_s: float = 0.0) -> None:
        self._faults.append((re.compile(pattern), answer, after_s))

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._end.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._socket.accept()
                with client, contextlib.suppress(OSError):
                    self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        client.settimeout(0.01)
        text = b""
        while not self._end.is_set():
            try:
                piece = client.recv(65536)
            except TimeoutError:
                continue
            if not piece:
                return
            *lines, text = (text + piece).split(b"\n")
            for line in lines:
                answer = self._answer(line.decode().strip())
                if answer is not None:
                    client.sendall(answer)

    def _answer(self, line: str) -> bytes | None:
        self.heard.append(line)
        answer = self.script(line)
        for fault in self._faults:
            if fault[0].search(line):
                self._faults.remove(fault)
                answer = fault[1]
                self._end.wait(fault[2])
                break
        if isinstance(answer, str):
            answer = answer.encode() + b"\n"
        return answer


@contextlib.contextmanager
def serving(script: Script) -> Iterator[LineServer]:
    server = LineServer(script)
    try:
        yield server
    finally:
        server.close()


def volts_of(sweep: int, channel: str) -> float:
    """A voltage that is another for every sweep and channel."""
    return int(channel) / 1000 + sweep * 1e-6


class Reader:
    """What both readers' scripts share: scan list, range, aperture, relays and errors."""

    def __init__(self) -> None:
        self.channels: list[str] = []
        self.kept: dict[str, str] = {}
        self.closed: set[str] = set()
        self.sweeps = 1
        self.errors: list[str] = []

    def __call__(self, line: str) -> str | None:
        answers = [self.part(part.strip()) for part in re.split(r";(?=[:*])", line)]
        given = [answer for answer in answers if answer is not None]
        return ";".join(given) if given else None

    def part(self, text: str) -> str | None:
        listed = re.search(r"\(@([\d,]+)\)", text)
        channels = listed.group(1).split(",") if listed else []
        head = text.split()[0] if text else ""
        if head == ":SYST:ERR?":
            return self.errors.pop(0) if self.errors else '+0,"No error"'
        value = self.kept.get(head[:-1], "0" if head.endswith(":AUTO?") else None)
        if head.endswith("?") and value is not None:
            return ",".join([value] * max(1, len(channels)))
        if head in {":ROUT:CLOS", ":ROUT:MULT:CLOS"}:
            self.closed |= set(channels)
        elif head in {":ROUT:OPEN", ":ROUT:MULT:OPEN"}:
            self.closed -= set(channels)
        elif head in {":SYST:CPON", ":ROUT:OPEN:ALL"}:
            self.closed.clear()
        elif head in {":ROUT:SCAN", ":ROUT:SCAN:CRE"}:
            self.channels = channels
        elif head in {":TRIG:COUN", ":ROUT:SCAN:COUN:SCAN"}:
            self.sweeps = int(text.split()[1])
        elif head in {":DIAG:REL:CYCL?", ":ROUT:CLOS:COUN?"}:
            return ",".join(f"+{1000 + int(channel)}" for channel in channels)
        else:
            if " " in text and not head.endswith("?"):
                value = text.split()[1].split(",")[0]
                self.kept[head] = {"ON": "1", "OFF": "0"}.get(value, value)
            return self.own(head, text, channels)
        return None

    def own(self, head: str, text: str, channels: list[str]) -> str | None:
        raise NotImplementedError

    def readings(self, order: list[str], form: str, count: int | None = None) -> str:
        rows = [
            form.format(volts=volts_of(sweep, one), time=(sweep * len(order) + k) / 50, channel=one)
            for sweep in range(self.sweeps)
            for k, one in enumerate(order)
        ]
        return ",".join(rows[:count])


class Keithley(Reader):
    """A DAQ6510: sweeps in the order of the list."""

    def own(self, head: str, text: str, channels: list[str]) -> str | None:
        if head == "*IDN?":
            return "KEITHLEY INSTRUMENTS,MODEL DAQ6510,04340543,1.7.5b"
        if head == "*LANG?":
            return "SCPI"
        if head == ":ROUT:TERM?":
            return "REAR"
        if head == ":ROUT:SCAN:CRE?":
            return f"(@{','.join(self.channels)})"
        if head == ":ROUT:MULT:CLOS?":
            return f"(@{','.join(sorted(self.closed))})"
        if head == ":TRAC:DATA?":
            count = int(text.split(",")[1])
            return self.readings(self.channels, "{volts:+.16E},{time:.9f},0,{channel}", count)
        return ",".join(["1"] * len(channels)) if head.endswith("?") else None


class Keysight(Reader):
    """A 34970A: sweeps in rising order."""

    def own(self, head: str, text: str, channels: list[str]) -> str | None:
        if head == "*IDN?":
            return "HEWLETT-PACKARD,34970A,0,13-2-2"
        if head == ":ROUT:SCAN?":
            return f"#3{4 * len(self.channels) + 2:03d}(@{','.join(self.channels)})"
        if head == ":ROUT:CLOS?":
            return ",".join(str(int(channel in self.closed)) for channel in channels)
        if head == ":FETC?":
            return self.readings(sorted(self.channels), "{volts:+.8E},{time:012.3f},{channel}")
        return ",".join(["1"] * len(channels)) if head.endswith("?") else None
