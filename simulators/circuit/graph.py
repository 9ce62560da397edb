"""A circuit as a graph: every node by name, and every branch between two of them.

Nodes are called `x0` (inputs), `bp`, `bn` (bias rows), `h1_0` (hidden, layer first), `y0`
(outputs), `a1_0` (the amplifier's output at h1_0), `w0_3_5` and `b0_3_5` (the ends of cell (3, 5)
of array 0 on its word line and on its bit line), `xr0`, `bpr0` (word lines of array 0 behind the
resistance of their source), `t0` (the other end of an output's spring) and `0` (ground). A node has
one name: without resistance in its lines an array has no `w` and no `b`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles, checked
from hilep.errors import BadInputError
from hilep.limits import checked_conductances
from hilep.network import Network
from hilep.simulators.circuit.branches import Branches, BranchesFound, Indices, NodesFound
from hilep.simulators.circuit.rectifiers import IdealDiode, Rectifier
from hilep.simulators.circuit.wiring import Wiring

IDEAL_WIRING = Wiring()
IDEAL_DIODE = IdealDiode()
GROUND = "0"


class CellLaw(Protocol):
    """A cell whose current is an odd and increasing function of its volts."""

    def current(self, volts: Doubles, siemens: Doubles) -> tuple[Doubles, Doubles]:
        """Return amperes and siemens (d amperes / d volts), each (n,), of cells (n,)."""
        ...


@dataclass(frozen=True)
class CircuitGraph:
    """A circuit in one phase.

    Attributes:
        nodes: name of every node.
        free: indices of the free nodes (hidden, then outputs), in the order of their reads.
        fixed, fixed_volts: indices and volts of the nodes that a source holds (n_fixed,).
        resistors: lines, leads and meters.
        springs: between the outputs and their targets; these alone may be below 0 S.
        cells: the programmed conductances other than 0 S.
        cell_law: how their current follows their volts; None for resistors.
        polarity: of the rectifier at every free node (n_free,); 0 for none.
        rectifier: the law of each of them.
        source_names, source_nodes, source_amps: current sources, amperes into the node.
        source_weight: of each source's node, as in `Branches`.
        amplifier_inputs, amplifier_outputs: indices of the nodes that each amplifier joins.
        voltage_gain, current_gain: of the amplifiers.
        node_farads: from every free node to ground.
    """

    nodes: tuple[str, ...]
    free: Indices
    fixed: Indices
    fixed_volts: Doubles
    resistors: Branches
    springs: Branches
    cells: Branches
    cell_law: CellLaw | None
    polarity: NDArray[np.int8]
    rectifier: Rectifier
    source_names: tuple[str, ...]
    source_nodes: Indices
    source_amps: Doubles
    source_weight: Doubles
    amplifier_inputs: Indices
    amplifier_outputs: Indices
    voltage_gain: float
    current_gain: float
    node_farads: float

    @cached_property
    def index(self) -> dict[str, int]:
        """Index of every node, by name."""
        return {name: k for k, name in enumerate(self.nodes)}


def node_names(network: Network) -> list[str]:
    """Return the name of each free node, in the order in which they are read."""
    names = []
    last = len(network.layers) - 1
    for layer in range(1, last + 1):
        for node in range(network.layers[layer]):
            names.append(f"y{node}" if layer == last else f"h{layer}_{node}")
    return names


def circuit_graph(
    network: Network,
    conductances: Sequence[ArrayLike],
    bias_currents: ArrayLike | None,
    inputs: ArrayLike,
    *,
    wiring: Wiring = IDEAL_WIRING,
    rectifier: Rectifier = IDEAL_DIODE,
    cell_law: CellLaw | None = None,
    amps: ArrayLike | None = None,
    spring_siemens: float = 0.0,
    targets: ArrayLike | None = None,
) -> CircuitGraph:
    """Return the whole circuit of `network` for one image in one phase.

    Args:
        network: layers, polarities, biases and gains.
        conductances: siemens, one (n_pre, n_post) per layer; entries of 0 S are left out.
        bias_currents: amperes (n_free,), or None.
        inputs: clamped volts (n_in,).
        wiring: resistance of lines, sources and meters, capacitance of nodes.
        rectifier: at every hidden node whose polarity is not 0.
        cell_law: of nonlinear cells; None for resistors.
        amps: nudge current into the outputs (n_out,).
        spring_siemens: joins each output to its target, may be negative; infinity clamps it there.
        targets: volts of the spring's other end (n_out,).

    Raises:
        BadInputError: for a wrong shape or a NaN, or a spring without targets.
        LimitError: for a conductance outside the network's window.
    """
    arrays = checked_conductances(network, conductances)
    volts = checked(inputs, (network.inputs,), "circuit inputs")
    bias = np.zeros(network.free_nodes) if bias_currents is None else bias_currents
    bias = checked(bias, (network.free_nodes,), "circuit bias currents")
    aims = _checked_spring(network, amps, spring_siemens, targets)

    built, springs = NodesFound(), BranchesFound()
    ground = built.add([GROUND])
    names = node_names(network)
    sources = built.add([f"x{k}" for k in range(network.inputs)])
    rows = built.add([f"b{sign}" for sign in "pn"[: network.bias_rows]])
    free = built.add(names)
    out = free[network.output_slice]
    fixed = [ground, sources, rows]
    fixed_volts = [np.zeros(1), volts, network.bias_volts]

    inner = free[: network.output_slice.start]
    driven = inner
    if network.amplified:
        driven = built.add([f"a{name[1:]}" for name in names[: inner.size]])
    drives = [sources, *(driven[s] for s in network.slices[:-1])]
    cells = BranchesFound()
    for layer, g in enumerate(arrays):
        pre = np.concatenate([drives[layer], rows])
        words, bits = _lines(built, network, wiring, layer, pre, free[network.slices[layer]])
        i, j = np.nonzero(g)
        cell = [f"{layer}_{a}_{b}" for a, b in zip(i.tolist(), j.tolist(), strict=True)]
        cells.join(cell, words[i, j], bits[i, j], g[i, j], network.weights[layer])

    if wiring.meter_siemens:
        meters = [f"m_{name}" for name in names]
        built.join(meters, free, ground, wiring.meter_siemens, network.node_weights)
    if np.isinf(spring_siemens):
        fixed.append(out)
        fixed_volts.append(aims)
    elif spring_siemens:
        pulled = [f"t{k}" for k in range(network.outputs)]
        ends = built.add(pulled)
        fixed.append(ends)
        fixed_volts.append(aims)
        springs.join(pulled, ends, out, spring_siemens, network.weights[-1])
    source_names = [f"b_{name}" for name in names]
    nodes, currents = [free], [bias]
    if amps is not None:
        source_names += [f"n{k}" for k in range(network.outputs)]
        nodes.append(out)
        currents.append(checked(amps, (network.outputs,), "circuit amps"))
    source_nodes = np.concatenate(nodes)
    return CircuitGraph(
        nodes=tuple(built.nodes),
        free=free,
        fixed=np.concatenate(fixed),
        fixed_volts=np.concatenate(fixed_volts).astype(np.float64),
        resistors=built.branches(),
        springs=springs.branches(),
        cells=cells.branches(),
        cell_law=cell_law,
        polarity=network.polarity,
        rectifier=rectifier,
        source_names=tuple(source_names),
        source_nodes=source_nodes,
        source_amps=np.concatenate(currents).astype(np.float64),
        source_weight=network.node_weights[source_nodes - free[0]],
        amplifier_inputs=inner if network.amplified else inner[:0],
        amplifier_outputs=driven if network.amplified else inner[:0],
        voltage_gain=network.voltage_gain,
        current_gain=network.current_gain,
        node_farads=wiring.node_farads,
    )


def _checked_spring(
    network: Network, amps: ArrayLike | None, siemens: float, targets: ArrayLike | None
) -> Doubles:
    if siemens == 0.0:
        return np.zeros(0)
    if amps is not None:
        raise BadInputError("circuit: expected a nudge current or a spring, got both")
    if targets is None or np.isnan(siemens) or siemens == -np.inf:
        raise BadInputError("circuit spring: expected siemens and targets in volts")
    return checked(targets, (network.outputs,), "circuit targets").astype(np.float64)


def _lines(
    built: NodesFound, network: Network, wiring: Wiring, layer: int, pre: Indices, post: Indices
) -> tuple[Indices, Indices]:
    """Add the lines of one array; return the nodes (n, m) at the word and bit end of its cells."""
    n, m = pre.size, post.size
    weight = network.weights[layer]
    # A clamped line begins behind the resistance of its own source, a hidden node's does not.
    clamped = np.arange(n) >= (network.layers[layer] if layer else 0)
    lead = wiring.word_ohm + np.where(clamped, wiring.source_ohm, 0.0)
    words = np.broadcast_to(pre[:, None], (n, m))
    if wiring.word_ohm:
        names = [f"w{layer}_{i}_{j}" for i in range(n) for j in range(m)]
        words = built.add(names).reshape(n, m)
        for ohm in np.unique(lead).tolist():
            some = np.flatnonzero(lead == ohm)
            built.join(
                [f"w{layer}_{i}_0" for i in some], pre[some], words[some, 0], 1 / ohm, weight
            )
        if m > 1:
            names = [f"w{layer}_{i}_{j}" for i in range(n) for j in range(1, m)]
            built.join(names, words[:, :-1], words[:, 1:], 1 / wiring.word_ohm, weight)
    elif wiring.source_ohm and clamped.any():
        rows = [f"{sign}r{layer}" for sign in ("bp", "bn")[: network.bias_rows]]
        names = [f"xr{i}" for i in range(n - len(rows))] * (layer == 0) + rows
        heads = pre.copy()
        heads[clamped] = built.add(names)
        built.join(names, pre[clamped], heads[clamped], 1 / wiring.source_ohm, weight)
        words = np.broadcast_to(heads[:, None], (n, m))
    bits = np.broadcast_to(post[None, :], (n, m))
    if wiring.bit_ohm:
        names = [f"b{layer}_{i}_{j}" for i in range(n) for j in range(m)]
        bits = built.add(names).reshape(n, m)
        below = np.concatenate([bits[1:], post[None, :]])
        built.join(names, bits, below, 1 / wiring.bit_ohm, weight)
    return words, bits
