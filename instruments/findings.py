"""What a check of a bench finds: one line each, as a table and as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from rich.table import Table

Verdict: TypeAlias = Literal["ok", "note", "failed"]
"""A note is something to know that stands in nobody's way."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check.

    Attributes:
        test: what was tested: "identity", "limits", "channel", "cells", "wiring" or "knee".
        subject: which instrument, channel, line or node.
        verdict: what came out.
        text: the same in words.
        values: what was measured, as plain JSON values in SI units.
    """

    test: str
    subject: str
    verdict: Verdict
    text: str
    values: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return the finding as plain JSON values."""
        return {
            "test": self.test,
            "subject": self.subject,
            "verdict": self.verdict,
            "text": self.text,
            **self.values,
        }


def passed(findings: Iterable[Finding]) -> bool:
    """Return whether nothing failed."""
    return all(finding.verdict != "failed" for finding in findings)


def show(findings: Iterable[Finding]) -> None:
    """Print the findings as a table on standard error."""
    from rich.console import Console

    Console(stderr=True, markup=False, highlight=False).print(table_of(findings))


def table_of(findings: Iterable[Finding]) -> Table:
    """Return the findings as a table, which a notebook shows as it is."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in ("test", "what", "result", "found"):
        table.add_column(column, overflow="fold")
    styles = {"ok": "green", "note": "yellow", "failed": "bold red"}
    for one in findings:
        # Words from an instrument are no markup.
        cells = (Text(word) for word in (one.test, one.subject, one.verdict, one.text))
        table.add_row(*cells, style=styles[one.verdict])
    return table
