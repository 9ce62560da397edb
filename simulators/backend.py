"""The backend "simulated": its keys in `[device]` and how they become a crossbar."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from hilep.backends import Backend, Relaxation
from hilep.crossbar import Crossbar
from hilep.errors import UnsupportedError
from hilep.network import Network
from hilep.simulators.reading_options import ReadingOptions


class SimulatedOptions(ReadingOptions):
    """Keys of `[device]` for `backend = "simulated"`, besides those of `ReadingOptions`.

    Attributes:
        precision: of the conductances.
        solver: "fast" (numba) or "reference" (numpy); "auto" is fast where numba is installed.
    """

    precision: Literal["float32", "float64"] = "float32"
    solver: Literal["auto", "fast", "reference"] = "auto"

    @model_validator(mode="after")
    def _ohmic(self) -> SimulatedOptions:
        if self.cells is not None and self.cells.nonlinearity_v is not None:
            raise ValueError('device.cells.nonlinearity_v: needs device.backend = "circuit"')
        return self


def build(network: Network, options: SimulatedOptions, relaxation: Relaxation) -> Crossbar:
    """Return the simulated crossbar that `options` describe."""
    import numpy as np

    from hilep.simulators.ideal import SimulatedCrossbar
    from hilep.simulators.solver import Solver

    cells = options.imperfect(network)
    inside = network if cells is None else cells.open(network)
    dtype = np.float32 if options.precision == "float32" else np.float64
    solver: Solver
    try:
        if options.solver == "reference":
            raise ImportError
        from hilep.simulators.fast import FastSolver

        solver = FastSolver(inside, dtype)
    except ImportError as error:
        if options.solver == "fast":
            raise UnsupportedError(
                f'device.solver: "fast" needs numba, which cannot be loaded ({error}); "reference" '
                "does without"
            ) from error
        from hilep.simulators.reference import ReferenceSolver

        solver = ReferenceSolver(inside, dtype)
    return SimulatedCrossbar(
        network,
        options.noise(network),
        solver,
        relaxation.sweeps,
        relaxation.tolerance,
        cells,
        options.thermal,
    )


SIMULATED = Backend(SimulatedOptions, build)
