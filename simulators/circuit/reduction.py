"""A circuit of linear cells, reduced to its free nodes: every line between them eliminated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, checked
from hilep.errors import BadInputError
from hilep.network import Network
from hilep.simulators.circuit.lines import LineArray, LineSolution
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.wiring import Wiring
from hilep.simulators.netlist import node_names


@dataclass(frozen=True)
class Reduction:
    """A network, its wiring and its conductances, as its free nodes see them.

    Attributes:
        network: layers, biases and amplifiers.
        wiring: resistances of lines, sources and meters.
        arrays: with their lines, one per layer.
        ports: Kirchhoff's law at the free nodes.
        bias_amps: into each free node at 0 V from the bias rows of all arrays but the first, times
            `ports.weight` (n_free,).
    """

    network: Network
    wiring: Wiring
    arrays: tuple[LineArray, ...]
    ports: PortNetwork
    bias_amps: Doubles

    def inflow(self, inputs: ArrayLike) -> Doubles:
        """Return the amperes into the free nodes at 0 V, times `ports.weight` (batch, n_free).

        They come from the inputs and from all bias rows. Bias currents and nudges are not included.

        Args:
            inputs: clamped volts (batch, n_in).

        Raises:
            BadInputError: for a wrong shape or a value that is not finite.
        """
        volts = checked(inputs, (None, self.network.inputs), "circuit inputs")
        amps = np.tile(self.bias_amps, (len(volts), 1))
        # The first free layer's weight is 1.
        first = self.arrays[0].inflow(self.network.with_bias_rows(volts.astype(np.float64)))
        amps[:, self.network.slices[0]] += first
        return amps

    def lines(self, inputs: ArrayLike, volts: ArrayLike) -> tuple[LineSolution, ...]:
        """Return all voltages and currents inside every array.

        Args:
            inputs: clamped volts (batch, n_in).
            volts: of the free nodes (batch, n_free).

        Raises:
            BadInputError: for a wrong shape or a value that is not finite.
        """
        network = self.network
        before = checked(inputs, (None, network.inputs), "circuit inputs").astype(np.float64)
        free = checked(volts, (len(before), network.free_nodes), "circuit volts").astype(np.float64)
        solutions = []
        for layer, (array, nodes) in enumerate(zip(self.arrays, network.slices, strict=True)):
            pre = network.with_bias_rows(network.pre_gain(layer) * before)
            solutions.append(array.solve(pre, free[:, nodes]))
            before = free[:, nodes]
        return tuple(solutions)

    @property
    def unjoined(self) -> tuple[str, ...]:
        """Names of the free nodes that no conductance joins to anything."""
        return tuple(group[0] for group in self._floating if len(group) == 1)

    @property
    def islands(self) -> tuple[tuple[str, ...], ...]:
        """Names of free nodes joined to each other, but to no source, meter or bias row."""
        return tuple(group for group in self._floating if len(group) > 1)

    @cached_property
    def _floating(self) -> tuple[tuple[str, ...], ...]:
        if self.wiring.meter_siemens:
            return ()
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        network = self.network
        sources = network.free_nodes  # all of them are one more node of the graph
        starts, ends = [], []
        before = np.full(network.inputs, sources)
        for array, nodes in zip(self.arrays, network.slices, strict=True):
            after = np.arange(sources)[nodes]
            lines = np.append(before, np.full(network.bias_rows, sources))
            row, column = np.nonzero(array.siemens)
            starts.append(lines[row])
            ends.append(after[column])
            before = after
        start, end = np.concatenate(starts), np.concatenate(ends)
        joined = coo_array((np.ones(len(start)), (start, end)), shape=(sources + 1,) * 2)
        _, group = connected_components(joined, directed=False)
        names = np.array(node_names(network))
        found = dict.fromkeys(group[:sources].tolist())
        found.pop(group[sources], None)
        return tuple(tuple(names[group[:sources] == one].tolist()) for one in found)


def port_network(
    network: Network, conductances: Sequence[ArrayLike], wiring: Wiring | None = None
) -> Reduction:
    """Eliminate all lines of a circuit of linear cells.

    Args:
        network: layers, biases and amplifiers.
        conductances: siemens, >= 0, one (n_pre, n_post) per layer; not held to the network's
            window, which cells that drift may leave.
        wiring: resistances around the cells; none by default.

    Raises:
        BadInputError: for another number of layers, a wrong shape, or a conductance that is
            negative or not finite.
        NotSettledError: where resistance times conductance leaves the range of float64.
    """
    wiring = wiring or Wiring()
    if len(conductances) != len(network.shapes):
        raise BadInputError(
            f"circuit: expected {len(network.shapes)} layers of conductances, "
            f"got {len(conductances)}"
        )
    arrays = []
    for layer, (values, shape) in enumerate(zip(conductances, network.shapes, strict=True)):
        g = checked(values, shape, f"circuit: conductances of layer {layer}")
        lead = np.full(shape[0], wiring.source_ohm)
        if layer:
            lead[: network.layers[layer]] = 0.0
        arrays.append(LineArray(g, wiring.word_ohm, wiring.bit_ohm, lead))
    own: list[Doubles] = []
    joined: list[Doubles] = []
    bias_amps = np.zeros(network.free_nodes)
    for layer, (array, weight) in enumerate(zip(arrays, network.weights, strict=True)):
        if layer:
            below, count = network.slices[layer - 1], network.layers[layer]
            before = network.weights[layer - 1] * network.current_gain
            pre, transfer, post = array.ports()
            inside = pre[:count] if pre.ndim == 1 else pre[:count, :count]
            own[-1] = _sum(own[-1], before * network.voltage_gain * inside)
            joined.append(before * transfer[:count])
            bias = network.bias_volts
            bias_amps[network.slices[layer]] += weight * (bias @ transfer[count:])
            if pre.ndim == 2:
                bias_amps[below] -= before * (pre[:count, count:] @ bias)
        else:
            post = array.post_siemens
        meters = np.full(network.layers[layer + 1], wiring.meter_siemens)
        own.append(_sum(weight * post, weight * meters))
    weights = network.node_weights.astype(np.float64)
    ports = PortNetwork(tuple(own), tuple(joined), weights)
    return Reduction(network, wiring, tuple(arrays), ports, bias_amps)


def _sum(one: Doubles, other: Doubles) -> Doubles:
    """Return the sum of two admittances, either (n,) for a diagonal one or (n, n)."""
    if one.ndim == other.ndim:
        return one + other
    matrix, diagonal = (one, other) if one.ndim == 2 else (other, one)
    return matrix + np.diag(diagonal)
