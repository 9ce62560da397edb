"""`hilep report`."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilep.errors import BadInputError

if TYPE_CHECKING:
    from hilep.report_kinds import Reporter


def report(
    file: Annotated[
        Path, typer.Argument(help="Run or calibration file to report on; it is only read.")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Page to write [FILE.report.html].")
    ] = None,
    follow: Annotated[
        float | None,
        typer.Option(
            "--follow",
            metavar="SECONDS",
            help="Serve the page on 127.0.0.1 and rebuild it this often, until Ctrl-C.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="For --follow [0: any free port]."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object on standard output.")
    ] = False,
) -> int:
    """Write a run or calibration file as one page, or serve it while the run goes on."""
    from hilep.report_kinds import reporter

    other = reporter(file)
    if follow is None:
        if port is not None:
            raise BadInputError("--port: only with --follow")
        where, said = _write(file, out) if other is None else _write_other(file, out, other)
    else:
        if other is not None:
            raise BadInputError(f"--follow: only for run files, which {file} is not")
        if out is not None:
            raise BadInputError("-o: not with --follow, which serves the page and writes nothing")
        where, said = _follow(file, follow, port or 0)
    print(where, file=sys.stderr)
    if as_json:
        print(said)
    return 0


def _write(run: Path, out: Path | None) -> tuple[str, str]:
    from hilep import report as reports
    from hilep.runrecord import read_run

    record = read_run(run)
    path = out or reports.default_path(run)
    reports.check_output(path, run)
    reports.write(reports.page(record), path)
    return f"report {path}", reports.answer(record, str(path))


def _write_other(file: Path, out: Path | None, report_of: Reporter) -> tuple[str, str]:
    from hilep import report as reports

    path = out or reports.default_path(file)
    reports.check_output(path, file)
    made = report_of(file)
    reports.write(made.page, path)
    return f"report {path}", json.dumps({"report": str(path), **made.said})


def _follow(run: Path, seconds: float, port: int) -> tuple[str, str]:
    from hilep import report as reports
    from hilep.report_server import FollowedReport

    with FollowedReport(run, seconds, port) as served:
        print(f"report at {served.url}; Ctrl-C ends it", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            served.follow()
        return "no longer served", reports.answer(served.record, served.url)
