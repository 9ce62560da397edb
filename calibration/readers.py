"""One instrument that reads voltages, by its driver's name and nothing else.

A driver is an entry point of the group `hilep.drivers`: a class that is built as
`driver(resource, name, expect=..., timeout_s=..., line_hz=...)`. What is used of it here is
`start`, `configure`, `acquire` and `shutdown`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import BadInputError

GROUP = "hilep.drivers"


class Acquired(Protocol):
    """What an instrument brings back: volts, seconds and status, each (samples, channels)."""

    volts: Doubles
    time_s: Doubles
    status: NDArray[np.uint8]


class Voltmeter(Protocol):
    """What is used of a driver that reads."""

    def start(self) -> Any:
        """Identify the instrument and bring it into a known state."""

    def configure(self, channels: Sequence[str], range_v: float, **options: Any) -> None:
        """Set up for channels and a fixed range, volts."""

    def acquire(self, samples: int) -> Acquired:
        """Read every channel `samples` times."""

    def shutdown(self) -> None:
        """Leave the instrument safe, and close."""


@dataclass(frozen=True, slots=True)
class ChannelReads:
    """Reads of some channels.

    Attributes:
        volts: (reads, channels), NaN where there is no good one.
        status: bits of `hilep.reading.Reading.status` (reads, channels).
        interval_s: seconds from one read of a channel to its next, median; None for one read.
    """

    volts: Doubles
    status: NDArray[np.uint8]
    interval_s: float | None


@contextmanager
def voltmeter(driver: str, resource: str, **keywords: Any) -> Iterator[Voltmeter]:
    """Start the instrument at `resource`; it is left safe and closed again, whatever happens.

    Args:
        driver: its name in the group `hilep.drivers`.
        resource: where the instrument is, such as "GPIB0::24::INSTR".
        keywords: of the driver, such as `expect` or `line_hz`.

    Raises:
        BadInputError: no such driver, one that does not read channels, or one that cannot be
            loaded or takes no such keyword.
        HilepError: whatever the instrument has to say.
    """
    found = entry_points(group=GROUP)
    entries = list(found.select(name=driver))
    if not entries:
        known = ", ".join(sorted(found.names)) or "none, as none is installed"
        raise BadInputError(f"--driver: unknown name {driver!r}, expected one of {known}")
    try:
        kind = entries[0].load()
    except (ImportError, AttributeError) as error:
        raise BadInputError(f"--driver: {driver!r} cannot be loaded: {error}") from error
    if not _reads_channels(kind):
        raise BadInputError(f"--driver: {driver!r} does not read channels, expected a voltmeter's")
    try:
        instrument: Voltmeter = kind(resource, driver, **keywords)
    except TypeError as error:
        raise BadInputError(f"--driver: {driver!r}: {error}") from error
    try:
        instrument.start()
        yield instrument
    finally:
        instrument.shutdown()


def _reads_channels(kind: Any) -> bool:
    """Return whether a driver has a reader's `configure`, which a source does not."""
    if not (hasattr(kind, "configure") and hasattr(kind, "acquire")):
        return False
    return {"channels", "range_v"} <= set(inspect.signature(kind.configure).parameters)


def channel_reads(
    meter: Voltmeter, channels: Sequence[str], range_v: float, reads: int, **options: Any
) -> ChannelReads:
    """Return reads of channels, all at one setting.

    Args:
        meter: started.
        channels: by the names that the driver gives them.
        range_v: volts that the reads must fit.
        reads: of each channel.
        options: of the driver's `configure`, such as `nplc`.

    Raises:
        BadInputError: for an option that the driver does not have.
        HilepError: whatever the instrument has to say.
    """
    try:
        meter.configure(list(channels), range_v, **options)
    except TypeError as error:
        raise BadInputError(f"this driver takes no such setting: {error}") from error
    got = meter.acquire(reads)
    interval = None
    if reads > 1:
        median = float(np.median(np.diff(got.time_s, axis=0)))
        interval = median if np.isfinite(median) and median > 0 else None
    return ChannelReads(got.volts, got.status, interval)
