"""The file of a recorded bench session: one JSON object per line, appended as it happens.

Every prefix of the file can be read: a last line that was cut off is ignored. A part begins with a
head, which holds the bench file; then comes a line for each message::

    {"hilep": "recording", "version": 1, "file": "bench.toml", "sha256": ..., "text": ..., ...}
    {"t": 0.105, "instrument": "smu1", "n": 1, "did": "open"}
    {"t": 0.106, "instrument": "smu1", "n": 2, "did": "write", "text": "*IDN?"}

`t` are seconds on a monotonic clock since the head, `n` counts the messages of one instrument. The
bytes are `text` where they are printable ASCII or tabs, else `base64`; line ends of the bus are not
among them. What NI's driver is asked and answers is `json`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from hilep.errors import BadInputError

VERSION = 1


class RecordingError(BadInputError):
    """A file is no recording, is damaged, or belongs to another bench file."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of one instrument.

    Attributes:
        instrument: its name in the bench file.
        number: from 1 on, for this instrument.
        did: "open", "write", "read", "clear", "close", "ask", "answer" or "failed".
        content: bytes that went over the line.
        fields: what was called or answered, or how it failed, as plain JSON values.
        time_s: since the head, on a monotonic clock.
    """

    instrument: str
    number: int
    did: str
    content: bytes = b""
    fields: dict[str, Any] = field(default_factory=dict)
    time_s: float = 0.0

    def line(self) -> bytes:
        """Return the line of the file, with its end."""
        found: dict[str, Any] = {
            "t": round(self.time_s, 6),
            "instrument": self.instrument,
            "n": self.number,
            "did": self.did,
        }
        if self.content.isascii() and self.content.replace(b"\t", b"").decode().isprintable():
            if self.content or self.did in ("write", "read"):
                found["text"] = self.content.decode("ascii")
        else:
            found["base64"] = base64.b64encode(self.content).decode("ascii")
        if self.fields:
            found["json"] = self.fields
        return json.dumps(found).encode("ascii") + b"\n"

    @classmethod
    def of(cls, found: dict[str, Any]) -> Message:
        """Return the message of a line. Raises KeyError, TypeError or ValueError."""
        content = found.get("text", "").encode("ascii")
        if "base64" in found:
            content = base64.b64decode(found["base64"], validate=True)
        return cls(
            str(found["instrument"]),
            int(found["n"]),
            str(found["did"]),
            content,
            dict(found.get("json", {})),
            float(found["t"]),
        )

    def said(self) -> str:
        """Return what went over the line, as one line of text that two messages compare by."""
        shown = repr(self.content.decode("latin-1")) if self.did in ("write", "read") else ""
        calls = json.dumps(self.fields, sort_keys=True) if self.fields else ""
        return " ".join(part for part in (self.did, shown, calls) if part)


@dataclass(frozen=True, slots=True)
class Head:
    """How a part of a recording begins.

    Attributes:
        file: name of the bench file.
        sha256: of the bench file's bytes.
        text: of the bench file.
        resources: what was opened for each instrument.
        taken_s: seconds since the epoch.
    """

    file: str
    sha256: str
    text: str
    resources: dict[str, str]
    taken_s: float

    def line(self) -> bytes:
        """Return the line of the file, with its end."""
        found = {
            "hilep": "recording",
            "version": VERSION,
            "file": self.file,
            "sha256": self.sha256,
            "taken_s": self.taken_s,
            "resources": self.resources,
            "text": self.text,
        }
        return json.dumps(found).encode("ascii") + b"\n"
