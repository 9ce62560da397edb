"""Settling of a device: step responses after clamp and nudge, the delay they ask for, its test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, checked_count
from hilep.calibration.delay import SettlingDelay, settling_delay, suffices
from hilep.calibration.jointsettling import joint_responses
from hilep.calibration.settling import StepResponse
from hilep.calibration.stepreads import StepReads, step_reads, worthwhile_delays
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError

FALSE_VERDICT = 0.05
"""Probability of either wrong verdict of `measure_suffices`, over all nodes together."""


@dataclass(frozen=True, slots=True)
class StepResponses:
    """How the free nodes settle after a step of the clamp and after one of the nudge.

    Attributes:
        steps: what each response is of, such as "nudge, node 3".
        nodes: the node of each response.
        responses: their fits. Times count to the begin of a read, and volts are means over its
            aperture: the delay that follows is what a device has to wait before it reads.
        reads: what was fitted, clamp and nudge; empty where nothing was seen to move.
        notes: one line for each thing worth knowing.
    """

    steps: tuple[str, ...]
    nodes: tuple[int, ...]
    responses: tuple[StepResponse, ...]
    reads: tuple[StepReads, ...]
    notes: tuple[str, ...]

    def delay(self, sigma_v: ArrayLike, reads: int) -> SettlingDelay:
        """Return the delay of the node that takes longest; see `settling_delay`.

        Args:
            sigma_v: of one read, volts, one number or one for each node (n_free,).
            reads: N.

        Raises:
            BadInputError: for a sigma or N that are not positive.
        """
        least = float(np.min(sigma_v))
        tolerance = 0.1 * least / np.sqrt(reads) if reads >= 1 and least > 0 else np.nan
        if not np.isfinite(tolerance):
            raise BadInputError(f"settling: expected sigma > 0 and N >= 1, got {least} V, {reads}")
        worst = SettlingDelay(0.0, 0.0, 0.0, float(tolerance))
        for node in sorted(set(self.nodes)):
            of = [r for r, at in zip(self.responses, self.nodes, strict=True) if at == node]
            sigma = float(np.asarray(sigma_v).reshape(-1)[node if np.ndim(sigma_v) else 0])
            found = settling_delay(of, sigma, reads)
            worst = found if found.high_s > worst.high_s else worst
        return worst


def measure_step_responses(
    device: Crossbar,
    volts: ArrayLike,
    amps: ArrayLike,
    *,
    before: ArrayLike | None = None,
    delays_s: Sequence[float] | None = None,
    points: int = 40,
    repeats: int = 8,
    longest_s: float = 1.0,
) -> StepResponses:
    """Measure how every free node settles after a step of the clamp and after one of the nudge.

    One or two time constants, which all nodes have in common, are fitted to the means of the
    repeats after each kind of step.

    Args:
        device: programmed; it has `Crossbar.read_after`.
        volts: inputs that the clamp steps to (n_in,).
        amps: amperes that the nudge steps to from 0 (n_out,).
        before: inputs that the clamp steps from (n_in,); 0 V unless given.
        delays_s: seconds at which to read, ascending; looked for unless given.
        points: how many delays are looked for.
        repeats: reads at each delay.
        longest_s: seconds after which everything is at rest.

    Raises:
        UnsupportedError: the device has no reads at a stated time after a change.
        BadInputError: for a wrong shape, or nodes that do not come to rest in `longest_s`.
    """
    if delays_s is None:
        delays = worthwhile_delays(
            device, volts, amps, before=before, longest_s=longest_s, points=points
        )
        if not delays.size:
            return StepResponses(
                (), (), (), (), ("settling: every node was settled at the first read",)
            )
        rest = min(1.5 * float(delays[-1]), longest_s)
    else:
        delays, rest = np.asarray(delays_s, dtype=np.float64), longest_s
    reads = step_reads(
        device, volts, amps, delays.tolist(), rest_s=rest, before=before, repeats=repeats
    )
    steps: list[str] = []
    nodes: list[int] = []
    responses: list[StepResponse] = []
    notes: list[str] = []
    for read in reads:
        for node in np.flatnonzero(~read.moves):
            notes.append(f"settling: no step of the {read.name} is seen at node {node}")
        moving = np.flatnonzero(read.moves)
        if not moving.size:
            continue
        noise = read.sd_v[moving] / np.sqrt(read.volts.shape[0])
        try:
            found = joint_responses(
                read.delays_s.mean(axis=0)[:, moving], read.volts.mean(axis=0)[:, moving], noise
            )
        except BadInputError as error:
            notes.append(f"{read.name}: {error}")
            continue
        steps += [f"{read.name}, node {node}" for node in moving]
        nodes += moving.tolist()
        responses += found
    return StepResponses(tuple(steps), tuple(nodes), tuple(responses), reads, tuple(notes))


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """Whether a delay suffices.

    Attributes:
        verdict: True where it is shown at every node that what is left of the steps is less than
            the tolerance; False where it is more at some node; "cannot tell" otherwise. Each wrong
            verdict has a probability of at most `FALSE_VERDICT`.
        node: that with the largest difference.
        differences_v: of free-nudged differences at the delay from those long after it (n_free,).
        u_v: their standard uncertainties (n_free,).
    """

    verdict: bool | Literal["cannot tell"]
    node: int
    differences_v: Doubles
    u_v: Doubles


def measure_suffices(
    device: Crossbar,
    volts: ArrayLike,
    amps: ArrayLike,
    delay_s: float,
    tolerance_v: float,
    *,
    later_s: float,
    before: ArrayLike | None = None,
    pairs: int = 100,
    block: int = 1,
) -> Sufficiency:
    """Test a delay: free-nudged differences of reads after it against those after a longer one.

    Both are measured in turn. That they differ by less than a tenth of sigma/sqrt(N) takes some
    4,000 N reads of each kind to show: `pairs` times `block`.

    Args:
        device: programmed; it has `Crossbar.read_after`.
        volts: inputs (n_in,).
        amps: amperes into the outputs (n_out,).
        delay_s: kept after the clamp and after the nudge.
        tolerance_v: volts that may be left in the difference.
        later_s: the longer delay, by which nothing moves; also how long the device rests before.
        before: inputs before the clamp (n_in,); 0 V unless given.
        pairs: differences of each kind.
        block: reads of each phase in a pair; their mean is used.

    Raises:
        UnsupportedError: the device has no reads at a stated time after a change.
        BadInputError: for fewer than two pairs, or a tolerance that is not positive.
    """
    if checked_count(pairs) < 2 or not tolerance_v > 0:
        raise BadInputError("settling: expected two pairs or more, and a tolerance above 0 V")
    start = np.zeros(device.network.inputs) if before is None else before
    found = np.empty((2, pairs, device.network.free_nodes))
    for pair in range(pairs):
        for kind, delay in ((0, delay_s), (1, later_s)):
            device.clamp(start)
            device.read_after(later_s)
            device.clamp(volts)
            free = device.read_after(delay, block).mean
            device.nudge(amps)
            found[kind, pair] = free - device.read_after(delay, block).mean
            device.nudge(None)
    nodes = range(found.shape[2])
    # Shown at every node is shown with the probability of one; seen at one of many is not.
    shown = [suffices(found[0][:, n], found[1][:, n], tolerance_v, FALSE_VERDICT) for n in nodes]
    share = FALSE_VERDICT / len(nodes)
    refuted = [suffices(found[0][:, n], found[1][:, n], tolerance_v, share) for n in nodes]
    verdict: bool | Literal["cannot tell"] = "cannot tell"
    if any(one is False for one in refuted):
        verdict = False
    elif all(one is True for one in shown):
        verdict = True
    apart = found[0].mean(axis=0) - found[1].mean(axis=0)
    u = np.sqrt(found.var(axis=1, ddof=1).sum(axis=0) / pairs)
    return Sufficiency(verdict, int(np.argmax(np.abs(apart))), apart, u)
