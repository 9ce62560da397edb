"""What `[calibration]` asks for besides reads: channels against a reference, and every cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hilep.calibration.conductance import ConductanceMap
from hilep.calibration.measurechannels import measure_channels
from hilep.calibration.measureconductance import measure_conductance, said_of
from hilep.calibration.measurepulses import measure_pulses, said_of_pulses
from hilep.calibration.measureretention import measure_retention, said_of_retention
from hilep.config import Config
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError, UnsupportedError
from hilep.streams import stream

if TYPE_CHECKING:
    from hilep.calibration.calibrating import Measurement

Told = Callable[[str, int, int], None]


def compare_channels(device: Crossbar, config: Config, done: Measurement, told: Told) -> None:
    """Compare sources and readers with the reference, where that is asked for."""
    section = config.calibration
    if done.failed or not section.channels:
        return
    amps = np.abs(done.pairs[-1].amps)
    with done.keeping("channels"):
        try:
            done.channels = measure_channels(
                device.channel_comparison(),
                levels=section.channel_levels,
                reads=section.channel_reads,
                valid_days=section.channel_days,
                smallest_nudge_a=float(amps[amps > 0].min()) if amps.any() else None,
                told=told,
            )
        except UnsupportedError as error:
            done.problems.append(f"channels: not measured: {error}")
        else:
            done.problems += done.channels.problems
            done.notes += done.channels.notes


def measure_cells(device: Crossbar, config: Config, done: Measurement, told: Told) -> None:
    """Write and read every cell, where that is asked for."""
    section = config.calibration
    if done.failed or not section.conductance:
        return
    with done.keeping("conductance"):
        try:
            done.conductance = measure_conductance(
                device,
                rounds=section.conductance_rounds,
                reads=section.conductance_reads,
                generator=stream(config.training.seed, "calibration"),
                told=told,
            )
        except UnsupportedError as error:
            done.problems.append(f"conductance: not measured: {error}")
        else:
            problems, notes = said_of(done.conductance)
            done.problems += problems
            done.notes += notes
    if not done.failed and done.conductance is not None:
        _age_and_pulse(device, config, done, done.conductance, told)


def _age_and_pulse(
    device: Crossbar, config: Config, done: Measurement, cells: ConductanceMap, told: Told
) -> None:
    """Measure retention and pulse curves of cells, where they are asked for."""
    section = config.calibration
    stuck = [layer.stuck for layer in cells.layers]
    if section.retention_s:
        with done.keeping("retention"):
            kept = measure_retention(
                device,
                section.retention_s,
                stuck,
                reads=section.conductance_reads,
                generator=stream(config.training.seed, "calibration", 1),
                told=told,
            )
            done.conductance = cells = replace(cells, retention=kept)
            done.notes += said_of_retention(kept)
    if done.failed or not section.pulse_curves:
        return
    with done.keeping("pulse curves"):
        told("pulse curves", 0, 1)
        try:
            curves = measure_pulses(
                device,
                section.pulse_curves,
                section.pulse_curve_pulses,
                stuck,
                generator=stream(config.training.seed, "calibration", 2),
            )
        except (UnsupportedError, BadInputError) as error:
            done.problems.append(f"pulse curves: not measured: {error}")
        else:
            done.conductance = replace(cells, curves=curves)
            done.notes += said_of_pulses(curves)
        told("pulse curves", 1, 1)
