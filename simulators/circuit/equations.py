"""Kirchhoff's current law of a circuit graph as the gradient of its co-content."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hilep.arrays import Doubles
from hilep.simulators.circuit.graph import CircuitGraph
from hilep.simulators.circuit.rectifiers import IdealDiode

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Currents:
    """The currents at one set of volts; amperes times weight but for the last two.

    Attributes:
        leaving: out of each unknown node, ideal diodes left out; zero at equilibrium (size,).
        magnitude: sum of their magnitudes (size,).
        rounding: how far rounding of the volts may shift `leaving` (size,).
        cell_siemens: d amperes / d volts of nonlinear cells.
        rectifier_siemens: -d amperes / d volts of each rectifier.
    """

    leaving: Doubles
    magnitude: Doubles
    rounding: Doubles
    cell_siemens: Doubles
    rectifier_siemens: Doubles


class Equations:
    """The unknowns of a circuit and the law at each of them.

    The unknowns x (size,) are the volts of the nodes that neither a source nor an amplifier holds.

    Args:
        graph: the circuit.
    """

    def __init__(self, graph: CircuitGraph) -> None:
        self.graph = graph
        held = np.zeros(len(graph.nodes), dtype=bool)
        held[graph.fixed] = True
        held[graph.amplifier_outputs] = True
        self.nodes = np.flatnonzero(~held)
        self.size = self.nodes.size
        self._column = np.full(len(graph.nodes), -1)
        self._column[self.nodes] = np.arange(self.size)
        self._column[graph.amplifier_outputs] = self._column[graph.amplifier_inputs]
        self._unknown = self._column >= 0
        self._gain = self._unknown.astype(np.float64)
        self._gain[graph.amplifier_outputs] = graph.voltage_gain
        self._known = np.zeros(len(graph.nodes))
        self._known[graph.fixed] = graph.fixed_volts

        groups = (graph.resistors, graph.springs, graph.cells)
        self._start = np.concatenate([b.start for b in groups])
        self._end = np.concatenate([b.end for b in groups])
        self._siemens = np.concatenate([b.siemens for b in groups])
        self._weight = np.concatenate([b.weight for b in groups])
        count = self._siemens.size - graph.cells.siemens.size
        self._cells = slice(count, None)

        rectified = graph.polarity != 0
        self.rectified = self._column[graph.free[rectified]]
        self.polarity = graph.polarity[rectified].astype(np.float64)
        self.rectified_weight = graph.source_weight[: graph.free.size][rectified]
        self.ideal = isinstance(graph.rectifier, IdealDiode)
        column = self._column[graph.source_nodes]
        weighted = graph.source_weight * graph.source_amps
        self._injected = np.zeros(self.size)
        self._injected_magnitude = np.zeros(self.size)
        np.add.at(self._injected, column[column >= 0], weighted[column >= 0])
        np.add.at(self._injected_magnitude, column[column >= 0], np.abs(weighted[column >= 0]))

    def name(self, unknown: int) -> str:
        """Return the name of an unknown's node."""
        return self.graph.nodes[int(self.nodes[unknown])]

    def volts(self, x: Doubles) -> Doubles:
        """Return the volts of every node."""
        volts = self._known.copy()
        volts[self._unknown] = self._gain[self._unknown] * x[self._column[self._unknown]]
        return volts

    def unknowns_of(self, volts: Doubles) -> Doubles:
        """Return the unknowns among the volts of every node."""
        return volts[self.nodes].copy()

    def branch_amps(self, volts: Doubles) -> tuple[Doubles, Doubles]:
        """Return the current of every resistor, spring and cell, and of nonlinear cells dI/dV."""
        across = volts[self._start] - volts[self._end]
        amps = self._siemens * across
        law = self.graph.cell_law
        if law is None:
            return amps, np.zeros(0)
        amps[self._cells], slope = law.current(across[self._cells], self._siemens[self._cells])
        return amps, slope

    def rectifier_amps(self, volts: Doubles) -> tuple[Doubles, Doubles]:
        """Return p * amperes into each rectified node, and -d amperes / d volts."""
        law = self.graph.rectifier
        if isinstance(law, IdealDiode):
            return np.zeros(self.rectified.size), np.zeros(self.rectified.size)
        return law.current(self.polarity * volts[self.nodes[self.rectified]])

    def currents(self, x: Doubles) -> Currents:
        """Return Kirchhoff's law at `x`; not finite where a current overflows."""
        volts = self.volts(x)
        with np.errstate(over="ignore", invalid="ignore"):
            amps, cell_siemens = self.branch_amps(volts)
            siemens = self._siemens.copy()
            if self.graph.cell_law is not None:
                siemens[self._cells] = cell_siemens
            amps *= self._weight
            leaving = self._incidence.T @ amps - self._injected
            magnitude = self._magnitudes.T @ np.abs(amps) + self._injected_magnitude
            loose = np.abs(volts[self._start]) + np.abs(volts[self._end])
            rounding = self._magnitudes.T @ (self._weight * np.abs(siemens) * loose)
            inflow, slope = self.rectifier_amps(volts)
            leaving[self.rectified] -= self.polarity * self.rectified_weight * inflow
            magnitude[self.rectified] += self.rectified_weight * np.abs(inflow)
            near = np.abs(x[self.rectified]) + abs(self.graph.rectifier.bias_v)
            rounding[self.rectified] += self.rectified_weight * slope * near
        return Currents(leaving, magnitude, EPS * rounding, cell_siemens, slope)

    def slope(self, x: Doubles, direction: Doubles, length: float) -> float:
        """Return the slope of the co-content along `direction` (size,), `length` times it away."""
        with np.errstate(over="ignore", invalid="ignore"):
            return float(self.currents(x + length * direction).leaving @ direction)

    def jacobian(self, currents: Currents) -> Any:
        """Return d leaving / d x, a sparse symmetric matrix (size, size)."""
        from scipy import sparse

        matrix = self._linear
        if self.graph.cell_law is not None:
            some = self._incidence[self._cells]
            weighted = self._weight[self._cells] * currents.cell_siemens
            matrix = matrix + some.T @ some.multiply(weighted[:, None])
        added = np.zeros(self.size)
        added[self.rectified] = self.rectified_weight * currents.rectifier_siemens
        return (matrix + sparse.diags_array(added)).tocsc()

    @cached_property
    def _incidence(self) -> Any:
        """Volts across each branch per unknown (n_branches, size)."""
        from scipy import sparse

        rows, columns, values = [], [], []
        for nodes, sign in ((self._start, 1.0), (self._end, -1.0)):
            inside = np.flatnonzero(self._column[nodes] >= 0)
            rows.append(inside)
            columns.append(self._column[nodes[inside]])
            values.append(sign * self._gain[nodes[inside]])
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return sparse.csr_array(entries, shape=(self._start.size, self.size))

    @cached_property
    def _magnitudes(self) -> Any:
        return abs(self._incidence)

    @cached_property
    def _linear(self) -> Any:
        """The Jacobian of everything that is linear."""
        weighted = self._weight * self._siemens
        if self.graph.cell_law is not None:
            weighted = weighted[: self._cells.start]
        some = self._incidence[: weighted.size]
        return some.T @ some.multiply(weighted[:, None])
