"""The shares of a budget as a figure."""

from __future__ import annotations

from hilep.calibration.budget import Budget
from hilep.report_axes import axes_of_panel
from hilep.report_svg import FIRST, Plot, inline


def budget_figures(found: Budget) -> list[Plot]:
    """Return the shares of the variance as bars. Call within `drawing`."""
    names = [part.name for part in found.contributions]
    shares = [100 * share for share in found.shares()]
    figure, axes = axes_of_panel()
    axes.set_position((0.32, 0.185, 0.645, 0.69))
    axes.barh(range(len(names)), shares, color=FIRST, height=0.6)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the variance (%)")
    largest = max(range(len(names)), key=lambda k: shares[k])
    label = f"Shares of the variance of the mean; the largest is {names[largest]}, "
    label += f"{shares[largest]:.3g} %."
    caption = f"Of the variance of a mean of N = {found.reads} reads."
    return [Plot("Shares", caption, inline(figure, "budget", label))]
