"""Random networks and simulated crossbars that several tests build."""

from __future__ import annotations

import numpy as np

from hilep.crossbar import Crossbar
from hilep.network import Network
from hilep.simulators.ideal import SimulatedCrossbar
from hilep.simulators.noise import Converter, ReadNoise

SOLVERS = ("reference", "fast")
# Settings of a small quick run.
IRIS = [
    'data.name="iris"',
    "data.gamma_v=20",
    "network.layers=[8,12,3]",
    "training.updates=300",
    "training.eta=1e-2",
    'training.schedule="constant"',
]


def simulated(
    network: Network,
    solver: str = "fast",
    *,
    sigma_v=0.0,
    clamped_sigma_v: float = 0.0,
    converter: Converter | None = None,
    dtype: type = np.float64,
    sweeps: int | None = None,
    tolerance: float | None = None,
    seed: int = 0,
) -> SimulatedCrossbar:
    """A simulated crossbar; relaxed to 1e-13 unless told otherwise."""
    if sweeps is None and tolerance is None:
        tolerance = 1e-13
    noise = ReadNoise(network, sigma_v, np.random.default_rng(seed), clamped_sigma_v, converter)
    if solver == "fast":
        from hilep.simulators.fast import FastSolver

        return SimulatedCrossbar(network, noise, FastSolver(network, dtype), sweeps, tolerance)
    from hilep.simulators.reference import ReferenceSolver

    return SimulatedCrossbar(network, noise, ReferenceSolver(network, dtype), sweeps, tolerance)


def random_conductances(
    network: Network, generator: np.random.Generator, zeros: float = 0.0
) -> list[np.ndarray]:
    """Conductances in 0.05 to 1 S, a fraction `zeros` of them at 0."""
    arrays = []
    for shape in network.shapes:
        g = generator.uniform(0.05, 1.0, shape)
        g[generator.random(shape) < zeros] = 0.0
        arrays.append(g)
    return arrays


def random_bias(network: Network, generator: np.random.Generator) -> np.ndarray | None:
    """Bias currents of either sign, where the network has them."""
    if network.bias != "current":
        return None
    return generator.normal(0.0, 0.3, network.free_nodes)


def programmed(
    network: Network, generator: np.random.Generator, device: Crossbar, zeros: float = 0.0
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Program random conductances and biases and return them."""
    conductances = random_conductances(network, generator, zeros)
    bias = random_bias(network, generator)
    device.program(conductances, bias)
    return conductances, bias


class PlainBench(Crossbar):
    """The four verbs and nothing else, as a lab's first bench would have them."""

    def __init__(self, inner: Crossbar) -> None:
        self.inner = inner
        self.network = inner.network

    def program(self, conductances, bias_currents=None):
        return self.inner.program(conductances, bias_currents)

    def conductances(self):
        return self.inner.conductances()

    def bias_currents(self):
        return self.inner.bias_currents()

    def clamp(self, volts):
        self.inner.clamp(volts)

    def nudge(self, amps):
        return self.inner.nudge(amps)

    def read(self, samples=1):
        return self.inner.read(samples)

    def safe(self):
        self.inner.safe()
