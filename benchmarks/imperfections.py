"""Train digits with each imperfection of a crossbar, and put ideally trained ones onto it.

    python benchmarks/imperfections.py [--case NAME ...] [--mode trained|transferred] [--seeds 5]
        [--workers 1] [--out lab_notebooks/imperfections.csv] [--list]

Each run appends one row to the file as soon as it is done; runs that have their row are skipped, so
that an interrupted call goes on when it is repeated. Seed k is data.seed, training.seed and
device.seed at once: the split varies with the seed, and so do the faults.

"trained" runs learn in place. "transferred" runs program the conductances and bias currents of the
ideal run with the same seed onto the imperfect array and only evaluate. A row's severity is in the
unit of its case; `eta_factor` multiplies both learning rates.
"""

from __future__ import annotations

import os

# One thread per run, also in the libraries that numpy calls: read when these are first imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import csv
import math
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from imperfection_cases import CASES, FULL_SCALE_V, bench

from hilep import backends, data, experiment
from hilep.config import Config, load
from hilep.crossbar import Crossbar
from hilep.errors import HilepError
from hilep.evaluation import evaluate

KEY = ("case", "severity", "seed", "mode", "eta_factor")
FIELDS = (*KEY, "accuracy", "validation", "verdict", "seconds")


@dataclass(frozen=True)
class Run:
    """What one row is about."""

    case: str
    severity: float
    seed: int
    mode: str
    eta_factor: float = 1.0

    @property
    def key(self) -> tuple[str, ...]:
        """The first columns of its row."""
        return (self.case, f"{self.severity:g}", str(self.seed), self.mode, f"{self.eta_factor:g}")

    def config(self) -> Config:
        """Return all of its settings."""
        case = CASES[self.case]
        full_scale_v = self.severity if case.volts else FULL_SCALE_V
        base = bench(full_scale_v, eta_factor=self.eta_factor)
        seeds = [f"{section}.seed={self.seed}" for section in ("data", "training", "device")]
        return load(None, [*base, *case.settings(self.severity), *seeds])


def accuracies(crossbar: Crossbar, config: Config, wait_s: float) -> tuple[float, float]:
    """Return test and validation accuracy, `wait_s` after the last programming."""
    dataset, training = data.load(config.data), config.training
    if wait_s:
        crossbar.cells.cells.advance(wait_s)  # type: ignore[attr-defined]
        # A read of the whole array takes up what the cells conduct by now.
        crossbar.clamp(dataset.test.volts(np.arange(1))[0])
        crossbar.read()
    looks = (
        evaluate(crossbar, split, training.loss, training.evaluation_reads)
        for split in (dataset.test, dataset.validation)
    )
    test, validation = (look.accuracy for look in looks)
    return test, validation


def trained(config: Config, wait_s: float = 0.0) -> tuple[Crossbar, float, float, str]:
    """Return the crossbar, its test and validation accuracy, and the verdict."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = experiment.prepare(config, Path(folder) / "run.h5")
        outcome = prepared.execute()
    crossbar = prepared.crossbar
    if outcome.test is None or outcome.validation is None:
        return crossbar, math.nan, math.nan, outcome.verdict
    test, validation = outcome.test.accuracy, outcome.validation.accuracy
    if wait_s:
        test, validation = accuracies(crossbar, config, wait_s)
    return crossbar, test, validation, outcome.verdict


@lru_cache(maxsize=64)
def ideal(seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return conductances and bias currents of the ideal run, at the full scale of the bench."""
    crossbar, *_ = trained(Run("ideal", 0.0, seed, "trained").config())
    return [np.array(g) for g in crossbar.conductances()], np.array(crossbar.bias_currents())


def transferred(run: Run, config: Config) -> tuple[float, float]:
    conductances, amps = ideal(run.seed)
    volts = config.data.gamma_v / FULL_SCALE_V
    with backends.crossbar(config, config.network.network()) as crossbar:
        crossbar.program(conductances, amps * volts)
        return accuracies(crossbar, config, CASES[run.case].wait_s)


def row(run: Run) -> dict[str, str]:
    """Do one run and return its row; a run that is refused has no accuracy but a reason."""
    start = time.perf_counter()
    config = run.config()
    test = validation = math.nan
    try:
        if run.mode == "trained":
            _, test, validation, verdict = trained(config, CASES[run.case].wait_s)
        else:
            test, validation = transferred(run, config)
            verdict = "done"
    except HilepError as error:
        verdict = f"{type(error).__name__}: {error}"
    figures = (f"{test:.5f}", f"{validation:.5f}", verdict, f"{time.perf_counter() - start:.2f}")
    return dict(zip(FIELDS, (*run.key, *figures), strict=True))


def runs(names: list[str], seeds: int) -> Iterator[Run]:
    """Yield all runs, seed by seed, so that an early end leaves every case with some seeds."""
    for seed in range(seeds):
        for name in names:
            case = CASES[name]
            if seed >= case.seeds:
                continue
            for severity in case.severities:
                for factor in case.factors:
                    yield Run(name, severity, seed, "trained", factor)
                if "transferred" in case.modes:
                    yield Run(name, severity, seed, "transferred")


def finished(path: Path) -> set[tuple[str, ...]]:
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as lines:
        return {tuple(found[name] for name in KEY) for found in csv.DictReader(lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", choices=sorted(CASES), dest="cases")
    parser.add_argument("--mode", choices=("trained", "transferred"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("lab_notebooks/imperfections.csv"))
    parser.add_argument("--list", action="store_true", help="print the runs that are missing")
    told = parser.parse_args()
    done = finished(told.out)
    missing = [
        run
        for run in runs(told.cases or list(CASES), told.seeds)
        if run.key not in done and told.mode in (None, run.mode)
    ]
    if told.list:
        for run in missing:
            print(*run.key)
        return
    new = not told.out.exists()
    context = multiprocessing.get_context("spawn")
    with told.out.open("a", newline="", encoding="utf-8") as lines, context.Pool(told.workers) as p:
        rows = csv.DictWriter(lines, FIELDS, lineterminator="\n")
        if new:
            rows.writeheader()
        for number, found in enumerate(p.imap_unordered(row, missing), start=1):
            rows.writerow(found)
            lines.flush()
            print(f"{number}/{len(missing)}", *found.values(), flush=True)


if __name__ == "__main__":
    main()
