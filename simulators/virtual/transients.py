"""How the nodes of a virtual bench move after a change, where they have capacitance to ground."""

from __future__ import annotations

import copy
import math

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import NotSettledError
from hilep.simulators.circuit.blocks import Mask
from hilep.simulators.circuit.stepping import Movement
from hilep.simulators.virtual.modes import Modes
from hilep.simulators.virtual.operating_point import Circuit, OperatingPoint
from hilep.simulators.virtual.staircases import Places

TOLERANCE = 1e-6
"""Error of one step in time, as a fraction of how far the nodes have to go."""
AT_REST = 1e-9
"""What may be left when the nodes count as at rest, as a fraction of the largest volts."""
AT_ONCE = 1e-6
"""Of the fastest node's time constant: how long what has no capacitance takes to follow."""
MOST_STEPS = 100_000
LOOK_AFTER = 4
"""Steps between two looks whether the rest is linear."""


class CapacitiveCircuit(Movement):
    """C dV/dt = the currents into each node of a circuit with sources, limits and rectifiers.

    Every step is an operating point in which the capacitors are conductances, so that limits and
    ideal diodes need nothing else.

    Args:
        circuit: whose staircases are used as they stand, and whose matrix is taken once.
        farads: of each node to ground, 0 for one that follows at once (nodes,).

    Attributes:
        farads: the same.
        matrix: of its conductances (nodes, nodes).
        circuit: the same.
    """

    def __init__(self, circuit: Circuit, farads: Doubles) -> None:
        self.farads = farads
        self.matrix, self.circuit = circuit.matrix, circuit
        self._circuit = copy.copy(circuit)
        self._moving: Mask = farads > 0
        self._loaded = np.nan

    @property
    def moving(self) -> Mask:
        """Nodes with capacitance."""
        return self._moving

    def implicit(self, before: Doubles, seconds: float, start: Doubles) -> Doubles:
        """See `Movement.implicit`."""
        charge = self.farads / seconds
        if seconds != self._loaded:
            self._circuit.load(self.matrix + np.diag(charge))
            self._loaded = seconds
        self._circuit.inflow, self._circuit.volts = charge * before, start
        return self._circuit.solve().volts


class Transient:
    """The nodes' volts from one change on, found as far as they are asked for.

    They go in steps while a source, a diode or a rectifier is elsewhere than at rest, and follow
    the cubic through the volts and slopes at both ends of a step; from then on, often from the
    beginning, they are exponentials.

    Args:
        circuit: as it is from the change on.
        start: volts before the change (nodes,).
        point: where they come to rest: the last solution of the circuit.

    Attributes:
        point: the same.
        short_s: how long what has no capacitance takes to follow; 0 where nothing moves.
    """

    def __init__(self, circuit: CapacitiveCircuit, start: Doubles, point: OperatingPoint) -> None:
        self.point = point
        self._circuit = circuit
        size = max(float(np.abs(start).max()), float(np.abs(point.volts).max()))
        self._rest = AT_REST * size
        self._times, self._slopes = np.zeros(1), np.zeros((1, start.size))
        self._apart = self._sums = np.zeros((1, start.size))
        self._modes: Modes | None = None
        self._weights: Doubles | None = None
        self.short_s, self._end = 0.0, 0.0
        if not self._far(start - point.volts):
            return
        self._modes = modes = Modes(circuit.circuit, point, circuit.farads)
        self.short_s = AT_ONCE * (float(modes.seconds[0]) if modes.seconds.size else self._held())
        self._begin(start)

    def at_rest(self, seconds: float) -> bool:
        """Return whether nothing moves any more that long after the change."""
        self._reach(seconds)
        return seconds >= self._end

    def at(self, seconds: float) -> Doubles:
        """Return the volts (nodes,) that long after the change."""
        if self.at_rest(seconds):
            return self.point.volts
        every = np.arange(self._apart.shape[1])
        return self.point.volts + self._value(np.full(every.size, seconds), every)

    def mean(self, begins: Doubles, seconds: float, nodes: Places) -> Doubles:
        """Return the means of volts over `seconds`, from `begins` on.

        Args:
            begins: seconds after the change (samples, terminals).
            seconds: 0 for what is there at `begins`.
            nodes: at each terminal (terminals,).
        """
        begins = np.maximum(begins, 0.0)
        self._reach(float(begins.max(initial=0.0)) + seconds)
        rest = self.point.volts[nodes]
        places = np.broadcast_to(nodes, begins.shape)
        if self._modes is None:
            return np.broadcast_to(rest, begins.shape)
        if seconds == 0:
            return rest + self._value(begins, places)
        area = self._area(begins + seconds, places) - self._area(begins, places)
        return np.asarray(rest + area / seconds)

    def _far(self, apart: Doubles) -> bool:
        left = np.abs(apart[..., self._circuit.moving])
        return bool(left.max(initial=0.0) > self._rest)

    def _held(self) -> float:
        """Return a time constant where something holds every node with capacitance at rest."""
        times = self._circuit.farads / np.diagonal(self._circuit.matrix)
        return float(times[times > 0].min())

    def _begin(self, start: Doubles) -> None:
        circuit, short, rest = self._circuit, self.short_s, self.point.volts
        self._end = math.inf
        self._exponentials(start)
        if self._weights is not None:
            return
        volts = circuit.implicit(start, short, start)
        slope = (circuit.implicit(volts, short, volts) - volts) / short
        self._apart, self._slopes = (volts - rest)[None], slope[None]
        step = max(float(np.abs(self._apart[:, circuit.moving]).max()), self._rest)
        self._allowed = np.array(TOLERANCE * step)
        quickest = float(np.abs(slope[circuit.moving]).max())
        self._length = TOLERANCE ** (1 / 3) * step / quickest if quickest else short

    def _exponentials(self, volts: Doubles) -> None:
        """Go on from the last step in exponentials, where that is what the nodes do."""
        assert self._modes is not None
        self._weights = self._modes.weights(volts)
        if self._weights is not None and self._modes.seconds.size:
            left = float(np.abs(volts - self.point.volts).max()) / self._rest
            self._end = float(self._times[-1]) + self._modes.seconds[-1] * math.log(max(left, 1.0))

    def _reach(self, seconds: float) -> None:
        """Find the volts until that long after the change, or until they are exponentials."""
        if self._end < math.inf or self._times[-1] >= seconds:
            return
        times, volts, slopes = [self._times[-1]], [self._apart[-1]], [self._slopes[-1]]
        tried, rest = 0, self.point.volts
        now, slope = float(times[-1]), slopes[-1]
        while now < seconds:
            tried += 1
            new, slope, done, length = self._circuit.attempt(
                rest + volts[-1], slope, self._length, self._length, self._allowed
            )
            if done:
                now += self._length
                times.append(now)
                volts.append(new - rest)
                slopes.append(slope)
            self._length = length
            if tried > MOST_STEPS or now + length == now:
                raise NotSettledError(f"virtual bench: no volts found beyond {now:.6g} s")
            if done and len(times) % LOOK_AFTER == 0 and self._linear(times, volts, slopes):
                return
        self._keep(times, volts, slopes)

    def _linear(self, times: list[float], volts: list[Doubles], slopes: list[Doubles]) -> bool:
        """Return whether exponentials go on from the last of these steps, or nothing more does."""
        assert self._modes is not None
        weights = self._modes.weights(self.point.volts + volts[-1])
        if weights is None and self._far(volts[-1]):
            return False
        self._keep(times, volts, slopes)
        times.clear()
        self._exponentials(self.point.volts + volts[-1])
        self._end = min(self._end, self._times[-1]) if weights is None else self._end
        return True

    def _keep(self, times: list[float], volts: list[Doubles], slopes: list[Doubles]) -> None:
        if len(times) < 2:
            return
        h = np.diff(times)[:, None]
        v, s = np.array(volts), np.array(slopes)
        parts = 0.5 * h * (v[1:] + v[:-1]) + h**2 / 12 * (s[:-1] - s[1:])
        sums = self._sums[-1] + np.cumsum(parts, axis=0)
        self._times = np.append(self._times, times[1:])
        self._apart = np.concatenate([self._apart, v[1:]])
        self._slopes = np.concatenate([self._slopes, s[1:]])
        self._sums = np.concatenate([self._sums, sums])

    def _placed(
        self, seconds: Doubles, nodes: Places
    ) -> tuple[Places, Doubles, Doubles, tuple[Doubles, Doubles, Doubles, Doubles]]:
        """Return step, its length, how much of it has passed, and volts and slopes at its ends."""
        step = np.searchsorted(self._times, seconds, side="right") - 1
        step = np.clip(step, 0, max(self._times.size - 2, 0))
        after = np.minimum(step + 1, self._times.size - 1)
        length = self._times[after] - self._times[step]
        passed = np.divide(
            seconds - self._times[step], length, out=np.zeros(seconds.shape), where=length > 0
        )
        ends = (
            self._apart[step, nodes],
            self._apart[after, nodes],
            length * self._slopes[step, nodes],
            length * self._slopes[after, nodes],
        )
        return step, length, np.clip(passed, 0.0, 1.0), ends

    def _value(self, seconds: Doubles, nodes: Places) -> Doubles:
        _, _, u, (first, last, out, into) = self._placed(seconds, nodes)
        rising = u * u * (3 - 2 * u)
        curve = first * (1 - rising) + last * rising
        curve = curve + out * u * (1 - u) ** 2 - into * u * u * (1 - u)
        after = seconds - self._times[-1]
        if self._modes is None or self._weights is None or not (after >= 0).any():
            return np.where(after >= 0, 0.0, curve) if self._end < math.inf else curve
        left = self._modes.value(self._weights, np.maximum(after, 0.0), nodes)
        return np.where(after >= 0, left, curve)

    def _area(self, seconds: Doubles, nodes: Places) -> Doubles:
        """Return the integral of what is apart from rest, volt seconds."""
        step, length, u, (first, last, out, into) = self._placed(seconds, nodes)
        part = first * (u - u**3 + u**4 / 2) + last * (u**3 - u**4 / 2)
        part = part + out * (u**2 / 2 - 2 * u**3 / 3 + u**4 / 4)
        part = part + into * (u**4 / 4 - u**3 / 3)
        whole = np.asarray(self._sums[step, nodes] + length * part)
        after = seconds - self._times[-1]
        if self._modes is None or self._weights is None or not (after > 0).any():
            return whole
        return whole + self._modes.area(self._weights, np.maximum(after, 0.0), nodes)
