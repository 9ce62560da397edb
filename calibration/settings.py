"""Sigma at several settings and levels, and intervals that trust no distribution: the results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilep.arrays import Doubles
from hilep.calibration.measuresigma import NoiseApart
from hilep.calibration.sigma import SigmaEstimate


@dataclass(frozen=True, slots=True)
class SigmaAtSettings:
    """Sigma of pairs at each of several settings.

    Attributes:
        setting: what was varied: "nplc", "range_v" or "level".
        values: of it (settings,), in the order taken.
        sigma_v: of each node (settings, nodes); NaN where its reads can carry none.
        low_v, high_v: the 95 % chi-square interval of each (settings, nodes).
        pooled_v: over the usable nodes (settings,); NaN where there is none.
        pooled_low_v, pooled_high_v: its 95 % interval (settings,).
    """

    setting: str
    values: Doubles
    sigma_v: Doubles
    low_v: Doubles
    high_v: Doubles
    pooled_v: Doubles
    pooled_low_v: Doubles
    pooled_high_v: Doubles

    def rows(self) -> list[tuple[float, float, float, float]]:
        """Return value, pooled sigma, and the two ends of its interval for each setting."""
        columns = (self.values, self.pooled_v, self.pooled_low_v, self.pooled_high_v)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    @classmethod
    def of(
        cls, setting: str, values: Sequence[float], estimates: Sequence[SigmaEstimate]
    ) -> SigmaAtSettings:
        """Return the table of one estimate for each of `values`, at least one."""
        each = [estimate.per_node for estimate in estimates]
        pooled = np.array(
            [
                (np.nan,) * 3 if one is None else (one.sigma_v, one.low_v, one.high_v)
                for one in (estimate.pooled for estimate in estimates)
            ],
            dtype=np.float64,
        )
        return cls(
            setting,
            np.array(values, dtype=np.float64),
            np.stack([one.sigma_v for one in each]),
            np.stack([one.low_v for one in each]),
            np.stack([one.high_v for one in each]),
            *(np.ascontiguousarray(column) for column in pooled.T),
        )


@dataclass(frozen=True, slots=True)
class Against:
    """Sigma against what one may choose; None for each part that was not asked for or failed.

    Attributes:
        nplc: power line cycles of a read.
        range_v: of the reader.
        level: inputs and nudge as a share of those of the pairs.
        noise: of the reader, and of the network of cells.
    """

    nplc: SigmaAtSettings | None = None
    range_v: SigmaAtSettings | None = None
    level: SigmaAtSettings | None = None
    noise: NoiseApart | None = None

    @property
    def tables(self) -> tuple[SigmaAtSettings, ...]:
        """Those that there are."""
        return tuple(one for one in (self.nplc, self.range_v, self.level) if one is not None)


@dataclass(frozen=True, slots=True)
class BootstrapIntervals:
    """BCa bootstrap intervals of sigma of pairs.

    Attributes:
        low_v, high_v: ends of the interval of each judged node (judged,); NaN where its pairs
            allow none.
        block: pairs that were resampled together (judged,).
        resamples: bootstrap samples of each node.
        confidence: of the intervals, such as 0.95.
    """

    low_v: Doubles
    high_v: Doubles
    block: Doubles
    resamples: int
    confidence: float


def settings_lines(against: Against | None) -> list[str]:
    """Return a line for each setting at which sigma is known, and one for noise apart."""
    if against is None:
        return []
    lines = [
        f"sigma at {table.setting} {value:g}: {sigma:.4g} V, 95 % from {low:.4g} to {high:.4g} V"
        for table in against.tables
        for value, sigma, low, high in table.rows()
        if np.isfinite(sigma)
    ]
    if against.noise is not None:
        noise = against.noise
        lines.append(
            f"noise of the reader {noise.instrument_v:.4g} V; the network's "
            f"{noise.network_v:.4g} V, 95 % from {noise.low_v:.4g} to {noise.high_v:.4g} V"
            + ("" if noise.shows else ", does not show")
        )
    return lines


def settings_json(against: Against | None, bootstrap: BootstrapIntervals | None) -> dict[str, Any]:
    """Return what was asked for as plain JSON values; nothing of what was not."""
    found: dict[str, Any] = {}
    if against is not None and against.tables:
        found["sigma_against"] = {
            table.setting: [
                {
                    "value": value,
                    "sigma_v": _number(sigma),
                    "sigma_v_ci95": None if math.isnan(sigma) else [low, high],
                }
                for value, sigma, low, high in table.rows()
            ]
            for table in against.tables
        }
    if against is not None and against.noise is not None:
        noise = against.noise
        found["instrument_noise_v"] = noise.instrument_v
        found["network_noise_v"] = noise.network_v
        found["network_noise_v_ci95"] = [noise.low_v, noise.high_v]
    if bootstrap is not None:
        found["bootstrap_ci95"] = [
            None if math.isnan(low) or math.isnan(high) else [low, high]
            for low, high in zip(bootstrap.low_v.tolist(), bootstrap.high_v.tolist(), strict=True)
        ]
    return found


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
