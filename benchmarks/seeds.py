"""Train one configuration with several seeds and print the mean accuracy with its uncertainty.

    python benchmarks/seeds.py [CONFIG] [--seeds 10] [--out FOLDER] [--set section.key=value ...]

Trial k has training.seed = k, device.seed = k where the device takes one (a bench does not), and
data.seed = k unless --same-split is given. With
--out the run files are kept: what is finished is not trained again, what was interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path

import numpy as np
from scipy import stats

from hilep import backends, experiment
from hilep.config import load
from hilep.runfile import read_run


def trial(config: Path | None, settings: list[str], path: Path) -> tuple[str, float]:
    """Return verdict and test accuracy of one trial, from its run file where it is finished."""
    if path.exists():
        record = read_run(path)
        if record.config != load(config, settings):
            raise SystemExit(f"{path}: belongs to other settings; give another --out")
        if record.verdict is not None and not record.verdict.startswith("interrupted"):
            return record.verdict, record.results.get("test_accuracy", math.nan)
        outcome = experiment.resume(path).execute()
    else:
        outcome = experiment.prepare(load(config, settings), path).execute()
    return outcome.verdict, math.nan if outcome.test is None else outcome.test.accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--same-split", action="store_true")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    device = load(told.config, told.settings).device.backend
    seeded = ["training"] + ["device"] * ("seed" in backends.backend(device).options.model_fields)
    seeded += [] if told.same_split else ["data"]
    verdicts, accuracies = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = told.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in range(told.seeds):
            settings = [*told.settings, *(f"{section}.seed={seed}" for section in seeded)]
            verdict, accuracy = trial(told.config, settings, folder / f"seed-{seed}.h5")
            verdicts.append(verdict)
            accuracies.append(accuracy)
            print(f"seed {seed}: {100 * accuracy:.2f} %  {verdict}", flush=True)
    kept = np.array([a for a in accuracies if math.isfinite(a)])
    summary = {
        "trials": told.seeds,
        "done": sum(verdict == "done" for verdict in verdicts),
        "mean": float(kept.mean()) if kept.size else None,
        "lowest": float(kept.min()) if kept.size else None,
        "highest": float(kept.max()) if kept.size else None,
    }
    if kept.size > 1:
        error = float(kept.std(ddof=1) / math.sqrt(kept.size))
        summary["standard_error"] = error
        summary["half_width_95"] = error * float(stats.t.ppf(0.975, kept.size - 1))
        print(
            f"mean {100 * kept.mean():.2f} % +- {100 * summary['half_width_95']:.2f} "
            f"(95 %, Student, {kept.size} trials; {summary['done']} of {told.seeds} done)"
        )
    if told.json:
        print(json.dumps(summary))


if __name__ == "__main__":
    main()
