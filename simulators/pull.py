"""What inputs and nudge do to the free nodes, in the terms of eq. (6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilep.arrays import Doubles, Floats
from hilep.errors import LimitError


@dataclass(frozen=True, slots=True)
class Drive:
    """A batch of inputs and, where a solver formed them ahead, their currents.

    Attributes:
        inputs: volts as clamped, in the solver's precision (batch, n_in).
        amps: currents into the first free layer (batch, n_1), or None.
    """

    inputs: Floats
    amps: Doubles | None = None

    @property
    def batch(self) -> int:
        """Number of images."""
        return int(self.inputs.shape[0])


@dataclass(frozen=True, slots=True)
class Pull:
    """A current and a conductance added at every output, or volts that hold them.

    Attributes:
        amps: current into the outputs (batch, n_out), a spring's siemens * target included.
        siemens: a spring's conductance, negative for a negative nudge; 0 for a current.
        targets: volts at the spring's other end (batch, n_out), or None.
        clamped: volts that hold the outputs (batch, n_out), or None.
    """

    amps: Doubles
    siemens: float = 0.0
    targets: Doubles | None = None
    clamped: Doubles | None = None

    @classmethod
    def none(cls, batch: int, outputs: int) -> Pull:
        """Return the free phase."""
        return cls(np.zeros((batch, outputs)))

    @classmethod
    def spring(cls, siemens: float, targets: Floats) -> Pull:
        """Return a spring of `siemens` to `targets`; infinity clamps."""
        volts = np.asarray(targets, dtype=np.float64)
        if np.isinf(siemens):
            return cls(np.zeros_like(volts), 0.0, None, volts)
        return cls(siemens * volts, siemens, volts)

    def require_equilibrium(self, output_siemens: Doubles) -> None:
        """Refuse a negative spring under which an output has no equilibrium.

        Necessary, not sufficient: an output whose hidden nodes float has less conductance to the
        clamped nodes than in all. Relaxing to a tolerance finds out; a number of sweeps does not.

        Args:
            output_siemens: each output's total conductance without the spring (n_out,).

        Raises:
            LimitError: naming the output.
        """
        if self.siemens < 0:
            weakest = int(np.argmin(output_siemens))
            if output_siemens[weakest] + self.siemens <= 0:
                raise LimitError(
                    f"nudge: a spring of {self.siemens:.6g} S needs more than that at every "
                    f"output, output {weakest} has {output_siemens[weakest]:.6g} S in all"
                )
