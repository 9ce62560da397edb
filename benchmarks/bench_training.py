"""Train on the virtual bench and on a simulated crossbar with the same seeds, and compare.

    python benchmarks/bench_training.py docs/examples/bench-iris.toml --out FOLDER [--seeds 5]

Seed k is data.seed, so that both train on the same samples in the same order, and training.seed, so
that both begin with the same conductances. The simulated crossbar has the bench's network, data and
training, ideal rectifiers, writes without error, and read noise of --sigma-v. It relaxes to a
tolerance, because a bench settles. The default sigma is what the virtual DAQ6510 reads with on a
range of 1 V in one power line cycle. Each training is a run file in FOLDER: what is finished is not
trained again, what was interrupted goes on. With --bench-only or --simulated-only one of them is
trained, and with --table neither.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
from seeds import trial

from hilep.config import Config, load
from hilep.runfile import read_run

SIMULATED = ("device.backend=simulated", "device.precision=float64", "device.solver=reference")


def simulated_config(config: Path, folder: Path) -> Path:
    """Write the configuration without its device, and return its path."""
    lines, section = [], ""
    for line in config.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip()
        if section != "[device]":
            lines.append(line)
    path = folder / f"{config.stem}-simulated.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def row(path: Path) -> dict[str, float]:
    """Return what the table says of a finished run."""
    record = read_run(path)
    pulses = record.checkpoint.state["pulses"] if record.checkpoint is not None else math.nan
    return {
        "accuracy": record.results.get("test_accuracy", math.nan),
        "updates": record.results.get("updates", math.nan),
        "seconds": record.results.get("seconds", math.nan),
        "pulses": float(pulses),
    }


def summary(rows: list[dict[str, float]]) -> tuple[float, float]:
    """Return the mean accuracy and its standard error."""
    found = np.array([one["accuracy"] for one in rows])
    return float(found.mean()), float(found.std(ddof=1) / math.sqrt(found.size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="of a training on a bench, with virtual = true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--sigma-v", type=float, default=1e-6)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--bench-only", action="store_true")
    what.add_argument("--simulated-only", action="store_true")
    what.add_argument("--table", action="store_true")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    simulated = simulated_config(told.config, told.out)
    device = [*SIMULATED, f"device.sigma_v={told.sigma_v}", "training.relaxation_tolerance=1e-9"]
    wanted = {
        "bench": (told.config, [], not (told.simulated_only or told.table)),
        "simulated": (simulated, device, not (told.bench_only or told.table)),
    }
    found: dict[str, dict[int, dict[str, float]]] = {name: {} for name in wanted}
    print(
        f"{'crossbar':10} {'seed':>4} {'held out':>9} {'updates':>8} {'pulses':>7} {'seconds':>8}"
    )
    for name, (config, settings, train) in wanted.items():
        _require_backend(load(config, [*settings, *told.settings]), name, config)
        for seed in range(told.seeds):
            path = told.out / f"{name}-{seed}.h5"
            seeds = [f"training.seed={seed}", f"data.seed={seed}"]
            seeds += [f"device.seed={seed}"] * (name == "simulated")
            if train:
                trial(config, [*settings, *told.settings, *seeds], path)
            if not path.exists() or read_run(path).verdict is None:
                continue
            one = found[name][seed] = row(path)
            print(
                f"{name:10} {seed:4d} {100 * one['accuracy']:7.2f} % {one['updates']:8.0f} "
                f"{one['pulses']:7.0f} {one['seconds']:8.1f}",
                flush=True,
            )
    both = {name: list(rows.values()) for name, rows in found.items()}
    means = {name: summary(rows) for name, rows in both.items() if len(rows) > 1}
    for name, (mean, error) in means.items():
        print(f"{name}: mean {100 * mean:.2f} +- {100 * error:.2f} % of {len(both[name])} seeds")
    told_all = {name: {"mean": mean, "standard_error": e} for name, (mean, e) in means.items()}
    if len(means) == len(wanted):
        (a, a_error), (b, b_error) = means["bench"], means["simulated"]
        error = math.hypot(a_error, b_error)
        apart = abs(a - b) / error if error else (0.0 if a == b else math.inf)
        told_all["difference"] = {"mean": a - b, "standard_error": error}
        print(
            f"bench - simulated: {100 * (a - b):+.2f} +- {100 * error:.2f} %, "
            f"{apart:.2f} standard errors"
        )
    if told.json:
        print(json.dumps({**told_all, "runs": found}))


def _require_backend(config: Config, name: str, path: Path) -> None:
    if config.device.backend != name:
        raise SystemExit(f'{path}: device.backend is "{config.device.backend}", expected "{name}"')


if __name__ == "__main__":
    main()
