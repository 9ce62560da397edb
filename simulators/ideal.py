"""The simulated crossbar: the ideal network of eq. (6), for any depth, with read noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import BadInputError
from hilep.network import Network
from hilep.simulators.cells.thermal import ThermalNoise
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.wiring import Wiring
from hilep.simulators.imperfect import ImperfectCells
from hilep.simulators.noise import ReadNoise
from hilep.simulators.pull import Drive, Pull
from hilep.simulators.settling import settle
from hilep.simulators.solved import SolvedCrossbar
from hilep.simulators.solver import Solver


class SimulatedCrossbar(SolvedCrossbar):
    """An ideal resistive network with read noise.

    The free phase relaxes from 0 V; a nudged phase from the free state, as in the paper.

    Args:
        network: layers, diodes, biases, amplifiers and limits.
        noise: how reads differ from the true voltages.
        solver: `ReferenceSolver` or `FastSolver`.
        sweeps: sweeps of each relaxation; None to relax to `tolerance`.
        tolerance: largest imbalance of currents at any node, as a fraction of its currents.
        cells: see `SolvedVerbs`.
        thermal: see `SolvedVerbs`.

    Raises:
        BadInputError: unless exactly one of sweeps and tolerance is given.
    """

    solver: Solver

    def __init__(
        self,
        network: Network,
        noise: ReadNoise,
        solver: Solver,
        sweeps: int | None = 5,
        tolerance: float | None = None,
        cells: ImperfectCells | None = None,
        thermal: ThermalNoise | None = None,
    ) -> None:
        if (sweeps is None) == (tolerance is None):
            raise BadInputError("relaxation: expected sweeps or a tolerance, one of the two")
        super().__init__(network, noise, solver, cells, thermal)
        self.sweeps = sweeps
        self.tolerance = tolerance
        self.description = f"simulated crossbar, ideal network, {solver.name}"

    def ports(self) -> PortNetwork:
        """Return the network without lines."""
        from hilep.simulators.circuit.reduction import port_network

        return port_network(self.network, self.solver.conductances, Wiring()).ports

    def settled(self, drive: Drive, pull: Pull | None, start: Doubles | None) -> Doubles:
        """Return the volts (batch, n_free) after relaxing from `start`, or from 0 V."""
        if pull is None:
            pull, start = Pull.none(drive.batch, self.network.outputs), None
        volts = np.zeros((drive.batch, self.network.free_nodes)) if start is None else start.copy()
        settle(self.solver, drive, pull, volts, self.sweeps, self.tolerance)
        return volts

    def snapshot(self) -> dict[str, Any]:
        """Return how this crossbar is simulated."""
        return {**super().snapshot(), "sweeps": self.sweeps, "tolerance": self.tolerance}
