"""The backend "simulated": its keys in `[device]` and how they become a crossbar."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hilep.backends import Backend, Relaxation
from hilep.config import NotNegative, Positive, Section
from hilep.crossbar import Crossbar
from hilep.errors import UnsupportedError
from hilep.network import Network
from hilep.streams import stream


class SimulatedOptions(Section):
    """Keys of `[device]` for `backend = "simulated"`.

    Attributes:
        sigma_v: standard deviation of a read in volts, for all free nodes or one each.
        clamped_noise: the input nodes are read too, with the same sigma.
        adc_bits, adc_range_v: a converter from -range to +range; both or none.
        precision: of the conductances.
        solver: "fast" (numba) or "reference" (numpy); "auto" is fast where numba is installed.
        seed: of the noise.
    """

    sigma_v: NotNegative | list[NotNegative] = 0.0
    clamped_noise: bool = False
    adc_bits: Annotated[int, Field(ge=1, le=32)] | None = None
    adc_range_v: Positive | None = None
    precision: Literal["float32", "float64"] = "float32"
    solver: Literal["auto", "fast", "reference"] = "auto"
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _whole(self) -> SimulatedOptions:
        if (self.adc_bits is None) != (self.adc_range_v is None):
            raise ValueError("give adc_bits and adc_range_v, both or none")
        if self.clamped_noise and isinstance(self.sigma_v, list):
            raise ValueError("clamped_noise needs one sigma_v for all nodes, not a list")
        return self


def build(network: Network, options: SimulatedOptions, relaxation: Relaxation) -> Crossbar:
    """Return the simulated crossbar that `options` describe."""
    import numpy as np

    from hilep.simulators.ideal import SimulatedCrossbar
    from hilep.simulators.noise import Converter, ReadNoise
    from hilep.simulators.solver import Solver

    dtype = np.float32 if options.precision == "float32" else np.float64
    solver: Solver
    try:
        if options.solver == "reference":
            raise ImportError
        from hilep.simulators.fast import FastSolver

        solver = FastSolver(network, dtype)
    except ImportError as error:
        if options.solver == "fast":
            raise UnsupportedError(
                f'device.solver: "fast" needs numba, which cannot be loaded ({error}); "reference" '
                "does without"
            ) from error
        from hilep.simulators.reference import ReferenceSolver

        solver = ReferenceSolver(network, dtype)
    converter = None
    if options.adc_bits is not None and options.adc_range_v is not None:
        converter = Converter(options.adc_bits, options.adc_range_v)
    clamped_sigma = 0.0
    if options.clamped_noise and not isinstance(options.sigma_v, list):
        clamped_sigma = options.sigma_v
    noise = ReadNoise(
        network, options.sigma_v, stream(options.seed, "noise"), clamped_sigma, converter
    )
    return SimulatedCrossbar(network, noise, solver, relaxation.sweeps, relaxation.tolerance)


SIMULATED = Backend(SimulatedOptions, build)
