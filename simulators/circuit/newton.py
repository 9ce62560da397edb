"""Newton's method for circuits whose rectifiers have a smooth or bent law.

The law is the gradient of a convex function, the co-content. Newton's step alone overshoots where
a rectifier begins to conduct, so its end is moved, node by node, to where the rectifier's true
curve meets the load that the node sees. That is taken where it lowers the co-content along the
line to it, which the slope at its end tells without cancellation; else Newton's own step is
halved until it does, which converges from anywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.simulators.circuit.balance import ACCEPTED, AIM, Balance, State
from hilep.simulators.circuit.blocks import IndefiniteError, Mask

MOST_STEPS = 1000
MOST_HALVINGS = 60
PATIENCE = 4
"""Steps without halving the imbalance after which rounding is taken to be reached."""
PAST = 0.1
"""Slope at the end of a step, as a fraction of that at its begin, up to which it may climb."""


def newton(balance: Balance, volts: Doubles) -> tuple[Doubles, int]:
    """Return the volts (batch, n_free) at equilibrium and the number of steps.

    Args:
        balance: the law.
        volts: where to begin (batch, n_free), clamped nodes at their volts.

    Raises:
        NotSettledError: where an image does not reach `ACCEPTED`, or has no unique equilibrium.
        LimitError: where a negative spring leaves none.
    """
    rows = np.arange(volts.shape[0])
    best = balance.state(_projected(balance, volts, rows), rows)
    off = best.off(AIM)
    waited = np.zeros(rows.size, dtype=np.intp)
    now = best.take(rows)
    live = np.flatnonzero(~(off <= 1))
    steps = 0
    while live.size and steps < MOST_STEPS:
        steps += 1
        now = _stepped(balance, now.take(live) if steps == 1 else now, live)
        reached = now.off(AIM)
        better = reached < off[live]
        waited[live] = np.where(reached <= 0.5 * off[live], 0, waited[live] + 1)
        best.put(live[better], now.take(better))
        off[live] = np.where(better, reached, off[live])
        stuck = (waited[live] >= PATIENCE) & (best.take(live).off(ACCEPTED) <= 1)
        going = ~((off[live] <= 1) | stuck)
        live, now = live[going], now.take(going)
    wrong = np.flatnonzero(~(best.off(ACCEPTED) <= 1))
    if wrong.size:
        raise balance.refusal(best, int(wrong[0]))
    return best.volts, steps


def _projected(balance: Balance, volts: Doubles, rows: NDArray[np.intp]) -> Doubles:
    """Return `volts` with every rectifier's node at rest between its neighbours."""
    leaving, _ = balance.linear(volts, rows)
    volts = volts.copy()
    volts[:, balance.at] = balance.alone(leaving[:, balance.at], volts[:, balance.at])
    return volts


def _stepped(balance: Balance, now: State, rows: NDArray[np.intp]) -> State:
    fixed = np.broadcast_to(balance.clamped, now.volts.shape)
    try:
        step = balance.step(now, fixed)
    except IndefiniteError as error:
        raise balance.failure(error, rows) from None
    at, sign = balance.at, balance.sign
    ahead = now.volts + step
    # What leaves through the network at the end of a linear step is what its tangents supply.
    tangent = now.current - now.slope * (sign * step[:, at])
    ahead[:, at] = balance.alone(balance.weight * sign * tangent, ahead[:, at])
    new = balance.state(ahead, rows)
    taken = (new.off(AIM) <= 0.5 * now.off(AIM)) | _lower(now, new, ahead - now.volts)
    if not taken.all():
        short = ~taken
        new.put(short, _halved(balance, now.take(short), step[short], rows[short]))
    return new


def _lower(before: State, after: State, step: Doubles) -> Mask:
    with np.errstate(invalid="ignore", over="ignore"):
        start = np.einsum("bi,bi->b", before.leaving, step)
        end = np.einsum("bi,bi->b", after.leaving, step)
        return np.asarray((start < 0) & (end <= -PAST * start))


def _halved(balance: Balance, now: State, step: Doubles, rows: NDArray[np.intp]) -> State:
    """Return the state after the longest of 1, 1/2, 1/4 ... of `step` that does not climb."""
    new = now.take(np.arange(rows.size))
    left = np.arange(rows.size)
    factor = 1.0
    for _ in range(MOST_HALVINGS):
        part = factor * step[left]
        trial = balance.state(now.volts[left] + part, rows[left])
        fine = _lower(now.take(left), trial, part)
        new.put(left[fine], trial.take(fine))
        left = left[~fine]
        if not left.size:
            break
        factor *= 0.5
    return new
