"""What holds the conductances of a simulated crossbar, and what relaxes the ideal network."""

from __future__ import annotations

from typing import Protocol

from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats
from hilep.reading import Update
from hilep.simulators.pull import Drive, Pull


class Holder(Protocol):
    """Holds the conductances, forms the currents of inputs and adds updates.

    Attributes:
        name: for the log and the run file.
        bias_currents: amperes (n_free,), changed in place by who programs them.
    """

    name: str
    bias_currents: Doubles

    @property
    def conductances(self) -> list[Floats]:
        """Siemens, one array or view (n_pre, n_post) per layer."""

    def load(self, conductances: list[Floats]) -> None:
        """Take over conductances in siemens, one (n_pre, n_post) per layer."""

    def held(self, inputs: ArrayLike) -> Drive | None:
        """Return the currents of `inputs` (batch, n_in) if the last update formed them."""

    def forward(self, inputs: Floats) -> Drive:
        """Form the currents of `inputs` (batch, n_in) for the phases of an update."""

    def glance(self, inputs: Floats) -> Drive:
        """Form the currents of `inputs` for a look, and leave the next update's alone."""

    def output_siemens(self) -> Doubles:
        """Return each output's total conductance (n_out,)."""

    def add(self, update: Update, clip: bool, next_inputs: Floats | None) -> None:
        """Add an update, clip to the window where asked, and prepare the next inputs."""


class Solver(Holder, Protocol):
    """A holder that relaxes the ideal network, sweep by sweep."""

    def relax(self, drive: Drive, volts: Doubles, pull: Pull, sweeps: int) -> None:
        """Sweep eq. (6) over `volts` (batch, n_free), in place."""

    def residual(self, drive: Drive, volts: Doubles, pull: Pull) -> float:
        """Return the largest imbalance of currents, as a fraction of a node's currents."""
