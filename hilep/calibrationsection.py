"""What `hilep calibrate` measures, as a section of the configuration file."""

from __future__ import annotations

import itertools
from typing import Annotated

from pydantic import Field, model_validator

from hilep.section import Count, NotNegative, Positive, Section


class CalibrationSection(Section):
    """`[calibration]`: what `hilep calibrate` measures; training takes no notice of it."""

    pairs: Count = 200
    reads: Count = 1024
    image: Annotated[int, Field(ge=0)] = 0
    nudge_fraction: Positive = 1.0
    settling: bool = True
    longest_settling_s: Positive = 1.0
    channels: bool = False
    channel_levels: Annotated[int, Field(ge=3)] = 33
    channel_reads: Annotated[int, Field(ge=2)] = 4
    channel_days: Count = 365
    conductance: bool = False
    conductance_rounds: Annotated[int, Field(ge=3)] = 6
    conductance_reads: Count = 1
    retention_s: list[Positive] = Field(default=[])
    pulse_curves: Annotated[int, Field(ge=0)] = 0
    pulse_curve_pulses: Annotated[int, Field(ge=3)] = 50
    nplcs: list[Positive] = Field(default=[])
    ranges_v: list[Positive] = Field(default=[])
    levels: list[Annotated[NotNegative, Field(le=1)]] = Field(default=[])
    noise_apart: bool = False
    bootstrap: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _cells_are_measured(self) -> CalibrationSection:
        if (self.retention_s or self.pulse_curves) and not self.conductance:
            raise ValueError("calibration.retention_s, pulse_curves: need conductance = true")
        if any(later <= age for age, later in itertools.pairwise(self.retention_s)):
            raise ValueError("calibration.retention_s: expected ages that grow")
        return self
