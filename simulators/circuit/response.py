"""How the free nodes move in time, where they have capacitance to ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles, checked
from hilep.errors import BadInputError, LimitError, NotSettledError
from hilep.simulators.circuit.blocks import Blocks, Mask
from hilep.simulators.circuit.equilibrium import Held, settle
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.rectifiers import IdealDiode, Rectifier
from hilep.simulators.circuit.stepping import Movement

MOST_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Motion(Movement):
    """C dV/dt = the currents into each node, for a batch.

    Attributes:
        ports: the linear network.
        polarity: (n_free,).
        rectifier: the law of all rectifiers.
        amps: inflow at 0 V, times weight (batch, n_free).
        farads: of each node to ground; 0 for one that follows at once (n_free,).
        siemens: of each node to ground besides `ports` (n_free,).
        held: clamped nodes and their volts, or None.
        names: of the free nodes, or None.
    """

    ports: PortNetwork
    polarity: NDArray[np.int8]
    rectifier: Rectifier
    amps: Doubles
    farads: Doubles
    siemens: Doubles
    held: Held | None = None
    names: Sequence[str] | None = None

    def implicit(self, before: Doubles, seconds: float, start: Doubles) -> Doubles:
        """Return V with C (V - before) / seconds = the currents at V (batch, n_free)."""
        charge = self.farads / seconds
        return settle(
            self.ports,
            self.polarity,
            self.rectifier,
            self.amps + self.ports.weight * charge * before,
            siemens=self.siemens + charge,
            held=self.held,
            start=start,
            names=self.names,
        )

    def equilibrium(self, held: Held | None = None) -> Doubles:
        """Return the volts at rest (batch, n_free), with `held` in place of the own ones."""
        return settle(
            self.ports,
            self.polarity,
            self.rectifier,
            self.amps,
            siemens=self.siemens,
            held=self.held if held is None else held,
            names=self.names,
        )

    @property
    def moving(self) -> Mask:
        """Nodes whose volts are a state: neither clamped nor without capacitance."""
        moving: Mask = self.farads > 0
        return moving if self.held is None else moving & ~self.held[0]

    def begin(self, start: Doubles) -> tuple[Doubles, Doubles]:
        """Return volts and slope just after time 0 (batch, n_free).

        Nodes without capacitance jump to where the others want them, and an ideal diode lifts its
        node to its bias at once.

        Raises:
            BadInputError: where a junction would carry an infinite current.
        """
        volts = start.copy()
        if isinstance(self.rectifier, IdealDiode):
            lowest = self.polarity * self.rectifier.bias_v
            volts = np.where(self.polarity > 0, np.maximum(volts, lowest), volts)
            volts = np.where(self.polarity < 0, np.minimum(volts, lowest), volts)
        if self.held is not None:
            volts[:, self.held[0]] = self.held[1][:, self.held[0]]
        if not self.moving.all():
            still = self.moving if self.held is None else self.moving | self.held[0]
            volts = self.equilibrium((still, volts))
        blocks = Blocks(self.ports, self.ports.weight * self.siemens)
        inflow = (self.amps - blocks.times(volts)) / self.ports.weight
        u = self.polarity * volts
        if not isinstance(self.rectifier, IdealDiode):
            current, _ = self.rectifier.current(u)
            inflow = inflow + np.where(self.polarity != 0, self.polarity * current, 0.0)
        if not np.isfinite(inflow).all():
            node = int(np.argwhere(~np.isfinite(inflow))[0][1])
            name = f"node {node}" if self.names is None else self.names[node]
            raise BadInputError(f"response start: the junction at {name} carries no finite current")
        slope = np.divide(
            inflow,
            self.farads,
            out=np.zeros_like(volts),
            where=np.broadcast_to(self.moving, volts.shape),
        )
        if isinstance(self.rectifier, IdealDiode):
            resting = (self.polarity != 0) & (u <= self.rectifier.bias_v)
            slope = np.where(resting & (self.polarity * slope < 0), 0.0, slope)
        return volts, slope


def response(
    ports: PortNetwork,
    polarity: NDArray[np.int8],
    rectifier: Rectifier,
    amps: ArrayLike,
    farads: ArrayLike,
    start: ArrayLike,
    times: ArrayLike,
    *,
    siemens: ArrayLike | None = None,
    held: Held | None = None,
    tolerance: float = 1e-6,
    names: Sequence[str] | None = None,
) -> Doubles:
    """Return the free nodes' volts at `times` (n_times, batch, n_free) after a change at time 0.

    Every stage of a step is an equilibrium in which the capacitors are conductances, so that stiff
    circuits and ideal diodes need nothing else. Steps end at the times asked for: nothing is
    interpolated.

    Args:
        ports: the linear network between the free nodes.
        polarity: of each node's rectifier, 0 for none (n_free,).
        rectifier: the law of all rectifiers.
        amps: inflow at 0 V from time 0 on, times `ports.weight` (batch, n_free).
        farads: capacitance of every node or of each (n_free,), to ground.
        start: volts before time 0 (batch, n_free).
        times: seconds, from 0 on, in ascending order (n_times,).
        siemens: see `settle`.
        held: see `settle`.
        tolerance: error of one step, as a fraction of the image's largest volts.
        names: of the free nodes, for messages.

    Raises:
        BadInputError: for a wrong shape, times that descend, or a negative capacitance.
        NotSettledError: where a stage has no equilibrium, or the steps become too short.
        LimitError: as `settle`.
    """
    count = ports.weight.shape[0]
    current = checked(amps, (None, count), "response amps").astype(np.float64)
    volts = checked(start, (current.shape[0], count), "response start").astype(np.float64)
    when = checked(times, (None,), "response times").astype(np.float64)
    extra = np.zeros(count) if siemens is None else np.asarray(siemens, np.float64)
    capacitance = np.broadcast_to(np.asarray(farads, np.float64), (count,))
    if not (np.isfinite(capacitance).all() and (capacitance >= 0).all()):
        raise BadInputError("response farads: expected finite numbers >= 0")
    if when.size and (when[0] < 0 or (np.diff(when) < 0).any()):
        raise BadInputError("response times: expected seconds >= 0 in ascending order")
    if not (np.isfinite(tolerance) and tolerance > 0):
        raise BadInputError(f"response tolerance: expected a number > 0, got {tolerance}")
    motion = Motion(ports, polarity, rectifier, current, capacitance, extra, held, names)
    if not motion.moving.any():
        return np.broadcast_to(motion.equilibrium(), (when.size, *volts.shape)).copy()
    return _integrated(motion, volts, when, tolerance)


def _integrated(motion: Motion, volts: Doubles, times: Doubles, tolerance: float) -> Doubles:
    found = np.empty((times.size, *volts.shape))
    volts, slope = motion.begin(volts)
    end = float(times[-1]) if times.size else 0.0
    if end == 0 or not volts.shape[0]:
        found[:] = volts
        return found
    # One long implicit step leads near the volts of the end, whatever they are.
    far = motion.implicit(volts, end, volts)
    size = np.maximum(np.abs(volts), np.abs(far)).max(axis=1, keepdims=True)
    allowed = tolerance * np.where(size > 0, size, 1.0)
    fastest = float((np.abs(slope) / allowed).max())
    length = min(end, tolerance ** (-2 / 3) / fastest) if fastest > 0 else end
    now, steps = 0.0, 0
    for k, stop in enumerate(times):
        while now < stop:
            steps += 1
            left = float(stop) - now
            # Two equal steps rather than a long one and a sliver.
            last = left <= length
            taken = left if last else min(length, 0.5 * left)
            volts, slope, done, length = motion.attempt(volts, slope, taken, length, allowed)
            if done:
                now = float(stop) if last else now + taken
            if steps >= MOST_STEPS or now + length == now < stop:
                raise NotSettledError(
                    f"response: steps of {length:.3g} s at {now:.6g} s, of {steps} so far, do not "
                    f"reach {end:.6g} s to {tolerance:.3g}"
                )
        found[k] = volts
    return found


def time_constants(
    ports: PortNetwork,
    polarity: NDArray[np.int8],
    rectifier: Rectifier,
    farads: ArrayLike,
    volts: ArrayLike,
    *,
    siemens: ArrayLike | None = None,
    clamped: Mask | None = None,
) -> Doubles:
    """Return the time constants (seconds) of small changes about `volts`, the largest first.

    There is one for each node with capacitance that neither `clamped` nor an ideal diode at its
    bias holds; infinity where no conductance discharges it.

    Args:
        ports: the linear network between the free nodes.
        polarity: of each node's rectifier, 0 for none (n_free,).
        rectifier: the law of all rectifiers.
        farads: capacitance of every node or of each (n_free,), to ground.
        volts: of the free nodes of one image (n_free,).
        siemens: see `settle`.
        clamped: nodes that something holds (n_free,).

    Raises:
        BadInputError: for a wrong shape.
        LimitError: where a change grows instead of dying out.
    """
    count = ports.weight.shape[0]
    v = checked(volts, (count,), "time_constants volts").astype(np.float64)
    capacitance = np.broadcast_to(np.asarray(farads, np.float64), (count,))
    blocks = Blocks(ports, ports.weight * (0.0 if siemens is None else np.asarray(siemens)))
    matrix = blocks.times(np.eye(count))
    free = np.ones(count, dtype=np.bool_) if clamped is None else ~clamped
    at = polarity != 0
    u = polarity[at] * v[at]
    if isinstance(rectifier, IdealDiode):
        free[at] &= u > rectifier.bias_v
    else:
        _, slope = rectifier.current(u)
        matrix[at, at] += ports.weight[at] * slope
    slow, fast = free & (capacitance > 0), free & (capacitance == 0)
    system = matrix[np.ix_(slow, slow)]
    if fast.any():
        across = matrix[np.ix_(fast, slow)]
        system = system - across.T @ np.linalg.solve(matrix[np.ix_(fast, fast)], across)
    root = np.sqrt(ports.weight[slow] * capacitance[slow])
    rates = np.linalg.eigvalsh(system / np.outer(root, root))
    rounding = count * np.finfo(np.float64).eps * np.abs(rates).max(initial=0.0)
    if (rates < -rounding).any():
        raise LimitError("time_constants: a negative spring makes the circuit unstable")
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / np.where(np.abs(rates) <= rounding, 0.0, rates))
