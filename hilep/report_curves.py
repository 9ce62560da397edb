"""The learning curves of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hilep.arrays import Doubles
from hilep.report_axes import axes_of_panel, legend, plain_decades
from hilep.report_facts import Facts
from hilep.report_svg import FIRST, MUTED, SECOND, Plot, inline
from hilep.runtables import Integers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 800
"""Points of a curve; a longer one is drawn as means of equally many rows."""

FEW = 40
"""Up to here every point of a curve is marked."""


def curves(facts: Facts) -> list[Plot]:
    """Return the figures that the rows written so far allow. Call within `drawing`."""
    record = facts.record
    curve, looks = record.curve, record.evaluations
    plots = []
    if curve.update.size or looks.update.size:
        plots.append(_loss(facts))
    if curve.update.size:
        plots.append(_error(facts))
    if looks.update.size:
        plots.append(_accuracy(facts))
    if curve.update.size:
        plots.append(_rate(facts))
    if looks.update.size:
        if len(record.config.network.layers) > 2:
            plots.append(_silent(facts))
        plots.append(_answers(facts))
    return plots


def _loss(facts: Facts) -> Plot:
    record = facts.record
    curve, looks = record.curve, record.evaluations
    figure, axes = panel(facts, "loss (V²)")
    rows = _line(axes, curve.update, curve.loss, FIRST, "training")
    _line(axes, looks.update, looks.loss, SECOND, "validation")
    values = np.concatenate([curve.loss, looks.loss])
    if (values > 0).all() and np.isfinite(values).all():
        axes.set_yscale("log")
        plain_decades(axes)
    legend(axes)
    kind = "half the sum" if record.config.training.loss == "half-sum" else "the mean"
    caption = f"{kind.capitalize()} of squares over the outputs, free phase.{rows}"
    return Plot("Loss", caption, inline(figure, "loss", "Loss in volts squared against updates."))


def _error(facts: Facts) -> Plot:
    curve = facts.record.curve
    figure, axes = panel(facts, "training error (%)")
    rows = _line(axes, curve.update, 100 * curve.error, FIRST, "training")
    _from_zero(axes, 100 * curve.error)
    caption = f"Training samples misclassified since the row before.{rows}"
    label = (
        f"Training error against updates, {100 * curve.error[0]:.3g} % in the first row, "
        f"{100 * curve.error[-1]:.3g} % in the last."
    )
    return Plot("Training error", caption, inline(figure, "error", label))


def _accuracy(facts: Facts) -> Plot:
    looks = facts.record.evaluations
    figure, axes = panel(facts, "accuracy (%)")
    accuracy, images = looks.accuracy, facts.sizes.validation
    if images is None:
        caption = "Without error bars: the number of validation samples is not known."
        _line(axes, looks.update, 100 * accuracy, FIRST, "validation")
    else:
        error = np.sqrt(np.clip(accuracy * (1 - accuracy), 0, None) / images)
        caption = f"Bars: binomial standard error, {images} validation samples."
        _with_error(axes, looks.update, 100 * accuracy, 100 * error, "validation")
    if facts.test_accuracy is not None:
        error_bar = None if facts.standard_error is None else 100 * facts.standard_error
        axes.errorbar(
            [facts.updates], [100 * facts.test_accuracy], yerr=error_bar, fmt="D", ms=4, capsize=2,
            color=SECOND, mfc="none", elinewidth=0.9, label="test", zorder=5, clip_on=False,
        )  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(low, min(high, 100 + 0.04 * (100 - low)))
    legend(axes)
    label = f"Validation accuracy against updates, last {100 * accuracy[-1]:.2f} %."
    return Plot("Accuracy", caption, inline(figure, "accuracy", label))


def _rate(facts: Facts) -> Plot:
    curve, training = facts.record.curve, facts.record.config.training
    figure, axes = panel(facts, "learning-rate factor")
    _line(axes, curve.update, curve.rate, FIRST, "")
    axes.set_ylim(bottom=0)
    caption = f"Schedule “{training.schedule}”; 1 is the eta of the configuration."
    label = f"Learning-rate factor against updates, last {curve.rate[-1]:.3g}."
    return Plot("Learning rate", caption, inline(figure, "rate", label))


def _silent(facts: Facts) -> Plot:
    looks = facts.record.evaluations
    figure, axes = panel(facts, "silent hidden nodes (%)")
    _line(axes, looks.update, 100 * looks.silent, FIRST, "")
    _from_zero(axes, 100 * looks.silent)
    label = f"Silent hidden nodes against updates, last {100 * looks.silent[-1]:.3g} %."
    caption = "Hidden nodes that no validation sample moves."
    return Plot("Silent hidden nodes", caption, inline(figure, "silent", label))


def _answers(facts: Facts) -> Plot:
    from matplotlib.ticker import MaxNLocator

    looks = facts.record.evaluations
    classes = facts.record.config.network.layers[-1]
    figure, axes = panel(facts, "distinct answers")
    axes.axhline(classes, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    _line(axes, looks.update, looks.classes.astype(np.float64), FIRST, "")
    axes.set_ylim(0, 1.08 * max(classes, int(looks.classes.max())))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    label = f"Distinct answers against updates, last {looks.classes[-1]} of {classes}."
    caption = f"Different classes among the predictions; dashed: all {classes}."
    return Plot("Distinct answers", caption, inline(figure, "answers", label))


# What the panels share ----------------------------------------------------------------------------


def panel(facts: Facts, y: str) -> tuple[Figure, Axes]:
    """Return a panel over the updates of the run: those planned, or done if it ended before."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure, axes = axes_of_panel()
    planned = facts.record.config.training.updates
    last = max(facts.updates, 1) if facts.stopped_early else planned
    thousands = last >= 10000
    axes.set_xlim(-0.01 * last, 1.015 * last)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 3, 5, 10], integer=not thousands))
    scale = 1000 if thousands else 1
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / scale:g}"))
    axes.set_xlabel("updates / 1000" if thousands else "updates")
    axes.set_ylabel(y)
    return figure, axes


def _line(axes: Axes, update: Integers, values: Doubles, colour: str, label: str) -> str:
    """Draw one series and return what its caption has to add."""
    if not update.size:
        return ""
    marker = "o" if update.size <= FEW else ""
    x, y = update.astype(np.float64), values
    rows = -(-update.size // MOST_POINTS)
    if rows > 1:
        starts = np.arange(0, update.size, rows)
        lengths = np.diff(np.append(starts, update.size))
        x, y = (np.add.reduceat(v, starts) / lengths for v in (x, y))
    axes.plot(x, y, color=colour, marker=marker, ms=2.6, label=label, clip_on=marker == "")
    return f" Each point is the mean of {rows} rows." if rows > 1 else ""


def _with_error(axes: Axes, update: Integers, y: Doubles, error: Doubles, label: str) -> None:
    """Draw points with error bars, or a band where bars would stand too close."""
    if update.size <= FEW:
        axes.errorbar(
            update, y, yerr=error, color=FIRST, fmt="o-", ms=2.6, lw=0.9, elinewidth=0.8,
            capsize=1.6, capthick=0.8, label=label,
        )  # fmt: skip
        return
    step = -(-update.size // MOST_POINTS)
    x, low, high = (v[::step] for v in (update, y - error, y + error))
    axes.fill_between(x, low, high, color=FIRST, alpha=0.25, lw=0)
    axes.plot(x, y[::step], color=FIRST, label=label)


def _from_zero(axes: Axes, percent: Doubles) -> None:
    """Begin the axis at 0 %, and leave it a length where everything is 0."""
    highest = float(percent.max())
    axes.set_ylim(0, 1.06 * highest if highest > 0 else 1)
