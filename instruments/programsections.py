"""`[roles.program]`: how cells get their conductances, as strict models."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from hilep.config import Count, NotNegative, Positive, Section
from hilep.instruments.wiring import Line


def _channel(text: str) -> str:
    Line.of(text)
    return text


Channel: TypeAlias = Annotated[str, AfterValidator(_channel)]
Row: TypeAlias = Annotated[list[Channel], Field(min_length=1)]
Array: TypeAlias = Annotated[list[Row], Field(min_length=1)]
Fraction: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Volts: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]


class MapSection(Section):
    """`[roles.program.map]`: the calibrated conductance of a cell at each control voltage.

    Attributes:
        volts: rising.
        siemens: at those volts, rising or falling throughout.
    """

    volts: Annotated[list[Volts], Field(min_length=2)]
    siemens: Annotated[list[Positive], Field(min_length=2)]

    @model_validator(mode="after")
    def _one_to_one(self) -> MapSection:
        if len(self.volts) != len(self.siemens):
            raise ValueError(
                f"siemens: {len(self.siemens)} values, expected as many as volts "
                f"({len(self.volts)})"
            )
        if not all(a < b for a, b in pairwise(self.volts)):
            raise ValueError("volts: expected rising values")
        steps = [b - a for a, b in pairwise(self.siemens)]
        if not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
            raise ValueError("siemens: expected values that rise or fall throughout")
        return self


class DirectProgram(Section):
    """`kind = "direct"`: a voltage sets each cell, through a calibrated map.

    Attributes:
        cells: the channel of each cell, as [layer][row][column]; bias rows come last in a layer.
        map: volts and siemens, the same for every cell.
        max_v: the largest magnitude of a control voltage.
        range_v: full scale of the fixed source range.
        limit_a: the current limit; none for analog outputs, which have none to set.
        tolerance: what counts as achieved, as a fraction of the conductance asked for.
        deadband_siemens: smaller changes are owed until they have added up.
    """

    kind: Literal["direct"]
    cells: Annotated[list[Array], Field(min_length=1)]
    map: MapSection
    max_v: Positive
    range_v: Positive
    limit_a: Positive | None = None
    tolerance: Fraction
    deadband_siemens: NotNegative = 0.0

    @model_validator(mode="after")
    def _within_limits(self) -> DirectProgram:
        if self.max_v > self.range_v:
            raise ValueError(
                f"max_v: {self.max_v:g} V, expected at most range_v = {self.range_v:g} V"
            )
        most = max(abs(value) for value in self.map.volts)
        if most > self.max_v:
            raise ValueError(f"map.volts: {most:g} V, expected at most max_v = {self.max_v:g} V")
        return self

    @property
    def channels(self) -> dict[str, list[str]]:
        """The channels that this role uses, by key."""
        return {"cells": [cell for array in self.cells for row in array for cell in row]}


class ScheduleSection(Section):
    """`[roles.program.increase]` and `decrease`: the pulses of successive attempts.

    Attributes:
        volts: the height of each attempt's pulse; further attempts repeat the last.
        seconds: its width.
    """

    volts: Annotated[list[Volts], Field(min_length=1)]
    seconds: Annotated[list[Positive], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_pairs(self) -> ScheduleSection:
        if len(self.volts) != len(self.seconds):
            raise ValueError(
                f"seconds: {len(self.seconds)} values, expected as many as volts "
                f"({len(self.volts)})"
            )
        if 0 in self.volts:
            raise ValueError("volts: a pulse of 0 V, expected another height")
        return self


class MatrixSection(Section):
    """`[roles.program.matrix]`: the paths of the switch matrix, by the lines of each layer's array.

    Attributes:
        rows: paths from the source's high side to each row, bias rows last.
        columns: paths from its low side to each column.
        unselected_rows, unselected_columns: paths from a line to what holds it while it is not
            selected; none where unselected lines float.
        run: paths that are closed while the network is read and open while it is programmed.
    """

    rows: Array
    columns: Array
    unselected_rows: list[Row] = Field(default_factory=list)
    unselected_columns: list[Row] = Field(default_factory=list)
    run: list[Channel] = Field(default_factory=list)


class PulseProgram(Section):
    """`kind = "pulses"`: pulses of an SMU through a switch matrix, each followed by a reading.

    Attributes:
        source: the SMU's channel.
        range_v: full scale of its fixed source range.
        limit_a: its current limit.
        read_v: volts at which a cell is read; must not disturb it.
        read_samples: readings of a cell after each pulse.
        nplc: power line cycles of such a reading.
        tolerance: what counts as achieved, as a fraction of the conductance asked for.
        max_pulses: pulses that one cell may take in one call; then it is reported as failed.
        deadband_siemens: smaller changes are owed until they have added up.
        increase, decrease: the pulses that raise and lower a conductance.
        widths: "scheduled", or "predicted": between a schedule's finest and widest, in proportion
            to what is missing, by what the cell's last pulse in that direction did.
        unselected: the biasing of lines that are not selected: "float", "ground", "half" (V/2 on
            rows and columns) or "third" (V/3 on rows, 2V/3 on columns).
        bias_sources: SMU channels that give it: one for "half", two for "third", rows first.
        idle: what clamps and nudges do meanwhile: "off", or "zero" where `matrix.run` parts them
            from the array.
        matrix: the paths.
    """

    kind: Literal["pulses"]
    source: Channel
    range_v: Positive
    limit_a: Positive
    read_v: Positive
    read_samples: Count = 1
    nplc: Positive = 1.0
    tolerance: Fraction
    max_pulses: Count
    deadband_siemens: NotNegative = 0.0
    increase: ScheduleSection
    decrease: ScheduleSection
    widths: Literal["scheduled", "predicted"] = "scheduled"
    unselected: Literal["float", "ground", "half", "third"]
    bias_sources: list[Channel] = Field(default_factory=list)
    idle: Literal["off", "zero"] = "off"
    matrix: MatrixSection

    @model_validator(mode="after")
    def _consistent(self) -> PulseProgram:
        for key in ("increase", "decrease"):
            heights = [abs(value) for value in getattr(self, key).volts]
            if max(heights) > self.range_v:
                raise ValueError(
                    f"{key}.volts: {max(heights):g} V, expected at most range_v = "
                    f"{self.range_v:g} V"
                )
            if self.read_v >= min(heights):
                raise ValueError(
                    f"read_v: {self.read_v:g} V, expected less than every pulse of {key} "
                    f"({min(heights):g} V), so that reading does not program"
                )
            if self.widths == "predicted" and len(set(getattr(self, key).volts)) > 1:
                raise ValueError(f'{key}.volts: expected one height with widths = "predicted"')
        sources = {"float": 0, "ground": 0, "half": 1, "third": 2}[self.unselected]
        if len(self.bias_sources) != sources:
            raise ValueError(
                f"bias_sources: {len(self.bias_sources)} channels, expected {sources} for "
                f'unselected = "{self.unselected}"'
            )
        held = [self.matrix.unselected_rows, self.matrix.unselected_columns]
        if any(bool(paths) == (self.unselected == "float") for paths in held):
            wanted = "none" if self.unselected == "float" else "paths for rows and columns"
            raise ValueError(
                f"matrix.unselected_rows, unselected_columns: expected {wanted} with unselected = "
                f'"{self.unselected}"'
            )
        if self.idle == "zero" and not self.matrix.run:
            raise ValueError(
                "matrix.run: missing, expected the paths that part clamps and nudges from the "
                'array, because idle = "zero" leaves them driven'
            )
        return self

    @property
    def channels(self) -> dict[str, list[str]]:
        """The channels that this role uses, by key."""
        found = {"source": [self.source], "bias_sources": list(self.bias_sources)}
        for key in ("rows", "columns", "unselected_rows", "unselected_columns"):
            found[f"matrix.{key}"] = [path for row in getattr(self.matrix, key) for path in row]
        found["matrix.run"] = list(self.matrix.run)
        return found


ProgramSection: TypeAlias = Annotated[DirectProgram | PulseProgram, Field(discriminator="kind")]
