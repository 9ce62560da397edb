"""Cells from what was asked of them and what was found: stuck ones, and how writes come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.calibration.pulsecurves import PulseCurves
from hilep.calibration.retention import CellRetention
from hilep.errors import BadInputError

MOVES = 0.5
"""A cell whose conductance follows less than this share of what is asked is stuck."""
_RESAMPLES = 400
_NOTHING = 1e-24
"""A variance relative to the largest conductance that is only rounding."""


@dataclass(frozen=True, slots=True)
class LayerCells:
    """Cells of one layer.

    Attributes:
        siemens: as found last, siemens (n_pre, n_post); NaN where a read was no good.
        u_siemens: its standard uncertainty from reads in a row (n_pre, n_post); NaN for one read.
        stuck: whether a cell does not follow what is asked, 1 or 0 (n_pre, n_post).
        stuck_siemens: what a stuck cell holds, siemens (n_pre, n_post); NaN where it is not stuck.
        gain: found over asked, each cell's own (n_pre, n_post); NaN where it is stuck.
        failed: writes that the device reported as failed (n_pre, n_post).
    """

    siemens: Doubles
    u_siemens: Doubles
    stuck: NDArray[np.uint8]
    stuck_siemens: Doubles
    gain: Doubles
    failed: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WriteErrors:
    """How writes of healthy cells come out: found = gain * asked + noise, a gain for each cell.

    The noise has the standard deviation sqrt(siemens^2 + (relative * asked)^2), as
    `hilep.simulators.cells.writing.WriteNoise`. Every pair is a 95 % bootstrap interval over cells.

    Attributes:
        siemens: the part that is the same for every conductance.
        siemens_range: its interval.
        relative: the part that is a fraction of what is asked.
        relative_range: its interval.
        spread: standard deviation of gains between cells.
        spread_range: its interval.
    """

    siemens: float
    siemens_range: tuple[float, float]
    relative: float
    relative_range: tuple[float, float]
    spread: float
    spread_range: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ConductanceMap:
    """Every cell of a device, and how its writes come out; NaN where no cell could tell.

    Attributes:
        layers: one for each layer, in order.
        rounds: how often every cell was written.
        reads: of each cell after each write.
        pulses_per_write: mean programming pulses; 0 where the device needs none.
        write_noise_siemens, write_noise_siemens_low, write_noise_siemens_high: part of the noise of
            writes that is the same for every conductance, and its 95 % interval.
        write_noise_relative, write_noise_relative_low, write_noise_relative_high: part that is a
            fraction of what is asked.
        device_spread_relative, device_spread_relative_low, device_spread_relative_high: standard
            deviation of gains between cells.
        retention: how cells change with age; None where that was not asked for.
        curves: what single pulses do; None where that was not asked for.
    """

    layers: tuple[LayerCells, ...]
    rounds: int
    reads: int
    pulses_per_write: float
    write_noise_siemens: float
    write_noise_siemens_low: float
    write_noise_siemens_high: float
    write_noise_relative: float
    write_noise_relative_low: float
    write_noise_relative_high: float
    device_spread_relative: float
    device_spread_relative_low: float
    device_spread_relative_high: float
    retention: CellRetention | None = None
    curves: PulseCurves | None = None


def layer_cells(asked: Doubles, found: Doubles, failed: NDArray[np.int64]) -> LayerCells:
    """Return the cells of a layer.

    Args:
        asked: siemens (rounds, n_pre, n_post), different in each round.
        found: siemens (rounds, reads, n_pre, n_post).
        failed: writes reported as failed (n_pre, n_post).

    Raises:
        BadInputError: for fewer than 3 rounds, or shapes that do not belong together.
    """
    rounds = asked.shape[0]
    if rounds < 3 or found.shape != (rounds, found.shape[1], *asked.shape[1:]):
        raise BadInputError(
            f"conductance: expected at least 3 rounds and reads of each, got {asked.shape} and "
            f"{found.shape}"
        )
    reads = found.shape[1]
    mean = found.mean(axis=1)
    x = asked - asked.mean(axis=0)
    y = mean - mean.mean(axis=0)
    slope = (x * y).sum(axis=0) / (x**2).sum(axis=0)
    stuck = slope < MOVES
    last = found[-1]
    u = np.full(last.shape[1:], np.nan)
    if reads > 1:
        u = last.std(axis=0, ddof=1) / np.sqrt(reads)
    gain = (asked * mean).sum(axis=0) / (asked**2).sum(axis=0)
    return LayerCells(
        siemens=last.mean(axis=0),
        u_siemens=u,
        stuck=stuck.astype(np.uint8),
        stuck_siemens=np.where(stuck, mean.mean(axis=0), np.nan),
        gain=np.where(stuck, np.nan, gain),
        failed=failed,
    )


def write_errors(
    asked: Sequence[Doubles],
    found: Sequence[Doubles],
    healthy: Sequence[NDArray[np.bool_]],
    generator: np.random.Generator,
) -> WriteErrors | None:
    """Return how writes of healthy cells come out; None for fewer than 2 such cells.

    Squares of what is left of each cell's own gain are fitted by weighted least squares with the
    two parts of the noise, neither below 0; the noise of reads is taken off.

    Args:
        asked: siemens (rounds, n_pre, n_post) of each layer.
        found: siemens (rounds, reads, n_pre, n_post) of each layer.
        healthy: cells to take (n_pre, n_post) of each layer.
        generator: of the bootstrap.
    """
    parts = [a[:, h].T for a, h in zip(asked, healthy, strict=True)]
    x = np.concatenate(parts)
    if len(x) < 2:
        return None
    reads = np.concatenate(
        [np.moveaxis(f[..., h], -1, 0) for f, h in zip(found, healthy, strict=True)]
    )
    scale = float(x.max())
    x, reads = x / scale, reads / scale
    noise = np.zeros(x.shape)
    if reads.shape[2] > 1:
        noise += reads.var(axis=2, ddof=1).mean() / reads.shape[2]
    y = reads.mean(axis=2)
    squares = (x**2).sum(axis=1, keepdims=True)
    gain = (x * y).sum(axis=1) / squares[:, 0]
    left = (y - gain[:, None] * x) ** 2
    # What is left of round k holds the noise of all rounds, as the fit of the gain spreads it.
    spreads = (np.eye(x.shape[1]) - x[:, :, None] * x[:, None, :] / squares[:, :, None]) ** 2
    same, share = spreads.sum(axis=2), (spreads * (x**2)[:, None, :]).sum(axis=2)
    left = left - (spreads * noise[:, None, :]).sum(axis=2)

    weight = np.ones(left.shape)
    for _ in range(4):
        sums = _sums(same, share, left, weight)
        flat, rising = _two_parts(sums.sum(axis=0))
        expected = flat * same + rising * share
        if expected.mean() < _NOTHING:
            break
        weight = (expected.mean() / np.maximum(expected, 1e-3 * expected.mean())) ** 2
    # The variance of a gain is flat * of_flat + rising * of_rising + that of reads.
    of_flat, of_rising = 1 / squares[:, 0], (x**4).sum(axis=1) / squares[:, 0] ** 2
    of_reads = (x**2 * noise).sum(axis=1) / squares[:, 0] ** 2
    cells = len(x)

    def parts_of(counts: Doubles) -> tuple[float, float, float]:
        flat, rising = _two_parts(counts @ sums)
        mean = counts @ gain / cells
        own = counts @ (gain - mean) ** 2 / (cells - 1)
        own -= counts @ (flat * of_flat + rising * of_rising + of_reads) / cells
        return scale * np.sqrt(flat), np.sqrt(rising), np.sqrt(max(own, 0.0))

    best = parts_of(np.ones(cells))
    even = np.full(cells, 1 / cells)
    drawn = np.array(
        [parts_of(generator.multinomial(cells, even).astype(float)) for _ in range(_RESAMPLES)]
    )
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    ranges = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    return WriteErrors(
        float(best[0]), ranges[0], float(best[1]), ranges[1], float(best[2]), ranges[2]
    )


def _sums(same: Doubles, share: Doubles, left: Doubles, weight: Doubles) -> Doubles:
    """Return each cell's part of the normal equations (cells, 5)."""
    terms = (same * same, same * share, share * share, same * left, share * left)
    return np.stack([(weight * term).sum(axis=1) for term in terms], axis=1)


def _two_parts(sums: Doubles) -> tuple[float, float]:
    """Return the two parts of the variance, neither below 0, that solve the normal equations."""
    aa, ab, bb, ay, by = sums.tolist()
    determinant = aa * bb - ab * ab
    if determinant > 1e-12 * aa * bb:
        flat, rising = (bb * ay - ab * by) / determinant, (aa * by - ab * ay) / determinant
        if flat >= 0 and rising >= 0:
            return flat, rising
    # One of the two is 0: the one whose absence costs less.
    alone = max(ay / aa if aa else 0.0, 0.0), max(by / bb if bb else 0.0, 0.0)
    gained = alone[0] * ay, alone[1] * by
    return (alone[0], 0.0) if gained[0] > gained[1] else (0.0, alone[1])
