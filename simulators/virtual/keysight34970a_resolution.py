"""Integration time and resolution of the Keysight 34970A.

After "Agilent 34970A/34972A Data Acquisition / Switch Unit User's Guide", 34972-90001, chapter 4,
"Resolution" and "Integration time".
"""

from __future__ import annotations

from hilep.simulators.virtual.parameters import Number, number, spelled
from hilep.simulators.virtual.scpi_errors import ScpiError

RESOLUTIONS = (
    (0.02, 1e-4), (0.2, 1e-5), (1, 3e-6), (2, 2.2e-6), (10, 1e-6), (20, 8e-7), (100, 3e-7),
    (200, 2.2e-7),
)  # fmt: skip
"""NPLC and resolution over range ."""
_CYCLES = tuple(nplc for nplc, _ in RESOLUTIONS)


class Cycles(Number):
    """An integration time: the next of those that the converter has."""

    def read(self, text: str) -> float:
        """Return the number of power line cycles."""
        wanted = super().read(text)
        return float(next(nplc for nplc in _CYCLES if nplc >= wanted * (1 - 1e-9)))


def cycles_for(text: str, span: float) -> float:
    """Return the power line cycles that give a resolution, in volts."""
    if spelled(text, "MINimum"):
        return 200.0
    if spelled(text, "MAXimum"):
        return 0.02
    wanted = number(text, "V") / span * (1 + 1e-9)
    held = next((nplc for nplc, fraction in RESOLUTIONS if fraction <= wanted), None)
    if held is None:
        raise ScpiError(-222)
    return float(held)
