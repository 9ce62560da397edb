"""Matplotlib figures as inline SVG whose colours and typeface are those of the page around them."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, RULE, FIRST, SECOND = "#010101", "#020202", "#030303", "#040404", "#050505"
"""Stand-ins for text, axes, grid and the two series; the style sheet gives each its colour."""

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
}

DOTS_PER_INCH = 200
"""Of what is drawn as pixels inside a figure."""

_STYLE = {
    "svg.fonttype": "none",  # outlines of letters would be repeated, with the same ids, per figure
    "svg.hashsalt": "hilep",
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the layout is the same everywhere
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.1,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "image.cmap": "cividis",
    "image.interpolation": "none",
    "image.composite_image": False,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure of the page.

    Attributes:
        title: a few words.
        caption: what a reader has to know beyond the axes; may be empty.
        svg: an `svg` element, labelled for a screen reader.
    """

    title: str
    caption: str
    svg: str


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Within it matplotlib draws in the style of the report, whatever the user's settings are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        settings: Any = matplotlib.rcParams
        settings.update(_STYLE)
        yield


def inline(figure: Figure, name: str, label: str) -> str:
    """Return a figure as one `svg` element for a page.

    Args:
        figure: drawn within `drawing`.
        name: unique on the page, letters, digits and hyphens; every id begins with it.
        label: what a screen reader says.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", dpi=DOTS_PER_INCH, metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    box = root.attrib["viewBox"]
    _remove_global(root)
    wanted = _referenced(root)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(k): v for k, v in element.attrib.items()}
        if element.get("id") in wanted:
            element.set("id", f"{name}-{element.get('id')}")
        else:
            element.attrib.pop("id", None)
        for key, value in element.attrib.items():
            element.set(key, _themed(key, value, name))
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "class": "plot",
        "viewBox": box,
        "role": "img",
        "aria-label": label,
    }
    return ElementTree.tostring(root, encoding="unicode")


def _remove_global(root: ElementTree.Element) -> None:
    """Take out the metadata, and the style sheet that would hold for the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)


def _referenced(root: ElementTree.Element) -> set[str]:
    return {
        found
        for element in root.iter()
        for value in element.attrib.values()
        for found in re.findall(r"^#([^;)]+)$|url\(#([^)]+)\)", value[:200])
        for found in found
        if found
    }


def _themed(key: str, value: str, name: str) -> str:
    """Return an attribute with its references renamed; colours and typeface become variables."""
    if key == "href":
        return f"#{name}-{value[1:]}" if value.startswith("#") else value
    if "url(#" in value:
        value = value.replace("url(#", f"url(#{name}-")
    if key == "style":
        value = re.sub(r"font-family: [^;]*", "font-family: var(--sans)", value)
        value = re.sub(r"(font: [^;]*?\d(?:px|pt)) [^;]*", r"\1 var(--sans)", value)
    if key in ("style", "fill", "stroke"):
        for colour, variable in _VARIABLES.items():
            value = value.replace(colour, variable)
    return value


def _local(tag: str) -> str:
    """Return a name without its namespace, which inline SVG in HTML does not carry."""
    return tag.rpartition("}")[2]
