"""The clamp: inputs and bias rows at their volts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.instruments.sourcerole import SourceRole
from hilep.instruments.sources import Sources
from hilep.instruments.wiring import Line


class VoltageClamp(SourceRole):
    """SMU channels in voltage mode, or analog outputs, on the input rows and the bias rows.

    Args:
        sources: every source of the bench.
        lines: channels of the inputs.
        bias_lines: channels of the bias rows, plus and minus in turn.
        bias_volts: of one pair of bias rows; (0,) without any.
    """

    def __init__(
        self,
        sources: Sources,
        lines: Sequence[Line],
        bias_lines: Sequence[Line],
        bias_volts: ArrayLike,
    ) -> None:
        super().__init__(sources, lines)
        pair = np.asarray(bias_volts, np.float64)
        volts = np.resize(pair, len(bias_lines)).tolist() if bias_lines else []
        self.bias = dict(zip(bias_lines, volts, strict=True))

    def apply(self, volts: ArrayLike) -> Doubles:
        """Set the inputs to `volts` (n_in,), bias rows included; return the volts achieved."""
        self.sources.send(self.levels(volts))
        return self.achieved()

    def levels(self, values: ArrayLike) -> dict[Line, float]:
        """Return the level of each channel, bias rows included, for `values` (n_in,)."""
        return {**super().levels(values), **self.bias}

    def zeros(self) -> dict[Line, float]:
        """Return 0 V for every channel."""
        return dict.fromkeys((*self.lines, *self.bias), 0.0)
