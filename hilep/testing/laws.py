"""All laws in one class."""

from __future__ import annotations

from hilep.testing.equilibria import EquilibriumLaws
from hilep.testing.interleaving import InterleavingLaws
from hilep.testing.phases import PhaseLaws
from hilep.testing.programming import ProgrammingLaws
from hilep.testing.resuming import ResumingLaws
from hilep.testing.statistics import StatisticsLaws


class CrossbarLaws(
    ProgrammingLaws,
    PhaseLaws,
    EquilibriumLaws,
    StatisticsLaws,
    InterleavingLaws,
    ResumingLaws,
):
    """What every `hilep.crossbar.Crossbar` has to do.

    Subclass it under a name that begins with `Test`, override `build`, and state the device with
    the attributes of `hilep.testing.specimen.Specimen`. Every random draw is seeded. A law about
    noisy reads fails a sound device with a probability of at most one in a million, for normal
    reads whose standard deviation is `sigma_v`.
    """
