"""The sections of a bench file, each as a strict model: unknown keys are errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from hilep.config import NotNegative, Positive, Section
from hilep.instruments.programsections import Channel, ProgramSection, Volts

Channels: TypeAlias = Annotated[list[Channel], Field(min_length=1)]
Option: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr


class InstrumentSection(Section):
    """`[instruments.NAME]`: one instrument and how to reach it.

    Attributes:
        driver: a name of the entry-point group `hilep.drivers`.
        resource: a VISA resource name, or the device of an NI card.
        expect: text that must appear in `*IDN?`, such as the model or the serial number.
        line_hz: frequency of the mains.
        timeout_s: seconds to wait for an answer beyond what a measurement takes.
        options: further keywords of the driver, such as `baud_rate` of a serial line.
    """

    driver: Annotated[str, Field(min_length=1)]
    resource: Annotated[str, Field(min_length=1)]
    expect: Annotated[str, Field(min_length=1)] | None = None
    line_hz: Literal[50, 60] = 50
    timeout_s: Positive = 5.0
    options: dict[str, Option] = Field(default_factory=dict)


class ClampSection(Section):
    """`[roles.clamp]`: what holds the input rows and the bias rows at their volts.

    Attributes:
        channels: of the inputs, in order.
        bias_channels: of the bias rows, plus then minus: two for all arrays, or two for each.
        range_v: full scale of the fixed source range.
        limit_a: the current limit. Analog outputs have none to set and take none here.
        max_v: the largest magnitude that may be asked for.
        nplc: power line cycles of the reading that shows whether a limit was met.
        four_wire: whether the source senses at the device.
    """

    channels: Channels
    bias_channels: list[Channel] = Field(default_factory=list)
    range_v: Positive
    limit_a: Positive | None = None
    max_v: Positive
    nplc: Positive = 0.1
    four_wire: bool = False

    @model_validator(mode="after")
    def _within_range(self) -> ClampSection:
        _require_within("max_v", self.max_v, "range_v", self.range_v, "V")
        return self


class NudgeSection(Section):
    """`[roles.nudge]`: what injects current into the outputs.

    Attributes:
        channels: of the outputs, in order.
        range_a: full scale of the fixed source range.
        limit_v: the voltage limit.
        max_a: the largest magnitude that may be asked for.
        release: "zero-current" is 0 A on the same range, so that both phases differ in the
            current alone; "high-z" opens the output's relay, which wears.
        nplc, four_wire: as in `ClampSection`.
    """

    channels: Channels
    range_a: Positive
    limit_v: Positive
    max_a: Positive
    release: Literal["zero-current", "high-z"] = "zero-current"
    nplc: Positive = 0.1
    four_wire: bool = False

    @model_validator(mode="after")
    def _within_range(self) -> NudgeSection:
        _require_within("max_a", self.max_a, "range_a", self.range_a, "A")
        return self


class NodesSection(Section):
    """`[roles.nodes]`: what reads the free nodes.

    Attributes:
        channels: of every hidden node, layer by layer, then of every output. An output may be read
            by the very channel that nudges it.
        range_v: volts that the readings must fit.
        nplc: power line cycles of a reading; required by what integrates.
        rate_hz: samples per second and channel; for what does not integrate.
        delay_s: seconds from closing a scanner's relay to its reading.
        autozero: whether a scanner measures its own zero after each reading.
        terminals: how the inputs of an NI card are wired.
    """

    channels: Channels
    range_v: Positive
    nplc: Positive | None = None
    rate_hz: Positive | None = None
    delay_s: NotNegative | None = None
    autozero: bool | None = None
    terminals: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The keywords that were given, as a reader's `configure` takes them."""
        given = self.model_dump(exclude={"channels", "range_v"}, exclude_none=True)
        return dict(given)


class SupplySection(Section):
    """`[roles.supply]`: what feeds rectifiers, diodes' biases and amplifiers.

    Attributes:
        channels: in order.
        volts: of each channel.
        range_v: full scale of the fixed source range.
        limit_a: the current limit; none for analog outputs, which have none to set.
        nplc, four_wire: as in `ClampSection`.
    """

    channels: Channels
    volts: Annotated[list[Volts], Field(min_length=1)]
    range_v: Positive
    limit_a: Positive | None = None
    nplc: Positive = 0.1
    four_wire: bool = False

    @model_validator(mode="after")
    def _one_for_each(self) -> SupplySection:
        if len(self.volts) != len(self.channels):
            raise ValueError(
                f"volts: {len(self.volts)} values, expected one for each of "
                f"{len(self.channels)} channels"
            )
        for value in self.volts:
            _require_within("volts", abs(value), "range_v", self.range_v, "V")
        return self


class ReferenceSection(Section):
    """`[roles.reference]`: a source-measure unit with which `hilep calibrate` compares channels.

    It stands in for what is compared: at a node it sources volts, at a clamp it draws no current
    and reads volts, at an output it holds 0 V and reads the nudge's current.

    Attributes:
        channel: of the reference.
        paths: the relay that joins it to the line of each channel, by that channel. Only these are
            compared.
        range_v, limit_a: full scale and current limit where it sources volts.
        range_a, limit_v: full scale and voltage limit where it draws 0 A.
        u_gain_v, u_gain_a: standard uncertainty of its readings, relative, from its certificate.
        u_offset_v: that of the offset of its volts; that of its amperes is measured and taken off.
        nplc, four_wire: as in `ClampSection`.
    """

    channel: Channel
    paths: Annotated[dict[Channel, Channel], Field(min_length=1)]
    range_v: Positive
    limit_a: Positive
    range_a: Positive
    limit_v: Positive
    u_gain_v: NotNegative = 0.0
    u_gain_a: NotNegative = 0.0
    u_offset_v: NotNegative = 0.0
    nplc: Positive = 1.0
    four_wire: bool = False


class RolesSection(Section):
    """`[roles]`: which channel does what."""

    clamp: ClampSection
    nudge: NudgeSection
    nodes: NodesSection
    program: ProgramSection
    supply: SupplySection | None = None
    reference: ReferenceSection | None = None


class JunctionSection(Section):
    """`[hidden.junction]`: Shockley's diode with a series resistance and a leakage beside both."""

    saturation_a: Positive = 1e-12
    ideality: Positive = 1.0
    kelvin: Positive = 300.0
    series_ohm: NotNegative = 0.0
    leakage_siemens: NotNegative = 0.0
    bias_v: Volts = 0.0


class PrecisionSection(Section):
    """`[hidden.precision]`: a diode inside the loop of an amplifier."""

    on_ohm: Positive = 1.0
    off_siemens: NotNegative = 0.0
    offset_v: Volts = 0.0
    bias_v: Volts = 0.0


class HiddenSection(Section):
    """`[hidden]`: what makes the hidden nodes nonlinear.

    Attributes:
        nonlinearity: "precision" rectifiers, "junction" diodes, or "ideal" where neither is known.
        junction, precision: its parameters.
        supply: channels of `[roles.supply]` that feed it.
    """

    nonlinearity: Literal["ideal", "junction", "precision"]
    junction: JunctionSection | None = None
    precision: PrecisionSection | None = None
    supply: list[Channel] = Field(default_factory=list)

    @model_validator(mode="after")
    def _of_one_kind(self) -> HiddenSection:
        for kind in ("junction", "precision"):
            if getattr(self, kind) is not None and self.nonlinearity != kind:
                raise ValueError(f'{kind}: given, but nonlinearity is "{self.nonlinearity}"')
        return self


class SettleSection(Section):
    """`[settle]`: how long the network takes from a change to its first read."""

    seconds: NotNegative


class InterlockSection(Section):
    """`[interlock]`: what ends a run.

    Attributes:
        max_node_v: the largest magnitude that any read of any free node may have.
        supervisor: whether a second process switches the outputs off when the run dies.
    """

    max_node_v: Positive
    supervisor: bool = True


class LockSection(Section):
    """`[lock]`: what to do while another run has an instrument of this bench.

    Attributes:
        wait_s: seconds to wait for its end; 0 refuses at once.
    """

    wait_s: NotNegative = 0.0


def _require_within(key: str, value: float, span: str, most: float, unit: str) -> None:
    if value > most:
        raise ValueError(f"{key}: {value:g} {unit}, expected at most {span} = {most:g} {unit}")
