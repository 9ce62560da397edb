"""The parts of a calibration's page: figures, a table, and one line for what is not there."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hilep.calibration.budget import Budget, budget
from hilep.calibration.budgetfigures import budget_figures
from hilep.calibration.calibration import Calibration
from hilep.calibration.cellfigures import cell_figures
from hilep.calibration.channelfigures import channel_figures
from hilep.calibration.channels import ChannelCalibration
from hilep.calibration.conductance import ConductanceMap
from hilep.calibration.driftfigures import covariance_figures, drift_figures
from hilep.calibration.independencefigures import independence_figures
from hilep.calibration.settings import Against, settings_lines
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
        *_against(calibration),
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


def _against(calibration: Calibration) -> list[Section]:
    """Return sigma at other settings, where it was asked for."""
    against = calibration.against
    if against is None:
        return []
    rows = [
        (table.setting, f"{value:g}", *(_or_unknown(volts) for volts in row))
        for table in against.tables
        for value, *row in table.rows()
    ]
    headings = ("setting", "value", "sigma", "from", "to")
    table = Table(headings, rows, frozenset((1, 2, 3, 4))) if rows else None
    noise = tuple(f"{line}." for line in settings_lines(Against(noise=against.noise)))
    return [Section("Sigma at other settings", [], table, noise)]


def _or_unknown(volts: float) -> str:
    return "not known" if math.isnan(volts) else quantity(volts, "V", 4)


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
        f"{quantity(delay.u_delay_s, 's', 3)}, and this is the upper limit."
    )
    return Section("Settling", plots, None, (line,))


def _channels(calibration: Calibration, today: datetime.date) -> Section:
    released = _released(calibration)
    if not calibration.channels:
        line = "Absent: no channel was compared with a reference."
        return Section("Channels", [], None, (line, *released))
    rows = [_row_of_channel(channel) for channel in calibration.channels]
    warnings = [channel.warning(today) for channel in calibration.channels]
    table = Table(
        ("channel", "role", "gain", "u", "offset", "u", "seen from", "to", "reference", "measured",
         "expires"),
        rows,
        frozenset((2, 3, 4, 5, 6, 7)),
        {k: "expired" for k, warning in enumerate(warnings) if warning},
    )  # fmt: skip
    lines = [warning for warning in warnings if warning]
    lines = lines or [f"u: standard uncertainties. None has expired on {today}."]
    return Section(
        "Channels",
        channel_figures(calibration.channels),
        table,
        (*lines, *released),
    )


def _released(calibration: Calibration) -> tuple[str, ...]:
    """Return a line for each output that was compared: what a released nudge leaves there."""
    left = calibration.released
    if left is None:
        return ()
    names = left.channels or tuple(f"output {k}" for k in range(left.amps.size))
    return tuple(
        f"Released nudge, {name}: {quantity(float(amps), 'A', 3)}, standard uncertainty "
        f"{quantity(float(u), 'A', 3)}; at most {100 * share:.3g} % of the smallest nudge"
        + ("." if free else ", and not zero.")
        for name, amps, u, share, free in zip(
            names, left.amps, left.u_amps, left.share, left.released, strict=True
        )
    )


def _row_of_channel(channel: ChannelCalibration) -> tuple[str, ...]:
    unit = channel.unit
    return (
        channel.channel,
        channel.role,
        f"{channel.gain:.7g}",
        f"{channel.u_gain:.2g}",
        quantity(channel.offset, unit, 4),
        quantity(channel.u_offset, unit, 3),
        quantity(channel.low, unit, 3),
        quantity(channel.high, unit, 3),
        channel.reference,
        str(channel.measured),
        str(channel.expires),
    )


def _cells(calibration: Calibration) -> Section:
    cells = calibration.conductance
    if cells is None:
        return Section("Cells", [], None, ("Absent: cells were not measured in place.",))
    stuck = sum(int((layer.stuck > 0).sum()) for layer in cells.layers)
    failed = sum(int(layer.failed.sum()) for layer in cells.layers)
    total = sum(layer.siemens.size for layer in cells.layers)
    line = (
        f"Each of {total} cells was written {cells.rounds} times and read {cells.reads} times "
        f"after each write; {stuck} are stuck, {failed} writes were reported as failed"
    )
    if cells.pulses_per_write:
        line += f", {cells.pulses_per_write:.3g} pulses per write"
    return Section("Cells", cell_figures(cells), write_table(cells), (f"{line}.",))


def write_table(cells: ConductanceMap) -> Table:
    """Return how writes come out as a table, with 95 % intervals."""
    rows = []
    for name, field_name, unit in (
        ("write noise, the same for every conductance", "write_noise_siemens", "S"),
        ("write noise, a share of what is asked", "write_noise_relative", "%"),
        ("spread of gains between cells", "device_spread_relative", "%"),
    ):
        values = [getattr(cells, field_name + end) for end in ("", "_low", "_high")]
        rows.append((name, *(_share_or_siemens(value, unit) for value in values)))
    return Table(("of writes", "found", "from", "to"), rows, frozenset((1, 2, 3)))


def _share_or_siemens(value: float, unit: str) -> str:
    if math.isnan(value):
        return "not known"
    return f"{100 * value:.3g} %" if unit == "%" else quantity(value, unit, 3)


def _budget(calibration: Calibration, reads: int) -> Section:
    title = f"Uncertainty of a mean of N = {reads} reads"
    if calibration.sigma.pooled is None:
        return Section(title, [], None, ("Absent: there is no pooled sigma.",))
    found = budget(calibration, reads)
    missing = tuple(f"Not in it: {line}." for line in found.missing)
    return Section(title, budget_figures(found), budget_table(found), missing)


def budget_table(found: Budget) -> Table:
    """Return a budget as a table, its sum in the last row."""
    rows: list[tuple[str, ...]] = [
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
