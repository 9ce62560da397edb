"""Time constants from the record of a step."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, checked
from hilep.errors import BadInputError


@dataclass(frozen=True, slots=True)
class StepResponse:
    """A step response V(t) = final + sum over k of amplitude_k exp(-t / tau_k).

    Attributes:
        final_v: volts after a long time.
        amplitudes_v: volts (constants,), slowest first.
        time_constants_s: seconds (constants,), slowest first.
        u_final_v: standard uncertainty of `final_v`, volts.
        u_amplitudes_v: of the amplitudes.
        u_time_constants_s: of the time constants.
        residual_sd_v: sd of the record about the fit, volts.
        degrees_of_freedom: of that sd.
        covariance: of (amplitudes, logarithms of the time constants), (2 constants, 2 constants).
    """

    final_v: float
    amplitudes_v: Doubles
    time_constants_s: Doubles
    u_final_v: float
    u_amplitudes_v: Doubles
    u_time_constants_s: Doubles
    residual_sd_v: float
    degrees_of_freedom: int
    covariance: Doubles

    def residual_v(self, time_s: float) -> float:
        """Return what is left of the step at `time_s`, volts, every part counted as positive."""
        return float((np.abs(self.amplitudes_v) * np.exp(-time_s / self.time_constants_s)).sum())


def step_response(
    time_s: ArrayLike,
    volts: ArrayLike,
    constants: Literal[1, 2] | None = None,
    initial_v: float | None = None,
) -> StepResponse:
    """Fit one or two time constants to the record of a step.

    Least squares (scipy's curve_fit) from starting values that the record itself gives.

    Args:
        time_s: seconds since the step (points,).
        volts: volts (points,).
        constants: 1 or 2; unless told two are used where an F test at 0.1 % asks for them.
        initial_v: the voltage at time 0, where it is known; fitted unless told.

    Raises:
        BadInputError: for a record too short, that does not change, or that does not determine
            its time constants (an infinite covariance, or one as large as the constant itself).
    """
    t = checked(time_s, (None,), "settling: time in seconds").astype(np.float64)
    v = checked(volts, t.shape, "settling: volts").astype(np.float64)
    if constants not in (None, 1, 2):
        raise BadInputError(f"settling: expected 1 or 2 time constants, got {constants!r}")
    free = 2 if initial_v is not None else 3
    if t.size <= free or np.unique(t).size <= free or not np.ptp(v) > 0:
        raise BadInputError(
            f"settling: expected more than {free} times and a voltage that changes, got {t.size}"
        )
    order = np.argsort(t, kind="stable")
    t, v = t[order], v[order]
    if constants == 2:
        return _determined(_fit(t, v, 2, initial_v))
    one = _fit(t, v, 1, initial_v)
    if constants == 1 or t.size <= free + 4:
        return _determined(one)
    try:
        two = _determined(_fit(t, v, 2, initial_v))
    except BadInputError:
        return _determined(one)
    return two if _better(one, two) else _determined(one)


def _better(one: StepResponse, two: StepResponse) -> bool:
    from scipy.stats import f

    left = two.residual_sd_v**2 * two.degrees_of_freedom
    gone = one.residual_sd_v**2 * one.degrees_of_freedom - left
    # A record without noise is explained to rounding by either.
    if gone <= 1e-18 * float((one.amplitudes_v**2).sum()):
        return False
    return bool(f.sf(gone / 2 / (left / two.degrees_of_freedom), 2, two.degrees_of_freedom) < 1e-3)


def _determined(response: StepResponse) -> StepResponse:
    relative = response.u_time_constants_s / response.time_constants_s
    if not np.isfinite(response.covariance).all() or not (relative < 1).all():
        raise BadInputError(
            "settling: the record does not determine its time constants: record longer, with more "
            "points early on, or average more steps"
        )
    return response


def _fit(t: Doubles, v: Doubles, constants: int, initial_v: float | None) -> StepResponse:
    from scipy.optimize import OptimizeWarning, curve_fit

    # In units of the step and of the record, so that no tolerance meets volts or seconds.
    scale, span, centre = float(np.ptp(v)), float(t[-1]), float(v[-1])
    x, y = t / span, (v - centre) / scale
    start = None if initial_v is None else (initial_v - centre) / scale

    def unpacked(p: Doubles) -> tuple[float, Doubles, Doubles]:
        final, rates = float(p[0]), np.exp(-p[-constants:])
        amplitudes = p[1:-constants]
        if start is not None:
            amplitudes = np.append(amplitudes, start - final - amplitudes.sum())
        return final, amplitudes, rates

    def model(x: Doubles, *p: float) -> Doubles:
        final, amplitudes, rates = unpacked(np.array(p))
        return np.asarray(final + np.exp(-np.outer(x, rates)) @ amplitudes, dtype=np.float64)

    def jacobian(x: Doubles, *p: float) -> Doubles:
        _, amplitudes, rates = unpacked(np.array(p))
        decays = np.exp(-np.outer(x, rates))
        by_log_tau = decays * np.outer(x, rates * amplitudes)
        one = np.ones((x.size, 1))
        if start is None:
            return np.hstack([one, decays, by_log_tau])
        last = decays[:, -1:]
        return np.hstack([one - last, decays[:, :-1] - last, by_log_tau])

    best: tuple[float, Doubles, Doubles] | None = None
    for guess in _starts(x, y, constants, start):
        with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", OptimizeWarning)
            try:
                p, covariance = curve_fit(
                    model, x, y, guess, jac=jacobian, xtol=1e-12, ftol=1e-14, maxfev=2000
                )
            except (RuntimeError, ValueError):
                continue
        misfit = float(((model(x, *p) - y) ** 2).sum())
        if math.isfinite(misfit) and (best is None or misfit < best[0]):
            best = misfit, p, covariance
    if best is None:
        raise BadInputError("settling: no exponential fits this record of a step")
    misfit, p, covariance = best
    final, amplitudes, rates = unpacked(p)
    # Every quantity as a linear map of the fitted ones, near the optimum.
    full = _map(constants, start is not None) @ covariance @ _map(constants, start is not None).T
    units = np.concatenate([[scale], np.full(constants, scale), np.ones(constants)])
    full = full * np.outer(units, units)
    slowest = np.argsort(rates)
    keep = np.concatenate([[0], 1 + slowest, 1 + constants + slowest])
    full = full[np.ix_(keep, keep)]
    u = np.sqrt(np.abs(np.diag(full)))
    taus = span / rates[slowest]
    degrees = t.size - p.size
    return StepResponse(
        final_v=final * scale + centre,
        amplitudes_v=amplitudes[slowest] * scale,
        time_constants_s=taus,
        u_final_v=float(u[0]),
        u_amplitudes_v=u[1 : 1 + constants],
        u_time_constants_s=u[1 + constants :] * taus,
        residual_sd_v=math.sqrt(misfit / degrees) * scale,
        degrees_of_freedom=degrees,
        covariance=full[1:, 1:],
    )


def _map(constants: int, known_start: bool) -> Doubles:
    """Return the matrix from fitted parameters to (final, amplitudes, logarithms of tau)."""
    if not known_start:
        return np.eye(1 + 2 * constants)
    matrix = np.zeros((1 + 2 * constants, 2 * constants))
    matrix[:constants, :constants] = np.eye(constants)
    matrix[constants, :constants] = -1.0
    matrix[constants + 1 :, constants:] = np.eye(constants)
    return matrix


def _starts(x: Doubles, y: Doubles, constants: int, start: float | None) -> list[list[float]]:
    """Return starting values: the end of the record, its height, and the time to fall to 1/e."""
    last = max(1, x.size // 10)
    final = float(np.median(y[-last:]))
    height = (float(y[0]) if start is None else start) - final
    fallen = np.flatnonzero(np.abs(y - final) < abs(height) / math.e)
    tau = float(x[fallen[0]]) if fallen.size and x[fallen[0]] > 0 else 0.3
    if constants == 1:
        ladder: list[tuple[float, ...]] = [(tau,), (tau / 4,), (tau * 4,)]
    else:
        ladder = [(2 * tau, tau / 3), (1.2 * tau, tau / 10), (5 * tau, tau / 2), (tau, tau / 50)]
    amplitudes = [height / constants] * (constants - (start is not None))
    return [[final, *amplitudes, *(math.log(time) for time in times)] for times in ladder]
