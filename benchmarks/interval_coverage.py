"""How often the 95 % intervals of sigma hold the true one: 20,000 calibrations of each kind.

    python benchmarks/interval_coverage.py [--calibrations 20000] [--seed 0] [--json]

Gaussian reads, 5 to 200 of them (their logarithm drawn evenly): per node, and pooled over 1 to 50
nodes; then 200 reads of Laplace, telegraph and AR(1) noise, each beside the plain interval with
n - 1 degrees of freedom; then nodes that share noise or differ, where few reads fall short.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from hilep.calibration.degrees import degrees_of_freedom, pooled_degrees_of_freedom
from hilep.calibration.intervals import sigma_intervals

Reads = NDArray[np.float64]


def held(volts: Reads, degrees: Reads | float) -> NDArray[np.bool_]:
    """Whether each column's interval holds a sigma of 1, from reads (n, columns)."""
    found = sigma_intervals(volts.var(axis=0, ddof=1), degrees)
    return (found.low_v <= 1) & (found.high_v >= 1)


def size(generator: np.random.Generator, low: int, high: int) -> int:
    """A whole number whose logarithm is drawn evenly."""
    return round(math.exp(generator.uniform(math.log(low), math.log(high))))


def per_node(generator: np.random.Generator, calibrations: int) -> float:
    sizes = [size(generator, 5, 200) for _ in range(200)]
    columns = math.ceil(calibrations / len(sizes))
    results = []
    for n in sizes:
        volts = generator.normal(size=(n, columns))
        results.append(held(volts, degrees_of_freedom(volts)))
    return float(np.concatenate(results).mean())


def pooled(
    generator: np.random.Generator,
    calibrations: int,
    draw: Callable[[np.random.Generator, int, int], Reads],
    reads: tuple[int, int] = (5, 200),
    nodes: tuple[int, int] = (1, 50),
) -> float:
    count = 0
    for _ in range(calibrations):
        volts = draw(generator, size(generator, *reads), size(generator, *nodes))
        variance = float(volts.var(axis=0, ddof=1).mean())
        found = sigma_intervals(variance, pooled_degrees_of_freedom(volts))
        count += bool(found.low_v <= 1 <= found.high_v)
    return count / calibrations


def white(generator: np.random.Generator, n: int, nodes: int) -> Reads:
    return generator.normal(size=(n, nodes))


def shared(generator: np.random.Generator, n: int, nodes: int) -> Reads:
    """Half of the variance common to all nodes."""
    own = generator.normal(size=(n, nodes)) + generator.normal(size=(n, 1))
    return own / math.sqrt(2)


def unequal(generator: np.random.Generator, n: int, nodes: int) -> Reads:
    """Sigma from 0.3 to 3 over the nodes, 1 in the mean square."""
    sigmas = np.linspace(0.3, 3, nodes)
    return generator.normal(size=(n, nodes)) * sigmas / math.sqrt(float((sigmas**2).mean()))


def telegraph(generator: np.random.Generator, n: int, columns: int, flip: float) -> Reads:
    signs = 1.0 - 2.0 * (generator.random((n, columns)) < flip)
    return generator.choice([-1.0, 1.0], size=columns) * np.cumprod(signs, axis=0)


def other_noise(generator: np.random.Generator, columns: int) -> dict[str, Reads]:
    n = 200
    out = {"Laplace": generator.laplace(size=(n, columns)) / math.sqrt(2)}
    for flip in (0.3, 0.1):
        both = telegraph(generator, n, columns, flip) - telegraph(generator, n, columns, flip)
        out[f"telegraph {flip}, free - nudged"] = both / math.sqrt(2)
        mixed = telegraph(generator, n, columns, flip) + generator.normal(size=(n, columns))
        out[f"telegraph {flip} and as much white"] = mixed / math.sqrt(2)
    out["telegraph 0.1 alone"] = telegraph(generator, n, columns, 0.1)
    for phi in (0.5, -0.5, 0.8):
        drawn = generator.normal(size=(n + 200, columns))
        record = lfilter([1.0], [1.0, -phi], drawn, axis=0)[200:]
        out[f"AR(1) {phi}"] = record * math.sqrt(1 - phi**2)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calibrations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    generator = np.random.default_rng(told.seed)
    count = told.calibrations
    results: dict[str, float] = {}

    def report(name: str, value: float, plain: float | None = None) -> None:
        results[name] = value
        beside = "" if plain is None else f"   n - 1: {100 * plain:.2f} %"
        print(f"{name:44s} {100 * value:6.2f} %{beside}", flush=True)

    print(f"standard error {100 * math.sqrt(0.95 * 0.05 / count):.2f} %")
    report("Gaussian, per node", per_node(generator, count))
    report("Gaussian, pooled", pooled(generator, count, white))
    for n in (5, 10, 20, 50, 200):
        volts = white(generator, n, count)
        report(
            f"Gaussian, per node, {n} reads", float(held(volts, degrees_of_freedom(volts)).mean())
        )
    for name, volts in other_noise(generator, count).items():
        report(
            f"200 reads, {name}",
            float(held(volts, degrees_of_freedom(volts)).mean()),
            float(held(volts, 199.0).mean()),
        )
    few = max(count // 10, 1)
    for n in (5, 20, 200):
        for name, draw in (("half shared", shared), ("unequal", unequal)):
            value = pooled(generator, few, draw, (n, n), (10, 10))
            report(f"pooled, 10 nodes, {name}, {n} reads", value)
    if told.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
