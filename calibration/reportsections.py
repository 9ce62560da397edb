"""The parts of a calibration's page: figures, a table, and one line for what is not there."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hilep.calibration.budget import Budget, budget
from hilep.calibration.budgetfigures import budget_figures
from hilep.calibration.calibration import Calibration
from hilep.calibration.channelfigures import channel_figures
from hilep.calibration.channels import ChannelCalibration
from hilep.calibration.driftfigures import covariance_figures, drift_figures
from hilep.calibration.independencefigures import independence_figures
from hilep.calibration.settlingfigures import settling_figures
from hilep.calibration.sigmafigures import sigma_figures
from hilep.config import Config
from hilep.report_svg import Plot
from hilep.report_text import quantity


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a page.

    Attributes:
        headings: one for each column.
        rows: texts, as many in each as there are headings.
        numbers: columns that are set to the right.
        marked: rows that stand out, and as what: "total" or "expired".
    """

    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    numbers: frozenset[int] = frozenset()
    marked: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page.

    Attributes:
        title: a few words.
        plots: its figures.
        table: or None.
        lines: sentences below; where a part is absent, the only thing there is.
    """

    title: str
    plots: list[Plot]
    table: Table | None = None
    lines: tuple[str, ...] = ()


def sections(calibration: Calibration, config: Config, today: datetime.date) -> list[Section]:
    """Return every part of the page, in order, absent ones with a line that says so.

    Call within `drawing`.

    Args:
        calibration: what was measured.
        config: what it was measured for.
        today: by which channels expire.
    """
    network, reads = config.network.network(), config.training.reads
    return [
        Section("Sigma", sigma_figures(calibration, network)),
        _or_absent("Independence", independence_figures(calibration), _unjudged(calibration)),
        _or_absent(
            "Drift",
            drift_figures(calibration, reads),
            "Absent: it takes a record of at least four reads, and a node to judge.",
        ),
        _or_absent(
            "Nodes together",
            covariance_figures(calibration),
            "Absent: no node could be judged.",
        ),
        _settling(calibration),
        _channels(calibration, today),
        _cells(calibration),
        _budget(calibration, reads),
    ]


def _or_absent(title: str, plots: list[Plot], absent: str) -> Section:
    return Section(title, plots, None, () if plots else (absent,))


def _unjudged(calibration: Calibration) -> str:
    if not calibration.judged.size:
        return "Absent: no node could be judged."
    return "Absent: there are too few reads to judge it."


def _settling(calibration: Calibration) -> Section:
    if calibration.settling is None:
        return Section(
            "Settling", [], None, ("Absent: settling was not measured; a note above says why.",)
        )
    plots = settling_figures(calibration.settling)
    if not plots:
        return Section("Settling", [], None, ("Absent: no step is seen, or none could be fitted.",))
    delay = calibration.settling.delay
    if delay is None:
        return Section("Settling", plots, None, ("No delay follows: sigma is not known.",))
    line = (
        f"Wait {quantity(delay.high_s, 's', 3)} after each step: the fits say "
        f"{quantity(delay.delay_s, 's', 3)} with a standard uncertainty of "
        f"{quantity(delay.u_delay_s, 's', 2)}, and this is the upper limit."
    )
    return Section("Settling", plots, None, (line,))


def _channels(calibration: Calibration, today: datetime.date) -> Section:
    if not calibration.channels:
        return Section("Channels", [], None, ("Absent: no channel was compared with a reference.",))
    rows = [_row_of_channel(channel) for channel in calibration.channels]
    warnings = [channel.warning(today) for channel in calibration.channels]
    table = Table(
        ("channel", "role", "gain", "u", "offset", "u", "seen from", "to", "reference", "measured",
         "expires"),
        rows,
        frozenset((2, 3, 4, 5, 6, 7)),
        {k: "expired" for k, warning in enumerate(warnings) if warning},
    )  # fmt: skip
    lines = tuple(warning for warning in warnings if warning)
    return Section(
        "Channels",
        channel_figures(calibration.channels),
        table,
        lines or (f"u: standard uncertainties. None has expired on {today}.",),
    )


def _row_of_channel(channel: ChannelCalibration) -> tuple[str, ...]:
    unit = channel.unit
    return (
        channel.channel,
        channel.role,
        f"{channel.gain:.7g}",
        f"{channel.u_gain:.2g}",
        quantity(channel.offset, unit, 4),
        quantity(channel.u_offset, unit, 2),
        quantity(channel.low, unit, 3),
        quantity(channel.high, unit, 3),
        channel.reference,
        str(channel.measured),
        str(channel.expires),
    )


def _cells(calibration: Calibration) -> Section:
    return Section("Cells", [], None, ("Absent: cells were not measured in place.",))


def _budget(calibration: Calibration, reads: int) -> Section:
    title = f"Uncertainty of a mean of N = {reads} reads"
    if calibration.sigma.pooled is None:
        return Section(title, [], None, ("Absent: there is no pooled sigma.",))
    found = budget(calibration, reads)
    missing = tuple(f"Not in it: {line}." for line in found.missing)
    return Section(title, budget_figures(found), budget_table(found), missing)


def budget_table(found: Budget) -> Table:
    """Return a budget as a table, its sum in the last row."""
    rows = [
        (
            part.name,
            part.kind,
            quantity(part.u_v, "V", 3),
            _degrees(part.degrees_of_freedom),
            f"{100 * share:.3g} %",
            part.how,
        )
        for part, share in zip(found.contributions, found.shares(), strict=True)
    ]
    expanded = quantity(found.coverage_factor * found.u_v, "V", 3)
    rows.append(
        (
            "combined",
            "",
            quantity(found.u_v, "V", 3),
            _degrees(found.degrees_of_freedom),
            "100 %",
            f"expanded, 95 %: {expanded} (k = {found.coverage_factor:.3g})",
        )
    )
    return Table(
        ("contribution", "type", "standard uncertainty", "degrees of freedom", "share", "how"),
        rows,
        frozenset((2, 3, 4)),
        {len(rows) - 1: "total"},
    )


def _degrees(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) and value < 1e6 else "∞"
