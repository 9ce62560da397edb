"""N from sigma and the critical sigma, eq. (11), and what that N costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hilep.calibration.independence import Independence
from hilep.errors import BadInputError
from hilep.interleaving import turns

PHASES = 2
MOST_READS = 2**53


def reads_needed(sigma_high_v: float, critical_low_v: float) -> int:
    """Return the smallest N with sigma/sqrt(N) <= critical sigma, eq. (11).

    Args:
        sigma_high_v: the upper limit of sigma, volts: N planned from the estimate itself would be
            too small every second time.
        critical_low_v: the lower limit of the critical sigma, volts.

    Raises:
        BadInputError: unless both are finite and above 0 V, or where N would exceed 2^53.
    """
    for name, value in (("sigma", sigma_high_v), ("critical sigma", critical_low_v)):
        if not (math.isfinite(value) and value > 0):
            raise BadInputError(f"plan: expected {name} as a finite number above 0 V, got {value}")
    # An exact square such as (3e-6 / 1e-6)^2 must not become the next integer by rounding.
    wanted = (sigma_high_v / critical_low_v) ** 2 * (1 - 1e-12)
    if not wanted <= MOST_READS:
        raise BadInputError(
            f"plan: sigma of {sigma_high_v} V is too far above the critical {critical_low_v} V"
        )
    return max(1, math.ceil(wanted))


@dataclass(frozen=True, slots=True)
class Timing:
    """What one step of a bench takes and wears.

    Attributes:
        read_s: seconds for one read of all free nodes.
        settling_s: seconds after each clamp and each nudge.
        write_s: seconds to program the cells once.
        closures_per_scan: closures of the busiest relay for one read of all nodes; 0 without
            relays.
        scan_per_read: True where relays switch for every read, False where all reads of a channel
            between two changes of the nudge are taken before switching.
        pulses_per_update: programming pulses that one update gives a cell.
        rated_closures: closures that a relay is rated for.
        rated_pulses: pulses that a cell endures.
    """

    read_s: float
    settling_s: float = 0.0
    write_s: float = 0.0
    closures_per_scan: float = 0.0
    scan_per_read: bool = False
    pulses_per_update: float = 1.0
    rated_closures: float = math.inf
    rated_pulses: float = math.inf

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not value >= 0:
                raise BadInputError(f"plan: expected {name} >= 0, got {value}")


@dataclass(frozen=True, slots=True)
class ReadsPlan:
    """N, and what training with it costs.

    Attributes:
        reads: N of each phase.
        hours: of measuring, settling and writing.
        relay_closures: of the busiest channel.
        pulses: of each cell.
        refusals: one line for each reason not to start; empty where there is none.
    """

    reads: int
    hours: float
    relay_closures: float
    pulses: float
    refusals: tuple[str, ...]

    @property
    def feasible(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.refusals


def plan_reads(
    sigma_high_v: float,
    critical_low_v: float,
    updates: int,
    batch_size: int,
    timing: Timing,
    independence: Independence | None = None,
    interleave: int = 1,
) -> ReadsPlan:
    """Return N and its cost; what a bench cannot do is named, not trimmed.

    With k portions of each phase an image takes one clamp and k changes of the nudge, and as many
    settlings and scans: see `hilep.interleaving`.

    Args:
        sigma_high_v: the upper limit of sigma, volts.
        critical_low_v: the lower limit of the critical sigma, volts.
        updates: of the whole training.
        batch_size: images per update.
        timing: of the bench.
        independence: of its reads, where it was measured. N then has to satisfy the measured
            deviation of N-read means, where reads are known to be dependent.
        interleave: portions of each phase; where N is smaller the cost is that of N portions.

    Raises:
        BadInputError: for a sigma or a count that is not positive.
    """
    if updates < 1 or batch_size < 1:
        raise BadInputError(f"plan: expected updates and batch >= 1, got {updates}, {batch_size}")
    if interleave < 1:
        raise BadInputError(f"plan: expected interleave >= 1, got {interleave}")
    reads = reads_needed(sigma_high_v, critical_low_v)
    refusals: list[str] = []
    if independence is not None:
        reads, refusals = _dependent(reads, sigma_high_v, critical_low_v, independence)
    images = updates * batch_size
    turned = len(turns(reads, min(interleave, reads)))
    seconds = images * (turned * timing.settling_s + PHASES * reads * timing.read_s)
    seconds += updates * timing.write_s
    scans = PHASES * reads if timing.scan_per_read else turned
    closures = images * scans * timing.closures_per_scan
    pulses = updates * timing.pulses_per_update
    if closures > timing.rated_closures:
        refusals.append(
            f"{closures:.3g} closures of the busiest relay exceed its rated "
            f"{timing.rated_closures:.3g}"
        )
    if pulses > timing.rated_pulses:
        refusals.append(f"{pulses:.3g} pulses of a cell exceed its rated {timing.rated_pulses:.3g}")
    return ReadsPlan(reads, seconds / 3600, closures, pulses, tuple(refusals))


def _dependent(
    reads: int, sigma_high_v: float, critical_low_v: float, measured: Independence
) -> tuple[int, list[str]]:
    """Return N where reads are not independent, and what speaks against it."""
    # A single read is no mean: it has the sigma that was measured, whatever the next ones do.
    if reads == 1 or (measured.independent is True and reads <= measured.tested_reads):
        return reads, []
    if measured.independent is not False or measured.parts is None:
        return reads, [
            f"N = {reads} needs eq. (11) to hold up to there; the record shows it up to "
            f"{measured.tested_reads}: take a longer one"
        ]
    useful = measured.max_useful_reads
    # How far each node's means stay above sigma/sqrt(N); sigma's own upper limit still counts.
    for n in _growing(reads, useful):
        excess = max(
            float(part.sigma_of_mean_v(n) / part.sigma_of_mean_v(1)) for part in measured.parts
        )
        if sigma_high_v * excess <= critical_low_v:
            return n, []
    best = sigma_high_v * max(
        float(part.sigma_of_mean_v(max(useful, 1)) / part.sigma_of_mean_v(1))
        for part in measured.parts
    )
    return reads, [
        f"reads are not independent: N = {useful} is the last that helps and gives {best:.3g} V, "
        f"above the critical {critical_low_v:.3g} V"
    ]


def _growing(first: int, last: int) -> list[int]:
    """Return N from `first` to `last` in steps of about a hundredth."""
    out, n = [], first
    while n <= last:
        out.append(n)
        n = max(n + 1, math.ceil(n * 1.01))
    return out
