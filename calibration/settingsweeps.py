"""What `[calibration]` asks for around sigma: other settings and levels, noise apart, bootstrap."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.calibration.autocorrelation import LEAST_READS, effective_reads
from hilep.calibration.clampedimage import Image
from hilep.calibration.covariance import pair_noise
from hilep.calibration.intervals import bootstrap_interval
from hilep.calibration.measuresigma import (
    SigmaTable,
    measure_noise_apart,
    sigma_against,
    sigma_against_level,
)
from hilep.calibration.measuring import PairedReads
from hilep.calibration.settings import Against, BootstrapIntervals, SigmaAtSettings
from hilep.calibration.sigma import SigmaEstimate
from hilep.config import Config
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError, UnsupportedError
from hilep.streams import stream

if TYPE_CHECKING:
    from hilep.calibration.calibrating import Measurement

Told = Callable[[str, int, int], None]
_CONFIDENCE = 0.95


def measure_against(
    device: Crossbar, config: Config, clamped: Image, done: Measurement, told: Told
) -> None:
    """Measure sigma at other levels and settings, and noise apart, where they are asked for.

    The reader has the settings of the beginning afterwards, cells what they held.

    Args:
        device: programmed.
        config: of training and calibration.
        clamped: what is clamped.
        done: with pairs; takes what is measured.
        told: of progress.
    """
    section = config.calibration
    asked = section.levels or section.nplcs or section.ranges_v or section.noise_apart
    if done.failed or not asked:
        return
    volts, amps, pairs = clamped.volts, done.pairs[-1].amps, section.pairs

    def at_level(level: float) -> SigmaTable:
        return sigma_against_level(device, [level], volts, amps, pairs)

    def at_nplc(nplc: float) -> SigmaTable:
        return sigma_against(device, "nplc", [nplc], volts, amps, pairs)

    def at_range(range_v: float) -> SigmaTable:
        return sigma_against(device, "range_v", [range_v], volts, amps, pairs)

    def as_before(setting: str) -> None:
        # A device without settings has refused already, and nothing was changed on it.
        with done.keeping(f"{setting} as before"), contextlib.suppress(UnsupportedError):
            device.reading_with()

    level = _swept("level", section.levels, at_level, done, told)
    noise = None
    if section.noise_apart and not done.failed:
        with done.keeping("noise apart"):
            told("noise apart", 0, 1)
            try:
                noise = measure_noise_apart(device, volts, amps, pairs)
            except BadInputError as error:
                done.problems.append(f"noise apart: not measured: {error}")
            told("noise apart", 1, 1)
    nplc = _swept("nplc", section.nplcs, at_nplc, done, told)
    if section.nplcs:
        as_before("nplc")
    range_v = _swept("range_v", section.ranges_v, at_range, done, told)
    if section.ranges_v:
        as_before("range_v")
    found = Against(nplc, range_v, level, noise)
    done.against = found if found.tables or noise is not None else None


def _swept(
    setting: str,
    values: Sequence[float],
    sigma_at: Callable[[float], SigmaTable],
    done: Measurement,
    told: Told,
) -> SigmaAtSettings | None:
    """Return sigma at each value, as far as it came; None where nothing was measured."""
    what = f"sigma against {setting}"
    estimates: list[SigmaEstimate] = []
    said: set[str] = set()
    if done.failed:
        return None
    with done.keeping(what):
        for number, value in enumerate(values):
            told(what, number, len(values))
            try:
                [estimate] = sigma_at(value).estimates
            except BadInputError as error:
                done.problems.append(f"{what}: not measured at {value:g}: {error}")
                break
            estimates.append(estimate)
            new = [line for line in estimate.problems if line not in said]
            done.problems += [f"{what}, {value:g}: {line}" for line in new]
            said.update(new)
            told(what, number + 1, len(values))
    if not estimates:
        return None
    return SigmaAtSettings.of(setting, values[: len(estimates)], estimates)


def bootstrapped(
    config: Config, reads: PairedReads, judged: NDArray[np.int64]
) -> tuple[BootstrapIntervals | None, tuple[str, ...]]:
    """Return bootstrap intervals of sigma of pairs where they are asked for, and what is wrong.

    Correlated pairs are resampled in blocks twice as long as makes one independent pair.

    Args:
        config: whose training's seed decides the resamples.
        reads: of both phases.
        judged: numbers of the nodes.
    """
    resamples = config.calibration.bootstrap
    if not resamples or not judged.size:
        return None, ()
    noise: Doubles = pair_noise(reads.free[:, judged], reads.nudged[:, judged])
    n = noise.shape[0]
    generator = stream(config.training.seed, "calibration", 3)
    low, high = np.full(judged.size, np.nan), np.full(judged.size, np.nan)
    blocks = np.ones(judged.size)
    refused: dict[str, list[int]] = {}
    for place, node in enumerate(noise.T):
        try:
            share = n / float(effective_reads(node)) if n >= LEAST_READS else 1.0
            # Chance alone makes it a little more than 1.
            blocks[place] = 1 if share < 1.5 else math.ceil(2 * share)
            low[place], high[place] = bootstrap_interval(
                node, generator, int(blocks[place]), _CONFIDENCE, resamples
            )
        except BadInputError as error:
            refused.setdefault(str(error), []).append(int(judged[place]))
        else:
            if not (math.isfinite(low[place]) and math.isfinite(high[place])):
                refused.setdefault("the resamples allow no interval", []).append(int(judged[place]))
    problems = tuple(
        f"bootstrap: nodes {', '.join(map(str, nodes[:10]))}{', ...' if len(nodes) > 10 else ''}: "
        + why.removeprefix("bootstrap: ")
        for why, nodes in refused.items()
    )
    return BootstrapIntervals(low, high, blocks, resamples, _CONFIDENCE), problems
