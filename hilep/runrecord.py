"""What a run file says, read without a lock: while its writer is live, and after it was killed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from hilep.arrays import Doubles
from hilep.checkpoint import Checkpoint, newest
from hilep.config import Config
from hilep.errors import RunFileError
from hilep.runlayout import RESULTS, opened, reading, text_of
from hilep.runtables import Integers, read_table


@dataclass(frozen=True, slots=True)
class TrainingCurve:
    """The rows of the training curve that were written, in order.

    Attributes:
        update: updates done (rows,).
        loss: volts squared (rows,).
        error: fraction misclassified (rows,).
        rate: the schedule's factor (rows,).
    """

    update: Integers
    loss: Doubles
    error: Doubles
    rate: Doubles


@dataclass(frozen=True, slots=True)
class Evaluations:
    """The looks at the validation split, in order.

    Attributes:
        update: updates done (rows,).
        accuracy: fraction classified correctly (rows,).
        loss: volts squared (rows,).
        silent: fraction of hidden nodes that no image moves (rows,).
        classes: number of different classes among the predictions (rows,).
    """

    update: Integers
    accuracy: Doubles
    loss: Doubles
    silent: Doubles
    classes: Integers


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything in a run file.

    Attributes:
        path: where it is.
        run_id: what tells this run from every other.
        hilep_version: that wrote it.
        config: its configuration.
        provenance: versions, machine, device; see `hilep.provenance`.
        curve: the training curve.
        evaluations: the looks at the validation split.
        checkpoint: the newest valid one, or None before the first.
        verdict: how the run ended, or None while it is on or where it was killed.
        results: those that were written: test_accuracy, test_loss (V^2), seconds, updates.
    """

    path: Path
    run_id: str
    hilep_version: str
    config: Config
    provenance: dict[str, Any]
    curve: TrainingCurve
    evaluations: Evaluations
    checkpoint: Checkpoint | None
    verdict: str | None
    results: dict[str, float]


def read_run(path: Path) -> RunRecord:
    """Return what a run file holds now; its writer is not disturbed.

    Raises:
        RunFileError: for a file that is not there, is not a run file of this version, is truncated
            or damaged, or whose checkpoints are all invalid.
    """
    path = Path(path)
    with opened(path) as file, reading(path):
        config = Config.from_json(text_of(file["config"]))
        result = file["result"]
        finished = bool(result["finished"][()])
        results = {name: float(result[name][()]) for name in RESULTS} if finished else {}
        return RunRecord(
            path=path,
            run_id=str(file.attrs["run_id"]),
            hilep_version=str(file.attrs["hilep_version"]),
            config=config,
            provenance=json.loads(text_of(file["provenance"])),
            curve=TrainingCurve(**read_table(file["curve"], config.training)),
            evaluations=Evaluations(**read_table(file["evaluations"], config.training)),
            checkpoint=_checkpoint(file, path),
            verdict=text_of(result["verdict"]) if finished else None,
            results={name: value for name, value in results.items() if not math.isnan(value)},
        )


def _checkpoint(file: h5py.File, path: Path) -> Checkpoint | None:
    """Return the newest checkpoint; a live writer may overtake a slow reader, so look again."""
    for _ in range(2):
        try:
            return newest(file, path).checkpoint
        except RunFileError:
            continue
    return newest(file, path).checkpoint
