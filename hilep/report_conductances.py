"""The conductances of a report: a map, a histogram and the bias currents of each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles, Floats
from hilep.network import Network
from hilep.report_axes import axes_of_panel, magnified, plain_bar, scale_bar, whole_numbers
from hilep.report_facts import Facts
from hilep.report_svg import FIRST, MUTED, Plot, inline
from hilep.report_text import prefixed, quantity

if TYPE_CHECKING:
    pass

MOST_PIXELS = 400_000
"""Of all maps together, so that the page stays small."""

LONGEST_SIDE = 256
BINS = 64
CLIPPED_PERCENT = 0.5
"""Of the conductances of a map lie above the end of its scale, so that one does not darken all."""

FIELDS = 16
"""Hidden nodes whose weights on an image are shown."""

MOST_MARKS = 2000
"""Points that are drawn as vectors; more become pixels."""


def layers(facts: Facts) -> list[list[Plot]]:
    """Return the figures of each layer at the newest checkpoint. Call within `drawing`."""
    checkpoint = facts.record.checkpoint
    if checkpoint is None:
        return []
    network = facts.record.config.network.network()
    pixels = MOST_PIXELS // len(checkpoint.conductances)
    side = max(16, min(LONGEST_SIDE, int(pixels**0.5)))
    rows = []
    for k, conductances in enumerate(checkpoint.conductances):
        row = [_map(k, conductances, network, side), _histogram(k, conductances, network)]
        if network.bias == "current":
            row.append(_bias(k, checkpoint.bias_currents[network.slices[k]]))
        rows.append(row)
    return rows


def fields(facts: Facts) -> Plot | None:
    """Return the first layer seen from hidden nodes, as pictures, where the data are pictures."""
    record, image = facts.record, facts.sizes.image
    if record.checkpoint is None or image is None or len(record.config.network.layers) < 3:
        return None
    doubled = record.config.data.doubled
    features = image[0] * image[1]
    inputs, hidden = record.config.network.layers[:2]
    if inputs != features * (2 if doubled else 1):
        return None
    chosen = np.unique(np.linspace(0, hidden - 1, min(FIELDS, hidden)).round().astype(int))
    weights = record.checkpoint.conductances[0][:inputs, chosen].astype(np.float64)
    if not np.isfinite(weights).all():
        return None
    if doubled:
        weights = weights[:features] - weights[features:]
    return _pictures(weights.T.reshape(-1, *image), chosen.tolist(), hidden, doubled)


def block_means(values: Floats, side: int) -> tuple[Doubles, tuple[int, int]]:
    """Return means over blocks, at most `side` x `side` of them, and the size of a block.

    The blocks at the end of an axis may be smaller.
    """
    means = values.astype(np.float64)
    blocks = []
    for axis in (0, 1):
        length = values.shape[axis]
        block = -(-length // side)
        starts = np.arange(0, length, block)
        counts = np.diff(np.append(starts, length))
        shape = (-1, 1) if axis == 0 else (1, -1)
        means = np.add.reduceat(means, starts, axis=axis) / counts.reshape(shape)
        blocks.append(block)
    return means, (blocks[0], blocks[1])


def _map(k: int, conductances: Floats, network: Network, side: int) -> Plot:
    pre, post = conductances.shape
    means, block = block_means(conductances, side)
    shown = means[np.isfinite(means)]
    top = float(np.percentile(shown, 100 - CLIPPED_PERCENT)) if shown.size else 0.0
    top = top or (float(shown.max()) if shown.size else 0.0)
    scale, prefix = prefixed(top)
    figure, axes = axes_of_panel()
    axes.grid(False)
    picture = axes.imshow(
        np.ma.masked_invalid(magnified(means)) / scale, aspect="auto", extent=(0, post, pre, 0),
        vmin=0, vmax=top / scale or 1,
    )  # fmt: skip
    over = bool(shown.size and shown.max() > top)
    scale_bar(figure, axes, picture, f"conductance ({prefix}S)", "max" if over else "neither")
    axes.set_xlabel(f"node of layer {k + 1}")
    axes.set_ylabel("input" if k == 0 else f"node of layer {k}")
    whole_numbers(axes)
    caption = f"{pre} x {post} cells"
    if block != (1, 1):
        caption += f", each pixel the mean of {block[0]} x {block[1]}"
    if over:
        caption += f"; the scale ends where {CLIPPED_PERCENT:g} % of the pixels are above it"
    if network.bias_rows:
        caption += f"; the last {network.bias_rows} rows are the bias rows"
    label = f"Map of the {pre} by {post} conductances of layer {k + 1}."
    return Plot(f"Layer {k + 1}: map", f"{caption}.", inline(figure, f"map-{k + 1}", label))


def _histogram(k: int, conductances: Floats, network: Network) -> Plot:
    g = conductances[np.isfinite(conductances)]
    text = cells_text(conductances, network)
    scale, prefix = prefixed(float(g.max()) if g.size else 0.0)
    figure, axes = axes_of_panel()
    if g.size:
        counts, edges = np.histogram(g.astype(np.float64) / scale, bins=BINS)
        axes.stairs(counts, edges, fill=True, color=FIRST, lw=0, baseline=0)
        axes.set_yscale("symlog", linthresh=1, linscale=0.4)
        axes.set_ylim(0, 2.0 * counts.max())
        from matplotlib.ticker import FixedLocator, FuncFormatter

        decades = 10 ** np.arange(int(np.log10(counts.max())) + 1)
        axes.yaxis.set_major_locator(FixedLocator([0, *decades.tolist()]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(f"conductance ({prefix}S)")
    axes.set_ylabel("cells per bin")
    label = f"Histogram of the conductances of layer {k + 1}: {text}"
    return Plot(f"Layer {k + 1}: distribution", text, inline(figure, f"histogram-{k + 1}", label))


def cells_text(conductances: Floats, network: Network) -> str:
    """Return how many cells are at the ends of the window, and mean and largest conductance."""
    finite = np.isfinite(conductances)
    g = conductances[finite]
    if not g.size:
        return "No finite conductance."
    # The device clips at the limit as its own type holds it.
    low, high = (g.dtype.type(v) for v in (network.g_min_siemens, network.g_max_siemens))
    mean = float(g.mean(dtype=np.float64))
    text = f"{_part(g <= low)} at g_min ({quantity(network.g_min_siemens, 'S')}), "
    if np.isfinite(high):
        text += f"{_part(g >= high)} at g_max ({quantity(network.g_max_siemens, 'S')}), "
    text += f"mean {quantity(mean, 'S', 4)}, largest {quantity(float(g.max()), 'S', 4)}."
    if g.size < conductances.size:
        text += f" {conductances.size - g.size} cells are not finite and not shown."
    return text


def _part(there: NDArray[np.bool_]) -> str:
    """Return how many, of how many, and in percent: few of many would round to nothing."""
    return f"{there.sum()} of {there.size} cells ({100 * there.mean():.2f} %)"


def _bias(k: int, currents: Doubles) -> Plot:
    finite = currents[np.isfinite(currents)]
    scale, prefix = prefixed(float(np.abs(finite).max()) if finite.size else 0.0)
    figure, axes = axes_of_panel()
    axes.axhline(0, color=MUTED, lw=0.6)
    axes.plot(
        np.arange(currents.size), np.ma.masked_invalid(currents) / scale, "o", color=FIRST,
        ms=3 if currents.size <= 64 else 1.6, mew=0, rasterized=currents.size > MOST_MARKS,
    )  # fmt: skip
    axes.set_xlabel(f"node of layer {k + 1}")
    axes.set_ylabel(f"bias current ({prefix}A)")
    whole_numbers(axes)
    if finite.size:
        low, high = (quantity(float(v), "A", 4) for v in (finite.min(), finite.max()))
        text = f"{currents.size} nodes, {low} to {high}."
    else:
        text = "No finite bias current."
    label = f"Bias currents of layer {k + 1}: {text}"
    return Plot(f"Layer {k + 1}: bias currents", text, inline(figure, f"bias-{k + 1}", label))


def _pictures(pictures: Doubles, nodes: list[int], hidden: int, doubled: bool) -> Plot:
    from matplotlib.figure import Figure

    reach = float(np.abs(pictures).max())
    scale, prefix = prefixed(reach)
    columns = min(8, len(nodes))
    lines = -(-len(nodes) // columns)
    figure = Figure(figsize=(10.2, 0.35 + 1.24 * lines))
    grid = figure.add_gridspec(
        lines, columns, left=0.005, right=0.925, top=1 - 0.16 / figure.get_figheight(),
        bottom=0.03, wspace=0.12, hspace=0.22,
    )  # fmt: skip
    for k, (picture, node) in enumerate(zip(pictures, nodes, strict=True)):
        axes = figure.add_subplot(grid[k // columns, k % columns])
        image = axes.imshow(
            magnified(picture) / scale, cmap="RdBu_r" if doubled else "cividis",
            vmin=-(reach / scale or 1) if doubled else 0, vmax=reach / scale or 1,
        )  # fmt: skip
        axes.set_title(f"node {node}", pad=2.5)
        axes.set_axis_off()
    bar = figure.add_axes((0.94, 0.06, 0.011, 0.84))
    figure.colorbar(
        image, cax=bar, label=f"{'difference' if doubled else 'conductance'} ({prefix}S)"
    )
    plain_bar(bar)
    what = (
        "the conductance to the input less that to its negative copy"
        if doubled
        else "the conductance to the input"
    )
    caption = (
        f"{len(nodes)} of {hidden} hidden nodes, evenly spaced; each pixel is {what}. "
        "One scale for all."
    )
    label = f"First-layer weights of {len(nodes)} hidden nodes as pictures, within "
    label += f"{quantity(reach, 'S', 4)} of zero."
    return Plot("Receptive fields", caption, inline(figure, "fields", label))
