"""The equilibrium of a circuit: volts at which Kirchhoff's current law holds at every free node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles, checked
from hilep.errors import BadInputError, LimitError, NotSettledError
from hilep.simulators.circuit.activeset import active_set
from hilep.simulators.circuit.balance import Balance
from hilep.simulators.circuit.blocks import Mask
from hilep.simulators.circuit.newton import newton
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.rectifiers import IdealDiode, Rectifier

Held = tuple[Mask, Doubles]
"""Which free nodes are clamped (n_free,), and their volts (batch, n_free)."""


def settle(
    ports: PortNetwork,
    polarity: NDArray[np.int8],
    rectifier: Rectifier,
    amps: ArrayLike,
    *,
    siemens: ArrayLike | None = None,
    held: Held | None = None,
    start: ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> Doubles:
    """Return the volts (batch, n_free) at which every current balances.

    Args:
        ports: the linear network between the free nodes.
        polarity: of each free node's rectifier, 0 for none (n_free,).
        rectifier: the law of all rectifiers.
        amps: inflow of each node at 0 V, times `ports.weight` (batch, n_free).
        siemens: conductance from each node to ground besides `ports`, without weight, of either
            sign (n_free,).
        held: nodes that something clamps, and their volts.
        start: volts to begin with (batch, n_free), such as the free phase's.
        names: of the free nodes, for messages.

    Raises:
        BadInputError: for a wrong shape or a number that is not finite.
        LimitError: where a negative spring leaves no stable equilibrium, naming the output.
        NotSettledError: where nothing decides a node's voltage, or Kirchhoff's law could not be met
            to 1e-13 of a node's currents or the rounding of its volts; it names the node.
    """
    count = ports.weight.shape[0]
    currents = checked(amps, (None, count), "settle amps").astype(np.float64, copy=False)
    batch = currents.shape[0]
    extra = np.zeros(count)
    if siemens is not None:
        extra = checked(siemens, (count,), "settle siemens").astype(np.float64, copy=False)
    clamped = np.zeros(count, dtype=np.bool_)
    volts = np.zeros((batch, count))
    if start is not None:
        volts = checked(start, (batch, count), "settle start").astype(np.float64)
    if held is not None:
        clamped, fixed = held[0].copy(), checked(held[1], (batch, count), "settle held volts")
        volts[:, clamped] = fixed[:, clamped]
    labels = [f"node {k}" for k in range(count)] if names is None else list(names)
    if len(labels) != count or polarity.shape != (count,):
        raise BadInputError(f"settle: expected polarity and names of {count} free nodes")
    if not batch:
        return volts
    diagonal = _diagonal(ports) + ports.weight * extra
    _require_positive(diagonal, extra, clamped, labels)
    lone = (diagonal == 0) & ~clamped
    if lone.any():
        volts[:, lone] = _alone(ports, polarity, rectifier, currents, lone, labels)
        clamped |= lone
    if start is None and (extra[~clamped] < 0).any():
        # The equilibrium without negative springs lies near and always exists.
        volts = settle(
            ports,
            polarity,
            rectifier,
            currents,
            siemens=np.maximum(extra, 0.0),
            held=(clamped, volts),
            names=labels,
        )
        start = volts
    size = np.abs(volts).max(axis=1)
    balance = Balance(ports, polarity, rectifier, currents, size, extra, clamped, labels)
    if start is None:
        volts = balance.swept(volts)
        balance.size = np.abs(volts).max(axis=1)
    if isinstance(rectifier, IdealDiode) or not balance.at.size:
        return active_set(balance, volts)[0]
    return newton(balance, volts)[0]


def _diagonal(ports: PortNetwork) -> Doubles:
    return np.concatenate([own if own.ndim == 1 else own.diagonal() for own in ports.own])


def _require_positive(
    diagonal: Doubles, siemens: Doubles, clamped: Mask, names: Sequence[str]
) -> None:
    wrong = np.flatnonzero((siemens < 0) & (diagonal <= 0) & ~clamped)
    if wrong.size:
        node = wrong[np.argmin(diagonal[wrong])]
        raise LimitError(
            f"nudge: a spring of {siemens[node]:.6g} S needs more than that at every output, "
            f"{names[node]} has {diagonal[node] - siemens[node]:.6g} S in all"
        )


def _alone(
    ports: PortNetwork,
    polarity: NDArray[np.int8],
    rectifier: Rectifier,
    amps: Doubles,
    lone: Mask,
    names: Sequence[str],
) -> Doubles:
    """Return the volts of nodes that only their rectifier joins to anything."""
    sign = polarity[lone].astype(np.float64)
    inward = sign * amps[:, lone] / ports.weight[lone]
    volts = sign * rectifier.balanced(inward, np.zeros_like(inward)) + 0.0
    undecided = np.isnan(volts) | (sign == 0)
    if undecided.any():
        image, node = np.argwhere(undecided)[0]
        raise NotSettledError(
            f"circuit: no conductance joins {names[int(np.flatnonzero(lone)[node])]} to anything "
            f"(image {image}); nothing decides its voltage, as a "
            "network.g_min_siemens above 0 or a device.meter_ohm would"
        )
    return volts
