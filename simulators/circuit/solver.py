"""What computes a circuit for a simulated crossbar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats
from hilep.network import Network
from hilep.reading import Update
from hilep.simulators.circuit.certainty import certain, check_certain
from hilep.simulators.circuit.equilibrium import Held, settle
from hilep.simulators.circuit.graph import CellLaw, circuit_graph, node_names
from hilep.simulators.circuit.nodal import NodalSolution, solve
from hilep.simulators.circuit.rectifiers import IdealDiode, Rectifier
from hilep.simulators.circuit.reduction import Reduction, port_network
from hilep.simulators.circuit.response import Motion
from hilep.simulators.circuit.trajectory import Trajectory, rounded
from hilep.simulators.circuit.wiring import Wiring
from hilep.simulators.programmed import require_finite
from hilep.simulators.pull import Drive, Pull

KEPT = 8
"""Trajectories that are remembered: those of some changes that are made again and again."""


class CircuitSolver:
    """Holds conductances in float64 and solves the circuit around them.

    Arrays of linear cells are eliminated once for each set of conductances
    (`hilep.simulators.circuit.reduction`); what remains at the free nodes is solved for every image
    (`hilep.simulators.circuit.equilibrium`). With nonlinear cells every image is a whole circuit
    (`hilep.simulators.circuit.nodal`).

    Args:
        network: layers, polarities, biases, amplifiers.
        wiring: resistances and capacitances around the cells.
        rectifier: at every hidden node that has a polarity.
        cell_law: current against volts of the cells; None for resistors.
    """

    def __init__(
        self,
        network: Network,
        wiring: Wiring,
        rectifier: Rectifier,
        cell_law: CellLaw | None = None,
    ) -> None:
        self.network = network
        self.wiring = wiring
        self.rectifier: Rectifier = rectifier
        self.cell_law = cell_law
        ideal = isinstance(rectifier, IdealDiode)
        self.name = f"nodal analysis, {'ideal diodes' if ideal else type(rectifier).__name__}"
        self.conductances: list[Floats] = [np.zeros(shape) for shape in network.shapes]
        self.bias_currents: Doubles = np.zeros(network.free_nodes)
        self._names = node_names(network)
        self._reduced: Reduction | None = None
        self._decided: bool | None = None
        self._points: Sequence[NodalSolution | None] = []
        self._trajectories: dict[tuple[int, bytes], Trajectory] = {}

    def load(self, conductances: list[Floats]) -> None:
        """Take over conductances in siemens, one (n_pre, n_post) per layer."""
        for own, new in zip(self.conductances, conductances, strict=True):
            own[:] = new
        self._changed()

    def _changed(self) -> None:
        self._reduced = None
        self._decided = None
        self._points = []
        self._trajectories = {}

    @property
    def reduced(self) -> Reduction:
        """The circuit as its free nodes see it; its cells as they are at small volts."""
        if self._reduced is None:
            self._reduced = port_network(self.network, self.conductances, self.wiring)
        return self._reduced

    def held(self, inputs: ArrayLike) -> Drive | None:
        """Return None: nothing is formed ahead."""
        return None

    def forward(self, inputs: Floats) -> Drive:
        """Form the currents of `inputs` (batch, n_in) into the free nodes."""
        volts = inputs.astype(np.float64, copy=False)
        return Drive(volts, None if self.cell_law else self.reduced.inflow(volts))

    def glance(self, inputs: Floats) -> Drive:
        """Form the currents of `inputs` for a look that is not part of training."""
        return self.forward(inputs)

    def output_siemens(self) -> Doubles:
        """Return each output's total conductance (n_out,)."""
        own = self.reduced.ports.own[-1]
        total = own if own.ndim == 1 else np.diag(own)
        return np.asarray(total / self.reduced.ports.weight[self.network.output_slice])

    def add(self, update: Update, clip: bool, next_inputs: Floats | None) -> None:
        """Add an update, and clip it to the window where asked.

        Raises:
            LimitError: where conductances or bias currents leave the range of float64.
        """
        network = self.network
        for g, layer in zip(self.conductances, update.layers, strict=True):
            g += layer.dense()
            if clip:
                np.clip(g, network.g_min_siemens, network.g_max_siemens, out=g)
        if update.bias_currents is not None:
            self.bias_currents += update.bias_currents
        self._changed()
        require_finite(self.conductances, self.bias_currents)

    def equilibrium(self, drive: Drive, pull: Pull, start: Doubles | None) -> Doubles:
        """Return the volts of the free nodes at rest (batch, n_free).

        Args:
            drive: the clamped inputs.
            pull: what a nudge does to the outputs.
            start: volts to begin with, such as the free phase's, or None.

        Raises:
            NotSettledError, FloatingNodeError, LimitError: naming the node.
        """
        if self.cell_law is not None:
            # From the free phase of the same images: then the last digits depend on nothing else.
            before = self._points if start is not None else [None] * drive.batch
            points = [
                self._operating_point(drive, pull, image, point)
                for image, point in enumerate(before)
            ]
            if start is None:
                self._points = points
            shape = (len(points), self.network.free_nodes)
            return np.array([point.free_volts for point in points]).reshape(shape)
        amps, siemens, held = self._external(drive, pull)
        ports = self.reduced.ports
        volts = settle(
            ports,
            self.network.polarity,
            self.rectifier,
            amps,
            siemens=siemens,
            held=held,
            start=start,
            names=self._names,
        )
        if self._certain and not (siemens is not None and (siemens < 0).any()):
            return volts
        besides = np.zeros(self.network.free_nodes) if siemens is None else siemens
        check_certain(
            self.network, ports, self.rectifier, volts, besides, held is not None, self._names
        )
        return volts

    def trajectory(self, drive: Drive, pull: Pull, start: Doubles) -> Trajectory:
        """Return how one image moves from `start` (1, n_free) on, where `start` has every digit."""
        amps, siemens, held = self._external(drive, pull)
        return self._moving(amps, siemens, held, start)

    def remembered(self, drive: Drive, pull: Pull, start: Doubles) -> Trajectory:
        """Return the same, found before where it can be; volts at the start are `rounded`."""
        amps, siemens, held = self._external(drive, pull)
        begin = rounded(start)
        parts = [amps, begin, *(() if siemens is None else (siemens,)), *(held or ())]
        # Their number and their types tell springs from clamps.
        key = (len(parts), b"".join(part.tobytes() for part in parts))
        found = self._trajectories.pop(key, None)
        if found is None:
            found = self._moving(amps, siemens, held, begin)
            if len(self._trajectories) >= KEPT:
                del self._trajectories[next(iter(self._trajectories))]
        self._trajectories[key] = found
        return found

    def _moving(
        self, amps: Doubles, siemens: Doubles | None, held: Held | None, start: Doubles
    ) -> Trajectory:
        count = self.network.free_nodes
        motion = Motion(
            self.reduced.ports,
            self.network.polarity,
            self.rectifier,
            amps,
            np.full(count, float(self.wiring.node_farads)),
            np.zeros(count) if siemens is None else siemens,
            held,
            self._names,
        )
        return Trajectory(motion, start)

    @property
    def _certain(self) -> bool:
        """Whether all voltages are certain even where no rectifier or clamp holds any node."""
        if self._decided is None:
            self._decided = certain(self.reduced.ports)
        return self._decided

    def _external(self, drive: Drive, pull: Pull) -> tuple[Doubles, Doubles | None, Held | None]:
        """Return inflow (batch, n_free), springs (n_free,) and clamped outputs, or None of them."""
        network, out = self.network, self.network.output_slice
        assert drive.amps is not None
        external = np.tile(self.bias_currents, (drive.batch, 1))
        siemens: Doubles | None = None
        held: Held | None = None
        if pull.clamped is not None:
            volts = np.zeros_like(external)
            volts[:, out] = pull.clamped
            at = np.zeros(network.free_nodes, dtype=np.bool_)
            at[out] = True
            held = (at, volts)
        else:
            external[:, out] += pull.amps
            if pull.siemens:
                siemens = np.zeros(network.free_nodes)
                siemens[out] = pull.siemens
        return drive.amps + external * network.node_weights, siemens, held

    def _operating_point(
        self, drive: Drive, pull: Pull, image: int, start: NodalSolution | None
    ) -> NodalSolution:
        spring, targets, amps = 0.0, None, None
        if pull.clamped is not None:
            spring, targets = np.inf, pull.clamped[image]
        elif pull.siemens:
            assert pull.targets is not None
            spring, targets = pull.siemens, pull.targets[image]
        else:
            amps = pull.amps[image]
        graph = circuit_graph(
            self.network,
            self.conductances,
            self.bias_currents,
            drive.inputs[image],
            wiring=self.wiring,
            rectifier=self.rectifier,
            cell_law=self.cell_law,
            amps=amps,
            spring_siemens=spring,
            targets=targets,
        )
        if start is not None and start.graph.nodes != graph.nodes:
            start = None
        return solve(graph, start)
