"""Sigma of one voltmeter alone: `python -m hilep.calibration.sigma_of_voltmeter`.

Nothing is sourced and nothing is clamped: what stands at the instrument's inputs is read as it
is, a short or a network at rest. `docs/sigma-scripts.md` shows it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hilep.calibration.readers import channel_reads, voltmeter
from hilep.calibration.sigmareport import as_json, lines, sigma_report, warnings
from hilep.cli.script import script
from hilep.cli.termination import terminable
from hilep.durable import require_writable
from hilep.errors import BadInputError


def sigma_of_voltmeter(
    resource: Annotated[
        str, typer.Argument(help="Where the instrument is, such as GPIB0::24::INSTR.")
    ],
    driver: Annotated[
        str, typer.Option("--driver", help="Name of its driver, such as keithleydaq6510.")
    ],
    channels: Annotated[
        str, typer.Option("--channels", metavar="NAME,...", help="Channels to read.")
    ],
    range_v: Annotated[
        float, typer.Option("--range", metavar="VOLTS", help="Volts that the reads must fit.")
    ],
    reads: Annotated[int, typer.Option("--reads", min=2, help="Reads of each channel.")] = 1000,
    nplc: Annotated[
        float | None, typer.Option("--nplc", help="Aperture in cycles of the mains.")
    ] = None,
    rate_hz: Annotated[
        float | None, typer.Option("--rate-hz", help="Samples per second, of a card that has them.")
    ] = None,
    line_hz: Annotated[
        int | None, typer.Option("--line-hz", help="Frequency of the mains, 50 or 60.")
    ] = None,
    expect: Annotated[
        str | None, typer.Option("--expect", help="Text that its identity must contain.")
    ] = None,
    critical: Annotated[
        float | None,
        typer.Option("--critical", metavar="VOLTS", help="Critical sigma: says the N it takes."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file for every read, not there yet.")
    ] = None,
    as_json_too: Annotated[
        bool, typer.Option("--json", help="End with one JSON object on standard output.")
    ] = False,
) -> int:
    """Read one voltmeter and say sigma of its channels. It is switched off and left safe."""
    names = [name.strip() for name in channels.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise BadInputError(f"--channels: expected different names, got {channels!r}")
    if out is not None and out.exists():
        raise BadInputError(f"{out}: already there; give another name")
    if out is not None and not out.parent.is_dir():
        raise BadInputError(f"{out}: the folder {out.parent} is not there")
    if out is not None:
        require_writable(out)
    of_driver = _given(line_hz=line_hz, expect=expect)
    with terminable(), voltmeter(driver, resource, **of_driver) as meter:
        got = channel_reads(meter, names, range_v, reads, **_given(nplc=nplc, rate_hz=rate_hz))
    if out is not None:
        _store(out, names, got.volts)
    report = sigma_report(
        got.volts,
        names=tuple(names),
        status=got.status,
        critical_v=critical,
        interval_s=got.interval_s,
    )
    for line in warnings(report):
        print(f"hilep: warning: {line}", file=sys.stderr)
    for line in lines(report):
        print(line, file=sys.stderr)
    if as_json_too:
        print(json.dumps({**as_json(report), "interval_s": got.interval_s}))
    return report.exit_status


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _store(path: Path, names: list[str], volts: Any) -> None:
    import numpy as np

    from hilep.durable import replacing, storing

    with storing(f"reads {path}"), replacing(path) as temporary:
        # 17 digits: every read comes back as it was.
        header = ",".join(f"channel {name}" for name in names)
        np.savetxt(temporary, volts, fmt="%.17g", delimiter=",", header=header, comments="")


def main() -> None:
    """Run the script."""
    sys.exit(script("sigma_of_voltmeter", sigma_of_voltmeter, sys.argv[1:]))


if __name__ == "__main__":
    main()
