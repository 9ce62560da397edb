"""The crossbar of a whole circuit: lines, sources, meters, rectifiers, amplifiers, capacitance."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats
from hilep.errors import BadInputError, UnsupportedError
from hilep.joining import stacked
from hilep.network import Network
from hilep.reading import Reading
from hilep.simulators.cells.thermal import ThermalNoise
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.reduction import Reduction
from hilep.simulators.circuit.solver import CircuitSolver
from hilep.simulators.circuit.trajectory import Trajectory
from hilep.simulators.imperfect import ImperfectCells
from hilep.simulators.noise import ReadNoise
from hilep.simulators.pull import Drive, Pull
from hilep.simulators.solved import SolvedCrossbar


@dataclass(frozen=True, slots=True)
class Origin:
    """Where reads at a stated time count from.

    Attributes:
        trajectory: how the nodes move from then on.
        gone_s: seconds from the last clamp or nudge until then.
        circuit: the conductances that this is for.
    """

    trajectory: Trajectory
    gone_s: float
    circuit: Reduction


class CircuitCrossbar(SolvedCrossbar):
    """A circuit with read noise, at equilibrium or a stated time after each change.

    Args:
        network: layers, diodes, biases, amplifiers and limits.
        noise: how reads differ from the true voltages.
        solver: the circuit.
        cells: see `SolvedVerbs`.
        thermal: see `SolvedVerbs`.
        settle_s: seconds that a read waits after whatever came before it; None to wait until
            nothing moves. Then one image is read after the other, as on a bench, and every one
            begins where the one before ended.

    Raises:
        BadInputError: for a settling time without capacitance, or with nonlinear cells.
    """

    solver: CircuitSolver

    def __init__(
        self,
        network: Network,
        noise: ReadNoise,
        solver: CircuitSolver,
        cells: ImperfectCells | None = None,
        thermal: ThermalNoise | None = None,
        settle_s: float | None = None,
    ) -> None:
        super().__init__(network, noise, solver, cells, thermal)
        if settle_s is not None:
            if not (np.isfinite(settle_s) and settle_s > 0):
                raise BadInputError(f"device.settle_s: expected seconds > 0, got {settle_s}")
            if not solver.wiring.node_farads:
                raise BadInputError("device.settle_s: needs device.node_farads > 0")
            if solver.cell_law is not None:
                raise BadInputError("device.settle_s: not with device.cells.nonlinearity_v")
        self.settle_s = settle_s
        self.rectifier = solver.rectifier
        self.description = f"simulated crossbar, circuit, {solver.name}"
        self._now = np.zeros((1, network.free_nodes))
        self._change: tuple[Floats | None, Pull | None] = (None, None)
        self._gone_s = 0.0
        self._asked_s: float | None = None
        self._origin: Origin | None = None

    @property
    def in_turn(self) -> bool:
        """Whether images have to be gone through one by one, because time matters."""
        return self.settle_s is not None or super().in_turn

    def ports(self) -> PortNetwork:
        """Return the linear part of the circuit."""
        return self.solver.reduced.ports

    def settled(self, drive: Drive, pull: Pull | None, start: Doubles | None) -> Doubles:
        """Return the volts (batch, n_free) at equilibrium."""
        pull = Pull.none(drive.batch, self.network.outputs) if pull is None else pull
        volts = self.solver.equilibrium(drive, pull, start)
        if drive.batch:
            self._now, self._origin = volts[-1:].copy(), None
        return volts

    def response(self, times: ArrayLike) -> Doubles:
        """Return how the free nodes move from where the last read found them.

        Args:
            times: seconds from then, 0 or more (times,).

        Returns:
            The true volts (times, n_free). Nothing is read, and the circuit stays where it is.

        Raises:
            BadInputError: before `program` and `clamp`, or with nonlinear cells.
        """
        if self._inputs is None or not self._programmed or self.solver.cell_law is not None:
            raise BadInputError("response: program and clamp first; cells have to be linear")
        seconds = np.atleast_1d(np.asarray(times, dtype=np.float64))
        if not (np.isfinite(seconds) & (seconds >= 0)).all():
            raise BadInputError("response times: expected seconds >= 0")
        pull = self._pull or Pull.none(1, self.network.outputs)
        drive = self.solver.forward(self._inputs)
        moving = self.solver.trajectory(drive, pull, self._now)
        return np.array([moving.at(float(at))[0] for at in seconds])

    def _moving(self) -> Trajectory:
        """Return how the nodes move on from where they are."""
        assert self._inputs is not None
        pull = self._pull or Pull.none(1, self.network.outputs)
        return self.solver.remembered(self.solver.forward(self._inputs), pull, self._now)

    def read_after(self, delay_s: float, samples: int = 1) -> Reading:
        """See `Crossbar.read_after`; all samples are those of one moment.

        The volts go on from where the last read found them.
        """
        if not self.solver.wiring.node_farads or self.solver.cell_law is not None:
            raise UnsupportedError(
                "circuit: no reads at a stated time without device.node_farads > 0, or with "
                "device.cells.nonlinearity_v"
            )
        if not (np.isfinite(delay_s) and delay_s >= 0):
            raise BadInputError(f"read_after: expected seconds >= 0, got {delay_s}")
        # Each clamp and each nudge makes a new one.
        inputs, pull = self._change
        if inputs is not self._inputs or pull is not self._pull:
            self._change, self._gone_s = (self._inputs, self._pull), 0.0
            self._origin = None
        begins = self._asked_s = max(float(delay_s), self._gone_s)
        try:
            reading = self.read(samples)
        finally:
            self._asked_s = None
        self._gone_s = begins
        delays = np.full((reading.count, self.network.free_nodes), begins)
        return replace(reading, delays_s=delays)

    def present(self, inputs: Floats, pull: Pull | None) -> Doubles:
        """Return the true volts (1, n_free) that a read meets: at rest, or `settle_s` later."""
        if self._asked_s is not None:
            circuit = self.solver.reduced
            if self._origin is None or self._origin.circuit is not circuit:
                self._origin = Origin(self._moving(), self._gone_s, circuit)
            self._now = self._origin.trajectory.at(self._asked_s - self._origin.gone_s)
            return self._now
        if self.settle_s is None:
            self._now = super().present(inputs, pull)
        else:
            self._now = self._moving().at(self.settle_s)
        self._origin = None
        return self._now

    def read_batch(self, volts: ArrayLike, samples: int = 1) -> Reading:
        """See `Crossbar.read_batch`."""
        inputs = self._checked_inputs(volts)
        if self.settle_s is None or not len(inputs):
            return super().read_batch(inputs, samples)
        readings = []
        for row in inputs:
            self.clamp(row)
            readings.append(self._read(samples, "evaluation"))
        return stacked(readings)

    def state(self) -> dict[str, Any]:
        """Return the state of noise and cells, and where the nodes are."""
        state = super().state()
        if self.settle_s is not None:
            state["volts"] = self._now[0].tolist()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned."""
        super().restore(state)
        if self.settle_s is not None:
            self._now, self._origin = np.array([state["volts"]]), None

    def snapshot(self) -> dict[str, Any]:
        """Return how this crossbar is simulated."""
        law = self.solver.cell_law
        wiring = asdict(self.solver.wiring)
        if np.isinf(wiring["meter_ohm"]):
            wiring["meter_ohm"] = None
        return {
            **super().snapshot(),
            "wiring": wiring,
            "rectifier": repr(self.rectifier),
            "cell_law": None if law is None else repr(law),
            "settle_s": self.settle_s,
        }
