"""A run file as one page: it loads nothing from anywhere and needs no script."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from hilep.durable import replacing, storing
from hilep.errors import BadInputError
from hilep.report_template import rendered
from hilep.runrecord import RunRecord

_HDF5_SUFFIXES = (".h5", ".hdf5")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def page(record: RunRecord, refresh_seconds: int | None = None, note: str = "") -> bytes:
    """Return the report of a run as HTML in UTF-8; the same record gives the same bytes.

    Args:
        record: what the run file holds.
        refresh_seconds: after which a browser asks for the page again, or None for never.
        note: one line to show above the result.
    """
    from hilep import report_conductances, report_curves, report_svg, report_tables, report_text
    from hilep.report_facts import facts

    known = facts(record)
    with report_svg.drawing():
        curves = report_curves.curves(known)
        layers = report_conductances.layers(known)
        fields = report_conductances.fields(known)
    return rendered(
        files("hilep").joinpath("report.html").read_text(encoding="utf-8"),
        record=record,
        facts=known,
        network=report_tables.sizes_text(known),
        summary=report_tables.summary(known),
        ratios=report_tables.ratios(known),
        curves=curves,
        layers=layers,
        fields=fields,
        configuration=report_text.sections(record.config),
        provenance=[
            ("run_id", record.run_id),
            ("hilep_version", record.hilep_version),
            *(
                row
                for row in report_text.listed(record.provenance)
                if row != ("hilep_version", record.hilep_version)
            ),
        ],
        refresh=refresh_seconds,
        note=note,
    )


def default_path(run: Path) -> Path:
    """Return where the report of a run file goes unless told: `RUN.report.html` beside it."""
    stem = run.stem if run.suffix.lower() in _HDF5_SUFFIXES else run.name
    return run.with_name(f"{stem}.report.html")


def check_output(path: Path, run: Path) -> None:
    """Refuse to replace what is no report.

    Raises:
        BadInputError: where `path` is the run file, another HDF5 file or a folder.
    """
    if path.is_dir():
        raise BadInputError(f"{path}: a folder; expected the name of a file for the report")
    if not path.exists():
        return
    if run.exists() and path.samefile(run):
        raise BadInputError(f"{path}: the run file itself; expected another name for the report")
    if path.is_file():
        with storing(f"report {path}"), path.open("rb") as stream:
            if stream.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE:
                raise BadInputError(f"{path}: an HDF5 file; expected another name for the report")


def write(content: bytes, path: Path) -> None:
    """Write a page so that at every moment the old or the new one is there.

    Raises:
        StorageError: where it cannot be written.
    """
    with storing(f"report {path}"), replacing(path) as temporary:
        temporary.write_bytes(content)


def answer(record: RunRecord, where: str) -> str:
    """Return what the command says as JSON.

    Args:
        record: what the report is of.
        where: its path, or the address at which it was served.
    """
    from hilep.report_facts import facts

    known = facts(record)
    result: dict[str, Any] = {
        "report": where,
        "verdict": record.verdict,
        "test_accuracy": known.test_accuracy,
        "test_standard_error": known.standard_error,
        "updates": known.updates,
    }
    return json.dumps(result)
