"""From the reads of a calibration to what they say: every section, and a line for every problem."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.calibration.allan import allan_deviation, octaves
from hilep.calibration.autocorrelation import LEAST_READS
from hilep.calibration.calibration import Distribution, Drift, NodeCovariance, Phases
from hilep.calibration.covariance import common_mode, edge_sigma, node_covariance, pair_noise
from hilep.calibration.distribution import homogeneity, normality, outliers
from hilep.calibration.independence import Independence, independence
from hilep.calibration.interleaving import interleaving_advice
from hilep.calibration.measuring import LongRecord, PairedReads
from hilep.calibration.nodes import described, screened
from hilep.calibration.phases import PhaseAgreement, phases_agree
from hilep.calibration.sigma import SigmaEstimate, sigma_of_pairs, sigma_of_reads
from hilep.errors import BadInputError
from hilep.network import Network

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Findings:
    """What reads say; the attributes are those of `hilep.calibration.calibration.Calibration`."""

    sigma: SigmaEstimate
    phases: Phases
    judged: NDArray[np.int64]
    covariance: NodeCovariance | None = None
    distribution: Distribution | None = None
    independence: Independence | None = None
    allan: Drift | None = None
    problems: tuple[str, ...] = ()


def findings(
    reads: PairedReads,
    record: LongRecord | None,
    network: Network,
    planned: int,
    sigma_alone: bool = False,
) -> Findings:
    """Return what pairs and a record say.

    Nodes whose reads are not good throughout have their state in `sigma`, a line in `problems`, and
    no part in anything else.

    Args:
        reads: pairs of free and nudged reads.
        record: of the free phase, or None.
        network: whose nodes were read.
        planned: N of the training to come.
        sigma_alone: leave out everything but the sigma of each node.
    """
    sigma = sigma_of_pairs(reads.free, reads.nudged, status=reads.status)
    free = sigma_of_reads(reads.free, status=reads.free_status)
    nudged = sigma_of_reads(reads.nudged, status=reads.nudged_status)
    good = sigma.usable & free.usable & nudged.usable
    problems = [f"pairs: {line}" for line in sigma.problems]
    if record is not None and record.volts.shape[0] > 1:
        states = screened(record.volts, record.status)
        problems += [f"record: {line}" for line in described(states)]
        good &= np.array([state == "good" for state in states])
    judged = np.flatnonzero(good)
    said = Findings(sigma, Phases(free, nudged, None), judged, problems=tuple(problems))
    if sigma_alone or not judged.size:
        return said
    noise = pair_noise(reads.free[:, good], reads.nudged[:, good])

    def unless_refused(what: str, find: Callable[[], Found | None]) -> Found | None:
        # Such as two nodes that read exactly alike: named, and the other sections stand.
        try:
            return find()
        except BadInputError as error:
            problems.append(f"{what}: {str(error).removeprefix(f'{what}: ')}")
            return None

    agreement = unless_refused("phases", lambda: _agreement(reads, good))
    distribution = unless_refused("distribution", lambda: _distribution(noise, judged))
    steady = unless_refused("independence", lambda: _independence(noise, record, judged, planned))
    covariance = unless_refused("covariance", lambda: _covariance(noise, judged, network))
    allan = unless_refused("allan", lambda: _drift(reads, record, judged, planned))
    problems += _lines(agreement, distribution, steady, judged)
    return Findings(
        sigma=sigma,
        phases=Phases(free, nudged, agreement),
        judged=judged,
        covariance=covariance,
        distribution=distribution,
        independence=steady,
        allan=allan,
        problems=tuple(problems),
    )


def _agreement(reads: PairedReads, good: NDArray[np.bool_]) -> PhaseAgreement | None:
    if reads.free.shape[0] < LEAST_READS:
        return None
    return phases_agree(reads.free[:, good], reads.nudged[:, good])


def _distribution(noise: Doubles, judged: NDArray[np.int64]) -> Distribution:
    pairs, nodes = noise.shape
    found = np.argwhere(outliers(noise)) if pairs >= LEAST_READS else np.zeros((0, 2), np.int64)
    return Distribution(
        normality(noise) if pairs >= 8 else None,
        homogeneity(noise) if pairs >= 8 and nodes > 1 else None,
        np.column_stack([found[:, 0], judged[found[:, 1]]]),
    )


def _covariance(noise: Doubles, judged: NDArray[np.int64], network: Network) -> NodeCovariance:
    place = np.full(network.free_nodes, -1)
    place[judged] = np.arange(judged.size)
    nodes = np.arange(network.free_nodes)
    edges = np.concatenate(
        [np.zeros((0, 2), np.int64)]
        + [
            np.stack(np.meshgrid(nodes[before], nodes[after], indexing="ij"), axis=-1).reshape(
                -1, 2
            )
            for before, after in zip(network.slices, network.slices[1:], strict=False)
        ]
    )
    edges = edges[(place[edges] >= 0).all(axis=1)]
    return NodeCovariance(
        covariance_v2=node_covariance(noise),
        common_mode=common_mode(noise),
        edges=edges,
        edge_sigma=edge_sigma(noise, place[edges]) if edges.size else None,
    )


def _independence(
    noise: Doubles, record: LongRecord | None, judged: NDArray[np.int64], planned: int
) -> Independence:
    """Judge the record, in which N reads follow each other as they do in training."""
    volts, interval = noise, None
    if record is not None:
        volts = record.volts[:, judged]
        interval = record.interval_s if math.isfinite(record.interval_s) else None
    return independence(volts, planned, interval, names=judged)


def _drift(
    reads: PairedReads, record: LongRecord | None, judged: NDArray[np.int64], planned: int
) -> Drift | None:
    if record is None or record.volts.shape[0] < 4:
        return None
    volts = record.volts[:, judged]
    n = volts.shape[0]
    pause = 0
    if math.isfinite(reads.delay_s) and math.isfinite(record.interval_s):
        pause = max(0, round(reads.delay_s / record.interval_s) - 1)
    ladder = octaves(n)
    apart = ladder[2 * ladder + pause <= n]
    plain = tuple(allan_deviation(node, ladder) for node in volts.T)
    at_delay = plain
    if pause:
        at_delay = tuple(allan_deviation(node, apart, pause=pause) for node in volts.T)
    chosen = max(1, min(planned, n // 4))
    advice = interleaving_advice(volts, chosen, pause)
    return Drift(plain, pause, at_delay, chosen, advice.gain, advice.portions, advice.interleave)


def _lines(
    agreement: PhaseAgreement | None,
    distribution: Distribution | None,
    steady: Independence | None,
    judged: NDArray[np.int64],
) -> list[str]:
    """Return a line for each thing that the judged nodes' reads show to be wrong."""
    lines = []
    if agreement is not None and agreement.agree is False:
        worst = int(agreement.p_values.argmin())
        lines.append(
            f"phases: sigma differs between them: node {judged[worst]}, nudged over free "
            f"{agreement.ratio[worst]:.3g}"
        )
    if distribution is not None:
        if distribution.normality is not None and not distribution.normality.holds:
            worst = int(distribution.normality.p_values.argmin())
            lines.append(f"distribution: reads are not Gaussian: node {judged[worst]} least of all")
        if distribution.homogeneity is not None and not distribution.homogeneity.holds:
            lines.append("distribution: the nodes do not have the same sigma")
        if len(distribution.outliers):
            named = sorted(set(distribution.outliers[:, 1].tolist()))
            lines.append(
                f"distribution: {len(distribution.outliers)} outliers, all kept: nodes "
                + ", ".join(map(str, named[:10]))
                + (", ..." if len(named) > 10 else "")
            )
    if steady is not None:
        lines += [f"independence: {line}" for line in steady.why[:10]]
        if len(steady.why) > 10:
            lines.append(f"independence: {len(steady.why) - 10} more lines in the file")
    return lines
