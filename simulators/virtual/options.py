"""`[virtual]` of a bench file: what its virtual twin is made of."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, StrictStr, model_validator

from hilep.config import NotNegative, Positive, Section
from hilep.simulators.cells.options import CellOptions
from hilep.simulators.circuit.wiring import Wiring
from hilep.simulators.virtual.switching import Switching

Finite = Annotated[float, Field(allow_inf_nan=False)]
Lines = Annotated[list[StrictStr], Field(min_length=2, max_length=2)]


class SwitchingSection(Section):
    """`[virtual.switching]`: see `Switching`. The defaults suit cells that are pulsed with 2 V."""

    threshold_v: Positive = 1.2
    volts: Positive = 2.0
    seconds: Positive = 1e-2
    exponent: Positive = 1.0

    def law(self) -> Switching:
        """Return the law. Raises BadInputError for a threshold above `volts`."""
        return Switching(self.threshold_v, self.volts, self.seconds, self.exponent)


class VirtualSection(Section):
    """`[virtual]`: circuit, cells and imperfections of the virtual twin of a bench.

    Attributes:
        seed: of cells and of every instrument's noise.
        real_time: whether measurements take the time that they take on a bench.
        noise: factor on the noise of every converter; 0 for none.
        steps: whether converters and sources have steps.
        gains, offsets: of a channel's voltmeter, such as `"daq1.101" = 1.001`; offsets in volts.
        source_gains, source_offsets: of a channel's source: what is there over its setting, and
            what is there at a setting of 0, volts or amperes.
        ni_noise_v: standard deviation of one sample of an NI card.
        word_ohm, bit_ohm, source_ohm, meter_ohm, node_farads: see `Wiring`.
        source_farads: of every row that a source feeds through `source_ohm`; needs `transients`.
        transients: whether the nodes take their time after a change, and readings show it; needs
            `node_farads`. Otherwise an instrument waits until nothing moves.
        contact_ohm: of a closed relay.
        leakage_siemens: of every node to ground.
        kelvin: temperature of the conductances; 0 for no thermal noise.
        cells: their kind; ideal unless given.
        switching: how voltages move cells that are programmed by pulses.
        run: which terminals the paths of `roles.program.matrix.run` part from their lines, in
            order; unless given, one for each clamp, bias row and output, then, where there are
            more paths, hidden nodes.
        swapped: pairs of channels whose wires are exchanged.
        opened: channels whose wire is broken.
        shorted: pairs of channels whose wires touch.
        diodes, g_min_siemens, g_max_siemens: of the network, where only the bench file is known.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    real_time: bool = False
    noise: NotNegative = 1.0
    steps: bool = True
    gains: dict[str, Positive] = Field(default_factory=dict)
    offsets: dict[str, Finite] = Field(default_factory=dict)
    source_gains: dict[str, Positive] = Field(default_factory=dict)
    source_offsets: dict[str, Finite] = Field(default_factory=dict)
    ni_noise_v: NotNegative = 2e-5
    word_ohm: NotNegative = 0.0
    bit_ohm: NotNegative = 0.0
    source_ohm: NotNegative = 0.0
    meter_ohm: Positive | None = None
    node_farads: NotNegative = 0.0
    source_farads: NotNegative = 0.0
    transients: bool = False
    contact_ohm: Positive = 1.0
    leakage_siemens: Positive = 1e-14
    kelvin: NotNegative = 300.0
    cells: CellOptions | None = None
    switching: SwitchingSection = SwitchingSection()
    run: list[StrictStr] | None = None
    swapped: list[Lines] = Field(default_factory=list)
    opened: list[StrictStr] = Field(default_factory=list)
    shorted: list[Lines] = Field(default_factory=list)
    diodes: StrictStr = "split"
    g_min_siemens: NotNegative = 1e-7
    g_max_siemens: Positive = 1e-5

    @model_validator(mode="after")
    def _with_capacitances(self) -> VirtualSection:
        if self.transients and not self.node_farads:
            raise ValueError("transients: true, expected node_farads > 0 with it")
        if self.source_farads and not (self.transients and self.source_ohm):
            raise ValueError("source_farads: expected transients = true and source_ohm > 0 with it")
        return self

    def wiring(self) -> Wiring:
        """Return the resistances and capacitances around the cells."""
        meter_ohm = math.inf if self.meter_ohm is None else self.meter_ohm
        return Wiring(self.word_ohm, self.bit_ohm, self.source_ohm, meter_ohm, self.node_farads)
