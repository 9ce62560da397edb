"""The training loop: the same for a simulated crossbar and a bench."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hilep.arrays import Doubles, Floats
from hilep.callbacks import Callback
from hilep.config import TrainingSection
from hilep.crossbar import Crossbar
from hilep.data import Batches, Dataset
from hilep.errors import DivergedError, LimitError, NotSettledError
from hilep.evaluation import Evaluation, evaluate
from hilep.nudging import Nudging, beta_difference, loss_curvature
from hilep.reading import SATURATED, Contrast, Statistic
from hilep.rule import LearningRule
from hilep.verdict import Outcome, check_volts, require_finite, verdict_of, where_not_finite

MOST_CELLS_KEPT = 2000
"""Failed cells that a checkpoint remembers, so that its state stays within its place."""


class Trainer:
    """Trains a crossbar on a data set by contrasting two phases per image.

    The trainer never asks which backend it has. Its course depends on the configuration, the seeds
    and the device alone: not on when it is evaluated on a simulator, logged or saved.

    Args:
        crossbar: programmed with the conductances to start from.
        dataset: train, validation and test splits that fit the network.
        training: the rule and how often to apply it.

    Raises:
        BadInputError: for settings that contradict each other or that the device cannot do.
    """

    def __init__(
        self,
        crossbar: Crossbar,
        dataset: Dataset,
        training: TrainingSection,
    ) -> None:
        network = crossbar.network
        dataset.check_layers(network.layers)
        check_volts(dataset, network.voltage_limit_v)
        self.crossbar = crossbar
        self.dataset = dataset
        self.training = training
        self.nudging = Nudging.of(
            training.variant,
            training.nudging,
            training.beta_siemens,
            training.loss,
            network.outputs,
        )
        crossbar.require(self.nudging)
        eta, eta_bias = training.per_layer(len(network.shapes))
        self.rule = LearningRule(
            network,
            beta_difference(training.variant, training.beta_siemens),
            eta,
            eta_bias,
            training.estimator,
            training.reduction,
            training.reads,
        )
        self._half_curvature = 0.5 * loss_curvature(training.loss, network.outputs)
        self.rates = training.rates()
        self.batches = Batches(dataset.train, training.batch_size, training.seed)
        self.callbacks: tuple[Callback, ...] = ()
        self._reading: list[Callback] = []
        self._statistic: Statistic = self.rule.statistic
        self.update = 0
        self.validation: Evaluation | None = None
        self.saturated = 0
        self.pulses = 0
        self.failed_cells: set[tuple[int, int, int]] = set()
        self._seconds = 0.0
        self._window = [0.0, 0, 0]
        self._stopping = False

    # State that a resume needs --------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what a bit-identical resume needs besides conductances, as plain JSON values."""
        return {
            "device": self.crossbar.state(),
            "window": list(self._window),
            "seconds": self._seconds,
            "saturated": self.saturated,
            "pulses": self.pulses,
            "failed_cells": sorted(self.failed_cells)[:MOST_CELLS_KEPT],
            "validation": None if self.validation is None else asdict(self.validation),
        }

    def restore(self, update: int, state: dict[str, Any]) -> None:
        """Go on after `update` updates from what `state` returned then."""
        self.update = update
        self.crossbar.restore(state["device"])
        self._window = list(state["window"])
        self._seconds = state["seconds"]
        self.saturated = state["saturated"]
        self.pulses = state["pulses"]
        self.failed_cells = {(layer, i, j) for layer, i, j in state["failed_cells"]}
        seen = state["validation"]
        self.validation = None if seen is None else Evaluation(**seen)

    def stop(self) -> None:
        """Ask the run to end, saved, after the update in progress."""
        self._stopping = True

    # The loop -------------------------------------------------------------------------------------

    def rehearse(self) -> None:
        """Read both phases of the first batch once and forget them.

        What the device refuses, it refuses here, before a run is begun. The crossbar is made safe.

        Raises:
            LimitError: where a voltage or current would lie beyond the network's limits, or a
                negative spring leaves an output without an equilibrium.
            NotSettledError: where the network does not settle.
        """
        batch = self._batch(0)
        assert batch is not None
        before = self.crossbar.state()
        with self.crossbar, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self.crossbar.free_and_nudged(batch[0], batch[1], self.nudging, 1, "mean")
        self.crossbar.restore(before)

    def run(self, callbacks: Sequence[Callback] = ()) -> Outcome:
        """Train to the end, look at the test split once, and say how it went.

        The crossbar is made safe on every way out.

        Args:
            callbacks: told of updates, evaluations, checkpoints and the end; `Recording` writes a
                run file.
        """
        self.callbacks = tuple(callbacks)
        self._reading = [callback for callback in callbacks if callback.wants_reads]
        self._statistic = "samples" if self._reading else self.rule.statistic
        # Non-finite numbers end the run with a verdict; numpy need not say so as well.
        with self.crossbar, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            test = None
            try:
                verdict = self._train()
                if verdict == "done":
                    test = evaluate(
                        self.crossbar,
                        self.dataset.test,
                        self.training.loss,
                        self.training.evaluation_reads,
                    )
                    verdict = verdict_of(test, self.dataset.n_outputs)
            except (LimitError, NotSettledError) as error:
                verdict = str(DivergedError(self.update, str(error)))
            except DivergedError as error:
                verdict = str(error)
        outcome = Outcome(verdict, self.update, self._seconds, self.validation, test)
        for callback in self.callbacks:
            callback.on_end(self, outcome)
        return outcome

    def _train(self) -> str:
        training = self.training
        on_update = [c.on_update for c in self.callbacks if _overrides(c, "on_update")]
        started = saved = time.monotonic()
        before = self._seconds
        batch = self._batch(self.update) if self.update < training.updates else None
        if self.update == 0 and self.validation is None:
            self._evaluate()
        while batch is not None:
            if self._stopping:
                break
            following = self._batch(self.update + 1)
            self._step(batch, following)
            batch = following
            self.update += 1
            for callback in on_update:
                callback(self)
            logged = self.update % training.logged_every == 0
            evaluated = self.update % training.evaluated_every == 0 or batch is None
            now = time.monotonic()
            due = batch is None or now - saved >= training.checkpoint_seconds
            if not (logged or evaluated or due):
                continue
            self._seconds = before + now - started
            if logged or batch is None:
                self._log()
            if evaluated:
                self._evaluate()
            if due:
                self._save()
                saved = time.monotonic()
        self._seconds = before + time.monotonic() - started
        if batch is not None:
            self._save()
            return f"interrupted at update {self.update}"
        return "done"

    def _batch(self, update: int) -> tuple[Floats, Doubles, Any] | None:
        if update >= self.training.updates:
            return None
        indices = self.batches.indices(update)
        train = self.dataset.train
        return train.volts(indices), train.targets(indices), train.labels[indices]

    def _step(
        self, batch: tuple[Floats, Doubles, Any], following: tuple[Floats, Doubles, Any] | None
    ) -> None:
        volts, targets, labels = batch
        try:
            contrast = self._contrast(volts, targets)
        except (LimitError, NotSettledError) as error:
            raise DivergedError(self.update, str(error)) from error
        outputs = contrast.free_outputs
        miss = outputs - targets
        loss = self._half_curvature * float(np.vdot(miss, miss))
        # A sum is enough to find a NaN or an infinity at any node of a phase.
        if not (
            math.isfinite(loss)
            and math.isfinite(float(contrast.second.mean.sum()))
            and math.isfinite(float(contrast.first.mean.sum()))
        ):
            raise DivergedError(self.update, where_not_finite(self.crossbar, contrast))
        wrong = int(np.count_nonzero(outputs.argmax(axis=1) != labels))
        self._count_saturated(contrast)
        report = self.crossbar.update(
            self.rule.blocks(contrast, self.rates(self.update)),
            None if following is None else following[0],
        )
        self.pulses += int(report.pulses)
        if report.failed:
            self.failed_cells.update((int(k), int(i), int(j)) for k, i, j in report.failed)
        window = self._window
        window[0] += loss
        window[1] += wrong
        window[2] += len(labels)
        for callback in self._reading:
            callback.on_reads(self, contrast)

    def _contrast(self, volts: Floats, targets: Doubles) -> Contrast:
        reads, interleave = self.training.reads, self.training.interleave
        if interleave == 1:
            return self.crossbar.free_and_nudged(
                volts, targets, self.nudging, reads, self._statistic
            )
        return self.crossbar.interleaved(
            volts, targets, self.nudging, reads, interleave, self._statistic
        )

    def _count_saturated(self, contrast: Contrast) -> None:
        for reading in (contrast.first, contrast.second):
            if reading.status is not None:
                self.saturated += int(np.count_nonzero(reading.status & SATURATED))

    def _log(self) -> None:
        loss, wrong, images = self._window
        if images:
            for callback in self.callbacks:
                callback.on_log(self, loss / images, wrong / images, self.rates(self.update - 1))
        self._window = [0.0, 0, 0]

    def _evaluate(self) -> None:
        if len(self.dataset.validation) == 0:
            return
        self.validation = evaluate(
            self.crossbar,
            self.dataset.validation,
            self.training.loss,
            self.training.evaluation_reads,
        )
        for callback in self.callbacks:
            callback.on_evaluation(self, self.validation)

    def _save(self) -> None:
        require_finite(self.crossbar, self.update)
        for callback in self.callbacks:
            callback.on_save(self)


def _overrides(callback: Callback, name: str) -> bool:
    return getattr(type(callback), name) is not getattr(Callback, name)
