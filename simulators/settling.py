"""Relaxing a network to where it counts as settled: so many sweeps, or a tolerance."""

from __future__ import annotations

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import NotSettledError
from hilep.simulators.pull import Drive, Pull
from hilep.simulators.solver import Solver

MOST_SWEEPS = 100_000
"""Sweeps after which a relaxation to a tolerance gives up."""
SWEEPS_BETWEEN_CHECKS = 8


def settle(
    solver: Solver,
    drive: Drive,
    pull: Pull,
    volts: Doubles,
    sweeps: int | None,
    tolerance: float | None,
) -> None:
    """Relax `volts` in place.

    Args:
        solver: holds the conductances.
        drive: the clamped inputs.
        pull: what a nudge does to the outputs.
        volts: where to begin, changed in place (batch, n_free).
        sweeps: how many; None to relax to `tolerance`.
        tolerance: largest imbalance of currents at any node, as a fraction of its currents.

    Raises:
        NotSettledError: where the tolerance is not reached, or voltages grow without end.
    """
    if sweeps is not None:
        solver.relax(drive, volts, pull, sweeps)
        return
    assert tolerance is not None
    for _ in range(MOST_SWEEPS // SWEEPS_BETWEEN_CHECKS):
        solver.relax(drive, volts, pull, SWEEPS_BETWEEN_CHECKS)
        off = solver.residual(drive, volts, pull)
        if off <= tolerance:
            return
        if not np.isfinite(off):
            raise NotSettledError(
                "relaxation: voltages grow without end; a negative spring or a conductance that "
                "is not finite leaves no equilibrium"
            )
    raise NotSettledError(
        f"relaxation: imbalance {off:.3g} after {MOST_SWEEPS} sweeps, expected <= "
        f"{tolerance:.3g} (training.relaxation_tolerance)"
    )
