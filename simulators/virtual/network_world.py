"""A crossbar network as a world: what one instrument forces, every other one reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.errors import BadInputError, UnsupportedError
from hilep.network import Network
from hilep.simulators.cells.array import CellArray
from hilep.simulators.circuit.rectifiers import IdealDiode
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.crossbar_cells import CrossbarCells
from hilep.simulators.virtual.crossbar_nodes import CrossbarNodes
from hilep.simulators.virtual.moving import Moving
from hilep.simulators.virtual.operating_point import Circuit, OperatingPoint
from hilep.simulators.virtual.staircases import ideal_diode, source
from hilep.simulators.virtual.surroundings import Surroundings as Surroundings
from hilep.simulators.virtual.switching import Switching
from hilep.simulators.virtual.world import Drive, Measured

_OFF = Drive()
_AT_REST = 16.0
"""Time constants after which a ten-millionth of a change is left."""


class NetworkWorld:
    """A network whose every terminal may be driven with a limit, or float.

    Terminals are the names of `CrossbarNodes`, the supplies, and, where cells are set by a voltage,
    the controls of `CrossbarCells`. Voltages move cells while the clock goes on: see `Switching`.

    Args:
        network: layers and polarities; no amplifiers, no bias currents.
        cells: of the network's shapes, with linear conduction.
        clock: the time that the instruments pass.
        around: everything else.
        switching: how voltages move cells; None where they do not.
        control: siemens at volts of a cell's control; None where cells have none.

    Attributes:
        before_measuring: called before every measurement, such as `Turns.wait`.

    Raises:
        UnsupportedError: for amplifiers or bias currents.
        BadInputError: for cells of other shapes.
    """

    def __init__(
        self,
        network: Network,
        cells: CellArray,
        clock: Clock,
        around: Surroundings | None = None,
        *,
        switching: Switching | None = None,
        control: Callable[[float], float] | None = None,
    ) -> None:
        if network.amplified or network.bias == "current":
            raise UnsupportedError("virtual bench: has neither amplifiers nor bias currents")
        if cells.shapes != network.shapes:
            raise BadInputError(f"cells: expected shapes {network.shapes}, got {cells.shapes}")
        self.network, self.clock = network, clock
        self.before_measuring: Callable[[], None] = _at_once
        self.around = around = around or Surroundings()
        extra = (*around.extra, *(name for name, _ in around.supplies))
        self.nodes = CrossbarNodes(network, around.wiring, around.shared_bias, around.parted, extra)
        self.cells = CrossbarCells(cells, self.nodes, around.wiring, switching, control)
        polarity = network.polarity.astype(np.float64)
        hidden = np.flatnonzero(polarity)
        self._ideal = isinstance(around.rectifier, IdealDiode)
        self._polarity = {int(self.nodes.free[k]): int(polarity[k]) for k in hidden}
        smooth = hidden[: 0 if self._ideal else None]
        self._circuit = Circuit(
            self.nodes.names, around.rectifier, self.nodes.free[smooth], polarity[smooth]
        )
        self._ground = len(self.nodes.names)
        self._drives: dict[int, Drive] = {}
        self._closed: set[frozenset[str]] = set()
        self._then = clock.now()
        self._point: OperatingPoint | None = None
        self._loaded = False
        self._moved = True
        self._moving: Moving | None = None
        if around.transients:
            self._moving = Moving(self._circuit, self._farads(), self._then)
        self._lock = threading.RLock()
        for node in self._polarity:
            self._stand(node)

    @property
    def terminals(self) -> tuple[str, ...]:
        """The names of the terminals."""
        return (*self.nodes.index, *self.cells.controls)

    @property
    def driven(self) -> set[str]:
        """The names of the nodes at which an output is on."""
        with self._lock:
            return {self.nodes.names[n] for n, one in self._drives.items() if one.kind != "off"}

    def siemens(self) -> list[Doubles]:
        """Return what the cells conduct now, one (n_pre, n_post) per layer."""
        with self._lock:
            self._elapse()
            return self.cells.siemens()

    def write(self, conductances: Sequence[ArrayLike]) -> None:
        """Write the cells as no instrument of the bench does: what they hold to begin with."""
        with self._lock:
            self._elapse()
            self.cells.write(conductances)

    def drive(self, terminal: str, drive: Drive) -> None:
        """Set what the source at `terminal` does; one at the ground does nothing."""
        self._known([terminal])
        with self._lock:
            if terminal in self.cells.controls:
                self._elapse()
                self.cells.set_control(terminal, drive.level if drive.kind == "volts" else 0.0)
                return
            node = self.nodes.index[terminal]
            if node == self._ground or self._drives.get(node, _OFF) == drive:
                return
            self._elapse()
            self._drives[node] = drive
            self._stand(node)
            if any(name == terminal for name, _ in self.around.supplies):
                for hidden in self._polarity:
                    self._stand(hidden)

    def join(self, first: str, second: str) -> None:
        """Close the relay between two terminals."""
        self._switch(first, second, True)

    def part(self, first: str, second: str) -> None:
        """Open the relay between two terminals."""
        self._switch(first, second, False)

    def settle(self) -> float:
        """Return the seconds until everything has come to rest; 0 where that is to be seen."""
        self.before_measuring()
        with self._lock:
            self._elapse()
            point = self._solution()
            farads = self.around.wiring.node_farads
            if not (farads and self._moved) or self.around.transients:
                return 0.0
            self._moved = False
            return _AT_REST * farads * point.slowest_ohm(self.nodes.free)

    def measure(
        self,
        terminals: Sequence[str],
        seconds: float,
        generator: np.random.Generator,
        samples: int = 1,
        begins: Doubles | None = None,
    ) -> Measured:
        """Return `terminals` at rest, or as they move, with the thermal noise of the circuit."""
        self._known(terminals)
        self.before_measuring()
        with self._lock:
            self._elapse()
            point = self._solution()
            at = np.array([self.nodes.index.get(name, self._ground) for name in terminals], np.intp)
            windows = None
            if self._moving is not None:
                if begins is None:
                    begins = np.tile(seconds * np.arange(samples)[:, None], len(at))
                windows = self._moving.windows(point, begins, seconds)
            if windows is None:
                volts = np.append(point.volts, 0.0)[at]
                found = np.broadcast_to(volts, (samples, len(at))).copy()
            else:
                found = windows.volts(at)
            if self.around.kelvin and seconds > 0:
                noise = point.thermal(self.around.kelvin, seconds, generator, samples)
                nodes = np.flatnonzero(at < self._ground)
                found[:, nodes] += noise[:, at[nodes]]
            amps = np.zeros(found.shape)
            limited = np.zeros(len(at), dtype=np.bool_)
            for k, (node, name) in enumerate(zip(at, terminals, strict=True)):
                drive = self._drives.get(node, _OFF)
                if name in self.cells.controls:
                    found[:, k] = self.cells.control_volts[name]
                elif drive.kind != "off":
                    points = [point] if windows is None else windows.points(k)
                    given = [self._given(one, node, drive) for one in points]
                    amps[:, k] = [one for one, _ in given]
                    limited[k] = any(met for _, met in given)
            return Measured(found, amps, limited)

    def _known(self, terminals: Sequence[str]) -> None:
        for terminal in terminals:
            if terminal not in self.nodes.index and terminal not in self.cells.controls:
                raise BadInputError(
                    f"terminal {terminal!r}: expected one of {', '.join(self.terminals)}"
                )

    def _stand(self, node: int) -> None:
        """Put what stands at a node there: a source and, at a hidden node, an ideal diode."""
        drive = self._drives.get(node, _OFF)
        self._circuit.conducting = self._powered()
        stairs = source(drive)
        law = self.around.rectifier
        if node in self._polarity and isinstance(law, IdealDiode) and self._circuit.conducting:
            diode = ideal_diode(self._polarity[node], law.bias_v)
            stairs = stairs.with_(diode, self.nodes.names[node])
        volts = drive.level if drive.kind == "volts" else float(self._circuit.volts[node])
        self._circuit.treads.put(node, stairs, volts)
        self._point, self._moved = None, True

    def _powered(self) -> bool:
        """Return whether every supply of the rectifiers stands at its volts."""
        for name, wanted in self.around.supplies:
            drive = self._drives.get(self.nodes.index[name], _OFF)
            amps = abs(drive.level) * self.around.supply_siemens
            near = abs(drive.level - wanted) <= 0.1 * abs(wanted)
            if drive.kind != "volts" or not near or amps > drive.limit:
                return False
        return True

    def _given(self, point: OperatingPoint, node: int, drive: Drive) -> tuple[float, bool]:
        """Return the amperes of a source, and whether it is at its limit."""
        volts, total = float(point.volts[node]), float(point.supplied[node])
        amps = total
        if node in self._polarity and self._ideal:
            # The diode takes what the source does not give.
            amps = float(np.clip(total, *source(drive).between(volts)))
        if drive.kind == "volts":
            return amps, volts != drive.level
        return amps, abs(volts) >= drive.limit

    def _switch(self, first: str, second: str, close: bool) -> None:
        self._known([first, second])
        pair = frozenset((first, second))
        with self._lock:
            if first == second or (pair in self._closed) == close:
                return
            self._elapse()
            (self._closed.add if close else self._closed.discard)(pair)
            self._loaded, self._moved = False, True

    def _elapse(self) -> None:
        """Let the time since the last change work on the cells."""
        now = self.clock.now()
        seconds, self._then = now - self._then, now
        if seconds > 0:
            if self._moving is not None:
                self._moving.pass_time(self._solution(), now)
            volts = self._solution().volts if self.cells.switches else None
            self.cells.pass_time(seconds, volts)

    def _solution(self) -> OperatingPoint:
        if not self._loaded or self.cells.stale:
            self._circuit.load(self._matrix())
            self._loaded, self._point, self._moved = True, None, True
        if self._point is None:
            self._point = self._circuit.solve()
        return self._point

    def _farads(self) -> Doubles:
        """Return the capacitance of every node to ground (nodes,)."""
        nodes, farads = self.nodes, np.zeros(self._ground)
        for node in np.concatenate(nodes.rows):
            if nodes.names[node].startswith("r"):
                farads[node] = self.around.source_farads
        farads[nodes.free] = self.around.wiring.node_farads
        return farads

    def _matrix(self) -> Doubles:
        """Return the conductance matrix of all nodes."""
        around, nodes, size = self.around, self.nodes, self._ground
        matrix = np.zeros((size + 1, size + 1))
        for k, array in enumerate(self.cells.admittances()):
            at = np.concatenate([nodes.rows[k], nodes.columns[k]])
            matrix[np.ix_(at, at)] += array.admittance
        contact = 1 / around.contact_ohm
        branches = [
            *nodes.branches,
            *((a, b, contact) for pair in self._closed for a, b in nodes.ends(*pair)),
            *((nodes.index[name], size, around.supply_siemens) for name, _ in around.supplies),
        ]
        for first, second, siemens in branches:
            ends = np.ix_([first, second], [first, second])
            matrix[ends] += siemens * np.array([[1.0, -1.0], [-1.0, 1.0]])
        return np.asarray(matrix[:size, :size] + around.leakage_siemens * np.eye(size))


def _at_once() -> None:
    """Wait for nothing."""
