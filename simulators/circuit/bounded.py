"""One Newton step in which ideal diodes bound some of the unknowns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import NotSettledError
from hilep.simulators.circuit.branches import Indices

MOST_PIVOTS = 20_000
PATIENCE = 10
"""Pivots of all violated bounds at once that may bring no gain before one is taken at a time."""
EPS = float(np.finfo(np.float64).eps)


class SingularError(Exception):
    """The equations have no unique solution; `unknown` is the least held of them."""

    def __init__(self, unknown: int) -> None:
        super().__init__(unknown)
        self.unknown = unknown


@dataclass(frozen=True, slots=True)
class Step:
    """Where a Newton step leads.

    Attributes:
        change: of every unknown (size,).
        held: which of the bounded unknowns are at their bound.
        errors: bound on what rounding does to the step, per unknown at 1 V everywhere (size,);
            a negative one shows that the equations are not those of a minimum.
    """

    change: Doubles
    held: NDArray[np.bool_]
    errors: Doubles


def bounded_step(
    matrix: Any,
    leaving: Doubles,
    x: Doubles,
    at: Indices,
    polarity: Doubles,
    bias_v: float,
) -> Step:
    """Return the change d that minimises d'Md/2 + leaving'd while polarity * (x + d) >= bias_v.

    Violated bounds are all flipped at once while that lessens their number, and else the last one
    alone, which ends for every positive definite matrix (Judice and Pires, "A block principal
    pivoting algorithm for large-scale strictly monotone linear complementarity problems", 1994).

    Args:
        matrix: sparse, symmetric (size, size), no positive entry off its diagonal.
        leaving: (size,).
        x: (size,), within its bounds.
        at: indices of the bounded unknowns (n,).
        polarity: +1 or -1 (n,).
        bias_v: of all bounds.

    Raises:
        SingularError: for a singular matrix.
        NotSettledError: where the pivots do not end.
    """
    magnitudes = abs(matrix).sum(axis=1)
    held = polarity * x[at] <= bias_v
    best, patience = at.size + 1, PATIENCE
    for _ in range(MOST_PIVOTS):
        step = _solved(matrix, magnitudes, leaving, x, at, polarity, bias_v, held)
        if not at.size:
            return step
        after, spare = _judged(x, step)
        below = ~held & (polarity * after[at] < bias_v - spare)
        drawn = -polarity * (matrix @ step.change + leaving)[at]
        with np.errstate(over="ignore"):
            hidden = magnitudes[at] * spare
        wrong = np.flatnonzero(below | (held & (drawn > hidden)))
        if not wrong.size:
            tied = held & (np.abs(drawn) <= hidden)
            if not (tied.any() and after.any()):
                return step
            free = _solved(matrix, magnitudes, leaving, x, at, polarity, bias_v, held & ~tied)
            return _preferred(step, free, x, at, polarity, bias_v)
        if wrong.size < best:
            best, patience = wrong.size, PATIENCE
        elif patience:
            patience -= 1
        else:
            wrong = wrong[-1:]
        held[wrong] ^= True
    raise NotSettledError(f"circuit: no set of conducting diodes in {MOST_PIVOTS} pivots")


def _judged(x: Doubles, step: Step) -> tuple[Doubles, float]:
    """Return the volts after a step, and those by which rounding may have moved them."""
    after = x + step.change
    doubt = float(np.abs(step.errors).max(initial=0.0))
    return after, 16 * EPS * np.abs(after).max() + 4 * doubt * np.abs(step.change).max()


def _preferred(
    held: Step, free: Step, x: Doubles, at: Indices, polarity: Doubles, bias_v: float
) -> Step:
    """Return the step with its ties free where their bounds allow it, else with them held.

    Rounding hides the currents of ties. Held they would hide how little else decides their volts,
    so the errors are those without them.
    """
    after, spare = _judged(x, free)
    if (free.held | (polarity * after[at] >= bias_v - spare)).all():
        return free
    negative = free.errors.min(initial=0.0) < 0
    errors = free.errors if negative else np.maximum(held.errors, free.errors)
    return Step(held.change, held.held, errors)


def _solved(
    matrix: Any,
    magnitudes: Doubles,
    leaving: Doubles,
    x: Doubles,
    at: Indices,
    polarity: Doubles,
    bias_v: float,
    held: NDArray[np.bool_],
) -> Step:
    from scipy.sparse.linalg import splu

    change = np.zeros(x.size)
    bound = at[held]
    change[bound] = polarity[held] * bias_v - x[bound]
    rest = np.ones(x.size, dtype=bool)
    rest[bound] = False
    some = np.flatnonzero(rest)
    errors = np.zeros(x.size)
    if not some.size:
        return Step(change, held.copy(), errors)
    right = -(leaving + matrix @ change)[some]
    inner = matrix[some][:, some].tocsc() if some.size < x.size else matrix
    try:
        factor = splu(
            inner,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
    except RuntimeError as error:
        # The row that its own entries hold least is where a conductance is missing.
        own, of = np.asarray(inner.sum(axis=1)), magnitudes[some]
        share = np.divide(own, of, out=np.zeros_like(own), where=of > 0)
        raise SingularError(int(some[np.argmin(share)])) from error
    change[some] = factor.solve(right)
    # The matrix has no positive entry off its diagonal, so its inverse has no negative entry
    # exactly if it is positive definite, and then this bounds the effect of errors of either sign.
    errors[some] = factor.solve(EPS * magnitudes[some])
    return Step(change, held.copy(), errors)
