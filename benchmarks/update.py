"""Time of one training update against the time of touching its memory once.

    python benchmarks/update.py [--json] [--seconds S] [--hidden N]

Numerator: the whole update in training (both relaxations, reads, learning rule, update of every
conductance) on one set of conductances. Denominator: a plain pass that reads and writes every
element of such an array, in the same kernel language, over a ring of arrays at least four times the
last-level cache. Both are taken alternately in one process on one thread; medians are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

# One thread, also in the libraries that numpy calls: read when these are first imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
from numba import njit

from hilep import experiment
from hilep.config import load
from hilep.data import Batches
from hilep.evaluation import evaluate
from hilep.initial import initial_conductances
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.rule import LearningRule
from hilep.simulators.fast import FastSolver
from hilep.simulators.ideal import SimulatedCrossbar
from hilep.simulators.noise import ReadNoise

INPUTS, OUTPUTS, BATCH = 784, 10, 4
LIMITS = {"sigma 0": 2.0, "sigma 1e-5": 2.5, "sigma 1e-5, inputs read too": 4.0}


@njit(cache=True)
def read_and_write(g, change):
    for j in range(g.shape[0]):
        row = g[j]
        for i in range(row.size):
            row[i] += change


def last_level_cache() -> int:
    """Bytes of the largest cache that the system tells of; 64 MiB where it tells nothing."""
    sizes = [64 << 20]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        factor = {"K": 1 << 10, "M": 1 << 20}.get(text[-1], 1)
        sizes.append(int(text.rstrip("KM")) * factor)
    return max(sizes[1:] or sizes)


def seconds_of(work: Callable[[], object], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def updating(hidden: int, sigma: float, clamped: float) -> Callable[[], None]:
    """Return a function that trains by one update."""
    network = Network((2 * INPUTS, hidden, OUTPUTS))
    noise = ReadNoise(network, sigma, np.random.default_rng(1), clamped)
    device = SimulatedCrossbar(network, noise, FastSolver(network), sweeps=5)
    device.program(initial_conductances(network, np.random.default_rng(0)))
    nudging = Nudging.of("positive", "spring", 1.0, "mean", OUTPUTS)
    rule = LearningRule(network, 1.0, [5e-3] * 2, [5e-3] * 2)
    generator = np.random.default_rng(2)
    batches = []
    for _ in range(32):
        half = 500 * generator.random((BATCH, INPUTS), dtype=np.float32)
        targets = np.eye(OUTPUTS)[generator.integers(0, OUTPUTS, BATCH)]
        batches.append((np.concatenate([half, -half], axis=1), targets))
    count = [0]

    def update() -> None:
        volts, targets = batches[count[0] % 32]
        count[0] += 1
        pair = device.free_and_nudged(volts, targets, nudging, 1, rule.statistic)
        device.update(rule.blocks(pair), batches[count[0] % 32][0])

    return update


def floor(hidden: int) -> tuple[Callable[[], None], Callable[[], None], int]:
    """Return a pass over the next array of the ring, one over one array, and the ring's size."""
    shape = (hidden, 2 * INPUTS)
    count = max(2, -(-4 * last_level_cache() // (4 * shape[0] * shape[1])))
    ring = [np.full(shape, 0.01, np.float32) for _ in range(count)]
    change = np.float32(1e-9)
    at = [0]

    def from_memory() -> None:
        at[0] = (at[0] + 1) % count
        read_and_write(ring[at[0]], change)

    def from_cache() -> None:
        read_and_write(ring[0], change)

    return from_memory, from_cache, count


def against_floor(hidden: int, seconds: float) -> list[dict[str, object]]:
    from_memory, from_cache, count = floor(hidden)
    cases = {
        "sigma 0": updating(hidden, 0.0, 0.0),
        "sigma 1e-5": updating(hidden, 1e-5, 0.0),
        "sigma 1e-5, inputs read too": updating(hidden, 1e-5, 1e-5),
    }
    for work in (*cases.values(), from_memory, from_cache):
        seconds_of(work, 3)
    # 32 MFLOP at 1024 hidden nodes: rank-4 update, next currents, sums; both relaxations.
    flop = 2 * INPUTS * hidden * (8 + 8 + 3) + 10 * BATCH * hidden * OUTPUTS * 4
    per_round = max(3, int(20 * 1024 / hidden))
    in_a_row = max(3, int(200 * 1024 / hidden))
    warming = max(1, in_a_row // 10)
    times: dict[str, list[float]] = {name: [] for name in cases}
    memory: list[float] = []
    cache: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(memory) < 15:
        memory += seconds_of(from_memory, per_round)
        cache += seconds_of(from_cache, per_round)
        for name, work in cases.items():
            # The passes have emptied the caches and training does not: the first are not counted.
            times[name] += seconds_of(work, warming + in_a_row)[warming:]
    rows = []
    for name, taken in times.items():
        update = median(taken)
        rows.append(
            {
                "network": f"{2 * INPUTS}-{hidden}-{OUTPUTS}",
                "case": name,
                "ms": 1e3 * update,
                "gflop_per_s": flop / update / 1e9,
                "floor_ms": 1e3 * median(memory),
                "in_cache_ms": 1e3 * median(cache),
                "ratio": update / median(memory),
                "in_cache_ratio": update / median(cache),
                "ring": count,
                "samples": len(taken),
            }
        )
    return rows


def overhead(rounds: int, updates: int) -> dict[str, object]:
    """Return the time of the whole trainer with run file over the time of its updates alone."""
    generator = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "random.npz")
        np.savez(
            file,
            x=generator.integers(0, 256, (12_000, 28, 28), dtype=np.uint8),
            y=np.arange(12_000) % OUTPUTS,
        )
        config = load(
            None,
            [
                'data.name="file"',
                f"data.file='{file}'",
                "data.gamma_v=500",
                "data.validation_fraction=0",
                "data.test_fraction=0.001",
                f"network.layers=[{2 * INPUTS}, 1024, {OUTPUTS}]",
                'training.nudging="spring"',
                f"training.updates={updates}",
                "training.eta=1e-6",
                f"training.batch_size={BATCH}",
                "training.checkpoint_seconds=1",
            ],
        )
        alone, whole = [], []
        for number in range(rounds + 1):
            prepared = experiment.prepare(config, Path(folder, f"{number}.h5"))
            trainer, device = prepared.trainer, prepared.crossbar
            batches = Batches(prepared.dataset.train, BATCH, 0)
            made = [
                (prepared.dataset.train.volts(i), prepared.dataset.train.targets(i))
                for i in (batches.indices(k) for k in range(256))
            ]
            start = time.perf_counter()
            for k in range(updates):
                volts, targets = made[k % 256]
                pair = device.free_and_nudged(
                    volts, targets, trainer.nudging, 1, trainer.rule.statistic
                )
                device.update(trainer.rule.blocks(pair), made[(k + 1) % 256][0])
            middle = time.perf_counter()
            prepared.execute()
            end = time.perf_counter()
            evaluate(device, prepared.dataset.test, "mean")
            looked = time.perf_counter() - end
            if number:
                alone.append((middle - start) / updates)
                whole.append((end - middle - looked) / updates)
    ratios = [w / a for w, a in zip(whole, alone, strict=True)]
    return {
        "update_ms": 1e3 * median(alone),
        "trainer_ms": 1e3 * median(whole),
        "ratio": median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "rounds": rounds,
        "updates": updates,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each network's comparison")
    parser.add_argument("--hidden", type=int, nargs="*", default=[1024, 32768])
    parser.add_argument("--rounds", type=int, default=15, help="of the trainer's overhead")
    told = parser.parse_args()
    rows = [row for hidden in told.hidden for row in against_floor(hidden, told.seconds)]
    added = overhead(told.rounds, 3000)
    if told.json:
        print(json.dumps({"updates": rows, "trainer": added}))
        return
    print(f"one thread, batch {BATCH}, 5 + 5 sweeps, square of means, medians")
    for row in rows:
        limit: float | str = LIMITS[str(row["case"])]
        if row["network"] != "1568-1024-10":
            limit = 2.5 if row["case"] == "sigma 0" else "none"
        print(
            f"{row['network']:>14}  {row['case']:<28} {row['ms']:8.3f} ms "
            f"{row['gflop_per_s']:6.1f} GFLOP/s   floor {row['floor_ms']:7.3f} ms   "
            f"ratio {row['ratio']:.2f} (limit {limit})   in cache {row['in_cache_ratio']:.2f}   "
            f"n = {row['samples']}"
        )
    print(
        f"trainer, data and run file: {added['trainer_ms']:.3f} ms against "
        f"{added['update_ms']:.3f} ms for the update alone: ratio {added['ratio']:.3f} "
        f"({added['lowest']:.3f} to {added['highest']:.3f}, {added['rounds']} rounds of "
        f"{added['updates']} updates)"
    )


if __name__ == "__main__":
    main()
