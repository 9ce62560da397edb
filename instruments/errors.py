"""What goes wrong at an instrument, as one tree under `hilep.errors.HilepError`."""

from __future__ import annotations

from hilep.errors import BadInputError, HilepError


class InstrumentError(HilepError):
    """An instrument reported an error, or could not be spoken to.

    Attributes:
        code: the instrument's own error number, or None where the error is not from its queue.
        message: the instrument's own words, or what was seen instead.
        command: the message after which it happened, "" where there is none.
        instrument: name and resource of the instrument, "" where unknown.
    """

    def __init__(
        self, message: str, *, instrument: str = "", command: str = "", code: int | None = None
    ) -> None:
        parts = [f"{instrument}: " if instrument else ""]
        parts.append(message if code is None else f"error {code}, {message}")
        if command:
            shown = command if len(command) <= 120 else f"{command[:117]}..."
            parts.append(f" (after {shown!r})")
        super().__init__("".join(parts))
        self.code = code
        self.message = message
        self.command = command
        self.instrument = instrument


class NotAnswering(InstrumentError):  # noqa: N818 - read as a sentence in an except clause
    """No answer within the time-out, or the connection is gone; the session is now poisoned."""


class InUseError(InstrumentError):
    """Another run has the instrument; nothing was sent to it."""


class GarbledAnswerError(InstrumentError):
    """An answer has the wrong count, is truncated or is no number; the session is now poisoned."""


class StateUnknownError(InstrumentError):
    """The session is not started, or is poisoned and its outputs could not be read back."""


class IdentityError(InstrumentError, BadInputError):
    """`*IDN?` names another instrument than the one that was asked for."""

    exit_status = BadInputError.exit_status


class RangeLimitError(BadInputError):
    """A value lies beyond a range or limit, below the resolution, or is not a number.

    It is raised before anything is sent.
    """


class ComplianceError(InstrumentError):
    """A source met its limit, so a reading is not what was asked for.

    Attributes:
        node: the channel or node.
        limit: the limit that was met, volts or amperes.
        reading: what was read at the limit, in the same unit.
        unit: "V" or "A".
    """

    def __init__(
        self, node: str, limit: float, reading: float, unit: str, *, instrument: str = ""
    ) -> None:
        super().__init__(
            f"{node} is at its limit of {limit:.6g} {unit} (read {reading:.6g} {unit}); "
            "the reading was not used",
            instrument=instrument,
        )
        self.node = node
        self.limit = limit
        self.reading = reading
        self.unit = unit
