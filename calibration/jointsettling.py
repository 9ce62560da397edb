"""Time constants that all nodes have in common, from the records of one kind of step.

The nodes of a circuit settle with the same few time constants, each with amplitudes of its own.
Fitted together they are found far better than from each record alone: those of the nodes that move
most serve all. Amplitudes are linear and are eliminated (Golub and Pereyra, "The differentiation of
pseudo-inverses and nonlinear least squares problems whose variables separate", 1973).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from hilep.arrays import Doubles
from hilep.calibration.settling import StepResponse
from hilep.errors import BadInputError

LACKING = 0.01
"""Probability at which a fit that the noise explains is taken for one that it does not."""
FEWEST = 12
"""Points of a record, at least: the earliest are left out where more time constants show there."""


@dataclass(frozen=True, slots=True)
class _Fit:
    logs: Doubles
    chi2: float
    degrees: int


def joint_responses(time_s: Doubles, volts: Doubles, sd_v: Doubles) -> list[StepResponse]:
    """Fit one or two time constants to the records of all nodes together.

    Where two do not explain the records within their noise, the earliest points are left out, one
    after the other: what is over early does not matter for the delay. Amplitudes are always those
    at time 0.

    Args:
        time_s: seconds since the step (points, nodes), ascending.
        volts: (points, nodes).
        sd_v: of the noise of `volts` (nodes,).

    Raises:
        BadInputError: for too few points, or records that determine no time constant.
    """
    from scipy.stats import chi2

    points = time_s.shape[0]
    if points < FEWEST:
        raise BadInputError(f"settling: expected {FEWEST} points or more, got {points}")
    scale = np.maximum(sd_v, 1e-9 * np.ptp(volts, axis=0))
    best: tuple[float, int, _Fit] | None = None
    for first in range(points - FEWEST + 1):
        for constants in (1, 2):
            try:
                fit = _fitted(time_s[first:], volts[first:], scale, constants)
                _responses(time_s[first:], volts[first:], scale, fit)
            except BadInputError:
                continue
            if best is None or fit.chi2 / fit.degrees < best[0]:
                best = fit.chi2 / fit.degrees, first, fit
            if chi2.sf(fit.chi2, fit.degrees) > LACKING:
                return _responses(time_s[first:], volts[first:], scale, fit)
    if best is None:
        raise BadInputError(
            "settling: the records do not determine their time constants: record longer, with more "
            "points early on, or average more steps"
        )
    return _responses(time_s[best[1] :], volts[best[1] :], scale, best[2])


def _columns(time_s: Doubles, logs: Doubles) -> Doubles:
    """Return 1 and the decays (nodes, points, 1 + constants)."""
    decays = np.exp(-time_s.T[..., None] / np.exp(logs))
    return np.concatenate([np.ones((*decays.shape[:2], 1)), decays], axis=2)


def _amplitudes(columns: Doubles, volts: Doubles) -> tuple[Doubles, Doubles]:
    """Return the best final volts and amplitudes (nodes, 1 + constants), and what is left."""
    solved = np.linalg.pinv(columns) @ volts.T[..., None]
    return solved[..., 0], volts.T - (columns @ solved)[..., 0]


def _fitted(time_s: Doubles, volts: Doubles, scale: Doubles, constants: int) -> _Fit:
    from scipy.optimize import least_squares

    def misfit(logs: Doubles) -> Doubles:
        within = np.clip(logs, math.log(span) - 20, math.log(span) + 20)
        _, left = _amplitudes(_columns(time_s, within), volts)
        return np.asarray((left / scale[:, None]).ravel())

    span = float(np.ptp(time_s))
    shortest = max(float(np.diff(time_s, axis=0).mean()) / 10, span / 1e4)
    grid = np.log(np.geomspace(shortest, span, 9))
    guesses = list(itertools.combinations(grid, constants))
    start = min(guesses, key=lambda guess: float((misfit(np.array(guess)) ** 2).sum()))
    found = least_squares(misfit, np.array(start), method="lm", xtol=1e-12, ftol=1e-12)
    logs = np.sort(found.x)[::-1]
    if (
        not np.isfinite(logs).all()
        or logs[0] > math.log(span) + 3
        or logs[-1] < math.log(span) - 16
    ):
        raise BadInputError("settling: no exponential fits these records")
    degrees = volts.size - volts.shape[1] * (1 + constants) - constants
    return _Fit(logs, float((misfit(logs) ** 2).sum()), degrees)


def _responses(time_s: Doubles, volts: Doubles, scale: Doubles, fit: _Fit) -> list[StepResponse]:
    columns = _columns(time_s, fit.logs)
    found, left = _amplitudes(columns, volts)
    spread = max(1.0, fit.chi2 / fit.degrees)
    inverse = np.linalg.pinv(columns)
    decays = columns[..., 1:] * time_s.T[..., None] / np.exp(fit.logs)
    by_log = decays * found[:, None, 1:]
    # How the amplitudes follow the time constants, and what of these no amplitude can imitate.
    follow = inverse @ by_log
    own = by_log - columns @ follow
    information = ((np.swapaxes(own, 1, 2) @ own) / scale[:, None, None] ** 2).sum(axis=0)
    try:
        logs = np.linalg.inv(information) * spread
    except np.linalg.LinAlgError:
        raise BadInputError("settling: a time constant without an amplitude") from None
    u_logs = np.sqrt(np.diag(logs))
    if not np.isfinite(u_logs).all() or (u_logs > 0.5).any():
        raise BadInputError("settling: the records do not determine their time constants")
    taus, responses = np.exp(fit.logs), []
    for node in range(found.shape[0]):
        alone = inverse[node] @ inverse[node].T * (scale[node] ** 2 * spread)
        whole = alone + follow[node] @ logs @ follow[node].T
        across = -follow[node] @ logs
        covariance = np.block([[whole[1:, 1:], across[1:]], [across[1:].T, logs]])
        responses.append(
            StepResponse(
                final_v=float(found[node, 0]),
                amplitudes_v=found[node, 1:],
                time_constants_s=taus,
                u_final_v=math.sqrt(whole[0, 0]),
                u_amplitudes_v=np.sqrt(np.diag(whole))[1:],
                u_time_constants_s=u_logs * taus,
                residual_sd_v=float(np.sqrt((left[node] ** 2).mean())),
                degrees_of_freedom=fit.degrees,
                covariance=covariance,
            )
        )
    return responses
