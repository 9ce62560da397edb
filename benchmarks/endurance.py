"""Memory, threads and descriptors of one process over very many transactions with a bench.

    python benchmarks/endurance.py [--transactions 200000] [--json]

A bench of six virtual instruments, served by the same process, takes updates whose cells are
programmed by pulses; after every 10,000 transactions it is closed and opened again, and every other
time that follows a fault. What client and servers hold is looked at in between. A transaction is
one message with its answer, where it has one.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import platform
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
import psutil
from fault_rig import Rig, rig

from hilep.errors import HilepError
from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.nudging import Nudging
from hilep.reading import LayerUpdate, Update
from hilep.simulators.virtual.faults import Fault

NUDGING = Nudging("current", (0.0, 1e-7))
REOPENED_EVERY = 10_000
TIMEOUT_S = 2.0
LOOKS = 20
GROWTH_MIB = 1.0
"""Allowed over the last half, as a straight line through its looks."""
GROWTH_BLOCKS = 1000.0
"""The same for Python's blocks: the interpreter of TSP scripts lets go of hundreds at a time."""


def give_back() -> None:
    """Let the C library return free pages, where it can: what it keeps for later is no growth."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def look(made: Rig, said: int) -> dict[str, Any]:
    """Return what the process holds while the bench is open."""
    process = psutil.Process()
    untrimmed = process.memory_info().rss
    give_back()
    return {
        "transactions": said,
        "rss_mib": round(process.memory_info().rss / 2**20, 2),
        "untrimmed_mib": round(untrimmed / 2**20, 2),
        "blocks": sys.getallocatedblocks(),
        "threads": threading.active_count(),
        "descriptors": process.num_fds() if hasattr(process, "num_fds") else -1,
        "clients": sum(server.clients for server in made.resources.servers.values()),
    }


def grown(looks: list[dict[str, Any]], key: str) -> float:
    """Return by how much a straight line through `looks` rises from the first to the last."""
    said = np.array([one["transactions"] for one in looks], np.float64)
    slope = np.polyfit(said, np.array([one[key] for one in looks], np.float64), 1)[0]
    return float(slope * (said[-1] - said[0]))


def update(bench: Bench, generator: np.random.Generator) -> None:
    """Read both phases of two images and change one or two cells."""
    network = bench.network
    volts = generator.uniform(-0.8, 0.8, (2, network.inputs))
    bench.free_and_nudged(volts, np.full((2, network.outputs), 0.1), NUDGING, samples=2)
    layers = []
    for siemens, (rows, columns) in zip(bench.conductances(), network.shapes, strict=True):
        pre, post = np.zeros((1, rows)), np.zeros((1, columns))
        row, column = generator.integers(rows), generator.integers(columns)
        middle = 0.5 * (network.g_min_siemens + network.g_max_siemens)
        pre[0, row] = 1.0
        post[0, column] = 2e-7 if siemens[row, column] < middle else -2e-7
        layers.append(LayerUpdate(pre, post))
    bench.update([Update(tuple(layers))])


def fail(bench: Bench, made: Rig, generator: np.random.Generator) -> None:
    """Take one more update, in which an instrument hangs up; the bench closes."""
    # The source of the pulses says nothing where no cell is due.
    name = str(generator.choice([name for name in made.resources.servers if name != "smu4"]))
    made.listen(lambda message: Fault("hang up") if message.instrument == name else None)
    try:
        with bench:
            update(bench, generator)
        raise AssertionError(f"{name} hung up and nobody saw it")
    except HilepError:
        made.rest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transactions", type=int, default=200_000)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    generator = np.random.default_rng(0)
    looks: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), timeout_s=TIMEOUT_S) as made:
        servers = made.resources.servers.values()
        network = made.config.network.network()
        bench = Bench(BenchFile.load(Path(folder) / "bench.toml"), network)
        bench.open()
        bench.program([np.full(shape, 3e-6) for shape in network.shapes])
        before = sum(server.messages for server in servers)
        said = opened = sessions = 0
        began = time.monotonic()
        while said < told.transactions or len(looks) < LOOKS:
            update(bench, generator)
            said = sum(server.messages for server in servers) - before
            if said >= len(looks) * told.transactions / (LOOKS - 1):
                looks.append(look(made, said))
                print(looks[-1], f"{time.monotonic() - began:.0f} s", flush=True)
            if said - opened >= REOPENED_EVERY:
                sessions += 1
                if sessions % 2:
                    fail(bench, made, generator)
                bench.close()
                bench.open()
                opened = said
        bench.close()
        on = sorted(made.world.driven)
    half = looks[len(looks) // 2 :]
    mib, blocks = grown(half, "rss_mib"), grown(half, "blocks")
    same = all(
        len({one[key] for one in looks}) == 1 for key in ("threads", "descriptors", "clients")
    )
    for name, one in (("start", looks[0]), ("middle", looks[LOOKS // 2]), ("end", looks[-1])):
        print(
            f"{name:7}{one['transactions']:9} transactions{one['rss_mib']:9.1f} MiB"
            f"{one['threads']:5} threads{one['descriptors']:5} descriptors"
        )
    print(
        f"over the last half {mib:+.2f} MiB and {blocks:+.0f} Python blocks "
        f"of {looks[-1]['blocks']}"
    )
    print(f"{sessions} sessions closed and opened again; on at the end: {on or 'nothing'}")
    if told.json:
        print(json.dumps({"looks": looks, "sessions": sessions, "mib": mib, "blocks": blocks}))
    return 0 if same and mib <= GROWTH_MIB and blocks <= GROWTH_BLOCKS and not on else 1


if __name__ == "__main__":
    sys.exit(main())
