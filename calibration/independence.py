"""Whether N reads average as 1/sqrt(N), eq. (11), and up to which N.

The law that the verdict keeps, for records of at least 64 blocks of N reads: white reads are called
dependent in at most 1 % of records; noise that stays correlated over N reads, or a good part of
them, and adds twice the white variance to their mean is found in at least 99 % from N = 4 on.
Shorter records get "cannot tell".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles
from hilep.calibration.autocorrelation import (
    LEAST_READS,
    autocorrelation,
    deviations,
    effective_reads,
    ljung_box,
)
from hilep.calibration.nodes import table
from hilep.calibration.noiseparts import NoiseParts, noise_parts
from hilep.calibration.spectrum import Line, lines
from hilep.errors import BadInputError

BLOCKS = 64
"""Means of N reads that a record must hold before anything is said of that N."""


@dataclass(frozen=True, slots=True)
class Independence:
    """What a record says of eq. (11).

    Attributes:
        independent: True, False, or "cannot tell".
        why: one line for each reason, naming nodes.
        tested_reads: the largest N of which the record holds 64 blocks; 0 below 2.
        max_useful_reads: the N beyond which more reads hardly help, of the worst node.
        limited_by_record: True where that N is only as far as the record reaches.
        lag_1: the first autocorrelation coefficient (nodes,).
        effective_reads: of the whole record (nodes,).
        excess: variance of means of N reads over what white reads give, at each N of `ladder`:
            (len(ladder), nodes); 1 for independent reads.
        ladder: each N tested.
        lines: of each node, see `hilep.calibration.spectrum`.
        parts: of each node, or None for a record below 128 reads.
    """

    independent: bool | Literal["cannot tell"]
    why: tuple[str, ...]
    tested_reads: int
    max_useful_reads: int
    limited_by_record: bool
    lag_1: Doubles
    effective_reads: Doubles
    excess: Doubles
    ladder: NDArray[np.int64]
    lines: tuple[tuple[Line, ...], ...]
    parts: tuple[NoiseParts, ...] | None


def independence(
    volts: ArrayLike,
    reads: int | None = None,
    interval_s: float | None = None,
    false_alarms: float = 0.01,
    names: ArrayLike | None = None,
) -> Independence:
    """Judge whether reads are independent.

    Three tests share the false alarms: means of blocks against the reads within them (analysis of
    variance, at N = 2, 4, ... and at the N planned; two thirds), the first ten
    autocorrelations (Ljung-Box; a 32nd, because its tail is heavier than chi-square's for short
    records) and lines in the spectrum (an eighth).

    Args:
        volts: differences of free and nudged reads, or reads of one phase, (n,) or (n, nodes), in
            the order taken and at equal intervals.
        reads: the N planned; without it every N that the record can test.
        interval_s: seconds between reads, for the mains.
        false_alarms: probability of `independent` False for white Gaussian noise, over all nodes.
        names: numbers by which `why` names the nodes (nodes,); unless given 0, 1, ...

    Raises:
        BadInputError: for reads that are not finite or constant, fewer than 20, or an N below 1.
    """
    values = np.asarray(volts, dtype=np.float64)
    record = table(values[:, None] if values.ndim == 1 else values, "independence")
    n, nodes = record.shape
    if n < LEAST_READS or (reads is not None and reads < 1):
        raise BadInputError(
            f"independence: expected at least {LEAST_READS} reads and N >= 1, got {n} and {reads}"
        )
    if not np.isfinite(record).all() or not (np.ptp(record, axis=0) > 0).all():
        raise BadInputError("independence: expected finite reads that vary at every node")
    record = deviations(record)
    ladder = _ladder(n, reads)
    excess, p_blocks = _block_means(record, ladder)
    correlations = autocorrelation(record, min(10, n // 4))
    found = tuple(
        lines(node, interval_s, false_alarms / (8 * nodes)) if n >= 32 else () for node in record.T
    )
    why = []
    called = np.arange(nodes) if names is None else np.asarray(names)
    budget = false_alarms / nodes
    if ladder.size:
        bad = np.flatnonzero(p_blocks.min(axis=0) * ladder.size < budget * 2 / 3)
        why += [
            _line_of_blocks(called[node], excess[:, node], p_blocks[:, node], ladder)
            for node in bad
        ]
    correlated = _lag_p_values(correlations, n) < budget / 32
    why += [
        f"node {called[node]}: neighbouring reads are correlated, lag-1 {correlations[1, node]:.3f}"
        for node in np.flatnonzero(correlated)
    ]
    why += [_line_of_spectrum(called[k], each) for k, each in enumerate(found) if each]
    testable = n // BLOCKS
    tested = testable if ladder.size else 0
    verdict: bool | Literal["cannot tell"] = not why
    wanted = max(2, reads or 2)
    if not why and wanted > testable:
        verdict = "cannot tell"
        why.append(
            f"{n} reads hold {n // wanted} means of {wanted}: {BLOCKS} are needed, "
            f"{BLOCKS * wanted} reads"
        )
    parts = tuple(noise_parts(node) for node in record.T) if n >= 128 else None
    useful, limited = max(testable, 1), True
    if verdict is False and parts is not None:
        each = [part.useful_reads(n // 4) for part in parts]
        useful, limited = min(each), min(each) >= n // 4
    elif verdict is False:
        useful, limited = 1, True
    return Independence(
        independent=verdict,
        why=tuple(why),
        tested_reads=tested,
        max_useful_reads=useful,
        limited_by_record=limited,
        lag_1=correlations[1],
        effective_reads=effective_reads(record),
        excess=excess,
        ladder=ladder,
        lines=found,
        parts=parts,
    )


def unmeasured() -> Independence:
    """Return what is known without a record that could be judged: nothing, of no node."""
    nothing = np.zeros(0)
    return Independence(
        independent="cannot tell",
        why=("no record was judged",),
        tested_reads=0,
        max_useful_reads=1,
        limited_by_record=True,
        lag_1=nothing,
        effective_reads=nothing,
        excess=np.zeros((0, 0)),
        ladder=np.zeros(0, np.int64),
        lines=(),
        parts=None,
    )


def _ladder(n: int, reads: int | None) -> NDArray[np.int64]:
    """Return each N to test: powers of two, and the N planned where 64 blocks of it fit.

    Blocks longer than that N, down to eight of them, show noise that is slower than it.
    """
    if n < 2 * BLOCKS:
        return np.zeros(0, dtype=np.int64)
    rungs = {2**k for k in range(1, int(np.log2(n // 8)) + 1)}
    if reads is not None and 2 <= reads <= n // BLOCKS:
        rungs.add(reads)
    return np.array(sorted(rungs), dtype=np.int64)


def _block_means(record: Doubles, ladder: NDArray[np.int64]) -> tuple[Doubles, Doubles]:
    """Return variance between blocks over that within, and its p-value, (len(ladder), nodes)."""
    from scipy.stats import f

    n, nodes = record.shape
    excess, p_values = np.empty((ladder.size, nodes)), np.empty((ladder.size, nodes))
    for row, size in enumerate(ladder):
        blocks = n // int(size)
        pieces = record[: blocks * size].reshape(blocks, size, nodes)
        means = pieces.mean(axis=1)
        between = size * means.var(axis=0, ddof=1)
        within = ((pieces - means[:, None]) ** 2).sum(axis=(0, 1)) / (blocks * (size - 1))
        # Reads that repeat within every block leave nothing to compare with.
        within = np.maximum(within, 1e-30 * between)
        excess[row] = between / within
        p_values[row] = f.sf(excess[row], blocks - 1, blocks * (size - 1))
    return excess, p_values


def _lag_p_values(correlations: Doubles, n: int) -> Doubles:
    """Return the p-value of each node's portmanteau test, (nodes,)."""
    from scipy.stats import chi2

    # r_k of white reads has the mean -(n - k) / (n (n - 1)), which matters for few reads.
    lags = np.arange(correlations.shape[0])
    shift = (n - lags) / (n * (n - 1))
    shift[0] = 0.0
    statistic = ljung_box(correlations + shift[:, None], n)
    return np.asarray(chi2.sf(statistic, correlations.shape[0] - 1), dtype=np.float64)


def _line_of_blocks(
    node: int, excess: Doubles, p_values: Doubles, ladder: NDArray[np.int64]
) -> str:
    row = int(p_values.argmin())
    return (
        f"node {node}: means of {ladder[row]} reads vary {excess[row]:.2f} times as much "
        "(variance) as independent reads give"
    )


def _line_of_spectrum(node: int, found: tuple[Line, ...]) -> str:
    line = found[0]
    what = "" if np.isnan(line.mains_hz) else f", {line.mains_hz:g} Hz mains"
    return (
        f"node {node}: a line at {line.cycles_per_read:.4f} cycles per read{what}, "
        f"amplitude {line.amplitude_v:.3g} V"
    )
