"""What cells keep of what they were given: change with age, and the exponent of a drift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import BadInputError

_BEND = 0.1
"""Share of the greatest change by which a power law may miss the mean of cells, beyond noise."""


@dataclass(frozen=True, slots=True)
class LayerRetention:
    """Cells of one layer; 95 % intervals are NaN with one read of each cell and age.

    Attributes:
        siemens: as read right after the write and then at every age (ages + 1, n_pre, n_post).
        change: relative change since the first read, at every age (ages, n_pre, n_post).
        change_low: lower end of its interval.
        change_high: upper end of its interval.
        exponent: nu of g ~ t^-nu over the ages (n_pre, n_post); NaN for one age.
    """

    siemens: Doubles
    change: Doubles
    change_low: Doubles
    change_high: Doubles
    exponent: Doubles


@dataclass(frozen=True, slots=True)
class CellRetention:
    """What cells keep, and g = g0 (t / reference)^-exponent, as `simulators.cells.ageing.Drift`.

    Attributes:
        layers: one for each layer, in order.
        ages_s: seconds between the end of writing and the begin of each later round of reads.
        exponent: mean over cells that are not stuck; NaN for one age or fewer than 2 such cells.
        exponent_low: lower end of its 95 % interval over cells.
        exponent_high: upper end of it.
        exponent_spread: standard deviation between cells, without the noise of reads where that is
            known.
        reference_s: age up to which cells keep what was read first; NaN where no drift is seen.
        power_law: whether the mean of cells goes along a power law; None for fewer than 3 ages.
    """

    layers: tuple[LayerRetention, ...]
    ages_s: Doubles
    exponent: float
    exponent_low: float
    exponent_high: float
    exponent_spread: float
    reference_s: float
    power_law: bool | None


def retention(
    found: Sequence[Doubles], ages_s: Doubles, healthy: Sequence[NDArray[np.bool_]]
) -> CellRetention:
    """Return what cells kept.

    Args:
        found: siemens (ages + 1, reads, n_pre, n_post) of each layer, right after the write first.
        ages_s: of all but the first, growing (ages,).
        healthy: cells whose exponents count (n_pre, n_post) of each layer.

    Raises:
        BadInputError: for no age, ages that do not grow, or arrays that do not belong together.
    """
    ages = np.asarray(ages_s, np.float64)
    wrong = any(part.shape[0] != len(ages) + 1 for part in found)
    if not len(ages) or wrong or ages[0] <= 0 or (np.diff(ages) <= 0).any():
        raise BadInputError(f"retention: expected ages that grow and reads of each, got {ages}")
    layers = tuple(_layer(part, ages) for part in found)
    curves, noise = [], []
    for layer, part, good in zip(layers, found, healthy, strict=True):
        take = good & (layer.siemens > 0).all(axis=0)
        curves.append(np.log(layer.siemens[1:, take] / layer.siemens[0, take]))
        spread = _of_mean(part)
        noise.append((spread / layer.siemens.mean(axis=0))[take])
    return CellRetention(
        layers, ages, *_drift(np.concatenate(curves, axis=1), ages, np.concatenate(noise))
    )


def _of_mean(part: Doubles) -> Doubles:
    """Return the standard deviation of a mean of reads, pooled over ages (n_pre, n_post)."""
    reads = part.shape[1]
    if reads < 2:
        return np.full(part.shape[2:], np.nan)
    return np.asarray(np.sqrt(part.var(axis=1, ddof=1).mean(axis=0) / reads))


def _layer(part: Doubles, ages: Doubles) -> LayerRetention:
    from scipy.stats import t

    siemens = part.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = siemens[1:] / siemens[0]
        u = _of_mean(part) * np.sqrt(1 + ratio**2) / np.abs(siemens[0])
        logs = np.log(np.where(siemens > 0, siemens, np.nan))
    reads = part.shape[1]
    half = u * (t.ppf(0.975, len(part) * (reads - 1)) if reads > 1 else math.nan)
    exponent = np.full(siemens.shape[1:], np.nan)
    if len(ages) > 1:
        x = np.log(ages) - np.log(ages).mean()
        exponent = -np.tensordot(x, logs[1:], 1) / (x @ x)
    return LayerRetention(siemens, ratio - 1, ratio - 1 - half, ratio - 1 + half, exponent)


def _drift(
    curves: Doubles, ages: Doubles, noise: Doubles
) -> tuple[float, float, float, float, float, bool | None]:
    """Return exponent, its interval, its spread, the reference and whether it is a power law."""
    from scipy.stats import t

    cells = curves.shape[1]
    if len(ages) < 2 or cells < 2:
        return (math.nan,) * 5 + (None,)
    x = np.log(ages)
    centred = x - x.mean()
    each = -(centred @ curves) / (centred @ centred)
    mean, variance = float(each.mean()), float(each.var(ddof=1))
    half = float(t.ppf(0.975, cells - 1)) * math.sqrt(variance / cells)
    if np.isfinite(noise).all():
        variance = max(variance - float((noise**2).mean() / (centred @ centred)), 0.0)
    middle = curves.mean(axis=1)
    reference = math.nan
    if mean - half > 0:
        reference = math.exp(float(middle.mean()) / mean + float(x.mean()))
    law: bool | None = None
    if len(ages) > 2:
        left = curves - curves.mean(axis=0) + np.outer(centred, each)
        error = left.std(axis=1, ddof=1).max() / math.sqrt(cells)
        allowed = _BEND * np.abs(middle).max() + 3 * error
        law = bool(np.abs(left.mean(axis=1)).max() <= allowed)
    return mean, mean - half, mean + half, math.sqrt(variance), reference, law
