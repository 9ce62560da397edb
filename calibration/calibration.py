"""What `hilep calibrate` found: numbers with intervals, and the reads that they come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.calibration.allan import AllanDeviation
from hilep.calibration.channels import ChannelCalibration, ReleasedNudge
from hilep.calibration.conductance import ConductanceMap
from hilep.calibration.delay import SettlingDelay
from hilep.calibration.distribution import NodeTest
from hilep.calibration.independence import Independence
from hilep.calibration.intervals import SigmaIntervals
from hilep.calibration.measuring import LongRecord, PairedReads
from hilep.calibration.phases import PhaseAgreement
from hilep.calibration.settings import Against, BootstrapIntervals
from hilep.calibration.settling import StepResponse
from hilep.calibration.sigma import SigmaEstimate
from hilep.calibration.stepreads import StepReads


@dataclass(frozen=True, slots=True)
class Phases:
    """Sigma of each phase alone, which holds drift and common mode, and whether they agree.

    Attributes:
        free: sigma of the reads without a nudge, over all nodes.
        nudged: sigma of the nudged reads, over all nodes.
        agreement: whether the two agree at the judged nodes (judged,); None below 20 pairs.
    """

    free: SigmaEstimate
    nudged: SigmaEstimate
    agreement: PhaseAgreement | None


@dataclass(frozen=True, slots=True)
class NodeCovariance:
    """How reads of different nodes vary together, from pairs of free and nudged reads.

    Attributes:
        covariance_v2: of the judged nodes, volts squared (judged, judged).
        common_mode: share of the variance that all nodes have in common; NaN for one node.
        edges: node numbers of every pair of free nodes that cells join (edges, 2).
        edge_sigma: sigma of V_i - V_j of each edge, arrays (edges,); None without an edge. A cell
            at a clamped input sees the sigma of its free node alone.
    """

    covariance_v2: Doubles
    common_mode: float
    edges: NDArray[np.int64]
    edge_sigma: SigmaIntervals | None


@dataclass(frozen=True, slots=True)
class Distribution:
    """How the noise of pairs is distributed.

    Attributes:
        normality: whether each node's reads are Gaussian; None below 8 pairs.
        homogeneity: whether all nodes have the same sigma; None below 8 pairs or 2 nodes.
        outliers: rows of pair and node number of each outlier (outliers, 2); they were kept.
    """

    normality: NodeTest | None
    homogeneity: NodeTest | None
    outliers: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drift:
    """What means of N reads are worth once time passes between the phases.

    Attributes:
        allan: overlapping Allan deviation of each node's record (judged), all at the same N.
        pause_reads: reads that would fit between the last free read of an image and its first
            nudged one; 0 where times are unknown.
        at_delay: sd of the difference of two N-read means that far apart, over sqrt(2), which is
            what sigma/sqrt(N) of eq. (11) becomes.
        planned_reads: N at which the gain was evaluated.
        interleaving_gain: how much smaller the difference's sigma is with `portions` (judged,).
        portions: of each phase, as `hilep.interleaving` orders them; 1 where none could be
            compared.
        interleave: how many portions are worth it, 1 where no gain is beyond doubt.
    """

    allan: tuple[AllanDeviation, ...]
    pause_reads: int
    at_delay: tuple[AllanDeviation, ...]
    planned_reads: int
    interleaving_gain: Doubles
    portions: int | None = None
    interleave: int | None = None


@dataclass(frozen=True, slots=True)
class Settling:
    """Step responses after clamp and nudge, and the delay that they ask for.

    Attributes:
        steps: what each response is of, such as "nudge, node 3".
        nodes: number of the node of each response.
        responses: fits of one or two time constants.
        reads: what was fitted, clamp and nudge; empty where nothing was seen to move.
        delay: until little enough is left of all of them; None where sigma is not known.
    """

    steps: tuple[str, ...]
    nodes: NDArray[np.int64]
    responses: tuple[StepResponse, ...]
    reads: tuple[StepReads, ...]
    delay: SettlingDelay | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """One calibration of one device in one state; see `docs/calibration.md`.

    Attributes:
        created: when it was begun, ISO 8601 with time zone.
        hilep_version: that measured it.
        config: the configuration as JSON text, defaults written out.
        device: the device's snapshot as JSON text.
        reads: the pairs of free and nudged reads.
        record: many reads of the free phase at once; None where there is none.
        sigma: `sigma_v` from pairs of free and nudged reads.
        phases: sigma of each phase alone.
        judged: numbers of the nodes whose reads are good throughout (judged,); the arrays of
            `agreement` and of all that follows hold these, in this order.
        covariance: how nodes vary together; None where no node could be judged, as for all that
            follow.
        distribution: normality, equality over nodes, outliers.
        independence: whether reads of the record are independent, or the differences of pairs where
            there is no record.
        allan: Allan deviations of the record.
        against: sigma at several settings and levels, where that was asked for.
        bootstrap: intervals that trust no distribution, where they were asked for.
        settling: None where the device cannot show it.
        channels: gain and offset of the channels that were calibrated.
        conductance: every cell, and how writes come out.
        released: current that a released nudge leaves, at the outputs that were compared.
        problems: one line for each thing that is wrong, empty where nothing is.
        notes: one line for each thing worth knowing that is not wrong.
        failed: whether a measurement did not come to its end; `problems` says which and why.
    """

    created: str
    hilep_version: str
    config: str
    device: str
    reads: PairedReads
    sigma: SigmaEstimate
    phases: Phases
    judged: NDArray[np.int64]
    record: LongRecord | None = None
    covariance: NodeCovariance | None = None
    distribution: Distribution | None = None
    independence: Independence | None = None
    allan: Drift | None = None
    against: Against | None = None
    bootstrap: BootstrapIntervals | None = None
    settling: Settling | None = None
    channels: tuple[ChannelCalibration, ...] | None = None
    released: ReleasedNudge | None = None
    conductance: ConductanceMap | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failed: bool = False

    @property
    def settling_s(self) -> float | None:
        """Seconds to wait after a step: the delay's upper limit, or None."""
        if self.settling is None or self.settling.delay is None:
            return None
        return self.settling.delay.high_s

    @property
    def carries_a_verdict(self) -> bool:
        """Whether all was measured and some node's reads can carry a sigma."""
        return not self.failed and self.sigma.pooled is not None
