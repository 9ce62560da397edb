"""`hilep bench check` and `hilep bench safe`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilep.errors import InterruptedRunError

if TYPE_CHECKING:
    from hilep.instruments.benchcheck import CheckResult
    from hilep.instruments.benchfile import BenchFile

BenchArgument = Annotated[Path, typer.Argument(metavar="BENCH", help="Bench file.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="End with one JSON object on standard output.")
]


def check(
    file: BenchArgument,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Configuration of the run to come: its network is meant."),
    ] = None,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Check the bench's virtual twin; arms nothing.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave cells that are written by pulses as they are.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Check identities, limits, wiring and knees of a bench at low level, and arm its file."""
    from hilep.cli.termination import terminable
    from hilep.config import load
    from hilep.instruments import benchcheck, findings
    from hilep.instruments.benchfile import BenchFile
    from hilep.instruments.benchnetwork import wired_network
    from hilep.instruments.twins import installed_twin

    bench = BenchFile.load(file)
    network = wired_network(bench) if config is None else load(config).network.network()
    twin = installed_twin("--virtual") if virtual else None
    try:
        with terminable():
            result = benchcheck.check(
                bench, network, known=config is not None, twin=twin, keep=keep
            )
    except benchcheck.CheckStopped as stopped:
        raise InterruptedRunError(_verdict(stopped.result, "stopped")) from stopped
    findings.show(result.findings)
    print(_verdict(result), file=sys.stderr)
    if as_json:
        print(json.dumps(result.plain()))
    return 0 if result.passed else 1


def _twin_of(bench: BenchFile) -> AbstractContextManager[Mapping[str, str]]:
    from hilep.instruments.benchnetwork import wired_network
    from hilep.instruments.twins import installed_twin, served

    return served(installed_twin("--virtual"), bench, wired_network(bench))


def _verdict(result: CheckResult, how: str | None = None) -> str:
    path = result.file.path
    failed = sum(finding.verdict == "failed" for finding in result.findings)
    if how is not None or not result.passed:
        outputs = "off" if result.off else "MAY BE ON"
        return f"{path}: {how or f'{failed} failed'}; not armed; outputs {outputs}"
    if result.virtual:
        return f"{path}: passed on its virtual twin, which arms nothing; outputs off"
    return f"{path}: passed and armed; outputs off"


def safe(
    file: BenchArgument,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Switch off the bench's virtual twin instead.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Switch off every output of a bench, and say of each instrument whether it is off."""
    from hilep.instruments.benchfile import BenchFile
    from hilep.instruments.benchoff import switch_off

    bench = BenchFile.load(file)
    words = {True: "off", False: "ON", None: "NOT KNOWN TO BE OFF"}
    found = {}
    with _twin_of(bench) if virtual else contextlib.nullcontext() as resources:
        for one in switch_off(bench, resources):
            found[one.name] = one.off
            text = "" if one.off is True else f": {' '.join(one.text.split())}"
            print(f"{one.name} {words[one.off]}{text}", file=sys.stderr, flush=True)
    everything = all(off is True for off in found.values())
    if as_json:
        print(json.dumps({"all_off": everything, "off": found}))
    return 0 if everything else 1
