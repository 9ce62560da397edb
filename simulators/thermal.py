"""Thermal noise in reads: the circuit at its operating point, and draws that its nodes share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import BadInputError, NotSettledError
from hilep.network import Network
from hilep.simulators.cells.thermal import ThermalNoise
from hilep.simulators.circuit.certainty import admittance
from hilep.simulators.circuit.graph import node_names
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.rectifiers import IdealDiode, Rectifier
from hilep.simulators.noise import Disturbance
from hilep.simulators.pull import Pull


def disturbance(
    noise: ThermalNoise,
    network: Network,
    ports: PortNetwork,
    rectifier: Rectifier,
    volts: Doubles,
    pull: Pull | None,
) -> Disturbance:
    """Return what draws the thermal noise of reads at an operating point.

    A rectifier counts with its conductance at that point, as a resistor of the same temperature
    would; a node that an ideal diode or a clamp holds has no noise.

    Args:
        noise: temperature and bandwidth.
        network: layers and polarities, without amplifiers.
        ports: the linear part of the circuit.
        rectifier: at every hidden node that has a polarity.
        volts: the operating points (batch, n_free).
        pull: of the nudge, whose spring or clamp takes part.

    Raises:
        NotSettledError: when drawn from, where a node, or nodes that are joined, float.
    """
    points = [
        (siemens[np.ix_(~held, ~held)], np.flatnonzero(~held))
        for siemens, held in _points(network, ports, rectifier, volts, pull)
    ]

    def drawn(count: int, generator: np.random.Generator) -> Doubles:
        out = np.zeros((count, *volts.shape))
        for image, (siemens, floating) in enumerate(points):
            lone = floating[np.diagonal(siemens) <= 0]
            if lone.size:
                raise NotSettledError(
                    f"thermal noise: no conductance joins {node_names(network)[lone[0]]} to "
                    f"anything (image {image}); nothing bounds its noise"
                )
            try:
                out[:, image, floating] = noise.draw(siemens, count, generator)
            except BadInputError as error:
                raise NotSettledError(f"{error} (image {image})") from error
        return out

    return drawn


def _points(
    network: Network,
    ports: PortNetwork,
    rectifier: Rectifier,
    volts: Doubles,
    pull: Pull | None,
) -> Iterator[tuple[Doubles, NDArray[np.bool_]]]:
    """Yield each image's admittance (n_free, n_free) and which nodes are held (n_free,)."""
    linear = admittance(network, ports)
    outputs = np.arange(network.free_nodes)[network.output_slice]
    clamped = np.zeros(network.free_nodes, dtype=np.bool_)
    if pull is not None:
        clamped[outputs] = pull.clamped is not None
        linear[outputs, outputs] += pull.siemens
    polarity = network.polarity.astype(np.float64)
    for v in volts:
        siemens, held = linear.copy(), clamped.copy()
        u = polarity * v
        if isinstance(rectifier, IdealDiode):
            held |= (polarity != 0) & (u <= rectifier.bias_v)
        else:
            slope = np.where(polarity != 0, rectifier.current(u)[1], 0.0)
            siemens[np.diag_indices_from(siemens)] += slope
        yield siemens, held
