"""A calibration file as one page, for `hilep report`."""

from __future__ import annotations

import datetime
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from hilep.calibration.calibration import Calibration
from hilep.config import Config
from hilep.report_kinds import FileReport
from hilep.report_text import listed, quantity


def report(path: Path) -> FileReport:
    """Return the page of a calibration file, and what `--json` says of it.

    Raises:
        BadInputError: where it is no calibration file, or is damaged.
    """
    from hilep.calibration.calibrationfile import read
    from hilep.calibration.commands import answer

    calibration = read(path)
    content = page(calibration, path.name, datetime.date.today())
    return FileReport(content, answer(calibration, path))


def page(calibration: Calibration, name: str, today: datetime.date) -> bytes:
    """Return the page as HTML in UTF-8; the same calibration and day give the same bytes.

    Args:
        calibration: what was measured.
        name: of its file.
        today: by which channels expire.

    Raises:
        BadInputError: where its configuration is none.
    """
    from hilep import report_text
    from hilep.calibration.reportsections import sections
    from hilep.calibration.reportwords import sentences, summary, verdict
    from hilep.report_svg import drawing
    from hilep.report_template import rendered

    config = Config.from_json(calibration.config)
    device = json.loads(calibration.device)
    with drawing():
        parts = sections(calibration, config, today)
    pooled = calibration.sigma.pooled
    state, words = verdict(calibration)
    return rendered(
        files("hilep.calibration").joinpath("calibration.html").read_text(encoding="utf-8"),
        name=name,
        created=calibration.created,
        device=str(device.get("description", config.device.backend)),
        state=state,
        verdict=words,
        sigma=None if pooled is None else quantity(pooled.sigma_v, "V", 4),
        pooled_nodes=0 if pooled is None else pooled.nodes,
        interval=""
        if pooled is None
        else f"{quantity(pooled.low_v, 'V', 4)} to {quantity(pooled.high_v, 'V', 4)}",
        sentences=sentences(calibration, config),
        problems=calibration.problems,
        notes=calibration.notes,
        summary=summary(calibration, config),
        sections=parts,
        configuration=report_text.sections(config),
        provenance=_provenance(calibration, device),
    )


def _provenance(calibration: Calibration, device: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("created", calibration.created),
        ("hilep_version", calibration.hilep_version),
        *listed(device, "device."),
    ]
