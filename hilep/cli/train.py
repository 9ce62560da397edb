"""`hilep train`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilep.cli.virtual import VirtualOption, loaded
from hilep.errors import BadInputError, InterruptedRunError

if TYPE_CHECKING:
    from hilep.experiment import Experiment


def train(
    config: Annotated[
        Path | None,
        typer.Argument(help="TOML file; without it: handwritten digits on a simulated crossbar."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a key; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Run file to write [hilep-DATE-TIME-XXXX.h5].")
    ] = None,
    resume: Annotated[Path | None, typer.Option("--resume", help="Run file to go on with.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Let --out replace an existing run file.")
    ] = False,
    virtual: VirtualOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object on standard output.")
    ] = False,
) -> int:
    """Train a crossbar on a data set and write a run file."""
    if resume is not None:
        refused = {
            "--set": settings,
            "--out": out,
            "--overwrite": overwrite,
            "--virtual": virtual,
        }
        for option, given in refused.items():
            if given:
                raise BadInputError(
                    f"{option}: not with --resume, which goes on with the run as it was begun"
                )
    path = resume or out or _unused_name()
    before = _file_at(path)
    try:
        prepared = _prepared(config, settings or (), path, resume is not None, overwrite, virtual)
        return _train(prepared, as_json)
    except KeyboardInterrupt as error:
        if resume is None and _file_at(path) == before:
            raise InterruptedRunError("stopped before anything was begun") from error
        from hilep.cli.progress import resume_command

        raise InterruptedRunError(
            f"stopped at once; what was saved is kept; go on with: {resume_command(path)}"
        ) from error


def _prepared(
    config: Path | None,
    settings: Sequence[str],
    path: Path,
    going_on: bool,
    overwrite: bool,
    virtual: bool,
) -> Experiment:
    """Return the run at this path, new or resumed."""
    import hilep.cli.progress  # noqa: F401 - before there is a run file that Ctrl-C could leave
    from hilep import experiment
    from hilep.config import load

    if going_on:
        return experiment.resume(path, None if config is None else load(config))
    return experiment.prepare(loaded(config, settings, virtual), path, overwrite)


def _train(prepared: Experiment, as_json: bool) -> int:
    """Train and say what came out."""
    from hilep.cli.progress import (
        StopOnSignal,
        TrainingProgress,
        announce,
        resume_command,
        say,
    )

    path = prepared.run.path
    with StopOnSignal(prepared.trainer), TrainingProgress(prepared) as progress:
        announce(prepared)
        outcome = prepared.execute((progress,))
    result = {
        "verdict": outcome.verdict,
        "test_accuracy": None if outcome.test is None else outcome.test.accuracy,
        "test_standard_error": None if outcome.test is None else outcome.test.standard_error,
        "validation_accuracy": (
            None if outcome.validation is None else outcome.validation.accuracy
        ),
        "updates": outcome.updates,
        "seconds": round(outcome.seconds, 3),
        "saturated_readings": prepared.trainer.saturated,
        "failed_cells": len(prepared.trainer.failed_cells),
        "pulses": prepared.trainer.pulses,
        "device": prepared.crossbar.description,
        "run": str(path),
    }
    if outcome.test is not None:
        say(
            f"test accuracy {100 * outcome.test.accuracy:.2f} +- "
            f"{100 * outcome.test.standard_error:.2f} % ({outcome.test.images} samples, "
            f"{outcome.updates} updates, {outcome.seconds:.1f} s); run file {path}"
        )
    if prepared.trainer.saturated:
        say(
            f"hilep: warning: {prepared.trainer.saturated} readings of a node hold a read at the "
            "end of the reader's range"
        )
    if prepared.trainer.failed_cells:
        say(f"hilep: warning: {len(prepared.trainer.failed_cells)} cells would not be programmed")
    if not outcome.done:
        say(f"hilep: {outcome.verdict}; run file {path}")
        if outcome.verdict.startswith("interrupted"):
            say(f"hilep: saved; go on with: {resume_command(path)}")
    if as_json:
        print(json.dumps(result))
    return 0 if outcome.done else 1


def _file_at(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at a path from one that takes its place; None where none is."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _unused_name() -> Path:
    """Return a name that says when the run was begun; runs begun together get different ones."""
    return Path(f"hilep-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}.h5")
