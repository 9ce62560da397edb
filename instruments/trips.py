"""Readings that end a run, besides those of a source at its limit (`ComplianceError`)."""

from __future__ import annotations

from hilep.instruments.errors import InstrumentError


class OverRangeError(InstrumentError):
    """A reading is missing, over-range or called wrong by its instrument; it was not used.

    Attributes:
        node: the node or channel.
        limit: the reader's range, volts.
    """

    def __init__(self, node: str, limit: float, status: str, *, instrument: str = "") -> None:
        super().__init__(
            f"{node}: no good reading on the range of {limit:g} V ({status}); it was not used",
            instrument=instrument,
        )
        self.node = node
        self.limit = limit


class InterlockError(InstrumentError):
    """A node is beyond the interlock's limit; the outputs were switched off.

    Attributes:
        node: its name.
        limit: `interlock.max_node_v`, volts.
        reading: the largest reading, volts.
    """

    def __init__(self, node: str, limit: float, reading: float) -> None:
        super().__init__(
            f"{node} read {reading:.6g} V, beyond interlock.max_node_v = {limit:g} V; the outputs "
            "were switched off and the reading was not used"
        )
        self.node = node
        self.limit = limit
        self.reading = reading


class NotArmedError(InstrumentError):
    """Outputs were asked for without a passing `hilep bench check` of this very file."""

    exit_status = 2


class SupervisorError(InstrumentError):
    """The process that switches off after a crash is not there, so outputs stay off."""
