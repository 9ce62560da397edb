"""Sigma of a table of reads, without a configuration: `python -m hilep.calibration.sigma_of_file`.

For reads that some other program has taken. `docs/sigma-scripts.md` shows it.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from hilep.calibration.readtables import read_table
from hilep.calibration.sigmareport import as_json, lines, sigma_report, warnings
from hilep.cli.script import script
from hilep.errors import BadInputError


def sigma_of_file(
    reads: Annotated[
        str,
        typer.Argument(
            help="Table in volts, a row for each read, a column for each node: .csv, .npy, or .h5 "
            "as FILE.h5::DATASET."
        ),
    ],
    nudged: Annotated[
        str | None,
        typer.Option("--nudged", help="Table of nudged reads, row by row next to those of READS."),
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Rows of READS are free and nudged in turn.")
    ] = False,
    critical: Annotated[
        float | None,
        typer.Option("--critical", metavar="VOLTS", help="Critical sigma: says the N it takes."),
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option("--interval", metavar="SECONDS", help="Between reads, to name the mains."),
    ] = None,
    as_json_too: Annotated[
        bool, typer.Option("--json", help="End with one JSON object on standard output.")
    ] = False,
) -> int:
    """Say sigma of every node, whether reads are independent, and how many it takes."""
    table = read_table(reads)
    free, other = table.volts, None
    if pairs and nudged is not None:
        raise BadInputError("--pairs: not with --nudged")
    if pairs:
        if len(free) % 2:
            raise BadInputError(f"--pairs: expected an even number of rows, got {len(free)}")
        free, other = free[0::2], free[1::2]
    elif nudged is not None:
        other = read_table(nudged).volts
    report = sigma_report(free, other, names=table.names, critical_v=critical, interval_s=interval)
    for line in warnings(report):
        print(f"hilep: warning: {line}", file=sys.stderr)
    for line in lines(report):
        print(line, file=sys.stderr)
    if as_json_too:
        print(json.dumps(as_json(report)))
    return report.exit_status


def main() -> None:
    """Run the script."""
    sys.exit(script("sigma_of_file", sigma_of_file, sys.argv[1:]))


if __name__ == "__main__":
    main()
