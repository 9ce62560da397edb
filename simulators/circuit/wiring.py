"""What joins cells, sources and readers: resistance of lines, sources and meters, capacitance."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hilep.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Wiring:
    """Resistances and capacitances around the cells; the default is ideal.

    In every array a word line joins its pre node to the cells of its row, beginning at column 0; a
    bit line joins the cells of its column to its post node, which is at the end, after the last
    row. One segment lies between a node and the first cell and between neighbouring cells.

    Attributes:
        word_ohm: resistance of each segment of a word line.
        bit_ohm: resistance of each segment of a bit line.
        source_ohm: between each clamp source, bias rows included, and its word line.
        meter_ohm: from each free node to ground: the input resistance of its reader.
        node_farads: capacitance of each free node to ground.

    Raises:
        BadInputError: for a negative resistance or capacitance, or meters of 0 ohm.
    """

    word_ohm: float = 0.0
    bit_ohm: float = 0.0
    source_ohm: float = 0.0
    meter_ohm: float = math.inf
    node_farads: float = 0.0

    def __post_init__(self) -> None:
        for name in ("word_ohm", "bit_ohm", "source_ohm", "node_farads"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise BadInputError(f"device.{name}: expected a finite number >= 0, got {value}")
        if not self.meter_ohm > 0:
            raise BadInputError(f"device.meter_ohm: expected ohms > 0, got {self.meter_ohm}")

    @property
    def meter_siemens(self) -> float:
        """Conductance from each free node to ground."""
        return 1.0 / self.meter_ohm
