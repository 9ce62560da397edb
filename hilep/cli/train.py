"""`hilep train`."""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from hilep.errors import BadInputError, InterruptedRunError


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
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object on standard output.")
    ] = False,
) -> int:
    """Train a crossbar on a data set and write a run file."""
    from hilep import experiment
    from hilep.cli.progress import (
        StopOnSignal,
        TrainingProgress,
        announce,
        resume_command,
        say,
    )
    from hilep.config import load

    if resume is not None:
        for given, option in ((settings, "--set"), (out, "--out"), (overwrite, "--overwrite")):
            if given:
                raise BadInputError(
                    f"{option}: not with --resume, which goes on with the run as it was begun"
                )
        wanted = None if config is None else load(config)
        prepared = experiment.resume(resume, wanted)
    else:
        prepared = experiment.prepare(
            load(config, settings or ()), out or _unused_name(), overwrite
        )
    path = prepared.run.path
    go_on = f"go on with: {resume_command(path)}"
    try:
        with StopOnSignal(prepared.trainer), TrainingProgress(prepared) as progress:
            announce(prepared)
            outcome = prepared.execute((progress,))
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"stopped at once; what was saved is kept; {go_on}") from error
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
            say(f"hilep: saved; {go_on}")
    if as_json:
        print(json.dumps(result))
    return 0 if outcome.done else 1


def _unused_name() -> Path:
    """Return a name that says when the run was begun; runs begun together get different ones."""
    return Path(f"hilep-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}.h5")
