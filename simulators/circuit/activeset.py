"""Circuits with ideal diodes: which of them hold their node, and the volts that follow.

Primal-dual active sets (Hintermueller, Ito and Kunisch, "The primal-dual active set strategy as a
semismooth Newton method", 2003): solve with a set of nodes held at their bias, then hold the nodes
that fell below it and release those that their diode would have to push the wrong way. It ends
after a few solves, nearly always; an image that comes back to a set goes to least-index pivoting,
which ends for every positive definite matrix (Murty, "Note on a Bard-type scheme for solving the
complementarity problem", 1974).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import NotSettledError
from hilep.simulators.circuit.balance import ACCEPTED, AIM, Balance, State
from hilep.simulators.circuit.blocks import IndefiniteError, Mask

MOST_ROUNDS = 25
MOST_PIVOTS = 20_000
MOST_REFINEMENTS = 4


def active_set(balance: Balance, volts: Doubles) -> tuple[Doubles, int]:
    """Return the volts (batch, n_free) at equilibrium and the number of solves.

    Args:
        balance: the law.
        volts: where to begin (batch, n_free), clamped nodes at their volts.

    Raises:
        NotSettledError: where an image has no unique equilibrium, or rounding hides it.
        LimitError: where a negative spring leaves none.
    """
    rows = np.arange(volts.shape[0])
    volts = volts.copy()
    state = balance.state(volts, rows)
    force = balance.sign * state.leaving[:, balance.at] / balance.weight
    margin = balance.sign * volts[:, balance.at] - balance.rectifier.bias_v
    held = balance.load * margin < force
    live, solves = rows, 0
    while live.size and solves < MOST_ROUNDS:
        solves += 1
        now = _solved(balance, volts[live], held[live], live)
        volts[live] = now.volts
        release, catch = _violated(balance, now, held[live])
        held[live] = (held[live] & ~release) | catch
        live = live[(release | catch).any(axis=1)]
    for row in live:
        image = np.array([row])
        volts[image], held[image] = _pivoted(balance, volts[image], held[image], image)
    return _finished(balance, volts, held, rows), solves


def _solved(balance: Balance, volts: Doubles, held: Mask, rows: NDArray[np.intp]) -> State:
    """Return the state with `held` diodes at their bias and every other node in balance."""
    volts = _at_bias(balance, volts, held)
    fixed = _fixed(balance, held)
    state = balance.state(volts, rows)
    try:
        return balance.state(volts + balance.step(state, fixed), rows)
    except IndefiniteError as error:
        raise balance.failure(error, rows) from None


def _at_bias(balance: Balance, volts: Doubles, held: Mask) -> Doubles:
    volts = volts.copy()
    bias = balance.sign * balance.rectifier.bias_v + 0.0
    volts[:, balance.at] = np.where(held, bias, volts[:, balance.at])
    return volts


def _fixed(balance: Balance, held: Mask) -> Mask:
    fixed = np.tile(balance.clamped, (held.shape[0], 1))
    fixed[:, balance.at] |= held
    return fixed


def _violated(balance: Balance, now: State, held: Mask) -> tuple[Mask, Mask]:
    """Return which held nodes to release and which others to hold.

    Beyond rounding: a node at its corner may count as either.
    """
    at = balance.at
    rounding = ACCEPTED * now.scale[:, at]
    release = held & (balance.sign * now.leaving[:, at] < -rounding)
    margin = balance.sign * now.volts[:, at] - balance.rectifier.bias_v
    catch = ~held & (margin * balance.blocks.diagonal[at] < -rounding)
    return release, catch


def _pivoted(
    balance: Balance, volts: Doubles, held: Mask, image: NDArray[np.intp]
) -> tuple[Doubles, Mask]:
    for _ in range(MOST_PIVOTS):
        now = _solved(balance, volts, held, image)
        volts = now.volts
        release, catch = _violated(balance, now, held)
        wrong = np.flatnonzero((release | catch)[0])
        if not wrong.size:
            return volts, held
        held = held.copy()
        held[0, wrong[0]] ^= True
    raise NotSettledError(
        f"circuit: no set of conducting diodes in {MOST_PIVOTS} pivots (image {int(image[0])})"
    )


def _finished(balance: Balance, volts: Doubles, held: Mask, rows: NDArray[np.intp]) -> Doubles:
    """Return `volts` refined until the law is met as well as rounding allows."""
    for _ in range(MOST_REFINEMENTS):
        off = _free_state(balance, volts, held, rows)
        if (off.off(AIM) <= 1).all():
            break
        volts = _solved(balance, volts, held, rows).volts
    # A free node that rounding left just below its bias is at it.
    u = balance.sign * volts[:, balance.at]
    volts = _at_bias(balance, volts, held | (u < balance.rectifier.bias_v))
    off = _free_state(balance, volts, held, rows)
    wrong = np.flatnonzero(~(off.off(ACCEPTED) <= 1))
    if wrong.size:
        raise balance.refusal(off, int(wrong[0]))
    return volts


def _free_state(balance: Balance, volts: Doubles, held: Mask, rows: NDArray[np.intp]) -> State:
    """Return the state, where what leaves a held node is what its diode supplies."""
    state = balance.state(volts, rows)
    state.leaving[:, balance.at] = np.where(held, 0.0, state.leaving[:, balance.at])
    return state
