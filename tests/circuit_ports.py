"""Random circuits without wires, as the free nodes see them, that several tests build."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from circuits import random_bias, random_conductances

from hilep.network import Network
from hilep.simulators.circuit.ports import PortNetwork


@dataclass
class Specimen:
    """A network, its conductances, and the same as ports and inflow."""

    network: Network
    conductances: list[np.ndarray]
    bias: np.ndarray | None
    inputs: np.ndarray
    ports: PortNetwork
    amps: np.ndarray

    def pulled(self, siemens: float, targets: np.ndarray):
        """Inflow and siemens under a spring, or the held outputs of an infinite one."""
        amps, extra = self.amps.copy(), np.zeros(self.network.free_nodes)
        out = self.network.output_slice
        if np.isinf(siemens):
            mask = np.zeros(self.network.free_nodes, dtype=bool)
            mask[out] = True
            volts = np.zeros_like(amps)
            volts[:, out] = targets
            return {"amps": amps, "held": (mask, volts)}
        extra[out] = siemens
        amps[:, out] += siemens * targets
        return {"amps": amps, "siemens": extra}


def specimen(
    layers=(6, 9, 4),
    diodes="split",
    bias="current",
    *,
    batch: int = 3,
    volts: float = 3.0,
    dense: float = 0.0,
    seed: int = 0,
) -> Specimen:
    """Random conductances and inputs; `dense` siemens join the nodes of a layer to each other."""
    generator = np.random.default_rng(seed)
    network = Network(layers, diodes=diodes, bias=bias)
    conductances = random_conductances(network, generator)
    currents = random_bias(network, generator)
    inputs = generator.normal(0, volts, (batch, network.inputs))
    own, joined = [], []
    amps = np.zeros((batch, network.free_nodes))
    for k, (g, s) in enumerate(zip(conductances, network.slices, strict=True)):
        total = g.sum(axis=0)
        if k + 1 < len(conductances):
            onward = conductances[k + 1][: network.layers[k + 1]]
            joined.append(onward.copy())
            total = total + onward.sum(axis=1)
        own.append(total)
        amps[:, s] += network.bias_volts @ g[network.layers[k] :]
        if k == 0:
            amps[:, s] += inputs @ g[: network.inputs]
    if currents is not None:
        amps += currents
    if dense:
        own = [_meshed(total, dense, generator) for total in own]
    ports = PortNetwork(tuple(own), tuple(joined), np.ones(network.free_nodes))
    return Specimen(network, conductances, currents, inputs, ports, amps)


def _meshed(total: np.ndarray, siemens: float, generator: np.random.Generator) -> np.ndarray:
    mesh = np.triu(generator.uniform(0, siemens, (total.size, total.size)), 1)
    mesh = mesh + mesh.T
    return np.diag(total + mesh.sum(axis=1)) - mesh


def matrix(ports: PortNetwork) -> np.ndarray:
    """The whole matrix of a `PortNetwork`, for comparison."""
    sizes = [own.shape[0] for own in ports.own]
    ends = np.cumsum([0, *sizes])
    whole = np.zeros((ends[-1], ends[-1]))
    for k, own in enumerate(ports.own):
        here = slice(ends[k], ends[k + 1])
        whole[here, here] = np.diag(own) if own.ndim == 1 else own
        if k + 1 < len(sizes):
            above = slice(ends[k + 1], ends[k + 2])
            whole[here, above] = -ports.joined[k]
            whole[above, here] = -ports.joined[k].T
    return whole


def leaving(one: Specimen, law, volts: np.ndarray, siemens=0.0, amps=None):
    """Amperes that leave each node of each image, and the sum of its absolute currents."""
    amps = one.amps if amps is None else amps
    whole = matrix(one.ports) + np.diag(one.ports.weight * siemens)
    polarity = one.network.polarity
    current, _ = law.current(polarity * volts)
    supplied = one.ports.weight * polarity * np.where(polarity != 0, current, 0.0)
    off = volts @ whole - amps - supplied
    return off, np.abs(volts) @ np.abs(whole) + np.abs(amps) + np.abs(supplied)
