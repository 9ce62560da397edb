"""How often the interval of a critical sigma misses, on accuracy curves that are known.

    python benchmarks/critical_coverage.py [--searches 1000]

Each search begins somewhere within two decades of the truth. Trials differ by their seed (0.01 in
accuracy, the same at every sigma) and by chance (0.02), around a curve that falls from 0.97 to 0.1;
for a share, single trainings reach the threshold or do not.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np

from hilep.calibration.criticalsearch import Measure, search
from hilep.calibration.criticalsigma import Criterion, NoCriticalSigmaError

MIDDLE_V, TOP, CHANCE = 1e-3, 0.97, 0.1


def of_means(trials: int, generator: np.random.Generator) -> Measure:
    seeds = generator.normal(0, 0.01, trials)

    def measure(sigma_v: float, n: int) -> np.ndarray:
        mean = CHANCE + (TOP - CHANCE) / (1 + (sigma_v / MIDDLE_V) ** 2)
        return np.clip(mean + seeds[:n] + generator.normal(0, 0.02, n), 0, 1)

    return measure


def of_a_share(trials: int, generator: np.random.Generator) -> Measure:
    def measure(sigma_v: float, n: int) -> np.ndarray:
        return np.where(generator.random(n) < 1 / (1 + (sigma_v / MIDDLE_V) ** 4), 0.95, 0.5)

    return measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=1000)
    searches = parser.parse_args().searches
    mean_at = MIDDLE_V * math.sqrt((TOP - CHANCE) / (0.9 - CHANCE) - 1)
    share_at = MIDDLE_V * (1 / 0.9 - 1) ** 0.25
    cases: list[tuple[str, Callable[[int, np.random.Generator], Measure], int, float, Criterion]]
    cases = [("mean", of_means, n, mean_at, Criterion(0.9)) for n in (3, 5, 10, 20)]
    cases += [("share", of_a_share, n, share_at, Criterion(0.9, 0.9)) for n in (36, 50, 100)]
    for name, kind, trials, truth, criterion in cases:
        generator = np.random.default_rng(trials)
        above = below = refused = 0
        widths, sigmas = [], []
        for _ in range(searches):
            start = MIDDLE_V * 10 ** generator.uniform(-2, 2)
            try:
                found = search(kind(trials, generator), start, trials, criterion)
            except NoCriticalSigmaError:
                refused += 1
                continue
            above += found.low_v > truth
            below += found.high_v < truth
            widths.append(found.high_v / found.low_v)
            sigmas.append(found.evaluated.size)
        print(
            f"{name}, {trials} trials: N too small {100 * above / searches:.1f} %, interval below "
            f"the truth {100 * below / searches:.1f} %, refused {100 * refused / searches:.1f} %, "
            f"upper over lower limit {np.median(widths):.2f}, {np.mean(sigmas):.1f} sigmas"
        )


if __name__ == "__main__":
    main()
