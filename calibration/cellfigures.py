"""Cells that were measured in place, as figures: what each holds, and how it follows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.calibration.conductance import ConductanceMap, LayerCells
from hilep.calibration.pulsecurves import PulseCurves
from hilep.report_axes import axes_of_panel, magnified, scale_bar, whole_numbers
from hilep.report_conductances import LONGEST_SIDE, block_means
from hilep.report_svg import FIRST, INK, MUTED, Plot, inline
from hilep.report_text import prefixed

LEAST_PERCENT = 0.1
"""Half of the scale of gains at least, so that rounding does not look like spread."""

MOST_MARKS = 2000
"""Stuck cells that are marked one by one."""

MOST_CURVES = 50
"""Cells whose curves are drawn."""


def cell_figures(cells: ConductanceMap) -> list[Plot]:
    """Return for each layer a map of conductances, and of gains a map and a histogram.

    Call within `drawing`.
    """
    plots = []
    for k, layer in enumerate(cells.layers, start=1):
        plots += [_conductances(k, layer), _gains(k, layer), _histogram(k, layer)]
    if cells.curves is not None:
        plots.append(_curves(cells.curves))
    return plots


def _conductances(k: int, layer: LayerCells) -> Plot:
    finite = layer.siemens[np.isfinite(layer.siemens)]
    scale, prefix = prefixed(float(finite.max()) if finite.size else 0.0)
    top = float(finite.max()) / scale if finite.size else 1.0
    stuck = np.argwhere(layer.stuck > 0)
    caption = f"{layer.siemens.shape[0]} x {layer.siemens.shape[1]} cells as last read"
    if 0 < len(stuck) <= MOST_MARKS:
        caption += "; crosses: stuck"
    missing = int(layer.siemens.size - finite.size)
    if missing:
        caption += f"; white: {missing} without a good read"
    svg = _map(
        k, layer.siemens / scale, (0.0, top or 1.0), "cividis", f"conductance ({prefix}S)",
        f"cells-{k}", stuck,
    )  # fmt: skip
    return Plot(f"Layer {k}: conductances", f"{caption}.", svg)


def _gains(k: int, layer: LayerCells) -> Plot:
    away = 100 * (layer.gain - 1)
    finite = np.abs(away[np.isfinite(away)])
    reach = max(float(finite.max()) if finite.size else 0.0, LEAST_PERCENT)
    svg = _map(
        k, away, (-reach, reach), "RdBu_r", "found over asked - 1 (%)", f"gains-{k}",
        np.zeros((0, 2), np.int64),
    )  # fmt: skip
    caption = "Each cell's own gain over all rounds; white: stuck."
    return Plot(f"Layer {k}: gains", caption, svg)


def _map(
    k: int, values: Doubles, ends: tuple[float, float], colours: str, what: str, name: str,
    stuck: NDArray[np.int64],
) -> str:  # fmt: skip
    pre, post = values.shape
    # A block with a cell that is not known is not known either.
    shown, block = block_means(values, LONGEST_SIDE)
    figure, axes = axes_of_panel()
    axes.grid(False)
    picture = axes.imshow(
        np.ma.masked_invalid(magnified(shown)), aspect="auto", extent=(0, post, pre, 0),
        vmin=ends[0], vmax=ends[1], cmap=colours,
    )  # fmt: skip
    if 0 < len(stuck) <= MOST_MARKS:
        axes.plot(stuck[:, 1] + 0.5, stuck[:, 0] + 0.5, "x", color="#e03020", ms=4, mew=0.9)
    axes.set_xlim(0, post)
    axes.set_ylim(pre, 0)
    scale_bar(figure, axes, picture, what, "neither")
    axes.set_xlabel(f"node of layer {k}")
    axes.set_ylabel("input" if k == 1 else f"node of layer {k - 1}")
    whole_numbers(axes)
    label = f"Map of the {pre} by {post} cells of layer {k}: {what}"
    if block != (1, 1):
        label += f", means of {block[0]} by {block[1]} cells"
    return inline(figure, name, f"{label}.")


def _histogram(k: int, layer: LayerCells) -> Plot:
    away = 100 * (layer.gain[np.isfinite(layer.gain)] - 1)
    figure, axes = axes_of_panel()
    axes.axvline(0, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    if away.size:
        bins = int(np.clip(math.sqrt(away.size), 6, 60))
        counts, edges = np.histogram(away, bins=bins)
        axes.stairs(counts, edges, fill=True, color=FIRST, alpha=0.6, lw=0)
        axes.axvline(float(away.mean()), color=INK, lw=0.9)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -LEAST_PERCENT), max(high, LEAST_PERCENT))
    axes.set_xlabel("found over asked - 1 (%)")
    axes.set_ylabel("cells per bin")
    caption = f"{away.size} cells that follow, {int((layer.stuck > 0).sum())} stuck."
    if away.size:
        caption += f" Line: the mean, {away.mean():.3g} %."
    label = f"Histogram of the gains of {away.size} cells of layer {k}."
    return Plot(f"Layer {k}: spread", caption, inline(figure, f"spread-{k}", label))


def _curves(curves: PulseCurves) -> Plot:
    seen = curves.siemens[np.isfinite(curves.siemens)]
    scale, prefix = prefixed(float(seen.max()) if seen.size else 0.0)
    figure, axes = axes_of_panel()
    shown = curves.siemens[:, :MOST_CURVES]
    axes.plot(np.arange(len(shown)), shown / scale, color=FIRST, lw=0.8, alpha=0.6)
    axes.set_xlabel("pulse")
    axes.set_ylabel(f"conductance ({prefix}S)")
    whole_numbers(axes)
    ups = int((curves.directions > 0).sum())
    cells = len(curves.cells)
    caption = f"{ups} single pulses up and {len(shown) - 1 - ups} down, {shown.shape[1]} of {cells}"
    label = f"Conductances of {shown.shape[1]} cells after each of {len(shown) - 1} pulses."
    svg = inline(figure, "pulse-curves", label)
    return Plot("Potentiation and depression", f"{caption} cells.", svg)
