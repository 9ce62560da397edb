"""The supply: volts for rectifiers, diodes' biases and amplifiers."""

from __future__ import annotations

from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.instruments.sourcerole import SourceRole


class VoltageSupply(SourceRole):
    """SMU channels in voltage mode, or analog outputs, at fixed volts."""

    def apply(self, volts: ArrayLike) -> Doubles:
        """Set volts (channels,); return the volts achieved."""
        self.sources.send(self.levels(volts))
        return self.achieved()
