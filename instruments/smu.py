"""What a source-measure unit can do, what is asked of one, and the checks between the two.

Nothing here speaks to an instrument: every refusal comes before anything is sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from hilep.instruments.acquisition import Acquisition
from hilep.instruments.errors import RangeLimitError
from hilep.instruments.values import nearest_step

Quantity: TypeAlias = Literal["V", "A"]
"""What a channel sources: volts or amperes. Its limit is in the other."""

OTHER: Mapping[Quantity, Quantity] = {"V": "A", "A": "V"}


@dataclass(frozen=True, slots=True)
class Span:
    """A range: full scale and the step of its programming resolution, volts or amperes."""

    full: float
    step: float


@dataclass(frozen=True, slots=True)
class Capability:
    """What one model of SMU can do, from its specifications.

    Attributes:
        spans: the source ranges of each quantity, ascending.
        headroom: the largest level over its range, such as 1.05.
        envelope: (volts, amperes) of the quadrants' corners; one must hold level and limit.
        least_limit: the smallest limit over its range.
        nplc: least and most power line cycles of a reading.
        least_pulse_s: the shortest programming pulse.
    """

    spans: Mapping[Quantity, tuple[Span, ...]]
    headroom: float
    envelope: tuple[tuple[float, float], ...]
    least_limit: float
    nplc: tuple[float, float]
    least_pulse_s: float


@dataclass(frozen=True, slots=True)
class Setup:
    """How a channel is configured; its output is another matter.

    Attributes:
        quantity: "V" where it sources volts, "A" where amperes.
        source: the fixed source range.
        limit: the limit of the other quantity, positive.
        measure: the fixed range on which the other quantity is measured.
        nplc: power line cycles of a reading.
        four_wire: whether it senses at the device.
        headroom: the largest level over the source range.
    """

    quantity: Quantity
    source: Span
    limit: float
    measure: Span
    nplc: float
    four_wire: bool
    headroom: float


@runtime_checkable
class SourceMeasureUnit(Protocol):
    """The verbs that a bench uses, per instrument, so that all its channels share one message."""

    def apply(self, levels: Mapping[str, float]) -> Mapping[str, float]:
        """Set levels in one message; return the achieved ones."""

    def acquire(self, samples: int, channels: Sequence[str] | None = None) -> Acquisition:
        """Read `samples` of each channel in one query per buffer."""


def span_of(spans: Sequence[Span], full: float, what: str, unit: str) -> Span:
    """Return the range whose full scale is `full`.

    Raises:
        RangeLimitError: there is none; the message lists them.
    """
    for span in spans:
        if math.isclose(span.full, full, rel_tol=1e-9):
            return span
    offered = ", ".join(f"{span.full:g}" for span in spans)
    raise RangeLimitError(f"{what} is {full!r} {unit}, expected one of {offered} {unit}")


def span_holding(spans: Sequence[Span], limit: float, headroom: float) -> Span:
    """Return the smallest range that holds `limit`, or the largest of all."""
    return next((span for span in spans if limit <= span.full * headroom), spans[-1])


def checked_setup(
    can: Capability,
    quantity: Quantity,
    limit: float,
    source_range: float,
    measure_range: float | None,
    nplc: float,
    four_wire: bool,
    what: str,
) -> Setup:
    """Check a configuration against what the model can do.

    Args:
        can: the model.
        quantity: what is sourced.
        limit: of the other quantity, volts or amperes.
        source_range: full scale of the fixed source range.
        measure_range: full scale of the fixed measuring range; the smallest that holds `limit`
            where None, so that the limit is always met before the end of the range.
        nplc: power line cycles of a reading.
        four_wire: sense at the device.
        what: the channel, for errors.

    Raises:
        RangeLimitError: a value is not finite, zero, beyond the model or below its resolution.
    """
    unit, other = quantity, OTHER[quantity]
    source = span_of(can.spans[quantity], source_range, f"{what}: source range", unit)
    _finite(limit, f"{what}: limit", other)
    if limit <= 0:
        raise RangeLimitError(f"{what}: limit is {limit!r} {other}, expected more than 0")
    spans = can.spans[other]
    if measure_range is None:
        measure = span_holding(spans, limit, can.headroom)
    else:
        measure = span_of(spans, measure_range, f"{what}: measuring range", other)
    most, least = measure.full * can.headroom, max(measure.full * can.least_limit, measure.step)
    if not least <= limit <= most:
        raise RangeLimitError(
            f"{what}: limit is {limit!r} {other}, expected {least:.6g} to {most:.6g} {other} "
            f"on the {measure.full:g} {other} range"
        )
    _check_envelope(can, quantity, source, limit, what)
    if not can.nplc[0] <= nplc <= can.nplc[1]:
        raise RangeLimitError(f"{what}: nplc is {nplc!r}, expected {can.nplc[0]} to {can.nplc[1]}")
    return Setup(quantity, source, limit, measure, nplc, four_wire, can.headroom)


def achieved_level(setup: Setup, level: float, what: str) -> float:
    """Return the step of the source nearest to `level`, volts or amperes.

    A current may become zero: small nudges are what convergence looks like, and the achieved value
    says so. A voltage may not.

    Raises:
        RangeLimitError: `level` is not finite, beyond the range, or a voltage below its resolution.
    """
    _finite(level, f"{what}: level", setup.quantity)
    most = setup.source.full * setup.headroom
    if abs(level) > most:
        raise RangeLimitError(
            f"{what}: level is {level!r} {setup.quantity}, expected at most {most:.6g} "
            f"{setup.quantity} on the {setup.source.full:g} {setup.quantity} range"
        )
    achieved = nearest_step(level, setup.source.step)
    if setup.quantity == "V" and level != 0 and achieved == 0:
        raise RangeLimitError(
            f"{what}: level is {level!r} V, below the resolution of {setup.source.step:g} V "
            f"on the {setup.source.full:g} V range"
        )
    return achieved


def check_pulse(
    can: Capability, setup: Setup, volts: float, seconds: float, limit_a: float, what: str
) -> float:
    """Check a programming pulse; return the volts achieved.

    Raises:
        RangeLimitError: the channel sources current, or a value is out of its bounds.
    """
    if setup.quantity != "V":
        raise RangeLimitError(f"{what}: sources current, expected source_voltage before a pulse")
    _finite(seconds, f"{what}: pulse", "s")
    if not can.least_pulse_s <= seconds <= 10:
        raise RangeLimitError(
            f"{what}: pulse lasts {seconds!r} s, expected {can.least_pulse_s:g} to 10 s"
        )
    _finite(limit_a, f"{what}: limit of the pulse", "A")
    least = max(setup.measure.full * can.least_limit, setup.measure.step)
    most = setup.measure.full * setup.headroom
    if not least <= limit_a <= most:
        raise RangeLimitError(
            f"{what}: limit of the pulse is {limit_a!r} A, expected {least:.6g} to {most:.6g} A "
            f"on the {setup.measure.full:g} A range"
        )
    _check_envelope(can, "V", setup.source, limit_a, what)
    return achieved_level(setup, volts, what)


def acquisition_seconds(
    samples: int, conversions: int, nplc: float, line_hz: int, overhead_s: float
) -> float:
    """Return an upper bound of the time that `samples` of one channel take, seconds.

    `conversions` of `nplc` power line cycles make a sample; autozero needs more than one.
    """
    return samples * (conversions * nplc / line_hz + overhead_s)


def _check_envelope(
    can: Capability, quantity: Quantity, source: Span, limit: float, what: str
) -> None:
    level = source.full
    volts, amps = (level, limit) if quantity == "V" else (limit, level)
    if not any(volts <= v and amps <= a for v, a in can.envelope):
        corners = " or ".join(f"{v:g} V with {a:g} A" for v, a in can.envelope)
        raise RangeLimitError(f"{what}: {volts:g} V with {amps:g} A, expected at most {corners}")


def _finite(value: float, what: str, unit: str) -> None:
    if not math.isfinite(value):
        raise RangeLimitError(f"{what} is {value!r} {unit}, expected a finite number")
