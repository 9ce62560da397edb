"""The Allan plot, what interleaving gains, and how nodes vary together, as figures."""

from __future__ import annotations

import math

import numpy as np

from hilep.arrays import Doubles
from hilep.calibration.allan import AllanDeviation
from hilep.calibration.calibration import Calibration, Drift, NodeCovariance
from hilep.report_axes import (
    axes_of_panel,
    legend,
    magnified,
    plain_decades,
    scale_bar,
    whole_numbers,
)
from hilep.report_svg import FIRST, MUTED, SECOND, Plot, inline
from hilep.report_text import prefixed, quantity

LONGEST_SIDE = 256
"""Nodes of a map along each side; of more of them every second, third, ... is shown."""


def drift_figures(calibration: Calibration, reads: int) -> list[Plot]:
    """Return the figures of drift; none without a record. Call within `drawing`.

    Args:
        calibration: what was measured.
        reads: N of the training to come.
    """
    if calibration.allan is None:
        return []
    plots = [_allan(calibration, calibration.allan, reads)]
    if np.isfinite(calibration.allan.interleaving_gain).any():
        plots.append(_gain(calibration, calibration.allan))
    return plots


def covariance_figures(calibration: Calibration) -> list[Plot]:
    """Return the map of the nodes, and sigma of edges. Call within `drawing`."""
    if calibration.covariance is None:
        return []
    plots = [_map(calibration.covariance)]
    if calibration.covariance.edge_sigma is not None:
        plots.append(_edges(calibration.covariance))
    return plots


def _together(deviations: tuple[AllanDeviation, ...]) -> tuple[Doubles, Doubles, Doubles]:
    """Return root mean square over nodes, with limits as wide as those of one node."""
    squares = np.stack([one.deviation_v**2 for one in deviations])
    middle = np.sqrt(squares.mean(axis=0))
    ratios = [
        np.stack([np.divide(limit, one.deviation_v, where=one.deviation_v > 0, out=limit * 0 + 1)
                  for limit, one in pairs]).mean(axis=0)
        for pairs in (
            [(one.low_v, one) for one in deviations],
            [(one.high_v, one) for one in deviations],
        )
    ]  # fmt: skip
    return middle, middle * ratios[0], middle * ratios[1]


def _allan(calibration: Calibration, drift: Drift, reads: int) -> Plot:
    figure, axes = axes_of_panel()
    each = drift.allan[0].reads
    middle, low, high = _together(drift.allan)
    scale, prefix = prefixed(float(middle.max()))
    if 1 < len(drift.allan) <= 40:
        for one in drift.allan:
            axes.plot(one.reads, one.deviation_v / scale, color=MUTED, lw=0.4, alpha=0.5)
    pooled = calibration.sigma.pooled
    if pooled is not None:
        axes.plot(each, pooled.sigma_v / np.sqrt(each) / scale, color=MUTED, lw=0.9,
                  ls=(0, (4, 3)), label="σ/√N")  # fmt: skip
    errors = np.maximum([middle - low, high - middle], 0.0) / scale
    axes.errorbar(each, middle / scale, yerr=errors, fmt="o-", ms=2.6, color=FIRST,
                  elinewidth=0.8, capsize=1.6, capthick=0.8, label="in a row")  # fmt: skip
    if drift.pause_reads and drift.at_delay:
        apart, below, above = _together(drift.at_delay)
        errors = np.maximum([apart - below, above - apart], 0.0) / scale
        axes.errorbar(drift.at_delay[0].reads, apart / scale, yerr=errors, fmt="D-", ms=2.4,
                      color=SECOND, elinewidth=0.8, capsize=1.6, capthick=0.8,
                      label="at the delay")  # fmt: skip
        axes.axvline(drift.pause_reads, color=SECOND, lw=0.8, ls=(0, (1, 2)))
    axes.axvline(reads, color=FIRST, lw=0.8, ls=(0, (1, 2)))
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_decades(axes, "x")
    plain_decades(axes)
    axes.set_xlabel("N")
    axes.set_ylabel(f"sd of an N-read mean ({prefix}V)")
    legend(axes, 3)
    caption = (
        "Overlapping Allan deviation, root mean square over nodes, 95 % limits as for one node; "
        f"thin: each node. Dotted blue: N = {reads} of the training. "
    )
    if drift.pause_reads:
        caption += f"Dotted orange: free and nudged phase are {drift.pause_reads} reads apart."
    else:
        caption += "Delay from free to nudged: below one read, or not known."
    label = f"Allan deviation of {len(drift.allan)} nodes from N = {each[0]} to {each[-1]}."
    return Plot("Allan plot", caption, inline(figure, "allan", label))


def _gain(calibration: Calibration, drift: Drift) -> Plot:
    figure, axes = axes_of_panel()
    axes.axhline(1, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    gain = drift.interleaving_gain
    axes.plot(calibration.judged, gain, "o", ms=3 if gain.size <= 64 else 1.8, mew=0, color=FIRST)
    axes.set_ylim(0, max(1.2, 1.1 * float(np.nanmax(gain))))
    axes.set_xlabel("node")
    axes.set_ylabel("gain of reads in turn")
    whole_numbers(axes)
    caption = (
        f"How much smaller sigma of the difference is with training.interleave = "
        f"{drift.portions or drift.planned_reads}, at N = {drift.planned_reads}; 1: nothing to "
        "gain."
    )
    label = f"Gain of interleaving at {gain.size} nodes, mean {np.nanmean(gain):.3g}."
    return Plot("Interleaving", caption, inline(figure, "interleaving", label))


def _map(covariance: NodeCovariance) -> Plot:
    values = covariance.covariance_v2
    step = -(-values.shape[0] // LONGEST_SIDE)
    deviations = np.sqrt(np.diag(values))
    correlations = (values / np.outer(deviations, deviations))[::step, ::step]
    nodes = values.shape[0]
    figure, axes = axes_of_panel()
    axes.grid(False)
    picture = axes.imshow(
        magnified(correlations), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto",
        extent=(0, nodes, nodes, 0),
    )  # fmt: skip
    scale_bar(figure, axes, picture, "correlation", "neither")
    axes.set_xlabel("judged node")
    axes.set_ylabel("judged node")
    whole_numbers(axes)
    caption = "Covariance of pairs, each over both nodes' sigma."
    if math.isfinite(covariance.common_mode):
        caption += f" All nodes have {100 * covariance.common_mode:.3g} % of the variance in common"
        caption += ", which cancels in every cell's difference."
    if step > 1:
        caption += f" Every {step}th node."
    label = f"Map of the correlation of {nodes} nodes' noise."
    return Plot("Covariance", caption, inline(figure, "covariance", label))


def _edges(covariance: NodeCovariance) -> Plot:
    assert covariance.edge_sigma is not None
    sigma = covariance.edge_sigma.sigma_v
    scale, prefix = prefixed(float(sigma.max()))
    figure, axes = axes_of_panel()
    counts, edges = np.histogram(sigma / scale, bins=int(np.clip(np.sqrt(sigma.size), 6, 50)))
    axes.stairs(counts, edges, fill=True, color=FIRST, alpha=0.6, lw=0)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"sigma of V_i - V_j ({prefix}V)")
    axes.set_ylabel("cells per bin")
    middle = float(np.sqrt((sigma**2).mean()))
    caption = (
        f"Of the two nodes that a cell joins, {sigma.size} cells between free nodes; root mean "
        f"square {quantity(middle, 'V', 4)}."
    )
    label = f"Histogram of sigma of the voltage differences of {sigma.size} cells."
    return Plot("Sigma of cells' differences", caption, inline(figure, "edges", label))
