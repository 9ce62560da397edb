"""How many sweeps carry a nudge to the first layer: the first update against the relaxed one.

    python benchmarks/sweeps.py

Random split networks with current nudging of 0.2 S, four random images, float64. Printed: the
length of the first layer's update over that of the network relaxed to 1e-12, and the cosine between
the two.
"""

from __future__ import annotations

import numpy as np

from hilep.initial import initial_conductances
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.rule import LearningRule
from hilep.simulators.fast import FastSolver
from hilep.simulators.ideal import SimulatedCrossbar
from hilep.simulators.noise import ReadNoise

NETWORKS = ((256,), (32, 32), (32, 32, 32), (32,) * 5, (16,) * 7)
SWEEPS = (5, 10, 20)


def first_update(
    hidden: tuple[int, ...], sweeps: int | None, tolerance: float | None
) -> np.ndarray:
    network = Network((128, *hidden, 10))
    noise = ReadNoise(network, 0.0, np.random.default_rng(0))
    device = SimulatedCrossbar(network, noise, FastSolver(network, np.float64), sweeps, tolerance)
    device.program(initial_conductances(network, np.random.default_rng(1), dtype=np.float64))
    half = 50 * np.random.default_rng(2).random((4, 64))
    volts, targets = np.concatenate([half, -half], axis=1), np.eye(10)[:4]
    layers = len(network.shapes)
    rule = LearningRule(network, 1.0, [1.0] * layers, [1.0] * layers)
    nudging = Nudging.of("positive", "current", 1.0, "mean", 10)
    (update,) = rule.blocks(device.free_and_nudged(volts, targets, nudging))
    return update.layers[0].dense().ravel()


def main() -> None:
    for hidden in NETWORKS:
        relaxed = first_update(hidden, None, 1e-12)
        print("-".join(map(str, hidden)), end=":")
        for sweeps in SWEEPS:
            swept = first_update(hidden, sweeps, None)
            length = np.linalg.norm(swept) / np.linalg.norm(relaxed)
            cosine = swept @ relaxed / np.linalg.norm(swept) / np.linalg.norm(relaxed)
            print(f"  {sweeps} sweeps: length {length:.2f}, cosine {cosine:.3f}", end="")
        print()


if __name__ == "__main__":
    main()
