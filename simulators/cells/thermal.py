"""Johnson-Nyquist noise: what conductances at a temperature add to the voltages of their nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, checked
from hilep.errors import BadInputError
from hilep.simulators.cells.ranges import not_negative

BOLTZMANN = 1.380649e-23
"""Joules per kelvin, exact in the SI."""


@dataclass(frozen=True, slots=True)
class ThermalNoise:
    """Thermal noise seen through a bandwidth.

    Nyquist, "Thermal agitation of electric charge in conductors" (1928), for one conductance;
    Twiss, "Nyquist's and Thevenin's theorems generalized for nonreciprocal linear networks" (1955),
    for the nodes of a network: the covariance of their voltages is 4 k T B times the resistance
    matrix. It holds for a linear network at one temperature whose capacitances do not matter within
    the bandwidth. A node that a source or a conducting ideal diode holds has no noise and belongs
    to ground; an amplifier adds noise of its own, which is not here.

    Attributes:
        kelvin: temperature of all conductances.
        hertz: noise-equivalent bandwidth of the reader.

    Raises:
        BadInputError: for a negative or infinite number.
    """

    kelvin: float
    hertz: float

    def __post_init__(self) -> None:
        not_negative(temperature_k=self.kelvin, bandwidth_hz=self.hertz)

    @property
    def watts(self) -> float:
        """4 k T B: variance of a voltage per ohm, and of a current per siemens."""
        return 4 * BOLTZMANN * self.kelvin * self.hertz

    def amps(self, siemens: ArrayLike) -> Doubles:
        """Return the standard deviation of the short-circuit current of conductances (...)."""
        return np.sqrt(self.watts * np.asarray(siemens, dtype=np.float64))

    def covariance(self, admittance: ArrayLike) -> Doubles:
        """Return the covariance (n, n) of the free nodes' voltages, V^2.

        Args:
            admittance: siemens (n, n), symmetric and positive definite: the sum of conductances at
                each free node on its diagonal, minus those between two off it.

        Raises:
            BadInputError: for a matrix that is neither.
        """
        factor = self._inverse_factor(admittance)
        return np.asarray(self.watts * (factor.T @ factor))

    def deviation(self, admittance: ArrayLike) -> Doubles:
        """Return the standard deviation (n,) of each free node's voltage; see `covariance`."""
        factor = self._inverse_factor(admittance)
        return np.asarray(np.sqrt(self.watts * np.einsum("ki,ki->i", factor, factor)))

    def draw(self, admittance: ArrayLike, count: int, generator: np.random.Generator) -> Doubles:
        """Return `count` independent draws (count, n) of the voltages; see `covariance`."""
        factor = self._inverse_factor(admittance)
        drawn = generator.standard_normal((count, factor.shape[0]))
        return np.asarray(np.sqrt(self.watts) * (drawn @ factor))

    def _inverse_factor(self, admittance: ArrayLike) -> Doubles:
        """Return inv(L) with admittance = L L^T, so that inv(L)^T inv(L) is the resistance."""
        matrix = checked(admittance, (None, None), "thermal noise: admittance").astype(np.float64)
        if matrix.shape[0] != matrix.shape[1] or not np.allclose(matrix, matrix.T, 1e-9, 0.0):
            raise BadInputError(
                f"thermal noise: expected a symmetric admittance, got {matrix.shape}"
            )
        # Scaled to ones on the diagonal: conductances may span many decades.
        scale = np.sqrt(np.diagonal(matrix).clip(min=0))
        if not scale.all():
            raise BadInputError(
                f"thermal noise: node {int(np.argmin(scale))} has no conductance to anything"
            )
        try:
            factor = np.linalg.cholesky(matrix / np.outer(scale, scale))
        except np.linalg.LinAlgError as error:
            raise BadInputError(
                "thermal noise: expected a positive definite admittance; some nodes are joined to "
                "no source"
            ) from error
        return np.asarray(np.linalg.solve(factor, np.diag(1 / scale)))
