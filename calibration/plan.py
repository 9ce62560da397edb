"""A plan in plain words: N, what it costs where that is known, and what would change it most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hilep.calibration.independence import Independence
from hilep.calibration.levers import Lever
from hilep.calibration.reads import Timing, plan_reads
from hilep.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a training and its bench; None where it is not, and nothing is guessed.

    Attributes:
        updates: of the whole training.
        batch_size: images per update.
        interleave: portions of each phase, 1 where no training says otherwise.
        read_s: seconds for one read of all free nodes.
        settling_s: seconds after each clamp and each nudge.
        write_s: seconds to program the cells once.
        closures_per_scan: closures of the busiest relay for one read of all nodes.
        scan_per_read: see `hilep.calibration.reads.Timing`.
        pulses_per_update: programming pulses that one update gives a cell.
        rated_closures: closures that a relay is rated for.
        rated_pulses: pulses that a cell endures.
    """

    updates: int | None = None
    batch_size: int | None = None
    interleave: int = 1
    read_s: float | None = None
    settling_s: float | None = None
    write_s: float | None = None
    closures_per_scan: float | None = None
    scan_per_read: bool = False
    pulses_per_update: float | None = None
    rated_closures: float | None = None
    rated_pulses: float | None = None

    def missing(self, *names: str) -> list[str]:
        """Return which of these are not known."""
        return [name for name in names if getattr(self, name) is None]


TIMED = ("updates", "batch_size", "read_s", "settling_s", "write_s")
SWITCHED = ("updates", "batch_size", "closures_per_scan")
PULSED = ("updates", "pulses_per_update")


@dataclass(frozen=True, slots=True)
class Plan:
    """N and its costs.

    Attributes:
        reads: N of each phase.
        hours: of measuring, settling and writing; None where not all of it is known.
        relay_closures: of the busiest relay; None where they are not known.
        pulses: of each cell; None where they are not known.
        refusals: one line for each reason not to start.
        notes: one line for each thing that the plan takes for granted or could not say.
    """

    reads: int
    hours: float | None
    relay_closures: float | None
    pulses: float | None
    refusals: tuple[str, ...]
    notes: tuple[str, ...]


def plan(
    sigma_high_v: float,
    critical_low_v: float,
    known: Known,
    independence: Independence | None = None,
) -> Plan:
    """Return N from the upper limit of sigma and the lower limit of the critical one, and its cost.

    Args:
        sigma_high_v: volts.
        critical_low_v: volts.
        known: of training and bench.
        independence: of the reads, where it was measured.

    Raises:
        BadInputError: for a number that is negative or not a number, or a sigma that is not
            positive.
    """
    costs = plan_reads(
        sigma_high_v,
        critical_low_v,
        known.updates or 1,
        known.batch_size or 1,
        _timing(known),
        independence,
        known.interleave,
    )
    notes = []
    if known.interleave > costs.reads:
        notes.append(
            f"training.interleave = {known.interleave} is more than N = {costs.reads}: training "
            f"would refuse it, and the costs are those of {costs.reads}"
        )
    if independence is None:
        notes.append("eq. (11) is taken to hold: whether reads are independent was not measured")
    untimed, unswitched = known.missing(*TIMED), known.missing(*SWITCHED)
    unpulsed = known.missing(*PULSED)
    for what, lacking in (
        ("hours", untimed),
        ("relay closures", unswitched),
        ("pulses", unpulsed),
    ):
        if lacking:
            notes.append(f"{what}: not known without {', '.join(lacking)}")
    for what, rated, lacking in (
        ("rated_closures", known.rated_closures, unswitched),
        ("rated_pulses", known.rated_pulses, unpulsed),
    ):
        if rated is None and not lacking:
            notes.append(f"{what}: not given, so life was not compared with it")
    return Plan(
        reads=costs.reads,
        hours=None if untimed else costs.hours,
        relay_closures=None if unswitched else costs.relay_closures,
        pulses=None if unpulsed else costs.pulses,
        refusals=costs.refusals,
        notes=tuple(notes),
    )


def _timing(known: Known) -> Timing:
    """Return what a plan is computed from; what is not known is 0, and its cost not reported."""
    for name in ("rated_closures", "rated_pulses"):
        value = getattr(known, name)
        if value is not None and not value > 0:
            raise BadInputError(f"plan: expected {name} > 0, got {value}")
    for name in ("read_s", "settling_s", "write_s", "closures_per_scan", "pulses_per_update"):
        value = getattr(known, name)
        if value is not None and not math.isfinite(value):
            raise BadInputError(f"plan: expected {name} as a finite number, got {value}")
    return Timing(
        read_s=known.read_s or 0.0,
        settling_s=known.settling_s or 0.0,
        write_s=known.write_s or 0.0,
        closures_per_scan=known.closures_per_scan or 0.0,
        scan_per_read=known.scan_per_read,
        pulses_per_update=known.pulses_per_update or 0.0,
        rated_closures=math.inf if known.rated_closures is None else known.rated_closures,
        rated_pulses=math.inf if known.rated_pulses is None else known.rated_pulses,
    )


@dataclass(frozen=True, slots=True)
class PulledLever:
    """A lever and the plan with it.

    Attributes:
        lever: what is changed.
        reads: N with it; None where its factor is not known.
        hours: with it; None where they are not known.
        feasible: whether nothing would speak against that plan.
    """

    lever: Lever
    reads: int | None
    hours: float | None
    feasible: bool


def pulled(
    lever: Lever,
    before: Plan,
    sigma_high_v: float,
    critical_low_v: float,
    known: Known,
    independence: Independence | None = None,
) -> PulledLever:
    """Return what a lever makes of a plan.

    Raises:
        BadInputError: as `plan`.
    """
    if lever.noise_factor is None:
        return PulledLever(lever, None, None, False)
    if lever.reads_factor == 1:
        sigma = sigma_high_v * math.sqrt(lever.noise_factor)
        costs = plan(sigma, critical_low_v, known, independence)
        return PulledLever(lever, costs.reads, costs.hours, not costs.refusals)
    reads = math.ceil(before.reads * lever.reads_factor)
    seconds = None if known.read_s is None else known.read_s * lever.read_time_factor
    # sqrt(N) times the critical sigma asks for N reads: what N costs, whatever asked for it.
    sigma = critical_low_v * math.sqrt(reads)
    costs = plan(sigma, critical_low_v, replace(known, read_s=seconds))
    # More or longer reads do not make them independent.
    unrated = replace(known, rated_closures=None, rated_pulses=None)
    dependent = plan(sigma_high_v, critical_low_v, unrated, independence).refusals
    return PulledLever(lever, reads, costs.hours, not (costs.refusals or dependent))


def strongest(levers: Sequence[PulledLever]) -> PulledLever | None:
    """Return the lever that lowers noise over signal most, or None where none does."""
    lowering = [each for each in levers if (each.lever.noise_factor or 1.0) < 1]
    return min(lowering, key=lambda each: each.lever.noise_factor or 1.0, default=None)


def verdict(found: Plan, levers: Sequence[PulledLever]) -> str:
    """Return one or two sentences: whether the bench can, and what would change it most."""
    if found.refusals:
        text = f"cannot train this network on this bench as it is: {'; '.join(found.refusals)}"
        best = strongest([each for each in levers if each.feasible])
        if best is None:
            return f"{text}. No single lever changes that by a factor of two"
        return f"{text}. It could with {best.lever.change}: {_costs(best.reads, best.hours)}"
    text = f"this bench can train this network with {_costs(found.reads, found.hours)}"
    best = strongest(levers)
    if found.reads == 1 or best is None:
        return text
    return (
        f"{text}. Of the levers, {best.lever.name} changes most: {best.lever.change}, "
        f"{_costs(best.reads, best.hours)}"
    )


def _costs(reads: int | None, hours: float | None) -> str:
    words = f"N = {reads} {'read' if reads == 1 else 'reads'}"
    return words if hours is None else f"{words}, {duration(hours)}"


def duration(hours: float) -> str:
    """Return hours in words that a person plans with."""
    if hours >= 48:
        return f"{hours / 24:.3g} days"
    if hours >= 1:
        return f"{hours:.3g} h"
    if hours >= 1 / 60:
        return f"{hours * 60:.3g} min"
    return f"{hours * 3600:.3g} s"
