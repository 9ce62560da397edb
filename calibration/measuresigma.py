"""Sigma against the reader's settings and the signal's level, and network noise apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, checked
from hilep.calibration.measuring import paired_reads
from hilep.calibration.sigma import PooledSigma, SigmaEstimate, sigma_of_pairs
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError


@dataclass(frozen=True, slots=True)
class SigmaTable:
    """Sigma at each of several settings.

    Attributes:
        setting: what was varied: "nplc", "range_v", "rate_hz" or "level".
        values: of it (settings,).
        estimates: one for each.
    """

    setting: str
    values: Doubles
    estimates: tuple[SigmaEstimate, ...]

    @property
    def pooled(self) -> tuple[PooledSigma, ...]:
        """The pooled sigma at each setting.

        Raises:
            BadInputError: a setting at which no node's reads can carry a sigma.
        """
        found = []
        for value, estimate in zip(self.values, self.estimates, strict=True):
            if estimate.pooled is None:
                raise BadInputError(
                    f"sigma at {self.setting} = {value:g}: {'; '.join(estimate.problems)}"
                )
            found.append(estimate.pooled)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class WhiteAndFloor:
    """sigma^2 = white^2 / aperture + floor^2.

    Attributes:
        white_v_sqrt_s: volts times the root of a second.
        floor_v: volts, what longer apertures do not average away.
        u_white_v_sqrt_s, u_floor_v: standard uncertainties; of a floor of 0 V that below which it
            is.
        chi2: of the fit, with as many degrees of freedom as settings less 2.
    """

    white_v_sqrt_s: float
    floor_v: float
    u_white_v_sqrt_s: float
    u_floor_v: float
    chi2: float


def sigma_against(
    device: Crossbar,
    setting: str,
    values: Sequence[float],
    volts: ArrayLike,
    amps: ArrayLike,
    pairs: int = 200,
) -> SigmaTable:
    """Return sigma at several settings of the reader, such as its NPLC or its range.

    Args:
        device: programmed; it has `Crossbar.reading_with`. The last setting stays.
        setting: "nplc", "range_v" or "rate_hz".
        values: to set, one after the other.
        volts: inputs (n_in,).
        amps: amperes into the outputs (n_out,).
        pairs: free and nudged reads at each setting.

    Raises:
        UnsupportedError: the device's reader has no settings.
        BadInputError: a setting that it does not have.
    """
    estimates = []
    for value in values:
        device.reading_with(**{setting: value})
        reads = paired_reads(device, volts, amps, pairs)
        estimates.append(sigma_of_pairs(reads.free, reads.nudged, status=reads.status))
    return SigmaTable(setting, np.array(values, dtype=np.float64), tuple(estimates))


def sigma_against_level(
    device: Crossbar,
    levels: Sequence[float],
    volts: ArrayLike,
    amps: ArrayLike,
    pairs: int = 200,
) -> SigmaTable:
    """Return sigma with inputs and nudge at several fractions of `volts` and `amps`.

    Args:
        device: programmed.
        levels: fractions, such as 0, 0.5 and 1.
        volts: inputs (n_in,).
        amps: amperes into the outputs (n_out,).
        pairs: free and nudged reads at each level.
    """
    inputs = checked(volts, (device.network.inputs,), "sigma: input volts")
    nudge = checked(amps, (device.network.outputs,), "sigma: nudge amps")
    estimates = []
    for level in levels:
        reads = paired_reads(device, level * inputs, level * nudge, pairs)
        estimates.append(sigma_of_pairs(reads.free, reads.nudged, status=reads.status))
    return SigmaTable("level", np.array(levels, dtype=np.float64), tuple(estimates))


def white_and_floor(table: SigmaTable, line_hz: float) -> WhiteAndFloor:
    """Return the parts of sigma that fall as one over the root of the aperture, and that do not.

    Non-negative least squares on the variances, each weighted by its degrees of freedom.

    Args:
        table: against "nplc".
        line_hz: frequency of the mains.

    Raises:
        BadInputError: for another setting, or fewer than two.
    """
    from scipy.optimize import nnls

    if table.setting != "nplc" or table.values.size < 2:
        raise BadInputError("sigma: expected a table against nplc with two settings or more")
    pooled = table.pooled
    variance = np.array([one.sigma_v for one in pooled]) ** 2
    degrees = np.array([one.degrees_of_freedom for one in pooled])
    scale = float(variance.max())
    columns = np.column_stack([line_hz / table.values, np.ones(variance.size)])
    fitted = variance / scale
    parts = np.zeros(2)
    for _ in range(3):
        # A variance is uncertain by sqrt(2 / nu) of the true one: so fit again.
        weighted = columns * (np.sqrt(degrees / 2) / fitted)[:, None]
        norms = np.linalg.norm(weighted, axis=0)
        parts = nnls(weighted / norms, variance / scale * np.sqrt(degrees / 2) / fitted)[0] / norms
        fitted = np.maximum(columns @ parts, 1e-12)
    weighted = columns * (np.sqrt(degrees / 2) / fitted)[:, None]
    u_parts = np.sqrt(np.diag(np.linalg.pinv(weighted.T @ weighted)))
    chi2 = float((((variance / scale - fitted) / fitted) ** 2 * degrees / 2).sum())
    roots = np.sqrt(parts * scale)
    # From the square to its root; at 0 the square's own uncertainty is the limit.
    u = np.where(
        parts > u_parts,
        0.5 * u_parts * scale / np.maximum(roots, np.finfo(float).tiny),
        np.sqrt(u_parts * scale),
    )
    return WhiteAndFloor(float(roots[0]), float(roots[1]), float(u[0]), float(u[1]), chi2)


@dataclass(frozen=True, slots=True)
class NoiseApart:
    """Noise of the reader, and of the network of cells, pooled over nodes.

    Attributes:
        instrument_v: sigma with the nodes held as firmly as the cells can, volts.
        network_v: what the network adds, volts; 0 where it does not show.
        low_v, high_v: 95 % interval of `network_v`.
        shows: whether the network's noise is shown at all, at the 2.5 % level.
    """

    instrument_v: float
    network_v: float
    low_v: float
    high_v: float
    shows: bool


def noise_apart(floating: SigmaEstimate, held: SigmaEstimate) -> NoiseApart:
    """Return the network's noise from sigma of floating nodes and of nodes that are held.

    The interval is that of a difference of variances by Satterthwaite's approximation.

    Args:
        floating: nodes as they are in training.
        held: the same nodes clamped, shorted, or joined by the highest conductances.

    Raises:
        BadInputError: where either has no sigma.
    """
    from scipy.stats import f, norm

    a, b = floating.pooled, held.pooled
    if a is None or b is None:
        raise BadInputError("noise: no sigma: " + "; ".join((*floating.problems, *held.problems)))
    apart = a.sigma_v**2 - b.sigma_v**2
    u = np.sqrt(2 * a.sigma_v**4 / a.degrees_of_freedom + 2 * b.sigma_v**4 / b.degrees_of_freedom)
    reach = float(norm.isf(0.025)) * u
    ratio = (a.sigma_v / b.sigma_v) ** 2
    shows = bool(f.sf(ratio, a.degrees_of_freedom, b.degrees_of_freedom) < 0.025)
    ends = [float(np.sqrt(max(0.0, x))) for x in (apart, apart - reach, apart + reach)]
    return NoiseApart(b.sigma_v, ends[0], ends[1], ends[2], shows)


def measure_noise_apart(
    device: Crossbar, volts: ArrayLike, amps: ArrayLike, pairs: int = 200
) -> NoiseApart:
    """Return the noise of reader and network: cells as they are, then all at the highest siemens.

    A bench has no short for its nodes; the highest conductances are as near as its cells come, and
    thermal noise falls with the resistance. Cells are programmed twice.

    Args:
        device: programmed; its conductances are restored.
        volts: inputs (n_in,).
        amps: amperes into the outputs (n_out,).
        pairs: free and nudged reads with either.

    Raises:
        BadInputError: for a network without a highest conductance.
    """
    if not np.isfinite(device.network.g_max_siemens):
        raise BadInputError("network.g_max_siemens: expected a finite highest conductance")
    before = [np.array(g) for g in device.conductances()]
    floating = paired_reads(device, volts, amps, pairs)
    try:
        device.program([np.full(g.shape, device.network.g_max_siemens) for g in before])
        held = paired_reads(device, volts, amps, pairs)
    finally:
        device.program(before)
    return noise_apart(
        sigma_of_pairs(floating.free, floating.nudged, status=floating.status),
        sigma_of_pairs(held.free, held.nudged, status=held.status),
    )
