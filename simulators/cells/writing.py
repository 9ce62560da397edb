"""What a closed-loop write leaves wrong: an error of each write, and one that each cell keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilep.arrays import Doubles
from hilep.simulators.cells.draws import positive_factors
from hilep.simulators.cells.ranges import not_negative


@dataclass(frozen=True, slots=True)
class WriteNoise:
    """Cycle-to-cycle: a normal error, drawn afresh in every write.

    Standard deviation sqrt(siemens^2 + (relative * target)^2): the independent and the proportional
    error of CrossSim's generic devices (Sandia National Laboratories, "CrossSim", 2023) together.
    Joshi et al., "Accurate deep neural network inference using computational phase-change memory"
    (2020), fit the absolute part with a polynomial of the target.

    Attributes:
        siemens: the part that is the same for every target.
        relative: the part that is a fraction of the target.

    Raises:
        BadInputError: for a negative or infinite number.
    """

    siemens: float = 0.0
    relative: float = 0.0

    def __post_init__(self) -> None:
        not_negative(write_noise_siemens=self.siemens, write_noise_relative=self.relative)

    def deviation(self, targets: Doubles) -> Doubles:
        """Return the standard deviation at each target, siemens."""
        return np.hypot(self.siemens, self.relative * targets)


@dataclass(frozen=True, slots=True)
class WriteGain:
    """Device-to-device: each cell's writes come out by a factor too high or too low, always.

    The reader that verifies a cell sees it through that cell's own line and switch; a loop that is
    closed over them repeats their error in every write.

    Attributes:
        spread: standard deviation between cells of the factor, whose mean is 1.

    Raises:
        BadInputError: for a negative or infinite spread.
    """

    spread: float = 0.0

    def __post_init__(self) -> None:
        not_negative(device_spread_relative=self.spread)

    def factors(self, shape: tuple[int, int], generator: np.random.Generator) -> Doubles:
        """Return each cell's factor (n_pre, n_post), log-normal."""
        return positive_factors(generator, shape, self.spread)
