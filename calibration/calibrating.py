"""A calibration from a configuration: build the device as training does, measure, evaluate."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from hilep import backends, experiment
from hilep.arrays import Doubles
from hilep.calibration.calibration import Calibration, Settling
from hilep.calibration.clampedimage import Image, image
from hilep.calibration.conductance import ConductanceMap
from hilep.calibration.evaluating import Findings, findings
from hilep.calibration.hardware import compare_channels, measure_cells
from hilep.calibration.interleaving import worth_saying
from hilep.calibration.measurechannels import MeasuredChannels
from hilep.calibration.measuresettling import StepResponses, measure_step_responses
from hilep.calibration.measuring import (
    LongRecord,
    Pair,
    alternating,
    gathered,
    long_record,
    nudge_like_training,
)
from hilep.calibration.settings import Against
from hilep.calibration.settingsweeps import bootstrapped, measure_against
from hilep.checkpoint import Checkpoint
from hilep.config import Config
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError, HilepError, UnsupportedError
from hilep.nudging import Nudging
from hilep.provenance import installed_version

Told = Callable[[str, int, int], None]
"""Called with what is being measured, how much of it is done, and of how much."""


@dataclass
class Measurement:
    """What has been measured so far.

    Attributes:
        pairs: reads of both phases in turn.
        record: of the free phase.
        steps: step responses.
        against: sigma at several settings and levels.
        channels: compared with a reference.
        conductance: of every cell.
        device: the device's snapshot while it was measured.
        problems: one line for each thing that went wrong.
        notes: one line for each thing worth knowing.
        failed: whether a step did not come to its end.
        created: when it was begun, ISO 8601 with time zone.
    """

    pairs: list[Pair] = field(default_factory=list)
    record: LongRecord | None = None
    steps: StepResponses | None = None
    against: Against | None = None
    channels: MeasuredChannels | None = None
    conductance: ConductanceMap | None = None
    device: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: bool = False
    created: str = field(
        default_factory=lambda: datetime.now().astimezone().isoformat(timespec="seconds")
    )

    @contextlib.contextmanager
    def keeping(self, what: str) -> Iterator[None]:
        """Note the failure of a step in place of raising it, once there are reads to lose."""
        try:
            yield
        except (HilepError, OSError, KeyboardInterrupt) as error:
            if not self.pairs:
                raise
            stopped = isinstance(error, KeyboardInterrupt)
            self.problems.append(
                f"{what}: {'stopped' if stopped else ' '.join(str(error).split())}"
            )
            self.failed = True


def measured(
    config: Config,
    start: Checkpoint | None = None,
    told: Told = lambda what, done, of: None,
) -> Measurement:
    """Measure the device that a configuration describes; it is safe again afterwards.

    Cells are programmed first: to what a training would begin with, or to what a run had reached.

    Args:
        config: what would be trained, and how `[calibration]` is to measure it.
        start: conductances and bias currents to program.
        told: of progress.

    Raises:
        HilepError: where something failed before the first pair was read; later failures are in
            `problems`, beside what was measured until then.
        KeyboardInterrupt: the same.
    """
    done = Measurement()
    clamped = image(config)
    with done.keeping("device"), backends.crossbar(config, config.network.network()) as device:
        _program(device, config, start, done)
        measure(device, config, clamped, done, told)
        measure_against(device, config, clamped, done, told)
        compare_channels(device, config, done, told)
        measure_cells(device, config, done, told)
    return done


def evaluated(config: Config, done: Measurement, sigma_alone: bool = False) -> Calibration:
    """Return what a measurement says.

    Args:
        config: that it was made with.
        done: with at least one pair.
        sigma_alone: leave out everything but the sigma of each node.
    """
    reads = gathered(done.pairs)
    said = findings(
        reads, done.record, config.network.network(), config.training.reads, sigma_alone
    )
    bootstrap, refused = bootstrapped(config, reads, said.judged) if not sigma_alone else (None, ())
    return Calibration(
        created=done.created,
        hilep_version=installed_version("hilep") or "not installed",
        config=config.to_json(),
        device=json.dumps(done.device),
        reads=reads,
        sigma=said.sigma,
        phases=said.phases,
        judged=said.judged,
        record=done.record,
        covariance=said.covariance,
        distribution=said.distribution,
        independence=said.independence,
        allan=said.allan,
        against=done.against,
        bootstrap=bootstrap,
        settling=None if done.steps is None else _settling(done.steps, said, config),
        channels=None if done.channels is None else done.channels.channels,
        released=None if done.channels is None else done.channels.released,
        conductance=done.conductance,
        problems=(*done.problems, *said.problems, *refused),
        notes=(*done.notes, *worth_saying(said.allan)),
        failed=done.failed,
    )


def measure(
    device: Crossbar,
    config: Config,
    clamped: Image,
    done: Measurement,
    told: Told,
) -> None:
    """Measure a programmed device, step by step, into `done`.

    Args:
        device: programmed.
        config: of training and calibration.
        clamped: what is clamped, and where the outputs should go.
        done: takes what is measured.
        told: of progress.
    """
    section, training = config.calibration, config.training
    # Its size is that of training's nudge, whichever kind and variant that takes.
    siemens = Nudging.of(
        "positive", "current", training.beta_siemens, training.loss, device.network.outputs
    ).strengths[1]
    with done.keeping("pairs"):
        device.clamp(clamped.volts)
        free = device.read(training.reads)
        done.device = {
            **device.snapshot(),
            "options": backends.options(config).model_dump(mode="json"),
        }
        amps = section.nudge_fraction * nudge_like_training(free, clamped.targets, siemens)
        for pair in alternating(device, clamped.volts, amps, section.pairs):
            done.pairs.append(pair)
            told("pairs", len(done.pairs), section.pairs)
    if done.pairs and not done.pairs[-1].amps.any():
        done.problems.append("pairs: the nudge became 0 A at every output: both phases are free")
    if done.failed:
        return
    with done.keeping("record"):
        told("record", 0, section.reads)
        done.record = long_record(device, clamped.volts, None, section.reads)
        told("record", section.reads, section.reads)
    if done.failed or not section.settling:
        return
    with done.keeping("settling"):
        told("settling", 0, 1)
        _step(device, config, clamped, amps, done)
        told("settling", 1, 1)


def _step(
    device: Crossbar, config: Config, clamped: Image, amps: Doubles, done: Measurement
) -> None:
    """Measure step responses, where the device has a time in which it settles."""
    try:
        done.steps = measure_step_responses(
            device,
            clamped.volts,
            amps,
            before=clamped.before,
            longest_s=config.calibration.longest_settling_s,
        )
    except UnsupportedError as error:
        done.notes.append(f"settling: not measured: {error}")
    except BadInputError as error:
        done.problems.append(str(error))
    else:
        problems, notes = _said_of(done.steps)
        done.problems += problems
        done.notes += notes


def _said_of(steps: StepResponses) -> tuple[list[str], list[str]]:
    """Return what is wrong with step responses, and what is worth knowing, in few lines."""
    if not steps.reads:
        return [], list(steps.notes)
    problems, notes = [], []
    for reads in steps.reads:
        still = np.flatnonzero(~reads.moves).tolist()
        if still:
            notes.append(
                f"settling: no step of the {reads.name} is seen at {len(still)} of "
                f"{reads.moves.size} nodes: {', '.join(map(str, still[:10]))}"
                + (", ..." if len(still) > 10 else "")
            )
    seen = sum(int(reads.moves.sum()) for reads in steps.reads)
    if len(steps.responses) < seen:
        why = next((note for note in steps.notes if not note.startswith("settling: no step")), "")
        problems.append(
            f"settling: {seen - len(steps.responses)} of {seen} steps could not be fitted, such as "
            + why
        )
    return problems, notes


def _settling(steps: StepResponses, said: Findings, config: Config) -> Settling:
    delay = None
    if said.sigma.pooled is not None:
        each = said.sigma.per_node.sigma_v
        sigma = np.where(said.sigma.usable, each, said.sigma.pooled.sigma_v)
        delay = steps.delay(sigma, config.training.reads)
    return Settling(
        steps.steps, np.array(steps.nodes, np.int64), steps.responses, steps.reads, delay
    )


def _program(device: Crossbar, config: Config, start: Checkpoint | None, done: Measurement) -> None:
    if start is None:
        report = experiment.begin(device, config)
    else:
        bias = start.bias_currents if device.network.bias == "current" else None
        report = device.program(start.conductances, bias)
    if report.failed:
        done.problems.append(f"{len(report.failed)} cells would not be programmed")
