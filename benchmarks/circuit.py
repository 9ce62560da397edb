"""Time of one training update on a circuit: 784-128-10 with resistance in its lines.

    python benchmarks/circuit.py [--seconds 20]

One thread. An update is what the trainer does: two phases of a batch of 4, the rule, the change of
every conductance, and the elimination of the lines that it makes necessary. Prints the median, and
how it divides.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import time
from collections.abc import Callable

import numpy as np

from hilep.backends import Relaxation
from hilep.crossbar import Crossbar
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.rule import LearningRule
from hilep.simulators.circuit.options import CIRCUIT
from hilep.simulators.circuit.reduction import port_network
from hilep.simulators.circuit.wiring import Wiring

KINDS = {
    "no resistance, ideal diodes": {},
    "1 ohm segments, ideal diodes": {"word_ohm": 1.0, "bit_ohm": 1.0},
    "1 ohm segments, junctions": {
        "word_ohm": 1.0,
        "bit_ohm": 1.0,
        "source_ohm": 50.0,
        "meter_ohm": 1e9,
        "nonlinearity": "junction",
    },
}
SIEMENS = 1e-4


def times(seconds: float, step: Callable[[], object]) -> list[float]:
    """Return the time of each call of `step`, called for so many seconds, five times at least."""
    step()
    out: list[float] = []
    while sum(out) < seconds or len(out) < 5:
        begin = time.perf_counter()
        step()
        out.append(time.perf_counter() - begin)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--layers", type=int, nargs="+", default=[784, 128, 10])
    seconds = parser.parse_args().seconds
    layers = tuple(parser.parse_args().layers)
    network = Network(layers, g_min_siemens=1e-7, g_max_siemens=SIEMENS)
    generator = np.random.default_rng(0)
    siemens = [generator.uniform(1e-7, SIEMENS / 4, shape) for shape in network.shapes]
    images = generator.uniform(-20.0, 20.0, (4, network.inputs))
    targets = np.eye(network.outputs)[generator.integers(network.outputs, size=4)]
    rule = LearningRule(network, 1e-4, [1e-10] * len(siemens), [1e-10] * len(siemens))
    nudging = Nudging("current", (0.0, 1e-4))
    for kind, keys in KINDS.items():
        device = CIRCUIT.build(network, CIRCUIT.options.model_validate(keys), Relaxation())
        device.program(siemens)

        def update(device: Crossbar = device) -> None:
            contrast = device.free_and_nudged(images, targets, nudging)
            device.update(rule.blocks(contrast))

        def eliminate(wiring: Wiring = device.solver.wiring) -> None:
            port_network(network, siemens, wiring)

        whole = np.array(times(seconds, update)) * 1e3
        lines = np.array(times(seconds / 4, eliminate)) * 1e3
        low, high = np.percentile(whole, (25, 75))
        print(
            f"{'-'.join(map(str, layers))}, {kind}: {np.median(whole):.1f} ms per update "
            f"(quartiles {low:.1f} to {high:.1f}, {len(whole)} updates), of which the lines "
            f"{np.median(lines):.1f} ms"
        )


if __name__ == "__main__":
    main()
