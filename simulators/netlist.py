"""A SPICE netlist of a network in one phase, so that any circuit simulator can check our voltages.

Nodes are called `x0, x1, ...` (inputs), `h1_0, ...` (hidden, layer first), `y0, ...` (outputs) and
`bp`, `bn` (bias rows). A diode joins each hidden node to ground, none is at the outputs. Cells of
0 S are left out. Numbers are written so that they are read back bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Floats, checked
from hilep.crossbar import checked_conductances
from hilep.errors import BadInputError
from hilep.network import Network

BOLTZMANN_OVER_CHARGE = 1.380649e-23 / 1.602176634e-19
"""Volts per kelvin, from the exact values of the SI."""


@dataclass(frozen=True, slots=True)
class JunctionDiode:
    """Shockley's diode, i = is (exp(v / (n k T / q)) - 1).

    Attributes:
        saturation_a: is, amperes.
        ideality: n; towards 0 the diode becomes ideal, and its drop falls in proportion.
        kelvin: temperature of the junction.

    Raises:
        BadInputError: unless all are positive and finite.
    """

    saturation_a: float = 1e-12
    ideality: float = 1.0
    kelvin: float = 300.0

    def __post_init__(self) -> None:
        for name in ("saturation_a", "ideality", "kelvin"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise BadInputError(f"diode {name}: expected a finite number > 0, got {value}")

    @property
    def slope_v(self) -> float:
        """Volts over which the current grows by e: n k T / q."""
        return self.ideality * BOLTZMANN_OVER_CHARGE * self.kelvin


def node_names(network: Network) -> list[str]:
    """Return the netlist's name of each free node, in the order in which they are read."""
    names = []
    last = len(network.layers) - 1
    for layer in range(1, last + 1):
        for node in range(network.layers[layer]):
            names.append(f"y{node}" if layer == last else f"h{layer}_{node}")
    return names


def netlist(
    network: Network,
    conductances: Sequence[ArrayLike],
    bias_currents: ArrayLike | None,
    inputs: ArrayLike,
    *,
    amps: ArrayLike | None = None,
    spring_siemens: float = 0.0,
    targets: ArrayLike | None = None,
    diode: JunctionDiode | None = None,
    title: str = "hilep network",
) -> str:
    """Return the netlist of `network` with an operating-point analysis.

    Args:
        network: layers, polarities and biases.
        conductances: siemens, one (n_pre, n_post) per layer.
        bias_currents: amperes (n_free,), or None.
        inputs: clamped volts (n_in,).
        amps: nudge current into the outputs (n_out,).
        spring_siemens: joins each output to its target; infinity clamps it there.
        targets: volts of the spring's other end (n_out,).
        diode: at every hidden node; the default is a silicon junction at 300 K.
        title: first line of the netlist.

    Raises:
        BadInputError: for a wrong shape or a NaN, a spring without targets, or a title of more
            than one line.
        LimitError: for a conductance outside the network's window.
    """
    if not title or len(title.splitlines()) != 1:
        raise BadInputError(f"netlist title: expected one line, got {title!r}")
    arrays = checked_conductances(network, conductances)
    volts = checked(inputs, (network.inputs,), "netlist inputs")
    lines = [title]
    lines += [f"Vx{k} x{k} 0 DC {_number(v)}" for k, v in enumerate(volts)]
    lines += [
        f"Vb{sign} b{sign} 0 DC {_number(v)}"
        for sign, v in zip("pn", network.bias_volts, strict=False)
    ]
    lines += _cells(network, arrays)
    lines += _diodes(network, diode or JunctionDiode())
    free = node_names(network)
    bias = np.zeros(network.free_nodes) if bias_currents is None else bias_currents
    bias = checked(bias, (network.free_nodes,), "netlist bias currents")
    # Sources of 0 A too, so that a node without any conductance is part of the circuit.
    lines += [f"Ib_{name} 0 {name} DC {_number(i)}" for name, i in zip(free, bias, strict=True)]
    lines += _nudge(network, amps, spring_siemens, targets)
    lines += [".op", ".end"]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return repr(float(value))


def _cells(network: Network, conductances: Sequence[Floats]) -> Iterator[str]:
    below = [f"x{k}" for k in range(network.inputs)]
    free = node_names(network)
    for layer, g in enumerate(conductances):
        pre = [*below, "bp", "bn"][: g.shape[0]]
        post = free[network.slices[layer]]
        for i, j in np.argwhere(g != 0):
            # A controlled source takes the conductance itself, not its reciprocal rounded.
            yield f"G{layer}_{i}_{j} {pre[i]} {post[j]} {pre[i]} {post[j]} {_number(g[i, j])}"
        below = post


def _diodes(network: Network, diode: JunctionDiode) -> Iterator[str]:
    celsius = diode.kelvin - 273.15
    yield f".options temp={_number(celsius)} tnom={_number(celsius)}"
    yield f".model rectifier D(IS={_number(diode.saturation_a)} N={_number(diode.ideality)})"
    for name, polarity in zip(node_names(network), network.polarity, strict=True):
        if polarity > 0:
            yield f"D_{name} 0 {name} rectifier"
        elif polarity < 0:
            yield f"D_{name} {name} 0 rectifier"


def _nudge(
    network: Network, amps: ArrayLike | None, siemens: float, targets: ArrayLike | None
) -> Iterator[str]:
    if amps is not None and siemens != 0.0:
        raise BadInputError("netlist: expected a nudge current or a spring, got both")
    if amps is not None:
        current = checked(amps, (network.outputs,), "netlist amps")
        for k, i in enumerate(current):
            yield f"In{k} 0 y{k} DC {_number(i)}"
    if siemens == 0.0:
        return
    if targets is None or math.isnan(siemens) or siemens == -math.inf:
        raise BadInputError("netlist spring: expected siemens and targets in volts")
    for k, volt in enumerate(checked(targets, (network.outputs,), "netlist targets")):
        if math.isinf(siemens):
            yield f"Vt{k} y{k} 0 DC {_number(volt)}"
        else:
            yield f"Vt{k} t{k} 0 DC {_number(volt)}"
            yield f"Gt{k} t{k} y{k} t{k} y{k} {_number(siemens)}"
