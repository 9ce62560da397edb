"""What instruments see of nodes that move: means over their apertures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hilep.arrays import Doubles
from hilep.simulators.virtual.operating_point import Circuit, OperatingPoint
from hilep.simulators.virtual.staircases import Places
from hilep.simulators.virtual.transients import CapacitiveCircuit, Transient


class Windows:
    """Apertures in time.

    Args:
        transient: how the nodes move.
        circuit: the circuit with its capacitances.
        begins: seconds after the change at which each begins (samples, terminals).
        seconds: that each lasts.
    """

    def __init__(
        self, transient: Transient, circuit: CapacitiveCircuit, begins: Doubles, seconds: float
    ) -> None:
        self._transient, self._circuit = transient, circuit
        self._begins, self._seconds = begins, seconds

    def volts(self, at: Places) -> Doubles:
        """Return the means (samples, terminals); `at` is the node of each, beyond the last: 0 V."""
        inside = np.minimum(at, self._transient.point.volts.size - 1)
        means = self._transient.mean(self._begins, self._seconds, inside)
        return np.where(at == inside, means, 0.0)

    def points(self, terminal: int) -> list[OperatingPoint]:
        """Return the mean state of all nodes in every aperture of one terminal.

        What is supplied includes what charges the capacitors, and what a rectifier takes.
        """
        rest = self._transient.point
        every = np.arange(rest.volts.size)
        begins = np.repeat(self._begins[:, terminal, None], every.size, axis=1)
        seconds = self._seconds or self._transient.short_s
        means = self._transient.mean(begins, self._seconds, every)
        ends = self._transient.mean(begins + seconds, 0.0, every)
        rates = (ends - self._transient.mean(begins, 0.0, every)) / seconds
        supplied = means @ self._circuit.matrix + rates * self._circuit.farads
        pairs = zip(means, supplied, strict=True)
        return [replace(rest, volts=volts, supplied=amps) for volts, amps in pairs]


class Moving:
    """Where the nodes of a world are, from change to change.

    Args:
        circuit: the world's.
        farads: of each node to ground (nodes,).
        now: seconds on the world's clock.
    """

    def __init__(self, circuit: Circuit, farads: Doubles, now: float) -> None:
        self._circuit, self._farads = circuit, farads
        self._volts = np.zeros(farads.size)
        self._then = self._since = now
        self._capacitive: CapacitiveCircuit | None = None
        self._transient: Transient | None = None

    def pass_time(self, point: OperatingPoint, now: float) -> None:
        """Move until `now`, with the circuit as it is and comes to rest at `point`."""
        self._volts, self._then = self._moved(point)[0].at(now - self._since), now

    def windows(self, point: OperatingPoint, begins: Doubles, seconds: float) -> Windows | None:
        """Return apertures that begin so many seconds from now; None where all is at rest."""
        transient, capacitive = self._moved(point)
        begins = begins + (self._then - self._since)
        if transient.at_rest(float(begins.min(initial=np.inf))):
            return None
        return Windows(transient, capacitive, begins, seconds)

    def _moved(self, point: OperatingPoint) -> tuple[Transient, CapacitiveCircuit]:
        found, capacitive = self._transient, self._capacitive
        if found is None or capacitive is None or found.point is not point:
            capacitive = CapacitiveCircuit(self._circuit, self._farads)
            found = Transient(capacitive, self._volts, point)
            self._transient, self._capacitive, self._since = found, capacitive, self._then
        return found, capacitive
