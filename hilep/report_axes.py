"""What figures of a report share: the panel, its legend, its ticks and the scale of a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hilep.arrays import Doubles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

SHARP_SIDE = 200
"""Pixels of an embedded image along each side, at least."""

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def axes_of_panel() -> tuple[Figure, Axes]:
    """Return an empty panel; all have the same size and the same rectangle of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.3, 2.15))
    axes = figure.add_axes((0.165, 0.185, 0.8, 0.69))
    axes.yaxis.set_label_coords(-0.145, 0.5)
    return figure, axes


def legend(axes: Axes, columns: int = 2) -> None:
    """Put the legend in one line above the axes."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=columns, handlelength=1.4,
        borderpad=0.1, columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip


def plain_decades(axes: Axes, which: Literal["x", "y"] = "y") -> None:
    """Label a logarithmic axis with short numbers, also within a single decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
    axis = axes.yaxis if which == "y" else axes.xaxis
    decades = np.log10(high / low)
    inside = (1.0, 2.0, 5.0) if decades < 3 else (1.0,)
    axis.set_major_locator(LogLocator(subs=inside, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axis.set_minor_formatter(NullFormatter())


def short_number(value: float) -> str:
    """Return a number as it is, or far from 1 with a power of ten."""
    if 1e-3 <= value < 1e4:
        return f"{value:.6g}"
    digits, exponent = f"{value:.0e}".split("e")
    power = "10" + str(int(exponent)).translate(_RAISED)
    return power if digits == "1" else f"{digits}·{power}"


def magnified(pixels: Doubles) -> Doubles:
    """Repeat pixels until a browser, which smooths an image, leaves their edges sharp."""
    for axis in (0, 1):
        pixels = np.repeat(pixels, -(-SHARP_SIDE // pixels.shape[axis]), axis=axis)
    return pixels


def scale_bar(figure: Figure, axes: Axes, picture: AxesImage, label: str, extend: Any) -> None:
    """Put the scale of a map to the right of it."""
    place = axes.get_position()
    axes.set_position((place.x0, place.y0, 0.61, place.height))
    axes.yaxis.set_label_coords(-0.145 * place.width / 0.61, 0.5)
    bar = figure.add_axes((place.x0 + 0.635, place.y0, 0.028, place.height))
    figure.colorbar(picture, cax=bar, label=label, extend=extend)
    plain_bar(bar)


def plain_bar(bar: Axes) -> None:
    """Take the frame off a scale."""
    for spine in bar.spines.values():
        spine.set_visible(False)


def whole_numbers(axes: Axes) -> None:
    """Let the axes count: of a map both of them, else the horizontal one."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if axes.images:
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
