"""What failed at a line, as JSON in a recording, and raised again in a replay."""

from __future__ import annotations

import base64
from typing import Any


def failure_of(error: BaseException) -> dict[str, Any]:
    """Return `error` as plain JSON values."""
    found: dict[str, Any] = {"kind": "other", "words": str(error)}
    module = type(error).__module__.partition(".")[0]
    if isinstance(error, UnicodeDecodeError):
        content = base64.b64encode(error.object).decode("ascii")
        found = {"kind": "not text", "words": error.reason, "base64": content}
        found |= {"encoding": error.encoding, "start": error.start, "end": error.end}
    elif module == "pyvisa":
        code = getattr(error, "error_code", None)
        found |= {"kind": "visa", "code": None if code is None else int(code)}
    elif module == "nidaqmx":
        found["kind"], found["class"] = "nidaqmx", type(error).__name__
        code = getattr(error, "error_code", None)
        found["code"] = None if code is None else int(code)
        for name in ("samps_per_chan_read", "samps_per_chan_written"):
            if hasattr(error, name):
                found["samples"] = int(getattr(error, name))
    elif isinstance(error, OSError):
        found |= {"kind": "connection", "code": error.errno}
    elif isinstance(error, (ValueError, AttributeError)):
        found["kind"] = "value"
    elif not isinstance(error, Exception):
        found["kind"] = "interrupted"
    return found


def raised(found: dict[str, Any]) -> BaseException:
    """Return the error that `failure_of` was given, to raise it."""
    kind, words, code = found.get("kind"), str(found.get("words", "")), found.get("code")
    if kind == "not text":
        content = base64.b64decode(found["base64"])
        return UnicodeDecodeError(found["encoding"], content, found["start"], found["end"], words)
    if kind == "visa":
        import pyvisa

        if code is not None:
            return pyvisa.errors.VisaIOError(code)
        return pyvisa.errors.Error(words)
    if kind == "nidaqmx":
        import nidaqmx.errors

        made = getattr(nidaqmx.errors, found["class"])
        if code is None:
            return made(words)  # type: ignore[no-any-return]
        counts = [found["samples"]] if "samples" in found else []
        return made(words, code, *counts)  # type: ignore[no-any-return]
    if kind == "connection":
        return OSError(words) if code is None else _os_error(code, words)
    if kind == "interrupted":
        return KeyboardInterrupt()
    return ValueError(words) if kind == "value" else RuntimeError(words)


def _os_error(code: int, words: str) -> OSError:
    return OSError(code, words.removeprefix(f"[Errno {code}] "))
