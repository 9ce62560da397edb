"""Sparse nodal analysis of a whole circuit: the slow and direct solution that others are held to.

The unknowns are the volts of the nodes that no source and no amplifier holds. Kirchhoff's law at
each, times its weight, is the gradient of a convex function, the co-content (Millar, "Some general
theorems for non-linear systems possessing resistance", 1951). Newton's method minimises it with a
line search. An ideal diode is a bound on its node's voltage; which bounds are active is found by
pivoting within each Newton step, so that resistors and ideal diodes alone take a single step, and a
second one that removes its rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import BadInputError, NotSettledError
from hilep.simulators.circuit.bounded import SingularError, Step, bounded_step
from hilep.simulators.circuit.equations import Equations
from hilep.simulators.circuit.graph import CircuitGraph
from hilep.simulators.circuit.paths import check_paths
from hilep.simulators.circuit.rectifiers import IdealDiode
from hilep.simulators.circuit.search import length_along

MOST_STEPS = 200
SHORTEST_RAMP = 1e-3
"""Smallest part of the sources' full values by which they are raised at a time."""
STEP = 1e-13
"""A Newton step below this fraction of the largest voltage ends the search."""
STALLED = 1e-10
"""So does one below this fraction that is no longer shrinking."""
IMBALANCE = 1e-9
"""Largest sum of a node's currents, as a fraction of the sum of their magnitudes."""
DOUBT = 1e-3
"""Largest error, as a fraction of the largest voltage, that rounding may cause in a single step."""


@dataclass(frozen=True)
class NodalSolution:
    """An operating point.

    Attributes:
        graph: the circuit.
        volts: of every node, in the order of `graph.nodes`.
        resistor_amps, spring_amps, cell_amps: of every branch, from start to end.
        rectifier_amps: into every free node (n_free,).
        imbalance: largest sum of the currents at any node, as a fraction of their magnitudes,
            beyond what the rounding of its volts explains.
        doubt: how ill-conditioned the circuit is: a bound on the error that rounding may cause in
            a single Newton step, as a fraction of the largest voltage. A further step removes it.
        steps: Newton steps taken.
    """

    graph: CircuitGraph
    volts: Doubles
    resistor_amps: Doubles
    spring_amps: Doubles
    cell_amps: Doubles
    rectifier_amps: Doubles
    imbalance: float
    doubt: float
    steps: int

    @property
    def free_volts(self) -> Doubles:
        """Volts of the free nodes (n_free,), in the order of their reads."""
        return self.volts[self.graph.free]

    def volts_of(self, name: str) -> float:
        """Return the volts of the node called `name`.

        Raises:
            BadInputError: for a name that no node has.
        """
        if name not in self.graph.index:
            raise BadInputError(f"circuit: no node is called {name!r}")
        return float(self.volts[self.graph.index[name]])


def solve(graph: CircuitGraph, start: NodalSolution | None = None) -> NodalSolution:
    """Return the operating point of `graph`.

    Args:
        graph: the circuit.
        start: the operating point of a circuit with the same nodes, to start from.

    Raises:
        BadInputError: for a resistance that is not positive and finite, or a `start` with other
            nodes.
        FloatingNodeError: where no conductance joins a node to a source or to ground.
        NotSettledError: where the equations are singular, or so ill-conditioned that rounding
            decides the volts, where there is no stable operating point, and where the steps do not
            end.
    """
    check_paths(graph)
    equations = Equations(graph)
    if start is not None:
        if start.graph.nodes != graph.nodes:
            raise BadInputError("circuit: the solution to start from has other nodes")
        x = equations.unknowns_of(start.volts)
    elif equations.ideal or not equations.rectified.size:
        x = np.zeros(equations.size)
    else:
        x = _near_the_ideal(equations)
    try:
        return _minimised(equations, x)
    except NotSettledError:
        if graph.cell_law is None:
            raise
        return _ramped(graph)


def _minimised(equations: Equations, x: Doubles) -> NodalSolution:
    graph, at, polarity = equations.graph, equations.rectified, equations.polarity
    bias_v = graph.rectifier.bias_v
    if equations.ideal:
        x[at] = polarity * np.maximum(polarity * x[at], bias_v)
    bounds = at if equations.ideal else at[:0]
    before = np.inf
    for count in range(1, MOST_STEPS + 1):
        now = equations.currents(x)
        if not np.isfinite(now.magnitude).all():
            name = equations.name(int(np.argmin(np.isfinite(now.magnitude))))
            raise NotSettledError(f"circuit: the currents at {name} are beyond float64")
        try:
            step = bounded_step(
                equations.jacobian(now), now.leaving, x, bounds, polarity[: bounds.size], bias_v
            )
        except SingularError as error:
            raise NotSettledError(
                f"circuit: no unique solution, the volts of {equations.name(error.unknown)} are "
                "not decided"
            ) from None
        largest = np.abs(equations.volts(x + step.change)).max()
        size = np.abs(step.change).max(initial=0.0)
        settled = size <= STEP * largest or (size <= STALLED * largest and size > 0.5 * before)
        before = size
        if settled:
            return _checked(equations, x + step.change, step, count)
        slope = partial(equations.slope, x, step.change)
        x = x + step.change * length_along(slope, longer=not equations.ideal)
    _check_certain(equations, step)
    worst = equations.name(int(np.argmax(np.abs(step.change))))
    raise NotSettledError(
        f"circuit: {worst} still moves by {size:.3g} V, {size / largest:.3g} of the largest "
        f"voltage, after {MOST_STEPS} steps"
    )


def _check_certain(equations: Equations, step: Step) -> None:
    """Check that the equations are those of a minimum and that rounding does not decide it."""
    least, most = step.errors.min(initial=0.0), step.errors.max(initial=0.0)
    if least < 0:
        name = equations.name(int(np.argmin(step.errors)))
        raise NotSettledError(
            f"circuit: no stable solution at {name}, its conductances do not hold it"
        )
    if not most <= DOUBT:
        name = equations.name(int(np.argmax(step.errors)))
        raise NotSettledError(
            f"circuit: too ill-conditioned, rounding alone may move {name} by {most:.3g} of the "
            f"largest voltage, expected at most {DOUBT:g}"
        )


def _checked(equations: Equations, x: Doubles, step: Step, count: int) -> NodalSolution:
    """Return the solution, once it is certain that it is one."""
    graph, at, polarity = equations.graph, equations.rectified, equations.polarity
    _check_certain(equations, step)
    now = equations.currents(x)
    drawn = np.zeros(at.size)
    if equations.ideal:
        drawn[step.held] = now.leaving[at[step.held]]
        now.leaving[at] -= np.where(polarity * drawn > 0, drawn, 0.0)
        now.magnitude[at] += np.abs(drawn)
    off = np.maximum(np.abs(now.leaving) - 8 * now.rounding, 0.0)
    off = np.divide(off, now.magnitude, out=np.zeros_like(off), where=now.magnitude > 0)
    worst = int(np.argmax(off)) if off.size else 0
    imbalance = float(off.max(initial=0.0))
    if not imbalance <= IMBALANCE:
        raise NotSettledError(
            f"circuit: the currents at {equations.name(worst)} are off by {imbalance:.3g} of "
            f"their sum, expected at most {IMBALANCE:g}"
        )
    volts = equations.volts(x)
    amps, _ = equations.branch_amps(volts)
    ends = np.cumsum([graph.resistors.siemens.size, graph.springs.siemens.size])
    resistor_amps, spring_amps, cell_amps = np.split(amps, ends)
    rectifier_amps = np.zeros(graph.free.size)
    inflow, _ = equations.rectifier_amps(volts)
    supplied = drawn / equations.rectified_weight if equations.ideal else polarity * inflow
    rectifier_amps[graph.polarity != 0] = supplied
    return NodalSolution(
        graph,
        volts,
        resistor_amps,
        spring_amps,
        cell_amps,
        rectifier_amps,
        imbalance,
        float(step.errors.max(initial=0.0)),
        count,
    )


def _near_the_ideal(equations: Equations) -> Doubles:
    """Return a start: ideal diodes, each then lowered until its law carries their current."""
    graph = equations.graph
    law = graph.rectifier
    ideal = replace(graph, rectifier=IdealDiode(law.corner_v), cell_law=None)
    try:
        found = _minimised(Equations(ideal), np.zeros(equations.size))
    except NotSettledError:
        # A leak alone may hold a node, and an ideal diode has none.
        return np.zeros(equations.size)
    x = equations.unknowns_of(found.volts)
    supplied = np.abs(found.rectifier_amps[graph.polarity != 0])
    lowered = law.balanced(-supplied, np.zeros(supplied.size))
    at = equations.rectified
    x[at] = np.where(supplied > 0, equations.polarity * lowered, x[at])
    return x


def _ramped(graph: CircuitGraph) -> NodalSolution:
    """Raise all sources together from 0, each solution the start of the next."""
    at, step = 0.0, 0.125
    x = np.zeros(0)
    while True:
        part = min(1.0, at + step)
        equations = Equations(
            replace(
                graph, fixed_volts=part * graph.fixed_volts, source_amps=part * graph.source_amps
            )
        )
        try:
            found = _minimised(equations, x.copy() if x.size else np.zeros(equations.size))
        except NotSettledError:
            step *= 0.25
            if step < SHORTEST_RAMP:
                raise
            continue
        if part == 1.0:
            return replace(found, graph=graph)
        x, at, step = equations.unknowns_of(found.volts), part, 2 * step
