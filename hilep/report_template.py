"""Pages of a report from templates that extend `report_base.html`, which holds their style.

They end with `report_record.html`: configuration and provenance.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

BASE = "report_base.html"
SHARED = (BASE, "report_record.html")


def rendered(template: str, **content: Any) -> bytes:
    """Return a page as HTML in UTF-8, every text escaped.

    Args:
        template: of jinja2, which extends `BASE`; its filter `figure` gives the `svg` of a
            `hilep.report_svg.Plot`.
        content: by the names that the template has for it; one that is missing is an error.
    """
    from jinja2 import DictLoader, Environment, StrictUndefined
    from markupsafe import Markup

    shared = {name: files("hilep").joinpath(name).read_text(encoding="utf-8") for name in SHARED}
    environment = Environment(
        loader=DictLoader(shared),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = lambda plot: Markup(plot.svg)
    text = environment.from_string(template).render(**content)
    # A command line may hold bytes that were no text.
    return text.encode("utf-8", "backslashreplace")
