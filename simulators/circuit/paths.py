"""Whether every node of a circuit is held by something, asked before anything is solved."""

from __future__ import annotations

import numpy as np

from hilep.errors import BadInputError, FloatingNodeError
from hilep.simulators.circuit.graph import CircuitGraph
from hilep.simulators.circuit.rectifiers import JunctionDiode, PrecisionRectifier

NAMED = 5


def check_paths(graph: CircuitGraph) -> None:
    """Check that a path of conductances leads from every node to a source or to ground.

    An amplifier joins its input to its output. A rectifier is a path where it conducts on both
    sides of its corner.

    Raises:
        BadInputError: for a conductance that is not positive and finite.
        FloatingNodeError: for a node without a path.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    for branches, least in ((graph.resistors, 0.0), (graph.cells, 0.0), (graph.springs, -np.inf)):
        siemens = branches.siemens
        wrong = np.flatnonzero(~(np.isfinite(siemens) & (siemens > least)))
        if wrong.size:
            k = wrong[0]
            a, b = graph.nodes[branches.start[k]], graph.nodes[branches.end[k]]
            raise BadInputError(
                f"circuit: {siemens[k]} S between {a} and {b}, expected finite siemens"
                + (" > 0" if least == 0 else "")
            )
    groups = (graph.resistors, graph.springs, graph.cells)
    leaking = graph.free[graph.polarity != 0] if _leaks(graph) else graph.free[:0]
    ground = graph.index["0"]
    start = [b.start for b in groups] + [graph.amplifier_inputs, leaking, graph.fixed]
    end = [b.end for b in groups] + [graph.amplifier_outputs]
    end += [np.full(leaking.size, ground), np.full(graph.fixed.size, ground)]
    pairs = (np.concatenate(start), np.concatenate(end))
    n = len(graph.nodes)
    joined = sparse.coo_array((np.ones(pairs[0].size, dtype=bool), pairs), shape=(n, n))
    _, part = connected_components(joined, directed=False)
    loose = np.flatnonzero(part != part[ground])
    if loose.size:
        names = ", ".join(graph.nodes[k] for k in loose[:NAMED])
        more = f" and {loose.size - NAMED} more" if loose.size > NAMED else ""
        raise FloatingNodeError(
            f"circuit: no conductance joins {names}{more} to a source or to ground"
        )


def _leaks(graph: CircuitGraph) -> bool:
    law = graph.rectifier
    if isinstance(law, JunctionDiode):
        return law.leakage_siemens > 0
    return isinstance(law, PrecisionRectifier) and law.off_siemens > 0
