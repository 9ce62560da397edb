"""Settling as figures: what is left of each step, its fit, and the delay."""

from __future__ import annotations

import numpy as np

from hilep.calibration.calibration import Settling
from hilep.calibration.stepreads import StepReads
from hilep.report_axes import axes_of_panel, legend, plain_decades
from hilep.report_svg import FIRST, INK, MUTED, SECOND, Plot, inline
from hilep.report_text import prefixed, quantity

NODES = 2
"""Of each step, those that move most."""


def settling_figures(settling: Settling) -> list[Plot]:
    """Return a figure for each kind of step that was seen. Call within `drawing`."""
    return [plot for reads in settling.reads if (plot := _step(settling, reads)) is not None]


def _step(settling: Settling, reads: StepReads) -> Plot | None:
    fitted = {
        int(node): response
        for name, node, response in zip(
            settling.steps, settling.nodes, settling.responses, strict=True
        )
        if name.split(",")[0] == reads.name
    }
    if not fitted:
        return None
    mean, times = reads.volts.mean(axis=0), reads.delays_s.mean(axis=0)
    noise = reads.sd_v / np.sqrt(reads.volts.shape[0])
    chosen = sorted(fitted, key=lambda node: -float(np.ptp(mean[:, node])))[:NODES]
    scale_s, prefix_s = prefixed(float(times[:, chosen].max()))
    scale, prefix = prefixed(max(float(np.ptp(mean[:, node])) for node in chosen))
    figure, axes = axes_of_panel()
    lowest = np.inf
    for node, colour, mark in zip(chosen, (FIRST, SECOND), "oD", strict=False):
        response = fitted[node]
        away = np.abs(mean[:, node] - response.final_v)
        seen = away > 0
        axes.plot(times[seen, node] / scale_s, away[seen] / scale, mark, ms=2.4, mew=0,
                  color=colour, label=f"node {node}")  # fmt: skip
        at = np.linspace(0.0, float(times[:, node].max()), 200)
        decays = np.exp(-np.outer(at, 1 / response.time_constants_s)) @ response.amplitudes_v
        axes.plot(at / scale_s, np.abs(decays) / scale, color=colour, lw=0.9)
        lowest = min(lowest, float(noise[node]))
    if settling.delay is not None:
        axes.axvline(settling.delay.high_s / scale_s, color=INK, lw=0.9, ls=(0, (4, 3)))
        axes.axhline(settling.delay.tolerance_v / scale, color=MUTED, lw=0.8, ls=(0, (1, 2)))
        lowest = min(lowest, settling.delay.tolerance_v)
    axes.set_yscale("log")
    if lowest > 0:
        axes.set_ylim(bottom=0.3 * lowest / scale)
    plain_decades(axes)
    axes.set_xlabel(f"time after the step ({prefix_s}s)")
    axes.set_ylabel(f"left of the step ({prefix}V)")
    legend(axes)
    taus = ", ".join(
        f"node {node}: " + " and ".join(quantity(t, "s", 3) for t in fitted[node].time_constants_s)
        for node in chosen
    )
    caption = f"The nodes that move most, and their fits; time constants {taus}."
    if settling.delay is not None:
        caption += (
            f" Dashed: the delay, {quantity(settling.delay.high_s, 's', 3)}; dotted: what may be "
            f"left, {quantity(settling.delay.tolerance_v, 'V', 3)}."
        )
    label = f"What is left of the step of the {reads.name} against time, at {len(chosen)} nodes."
    return Plot(f"After the {reads.name}", caption, inline(figure, f"after-{reads.name}", label))
