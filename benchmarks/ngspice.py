"""Time of one operating point with junction diodes against ngspice's, on one thread.

    python benchmarks/ngspice.py [--json] [--rounds N]

ngspice's time is the growth of its own "Total analysis time" from one `op` to the next in a single
process: the setting up and ordering of its matrix, loading, factoring and solving, for as many
Newton steps as it takes, at the tolerances of `hilep.simulators.netlist.TIGHT`. Its start, the
parsing of the netlist and all output lie outside. What a second `op` on the same matrix could save,
the ordering, is told apart.

Ours is the time from the volts of one image and its nudge to the volts of every free node, from 0 V
in the free phase and from the free phase's volts in the nudged one. The elimination of the arrays,
once for each set of conductances, is told apart.

The two are taken in turns. Medians, and the largest difference of any free node's volts over the
largest of them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

# One thread, also in the libraries that numpy calls: read when these are first imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np

from hilep.network import Network
from hilep.simulators.circuit.graph import circuit_graph, node_names
from hilep.simulators.circuit.nodal import solve
from hilep.simulators.circuit.rectifiers import JunctionDiode
from hilep.simulators.circuit.solver import CircuitSolver
from hilep.simulators.circuit.wiring import Wiring
from hilep.simulators.netlist import TIGHT, netlist
from hilep.simulators.pull import Pull

LIMIT = 50.0
RECTIFIER = JunctionDiode()
CASES = {
    "196-128-10": ((196, 128, 10), Wiring(), 1.0),
    # Cells of tens of kiloohms, lines of an ohm a segment.
    "64-32-10, lines of 1 ohm": ((64, 32, 10), Wiring(word_ohm=1.0, bit_ohm=1.0), 1e-4),
}


REPEATS = 5
"""Operating points that one ngspice process finds in a round."""


def theirs(text: str, names: list[str]) -> dict[str, Any]:
    """Return ngspice's times of operating points, their parts, and the volts of `names`."""
    control = [".control", "set filetype=binary", *["op", "rusage time"] * (REPEATS + 1)]
    control += ["rusage all", "write out.raw", "quit", ".endc", ".end"]
    told = text.replace(".op\n.end", "\n".join([TIGHT, *control]))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "in.cir").write_text(told, encoding="utf-8")
        done = subprocess.run(
            ["ngspice", "-b", "in.cir"], cwd=folder, capture_output=True, text=True, check=True
        )
        head, _, data = Path(folder, "out.raw").read_bytes().partition(b"Binary:\n")
    taken = r"Total analysis time \(seconds\) = ([\d.e+-]+)"
    totals = [float(t) for t in re.findall(taken, done.stdout)][: REPEATS + 1]
    variables = re.findall(r"^\s*\d+\s+(\S+)\s", head.decode(), re.MULTILINE)
    volts = dict(zip(variables, np.frombuffer(data, dtype=np.float64), strict=True))

    def part(name: str) -> float:
        match = re.search(rf"{name} = ([\d.e+-]+)", done.stdout)
        return float(match[1]) / (REPEATS + 1) if match else float("nan")

    return {
        "seconds": np.diff(totals).tolist(),
        "ordering": part("Matrix reorder time"),
        "steps": part("Total iterations"),
        "volts": np.array([volts[f"v({name})"] for name in names]),
    }


def seconds_of(work: Callable[[], object], seconds: float) -> list[float]:
    """Return the times of `work`, taken for about `seconds`."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def compared(name: str, rounds: int) -> list[dict[str, Any]]:
    """Return one row for the free phase and one for each nudge."""
    layers, wiring, scale = CASES[name]
    network = Network(layers, "split", "current")
    generator = np.random.default_rng(0)
    conductances = [scale * generator.uniform(0.05, 1.0, shape) for shape in network.shapes]
    bias = scale * generator.normal(0, 0.3, network.free_nodes)
    # Hidden nodes reach about 5 V, so that about half of the junctions conduct.
    x = generator.normal(0, 5 * np.sqrt(layers[0]), layers[0])
    amps = scale * generator.normal(0, 1, network.outputs)
    targets = generator.normal(0, 1, network.outputs)
    spring = 0.2 * scale
    phases: dict[str, tuple[dict[str, Any], Pull]] = {
        "free": ({}, Pull.none(1, network.outputs)),
        "current": ({"amps": amps}, Pull(amps[None])),
        "spring": (
            {"spring_siemens": spring, "targets": targets},
            Pull.spring(spring, targets[None]),
        ),
    }
    solver = CircuitSolver(network, wiring, RECTIFIER)
    solver.load(conductances)
    solver.bias_currents[:] = bias

    def reduced() -> None:
        solver.load(conductances)
        _ = solver.reduced

    once = median(seconds_of(reduced, 1.0))
    free = solver.equilibrium(solver.forward(x[None]), phases["free"][1], None)
    rows = []
    for phase, (told, pull) in phases.items():
        start = None if phase == "free" else free

        def settled(pull: Pull = pull, start: Any = start) -> Any:
            return solver.equilibrium(solver.forward(x[None]), pull, start)

        graph = circuit_graph(
            network, conductances, bias, x, wiring=wiring, rectifier=RECTIFIER, **told
        )
        text = netlist(network, conductances, bias, x, diode=RECTIFIER, wiring=wiring, **told)
        ours: list[float] = []
        spice: list[dict[str, Any]] = []
        for _ in range(rounds):
            spice.append(theirs(text, node_names(network)))
            ours += seconds_of(settled, 0.5)
        taken = median([t for run in spice for t in run["seconds"]])
        ordering = median([run["ordering"] for run in spice])
        ms = 1e3 * median(ours)
        volts = spice[0]["volts"]
        exact = solve(graph)
        hidden = exact.rectifier_amps[: network.output_slice.start]
        rows.append(
            {
                "case": name,
                "phase": phase,
                "conducting": float(np.mean(np.abs(hidden) > 0.1 * scale)),
                "ngspice_ms": 1e3 * taken,
                "ngspice_ordering_ms": 1e3 * ordering,
                "ngspice_steps": spice[0]["steps"],
                "ours_ms": ms,
                "reduction_ms": 1e3 * once,
                "nodal_ms": 1e3 * median(seconds_of(lambda graph=graph: solve(graph), 0.5)),
                "ratio": 1e3 * taken / ms,
                "without_ordering": 1e3 * (taken - ordering) / ms,
                "difference": float(np.abs(settled()[0] - volts).max() / np.abs(volts).max()),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5, help="of both in turns")
    told = parser.parse_args()
    rows = [row for name in CASES for row in compared(name, told.rounds)]
    if told.json:
        print(json.dumps(rows))
        return
    print("one thread, one image, junction diodes, medians; arrays eliminated once per programming")
    for row in rows:
        limit = f" (limit {LIMIT:g})" if row["case"] == "196-128-10" else ""
        print(
            f"{row['case']:<25} {row['phase']:<8} {100 * row['conducting']:3.0f} % conduct   "
            f"ngspice {row['ngspice_ms']:6.1f} ms in {row['ngspice_steps']:.0f} steps   "
            f"ours {row['ours_ms']:6.3f} ms   ratio {row['ratio']:.0f}{limit}, without ngspice's "
            f"ordering {row['without_ordering']:.0f}   difference {row['difference']:.1e}   "
            f"(arrays once {row['reduction_ms']:.2f} ms, nodal analysis {row['nodal_ms']:.0f} ms)"
        )
    failed = [row for row in rows if row["case"] == "196-128-10" and row["ratio"] < LIMIT]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
