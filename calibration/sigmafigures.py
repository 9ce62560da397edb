"""Sigma as figures: the histogram of pairs, sigma of each node, and both phases side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.calibration.calibration import Calibration
from hilep.calibration.covariance import pair_noise
from hilep.calibration.sigma import SigmaEstimate
from hilep.network import Network
from hilep.report_axes import axes_of_panel, legend, whole_numbers
from hilep.report_svg import FIRST, MUTED, SECOND, Plot, inline
from hilep.report_text import prefixed, quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_MARKS = 2000
"""Points that are drawn as vectors; more become pixels."""

MOST_BARS = 120
"""Nodes whose intervals are drawn as bars; of more of them as a band."""


def sigma_figures(calibration: Calibration, network: Network) -> list[Plot]:
    """Return the figures of sigma that the calibration allows. Call within `drawing`."""
    plots = []
    if calibration.judged.size and calibration.sigma.pooled is not None:
        plots.append(_histogram(calibration))
    plots.append(_nodes(calibration, network))
    plots.append(_phases(calibration, network))
    return plots


def _histogram(calibration: Calibration) -> Plot:
    judged, pooled = calibration.judged, calibration.sigma.pooled
    assert pooled is not None
    noise = pair_noise(calibration.reads.free[:, judged], calibration.reads.nudged[:, judged])
    values = (noise - noise.mean(axis=0)).ravel()
    scale, prefix = prefixed(pooled.sigma_v)
    bins = int(np.clip(np.sqrt(values.size), 8, 60))
    counts, edges = np.histogram(values / scale, bins=bins)
    figure, axes = axes_of_panel()
    axes.stairs(counts, edges, fill=True, color=FIRST, alpha=0.45, lw=0, label="reads")
    at = np.linspace(edges[0], edges[-1], 200)
    width = pooled.sigma_v / scale
    bell = np.exp(-0.5 * (at / width) ** 2) / (width * np.sqrt(2 * np.pi))
    axes.plot(at, bell * values.size * (edges[1] - edges[0]), color=SECOND, label="Gaussian")
    axes.set_xlabel(f"(free - nudged) / √2, less its mean ({prefix}V)")
    axes.set_ylabel("reads per bin")
    legend(axes)
    caption = (
        f"{noise.shape[0]} pairs at each of {judged.size} nodes; the Gaussian has the pooled sigma."
    )
    label = f"Histogram of {values.size} differences of paired reads with a Gaussian of sigma "
    label += quantity(pooled.sigma_v, "V", 3) + "."
    return Plot("Paired differences", caption, inline(figure, "pairs", label))


def _nodes(calibration: Calibration, network: Network) -> Plot:
    estimate = calibration.sigma
    found = estimate.per_node
    nodes = np.arange(found.sigma_v.size)
    shown = estimate.usable
    scale, prefix = _scale(estimate)
    figure, axes = axes_of_panel()
    if shown.any():
        _with_intervals(axes, nodes[shown], estimate, shown, scale)
    if estimate.pooled is not None:
        low, high = estimate.pooled.low_v / scale, estimate.pooled.high_v / scale
        axes.axhspan(low, high, color=SECOND, alpha=0.25, lw=0)
        axes.axhline(estimate.pooled.sigma_v / scale, color=SECOND, lw=0.9)
    axes.set_ylim(bottom=0)
    if not shown.all():
        axes.plot(nodes[~shown], np.zeros((~shown).sum()), "x", color=MUTED, ms=4, clip_on=False)
    _along_nodes(axes, network, nodes.size)
    axes.set_ylabel(f"sigma ({prefix}V)")
    caption = f"{100 * found.confidence:g} % intervals; orange: pooled."
    if not shown.all():
        caption += f" Crosses: nodes without a sigma, {(~shown).sum()}."
    caption += _layers_text(network)
    label = f"Sigma of {nodes.size} nodes with intervals, {shown.sum()} of them usable."
    return Plot("Sigma of each node", caption, inline(figure, "nodes", label))


def _phases(calibration: Calibration, network: Network) -> Plot:
    phases = calibration.phases
    nodes = np.arange(phases.free.per_node.sigma_v.size)
    both = phases.free.usable & phases.nudged.usable
    scale, prefix = _scale(phases.free)
    figure, axes = axes_of_panel()
    many = nodes.size > MOST_MARKS
    for estimate, colour, shift, mark, name in (
        (phases.free, FIRST, -0.15, "o", "free"),
        (phases.nudged, SECOND, 0.15, "D", "nudged"),
    ):
        axes.plot(
            nodes[both] + shift, estimate.per_node.sigma_v[both] / scale, mark, color=colour,
            ms=3 if nodes.size <= 64 else 1.8, mew=0, label=name, rasterized=many,
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    _along_nodes(axes, network, nodes.size)
    axes.set_ylabel(f"sigma of one phase ({prefix}V)")
    if both.any():
        legend(axes)
    caption = "Each phase alone: drift and what all reads share are in it. "
    if phases.agreement is None:
        caption += "Too few pairs to say whether the phases agree."
    elif phases.agreement.agree == "cannot tell":
        caption += "Whether the phases agree cannot be told from so few pairs."
    else:
        caption += f"The phases {'agree' if phases.agreement.agree else 'do not agree'}."
    label = f"Sigma of the free and of the nudged phase at {both.sum()} nodes."
    return Plot("Free and nudged phase", caption, inline(figure, "phases", label))


def _with_intervals(
    axes: Axes, nodes: NDArray[np.int64], estimate: SigmaEstimate, shown: NDArray[np.bool_],
    scale: float,
) -> None:  # fmt: skip
    found = estimate.per_node
    values, low, high = (v[shown] / scale for v in (found.sigma_v, found.low_v, found.high_v))
    if nodes.size <= MOST_BARS:
        errors = np.maximum([values - low, high - values], 0.0)
        axes.errorbar(
            nodes, values, yerr=errors, fmt="o", ms=2.6, color=FIRST, elinewidth=0.8, capsize=1.4,
            capthick=0.8,
        )  # fmt: skip
        return
    axes.fill_between(nodes, low, high, color=FIRST, alpha=0.25, lw=0)
    axes.plot(nodes, values, "o", ms=1.8, mew=0, color=FIRST, rasterized=nodes.size > MOST_MARKS)


def _along_nodes(axes: Axes, network: Network, nodes: int) -> None:
    for layer in network.slices[1:]:
        axes.axvline(layer.start - 0.5, color=MUTED, lw=0.6, ls=(0, (4, 3)))
    axes.set_xlim(-0.5 - 0.02 * nodes, nodes - 0.5 + 0.02 * nodes)
    axes.set_xlabel("node")
    whole_numbers(axes)


def _layers_text(network: Network) -> str:
    return " Dashed: from one layer to the next." if len(network.slices) > 1 else ""


def _scale(estimate: SigmaEstimate) -> tuple[float, str]:
    known: Doubles = estimate.per_node.sigma_v[np.isfinite(estimate.per_node.sigma_v)]
    return prefixed(float(known.max()) if known.size else 0.0)
