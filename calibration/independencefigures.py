"""Independence as figures: autocorrelation, periodogram, and means of N reads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.calibration.autocorrelation import autocorrelation
from hilep.calibration.calibration import Calibration
from hilep.calibration.covariance import pair_noise
from hilep.calibration.independence import Independence
from hilep.calibration.spectrum import MAINS_HZ, aliased, periodogram
from hilep.report_axes import axes_of_panel, legend, plain_decades, whole_numbers
from hilep.report_svg import FIRST, MUTED, SECOND, Plot, inline
from hilep.report_text import prefixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAGS = 40
MOST_POINTS = 600
"""Of a periodogram; of a longer one the largest of equally many neighbours is drawn."""


def judged_reads(calibration: Calibration) -> tuple[Doubles, float | None]:
    """Return the reads that independence was judged by, (n, judged), and their interval in seconds.

    The record, or where there is none the differences of pairs, whose interval is not known.
    """
    judged = calibration.judged
    if calibration.record is None:
        reads = calibration.reads
        return pair_noise(reads.free[:, judged], reads.nudged[:, judged]), None
    interval = calibration.record.interval_s
    known = math.isfinite(interval) and interval > 0
    return calibration.record.volts[:, judged], interval if known else None


def independence_figures(calibration: Calibration) -> list[Plot]:
    """Return the figures of independence; none where it was not judged. Call within `drawing`."""
    steady = calibration.independence
    if steady is None:
        return []
    volts, interval = judged_reads(calibration)
    plots = [
        _autocorrelation(volts, calibration.judged, steady),
        _periodogram(volts, calibration.judged, interval, steady),
    ]
    if steady.ladder.size:
        plots.append(_excess(calibration.judged, steady))
    return plots


def _autocorrelation(volts: Doubles, judged: NDArray[np.int64], steady: Independence) -> Plot:
    n = volts.shape[0]
    lags = np.arange(1, min(LAGS, n // 4) + 1)
    found = autocorrelation(volts, int(lags[-1]))[1:]
    worst = int(np.abs(steady.lag_1).argmax())
    figure, axes = axes_of_panel()
    reach = 1.96 / math.sqrt(n)
    axes.axhspan(-reach, reach, color=MUTED, alpha=0.18, lw=0)
    axes.axhline(0, color=MUTED, lw=0.6)
    if judged.size > 1:
        axes.plot(lags, found.mean(axis=1), "o-", ms=2.2, color=FIRST, label="mean of nodes")
    axes.plot(lags, found[:, worst], "D-", ms=2, lw=0.7, color=SECOND,
              label=f"node {judged[worst]}")  # fmt: skip
    axes.set_xlabel("lag (reads)")
    axes.set_ylabel("autocorrelation")
    whole_numbers(axes)
    legend(axes)
    caption = f"{n} reads. Grey: where 95 % of independent reads lie, of one node."
    label = f"Autocorrelation up to lag {lags[-1]}; the largest at lag 1 is "
    label += f"{steady.lag_1[worst]:.3g} at node {judged[worst]}."
    return Plot("Autocorrelation", caption, inline(figure, "autocorrelation", label))


def _periodogram(
    volts: Doubles, judged: NDArray[np.int64], interval: float | None, steady: Independence
) -> Plot:
    frequencies, first = periodogram(volts[:, 0], interval)
    densities = np.stack([first, *(periodogram(v, interval)[1] for v in volts.T[1:])])
    shown = slice(1, None)
    x, mean = frequencies[shown], densities.mean(axis=0)[shown]
    block = -(-x.size // MOST_POINTS)
    if block > 1:
        starts = np.arange(0, x.size, block)
        x, mean = x[starts], np.maximum.reduceat(mean, starts)
    figure, axes = axes_of_panel()
    positive = mean > 0
    density = np.sqrt(mean[positive])
    scale, prefix = prefixed(float(density.max()) if density.size else 0.0)
    axes.plot(x[positive], density / scale, color=FIRST, lw=0.7)
    if positive.any():
        axes.set_yscale("log")
        plain_decades(axes)
    unit = "cycles per read" if interval is None else "Hz"
    marks = _mains(axes, interval, volts.shape[0])
    found = [(line, node) for node, each in enumerate(steady.lines) for line in each]
    rate = 1.0 if interval is None else 1 / interval
    at = sorted({round(line.cycles_per_read * rate, 9) for line, _ in found})
    _, top = axes.get_ylim()
    axes.plot(at, np.full(len(at), top), "v", color=SECOND, ms=4, clip_on=False, zorder=4)
    axes.set_xlabel(f"frequency ({unit})")
    axes.set_ylabel(f"density ({prefix}V{'/√Hz' if interval is not None else '·√read'})")
    axes.set_xlim(0, float(frequencies[-1]) * 1.01)
    caption = "Root mean square over the nodes"
    caption += f", the largest of {block} neighbours each. " if block > 1 else ". "
    if interval is None:
        caption += "The interval between reads is not known, so mains cannot be named. "
    else:
        caption += f"Dashed: {marks}. "
    caption += f"Triangles: lines found, {len(at)}." if at else "No line stands out."
    label = f"Periodogram of {volts.shape[0]} reads with {len(at)} lines."
    return Plot("Periodogram", caption, inline(figure, "periodogram", label))


def _mains(axes: Axes, interval: float | None, reads: int) -> str:
    """Draw where 50 and 60 Hz show, and return that in words."""
    if interval is None:
        return ""
    seen, hidden = [], []
    for hz in MAINS_HZ:
        cycles = aliased(hz, interval)
        if cycles * reads < 1:
            hidden.append(f"{hz:g} Hz")
            continue
        at = cycles / interval
        axes.axvline(at, color=MUTED, lw=0.8, ls=(0, (4, 3)))
        shown = "" if math.isclose(at, hz, rel_tol=1e-3) else f" seen at {at:.4g} Hz"
        seen.append(f"{hz:g} Hz{shown}")
    text = "mains, " + " and ".join(seen) if seen else "no mains"
    if hidden:
        text += f"; {' and '.join(hidden)} falls on zero and looks like an offset"
    return text


def _excess(judged: NDArray[np.int64], steady: Independence) -> Plot:
    worst = int(steady.excess.max(axis=0).argmax())
    figure, axes = axes_of_panel()
    axes.axhline(1, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    if judged.size > 1:
        axes.plot(steady.ladder, steady.excess.mean(axis=1), "o-", ms=2.6, color=FIRST,
                  label="mean of nodes")  # fmt: skip
    axes.plot(steady.ladder, steady.excess[:, worst], "D-", ms=2.2, lw=0.8, color=SECOND,
              label=f"node {judged[worst]}")  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(steady.ladder[:: max(1, steady.ladder.size // 6)])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("N")
    axes.set_ylabel("variance of means over σ²/N")
    legend(axes)
    caption = "1 where eq. (11) holds, above 1 where means of N reads vary more than it says."
    label = "Variance of means of N reads over that of independent ones, up to N = "
    label += f"{steady.ladder[-1]}."
    return Plot("Means of N reads", caption, inline(figure, "means", label))
