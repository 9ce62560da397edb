"""What SCPI source-measure units of one channel share: compound answers, levels, safe messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hilep.instruments.smu import Setup, acquisition_seconds
from hilep.instruments.sourcemeter import SourceMeter
from hilep.instruments.values import number

NODE = {"V": "VOLT", "A": "CURR"}
"""The SCPI node of a quantity."""


ENTRY = re.compile(r'\s*([+-]?\d+)\s*,\s*"(.*)')
"""An answer of the error queue, whichever spaces a firmware puts into it."""


class ScpiSourceMeter(SourceMeter):
    """A SourceMeter whose language is SCPI; several queries in a message are answered with ";"."""

    overhead_s = 0.02
    """Time per sample beyond its conversions, an upper bound."""

    def query_parts(self, text: str, count: int, timeout_s: float | None = None) -> list[str]:
        """Return the `count` answers to the queries of one message; the last is an error entry.

        Raises:
            GarbledAnswerError: there are fewer; the session is poisoned.
            InstrumentError: the error entry is one.
        """
        parts = self.query(text, timeout_s).split(";", count - 1)
        if len(parts) != count:
            # An instrument that refuses a query answers the others: its queue says why.
            self._raise_refusal(parts[-1], text)
            raise self.garbled(text, f"expected {count} answers, got {len(parts)}")
        entry = self.entry_in(parts[-1])
        if entry[0]:
            self.raise_entry(entry, text)
        return parts

    def answers_to(self, queries: Sequence[str]) -> list[str]:
        """Ask settings in one message, and why one was refused; return an answer each."""
        text = ";".join((*queries, self.error_query))
        return self.query_parts(text, len(queries) + 1)[:-1]

    def flag_in(self, answer: str, command: str) -> bool:
        """Return the truth of an answer of 0 or 1; else poison."""
        return bool(self.numbers_in(answer, 1, command)[0])

    def wait_s(self, samples: int, setups: Sequence[Setup], conversions: int) -> float:
        """Return the time-out of a read of `samples`, seconds."""
        slowest = max(setup.nplc for setup in setups)
        return self.session.timeout_s + acquisition_seconds(
            samples, conversions, slowest, self.line_hz, self.overhead_s
        )

    def settings_of(self, queries: Mapping[str, str]) -> dict[str, Any]:
        """Ask each query and return the answers by name."""
        return {name: self.query(query).strip() for name, query in queries.items()}

    def _raise_refusal(self, last: str, text: str) -> None:
        entry = ENTRY.match(last)
        if entry is not None and int(entry[1]):
            self.raise_entry((int(entry[1]), entry[2].rstrip().rstrip('"')), text)


class SingleChannelScpi(ScpiSourceMeter):
    """An SCPI SourceMeter with one channel, "a"."""

    channel_names = ("a",)
    off_states: ClassVar[tuple[str, ...]] = (":OUTP:SMOD HIMP",)
    """The messages that make an output that is off one of high impedance."""

    def off_messages(self) -> Sequence[str]:
        """Abort, output off, high impedance, output off."""
        return (":ABOR", ":OUTP OFF", *self.off_states, ":OUTP OFF")

    def read_outputs(self) -> dict[str, bool]:
        """Ask whether the output is on."""
        return {"a": self.flag_in(self.query(":OUTP?"), ":OUTP?")}

    def output_message(self, channel: str, on: bool) -> str:
        """Return the message that switches the output."""
        del channel
        return f":OUTP {'ON' if on else 'OFF'}"

    def level_message(self, levels: Mapping[str, float]) -> str:
        """Return the message that sets the level."""
        setup = self._configured("a")
        return f":SOUR:{NODE[setup.quantity]} {number(levels['a'])}"
