"""Gain and offset of channels as figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hilep.calibration.channels import ChannelCalibration
from hilep.report_axes import axes_of_panel
from hilep.report_svg import FIRST, MUTED, Plot, inline
from hilep.report_text import prefixed

NAMED = 8
"""Channels whose names stand at the axis; of more of them only numbers."""


def channel_figures(channels: Sequence[ChannelCalibration]) -> list[Plot]:
    """Return gain, and offset of each unit there is, with uncertainties. Call within `drawing`."""
    plots = [
        _points(
            channels, [100 * (one.gain - 1) for one in channels],
            [200 * one.u_gain for one in channels], "gain - 1 (%)", "Gain", "gain",
        )
    ]  # fmt: skip
    for unit in sorted({one.unit for one in channels}):
        those = [one for one in channels if one.unit == unit]
        scale, prefix = prefixed(max(abs(one.offset) + 2 * one.u_offset for one in those))
        plots.append(
            _points(
                those, [one.offset / scale for one in those],
                [2 * one.u_offset / scale for one in those], f"offset ({prefix}{unit})",
                f"Offset in {'volts' if unit == 'V' else 'amperes'}", f"offset-{unit.lower()}",
            )
        )  # fmt: skip
    return plots


def _points(
    channels: Sequence[ChannelCalibration], values: list[float], reach: list[float], y: str,
    title: str, name: str,
) -> Plot:  # fmt: skip
    at = np.arange(len(channels))
    figure, axes = axes_of_panel()
    axes.axhline(0, color=MUTED, lw=0.6)
    axes.errorbar(at, values, yerr=reach, fmt="o", ms=2.8, color=FIRST, elinewidth=0.8,
                  capsize=1.6, capthick=0.8)  # fmt: skip
    axes.set_xlim(-0.5, len(channels) - 0.5)
    if len(channels) <= NAMED:
        axes.set_xticks(at, [one.channel for one in channels], rotation=25, ha="right")
        axes.tick_params(axis="x", pad=1)
    else:
        axes.set_xlabel("channel, in the order of the table")
    axes.set_ylabel(y)
    label = f"{title} of {len(channels)} channels with uncertainties."
    return Plot(title, "Bars: two standard uncertainties.", inline(figure, name, label))
