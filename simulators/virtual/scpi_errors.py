"""SCPI's error numbers, their texts, and the queue that holds them.

After "Standard Commands for Programmable Instruments", 1999, volume 2, section 21.8
(":SYSTem:ERRor"), and IEEE 488.2-1992, section 11.5.1 ("Standard event status register").
"""

from __future__ import annotations

from collections import deque

MESSAGES = {
    0: "No error",
    -100: "Command error",
    -101: "Invalid character",
    -102: "Syntax error",
    -103: "Invalid separator",
    -104: "Data type error",
    -105: "GET not allowed",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -110: "Command header error",
    -111: "Header separator error",
    -112: "Program mnemonic too long",
    -113: "Undefined header",
    -114: "Header suffix out of range",
    -120: "Numeric data error",
    -121: "Invalid character in number",
    -123: "Exponent too large",
    -124: "Too many digits",
    -128: "Numeric data not allowed",
    -130: "Suffix error",
    -131: "Invalid suffix",
    -134: "Suffix too long",
    -138: "Suffix not allowed",
    -140: "Character data error",
    -141: "Invalid character data",
    -144: "Character data too long",
    -148: "Character data not allowed",
    -150: "String data error",
    -151: "Invalid string data",
    -154: "String too long",
    -158: "String data not allowed",
    -160: "Block data error",
    -161: "Invalid block data",
    -168: "Block data not allowed",
    -170: "Expression error",
    -171: "Invalid expression",
    -178: "Expression data not allowed",
    -200: "Execution error",
    -210: "Trigger error",
    -211: "Trigger ignored",
    -212: "Arm ignored",
    -213: "Init ignored",
    -214: "Trigger deadlock",
    -215: "Arm deadlock",
    -220: "Parameter error",
    -221: "Settings conflict",
    -222: "Parameter data out of range",
    -223: "Too much data",
    -224: "Illegal parameter value",
    -230: "Data corrupt or stale",
    -240: "Hardware error",
    -241: "Hardware missing",
    -285: "Program syntax error",
    -286: "Program runtime error",
    -310: "System error",
    -311: "Memory error",
    -330: "Self-test failed",
    -350: "Queue overflow",
    -363: "Input buffer overrun",
    -400: "Query error",
    -410: "Query INTERRUPTED",
    -420: "Query UNTERMINATED",
    -430: "Query DEADLOCKED",
    -440: "Query UNTERMINATED after indefinite response",
}
COMMAND_ERROR, EXECUTION_ERROR, DEVICE_ERROR, QUERY_ERROR = 32, 16, 8, 4
"""Bits of the standard event status register."""


class ScpiError(Exception):
    """An error that goes into the instrument's queue.

    Args:
        code: negative numbers are SCPI's, positive ones the maker's.
        text: None for SCPI's own.
    """

    def __init__(self, code: int, text: str | None = None) -> None:
        self.code = code
        self.text = MESSAGES[code] if text is None else text
        super().__init__(f"{code}, {self.text}")

    @property
    def event(self) -> int:
        """The bit that it sets in the standard event status register."""
        classes = {1: COMMAND_ERROR, 2: EXECUTION_ERROR, 3: DEVICE_ERROR, 4: QUERY_ERROR}
        return classes.get(-self.code // 100, DEVICE_ERROR) if self.code < 0 else DEVICE_ERROR


class ErrorQueue:
    """First in, first out; when it is full the last entry becomes -350.

    Args:
        length: how many entries the instrument holds.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._entries: deque[ScpiError] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def push(self, error: ScpiError) -> None:
        """Add an entry."""
        if len(self._entries) < self._length:
            self._entries.append(error)
        else:
            self._entries[-1] = ScpiError(-350)

    def pop(self) -> ScpiError:
        """Remove and return the oldest entry, or 0, "No error"."""
        return self._entries.popleft() if self._entries else ScpiError(0)

    def clear(self) -> None:
        """Forget every entry."""
        self._entries.clear()
