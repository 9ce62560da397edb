"""`hilep calibrate`."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilep.cli.termination import terminable
from hilep.cli.virtual import VirtualOption, loaded
from hilep.errors import BadInputError

if TYPE_CHECKING:
    from hilep.calibration.calibration import Calibration
    from hilep.checkpoint import Checkpoint
    from hilep.config import Config


def calibrate(
    config: Annotated[Path, typer.Argument(help="TOML file of the training to come.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a key; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write [hilep-calibration-DATE-TIME-XXXX.h5]."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Let --out replace an existing file.")
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option("--run", help="Run file whose newest conductances to program."),
    ] = None,
    virtual: VirtualOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object on standard output.")
    ] = False,
) -> int:
    """Measure sigma, independence and settling of the device of a configuration."""
    read = loaded(config, settings or (), virtual)
    path = out or _unused_name()
    _require_vacant(path, overwrite)
    start = None if run is None else _reached(run)

    with terminable():
        calibration = _calibrated(read, path, start)
    for line in _said(calibration, path):
        print(line, file=sys.stderr)
    if as_json:
        print(json.dumps(answer(calibration, path)))
    return 0 if calibration.carries_a_verdict else 1


def _calibrated(config: Config, path: Path, start: Checkpoint | None) -> Calibration:
    """Measure, evaluate and write; whatever fails after measuring, the reads are written."""
    from hilep.calibration.calibrating import evaluated, measured
    from hilep.calibration.calibrationfile import write
    from hilep.calibration.progress import Progress

    with Progress() as progress:
        done = measured(config, start, progress.show)
    try:
        calibration = evaluated(config, done)
    except BaseException as error:
        done.failed = True
        done.problems.append(f"evaluation: {str(error) or type(error).__name__}")
        write(path, evaluated(config, done, sigma_alone=True))
        raise
    write(path, calibration)
    return calibration


def answer(calibration: Calibration, path: Path) -> dict[str, Any]:
    """Return what `--json` says of a calibration in the file at `path`."""
    from hilep.calibration.interleaving import mean_gain
    from hilep.calibration.settings import settings_json

    pooled, steady = calibration.sigma.pooled, calibration.independence
    drift = calibration.allan
    return {
        "sigma_v": None if pooled is None else pooled.sigma_v,
        "sigma_v_ci95": None if pooled is None else [pooled.low_v, pooled.high_v],
        "nodes": 0 if pooled is None else pooled.nodes,
        "independent": "cannot tell" if steady is None else steady.independent,
        "max_useful_reads": None if steady is None else steady.max_useful_reads,
        "limited_by_record": None if steady is None else steady.limited_by_record,
        "interleave": None if drift is None else drift.interleave,
        "interleaving_gain": None if drift is None else mean_gain(drift.interleaving_gain),
        **settings_json(calibration.against, calibration.bootstrap),
        "settling_s": calibration.settling_s,
        "problems": list(calibration.problems),
        "notes": list(calibration.notes),
        "device": json.loads(calibration.device).get("description"),
        "calibration": str(path),
    }


def _said(calibration: Calibration, path: Path) -> Sequence[str]:
    from hilep.calibration.settings import settings_lines

    pooled, steady = calibration.sigma.pooled, calibration.independence
    lines = [f"hilep: warning: {line}" for line in calibration.problems]
    lines += [f"hilep: {line}" for line in calibration.notes]
    if pooled is not None:
        lines.append(
            f"sigma {pooled.sigma_v:.4g} V, 95 % from {pooled.low_v:.4g} to {pooled.high_v:.4g} V "
            f"({pooled.nodes} of {calibration.sigma.per_node.sigma_v.size} nodes, "
            f"{calibration.sigma.reads} pairs)"
        )
    if steady is not None:
        verdict = "perhaps independent, which this record cannot tell"
        if steady.independent is True or steady.independent is False:
            verdict = "independent" if steady.independent else "not independent"
        reach = ", as far as the record reaches" if steady.limited_by_record else ""
        lines.append(f"reads are {verdict}; useful up to N = {steady.max_useful_reads}{reach}")
    lines += settings_lines(calibration.against)
    if calibration.settling_s is not None:
        lines.append(f"settled {calibration.settling_s:.3g} s after a step")
    lines.append(f"calibration {path}")
    return lines


def _reached(run: Path) -> Checkpoint:
    from hilep.runfile import read_run

    checkpoint = read_run(run).checkpoint
    if checkpoint is None:
        raise BadInputError(f"{run}: holds no checkpoint yet, expected conductances to program")
    return checkpoint


def _require_vacant(path: Path, overwrite: bool) -> None:
    from hilep.durable import require_writable

    if path.is_dir():
        raise BadInputError(f"{path}: a folder; expected the name of a file")
    if not path.parent.is_dir():
        raise BadInputError(f"{path}: the folder {path.parent} is not there")
    if path.exists() and not overwrite:
        raise BadInputError(f"{path}: already there; give another name, or --overwrite")
    require_writable(path)


def _unused_name() -> Path:
    return Path(f"hilep-calibration-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}.h5")
