"""The elements of a circuit graph in SPICE's language, as ngspice reads it.

Every number is written so that it is read back bit for bit. A conductance is a source of current
that its own volts control, which takes siemens; a resistor would take their reciprocal, rounded.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hilep.errors import BadInputError
from hilep.simulators.cells.conduction import SinhLaw
from hilep.simulators.circuit.branches import Branches
from hilep.simulators.circuit.graph import CircuitGraph
from hilep.simulators.circuit.rectifiers import (
    BOLTZMANN_OVER_CHARGE,
    IdealDiode,
    JunctionDiode,
    PrecisionRectifier,
)

NGSPICE_BOLTZMANN_OVER_CHARGE = 1.38064852e-23 / 1.6021766208e-19
"""Volts per kelvin as ngspice has it, from the CODATA values of 2014."""
KELVIN_AT_0_CELSIUS = 273.15
STEEP = 1e-4
"""Ideality of the junction that stands for an ideal diode."""


def number(value: float) -> str:
    """Return `value` in the fewest digits that are read back as the same float."""
    return repr(float(value))


def literal(value: float) -> str:
    """Return `value` for an expression, of whose numbers ngspice keeps eleven digits each."""
    high = float(f"{value:.9e}")
    low = value - high
    return f"({high!r}{low:+.10e})" if low else repr(high)


def elements(graph: CircuitGraph) -> Iterator[str]:
    """Yield the netlist's lines, without a title and without an analysis.

    Raises:
        BadInputError: for nonlinear cells of a law that has no SPICE expression here.
    """
    names = graph.nodes
    for node, volts in zip(graph.fixed, graph.fixed_volts, strict=True):
        if names[node] != "0":
            yield f"V{names[node]} {names[node]} 0 DC {number(volts)}"
    yield from _conductances(graph, graph.cells)
    yield from _conductances(graph, graph.resistors)
    yield from _conductances(graph, graph.springs)
    for before, after in zip(graph.amplifier_inputs, graph.amplifier_outputs, strict=True):
        yield from _amplifier(graph, names[before], names[after])
    yield from _rectifiers(graph)
    # Sources of 0 A too, so that a node without any conductance is part of the circuit.
    sources = zip(graph.source_names, graph.source_nodes, graph.source_amps, strict=True)
    for name, node, amps in sources:
        yield f"I{name} 0 {names[node]} DC {number(amps)}"
    if graph.node_farads:
        for node in graph.free:
            yield f"C_{names[node]} {names[node]} 0 {number(graph.node_farads)}"


def _conductances(graph: CircuitGraph, branches: Branches) -> Iterator[str]:
    law = graph.cell_law if branches is graph.cells else None
    if law is not None and not isinstance(law, SinhLaw):
        raise BadInputError(
            f"netlist: no SPICE expression for cells of {type(law).__name__}, expected SinhLaw"
        )
    for name, a, b, siemens in zip(
        branches.names,
        branches.start.tolist(),
        branches.end.tolist(),
        branches.siemens.tolist(),
        strict=True,
    ):
        start, end = graph.nodes[a], graph.nodes[b]
        if law is None:
            yield f"G{name} {start} {end} {start} {end} {number(siemens)}"
        else:
            g, v0 = literal(siemens), literal(law.volts)
            yield f"B{name} {start} {end} I={g}*{v0}*sinh(V({start},{end})/{v0})"


def _amplifier(graph: CircuitGraph, before: str, after: str) -> Iterator[str]:
    """Hold `after` at A times `before`; draw B times what `after` gives from `before`."""
    yield f"E{after} e{after} 0 {before} 0 {number(graph.voltage_gain)}"
    yield f"Vs{after} e{after} {after} DC 0"
    yield f"F{after} {before} 0 Vs{after} {number(graph.current_gain)}"


def _rectifiers(graph: CircuitGraph) -> Iterator[str]:
    law = graph.rectifier
    if isinstance(law, IdealDiode):
        law = JunctionDiode(ideality=STEEP, bias_v=law.bias_v)
    at = np.flatnonzero(graph.polarity)
    if not at.size:
        return
    nodes = [(graph.nodes[graph.free[k]], int(graph.polarity[k])) for k in at]
    if isinstance(law, PrecisionRectifier):
        yield from (_corner(law, name, polarity) for name, polarity in nodes)
        return
    yield from _junction(law)
    behind = {1: "0", -1: "0"}
    if law.bias_v:
        behind = {1: "rp", -1: "rn"}
        for polarity in sorted({p for _, p in nodes}, reverse=True):
            name = behind[polarity]
            yield f"V{name} {name} 0 DC {number(polarity * law.bias_v)}"
    for name, polarity in nodes:
        other = behind[polarity]
        anode, cathode = (other, name) if polarity > 0 else (name, other)
        yield f"D_{name} {anode} {cathode} rectifier"
        if law.leakage_siemens:
            g = number(law.leakage_siemens)
            yield f"Gl_{name} {anode} {cathode} {anode} {cathode} {g}"


def _junction(law: JunctionDiode) -> Iterator[str]:
    """The model, at the law's temperature, so that its saturation current is taken as it is."""
    celsius = number(law.kelvin - KELVIN_AT_0_CELSIUS)
    yield f".options temp={celsius} tnom={celsius}"
    # n k T / q is ours if n makes good for the constants.
    n = law.ideality * (BOLTZMANN_OVER_CHARGE / NGSPICE_BOLTZMANN_OVER_CHARGE)
    series = f" RS={number(law.series_ohm)}" if law.series_ohm else ""
    yield f".model rectifier D(IS={number(law.saturation_a)} N={number(n)}{series})"


def _corner(law: PrecisionRectifier, name: str, polarity: int) -> str:
    """A source whose current is a straight line with a corner."""
    ends, sign = (f"0 {name}", "-") if polarity > 0 else (f"{name} 0", "+")
    drop = f"({literal(law.corner_v)}{sign}V({name}))"
    on, off = literal(1 / law.on_ohm), literal(law.off_siemens)
    return f"B_{name} {ends} I={drop}>0 ? {on}*{drop} : {off}*{drop}"
