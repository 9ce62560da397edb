"""What stands around the cells of a network on a virtual bench."""

from __future__ import annotations

from dataclasses import dataclass

from hilep.simulators.circuit.rectifiers import IdealDiode, Rectifier
from hilep.simulators.circuit.wiring import Wiring

_IDEAL_WIRING = Wiring()
_IDEAL_DIODE = IdealDiode()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands around the cells of a network on a bench.

    Attributes:
        wiring: resistance of lines, sources and meters, capacitance of free nodes.
        rectifier: at every hidden node that has a polarity.
        contact_ohm: of a closed relay.
        leakage_siemens: from every node to ground, as insulation has: what nothing else joins to
            anything is at 0 V.
        kelvin: temperature of the conductances, for thermal noise; 0 for none.
        shared_bias, parted, extra: see `CrossbarNodes`.
        supplies: terminals that have to stand at these volts, to a tenth, for rectifiers to work.
        supply_siemens: what each of them loads its source with.
        source_farads: of every row that a source feeds through `wiring.source_ohm`.
        transients: whether capacitances take their time; else what is measured is at rest.
    """

    wiring: Wiring = _IDEAL_WIRING
    rectifier: Rectifier = _IDEAL_DIODE
    contact_ohm: float = 1.0
    leakage_siemens: float = 1e-14
    kelvin: float = 0.0
    shared_bias: bool = True
    parted: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    supplies: tuple[tuple[str, float], ...] = ()
    supply_siemens: float = 1e-4
    source_farads: float = 0.0
    transients: bool = False
