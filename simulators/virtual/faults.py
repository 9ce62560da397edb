"""Faults that a test puts between a virtual instrument and its client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one message.

    Attributes:
        kind: "lose": the instrument never sees the message. "drop": it acts, its answer is lost.
            "delay": the answer comes `seconds` late. "truncate": half of the answer, without its
            end. "cut": half of it, with its end. "garble": as many wrong bytes. "replace": `answer`
            instead. "close": the connection ends before the instrument acts. "hang up": it ends
            after the instrument acted.
        seconds: of delay, in real time.
        answer: the bytes of "replace".
    """

    kind: Literal[
        "lose", "drop", "delay", "truncate", "cut", "garble", "replace", "close", "hang up"
    ]
    seconds: float = 0.0
    answer: bytes = b""

    def spoil(self, answer: bytes) -> bytes:
        """Return what is sent in place of `answer`."""
        if self.kind == "drop":
            return b""
        if self.kind == "truncate":
            return answer[: len(answer) // 2]
        if self.kind == "cut":
            return answer[: len(answer) // 2] + b"\n" if answer else b""
        if self.kind == "garble":
            return bytes(0x80 | (byte ^ 0x55) for byte in answer.rstrip(b"\n")) + b"\n"
        return self.answer if self.kind == "replace" else answer


FaultHook: TypeAlias = Callable[[int, str], Fault | None]
"""Called with the number (from 0) and the text of every message; returns what goes wrong."""
