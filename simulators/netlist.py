"""A SPICE netlist of a network in one phase, so that any circuit simulator can check our voltages.

The nodes have the names that `hilep.simulators.circuit.graph` gives them; hidden nodes and outputs
are `h1_0, ...` and `y0, ...`. Cells of 0 S are left out. Numbers are written so that they are read
back bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from hilep.errors import BadInputError
from hilep.network import Network
from hilep.simulators.circuit.graph import IDEAL_WIRING, CellLaw, circuit_graph, node_names
from hilep.simulators.circuit.rectifiers import JunctionDiode, Rectifier
from hilep.simulators.circuit.spice import elements
from hilep.simulators.circuit.wiring import Wiring

__all__ = ["TIGHT", "JunctionDiode", "netlist", "node_names"]

TIGHT = ".options reltol=1e-10 abstol=1e-18 vntol=1e-12 gmin=1e-20 itl1=1000"
"""Tolerances at which ngspice's own are no longer seen in the voltages."""


def netlist(
    network: Network,
    conductances: Sequence[ArrayLike],
    bias_currents: ArrayLike | None,
    inputs: ArrayLike,
    *,
    amps: ArrayLike | None = None,
    spring_siemens: float = 0.0,
    targets: ArrayLike | None = None,
    diode: Rectifier | None = None,
    wiring: Wiring = IDEAL_WIRING,
    cell_law: CellLaw | None = None,
    analysis: str = ".op",
    title: str = "hilep network",
) -> str:
    """Return the netlist of `network` with an analysis, by default of its operating point.

    Args:
        network: layers, polarities, biases and gains.
        conductances: siemens, one (n_pre, n_post) per layer.
        bias_currents: amperes (n_free,), or None.
        inputs: clamped volts (n_in,).
        amps: nudge current into the outputs (n_out,).
        spring_siemens: joins each output to its target; infinity clamps it there.
        targets: volts of the spring's other end (n_out,).
        diode: at every hidden node; the default is a silicon junction at 300 K. `IdealDiode` is
            written as a junction of ideality 1e-4.
        wiring: resistance of lines, sources and meters, capacitance of nodes.
        cell_law: of nonlinear cells, a `SinhLaw`; None for resistors.
        analysis: lines that ask for an analysis, such as ".tran 1n 1u uic" for the settling from
            0 V.
        title: first line of the netlist.

    Raises:
        BadInputError: for a wrong shape or a NaN, a spring without targets, a title of more than
            one line, an analysis that is none, or a cell law that SPICE cannot be told.
        LimitError: for a conductance outside the network's window.
    """
    if not title or len(title.splitlines()) != 1:
        raise BadInputError(f"netlist title: expected one line, got {title!r}")
    if not analysis or not all(line.startswith(".") for line in analysis.splitlines()):
        raise BadInputError(
            f"netlist analysis: expected lines that begin with a dot, got {analysis!r}"
        )
    graph = circuit_graph(
        network,
        conductances,
        bias_currents,
        inputs,
        wiring=wiring,
        rectifier=diode or JunctionDiode(),
        cell_law=cell_law,
        amps=amps,
        spring_siemens=spring_siemens,
        targets=targets,
    )
    return "\n".join([title, *elements(graph), *analysis.splitlines(), ".end"]) + "\n"
