"""Does the plan work: ten times the critical sigma, with and without the N that is planned.

    python benchmarks/plan_works.py [CONFIG] [--out FOLDER] [--share 0.9] [--trials 36]
        [--single-reads] [--set section.key=value ...]

The critical sigma is searched with seeds 0, 1, ...; what follows uses seeds from 1000 on. A run
succeeds where its test accuracy reaches the threshold. --single-reads draws each of the N reads by
itself, through a fine converter, where otherwise their mean is drawn from its distribution.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hilep.calibration.criticalsearch import search
from hilep.calibration.criticalsigma import Criterion
from hilep.calibration.criticaltrials import Trial, Trials
from hilep.calibration.reads import reads_needed
from hilep.config import load

ROOT = Path(__file__).parent.parent
FIRST_SEED = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, nargs="?", default=ROOT / "docs/examples/xor.toml")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--share", type=float, default=0.9)
    parser.add_argument("--trials", type=int, default=36)
    parser.add_argument("--times", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--single-reads", action="store_true")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    config = load(told.config, told.settings)
    criterion = Criterion(told.threshold, told.share)
    start = 1e-3 * abs(config.data.target_v - config.data.target_off_v)
    critical = search(Trials(config, told.out, _say), start, told.trials, criterion)
    sigma = told.times * critical.sigma_v
    planned = reads_needed(sigma, critical.low_v)
    print(
        f"critical sigma {critical.sigma_v:.4g} V ({critical.low_v:.4g} to {critical.high_v:.4g}); "
        f"at {sigma:.4g} V planned N = {planned}"
    )
    if told.single_reads:
        fine = f"device.adc_range_v={8 * config.data.gamma_v}"
        config = load(told.config, [*told.settings, "device.adc_bits=26", fine])
    runs = Trials(config, told.out, _say)
    reached = {}
    for reads in (1, planned):
        accuracies = [runs.trial(sigma, FIRST_SEED + k, reads).accuracy for k in range(told.seeds)]
        reached[reads] = sum(accuracy >= told.threshold for accuracy in accuracies)
        print(f"N = {reads}: {reached[reads]} of {told.seeds} reach {told.threshold:g}")
    if told.json:
        result = {
            "critical_v": [critical.sigma_v, critical.low_v, critical.high_v],
            "sigma_v": sigma,
            "reads": planned,
            "without": reached[1],
            "with": reached[planned],
            "seeds": told.seeds,
        }
        print(json.dumps(result))


def _say(trial: Trial) -> None:
    print(f"sigma {trial.sigma_v:.4g} V, seed {trial.seed}: {100 * trial.accuracy:.1f} %")


if __name__ == "__main__":
    main()
