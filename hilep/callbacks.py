"""What a trainer tells others of, and the one that writes the run file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from hilep.evaluation import Evaluation
    from hilep.rawreads import RawReads
    from hilep.reading import Contrast
    from hilep.runfile import RunFile
    from hilep.trainer import Trainer
    from hilep.verdict import Outcome


class Callback:
    """Told of what a trainer does; override what is of interest.

    A callback reads the trainer, it does not change it, except by calling `Trainer.stop`.
    """

    wants_reads: ClassVar[bool] = False
    """Whether `on_reads` is to be called."""

    def on_update(self, trainer: Trainer) -> None:
        """Called after every update; `trainer.update` counts it."""

    def on_reads(self, trainer: Trainer, contrast: Contrast) -> None:
        """Called with the reads of every update, before it is counted, if `wants_reads`."""

    def on_log(self, trainer: Trainer, loss: float, error: float, rate: float) -> None:
        """Called with means over the updates since the last call.

        Args:
            trainer: whose loop this is.
            loss: volts squared, in the free phase before each update.
            error: fraction of training images answered wrongly.
            rate: the schedule's factor at the last update.
        """

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        """Called after a look at the validation split."""

    def on_save(self, trainer: Trainer) -> None:
        """Called when the state between two updates should be kept."""

    def on_end(self, trainer: Trainer, outcome: Outcome) -> None:
        """Called once, when the crossbar is safe."""


class Recording(Callback):
    """Writes rows, checkpoints and the verdict to a run file."""

    def __init__(self, run: RunFile) -> None:
        self.run = run

    def on_log(self, trainer: Trainer, loss: float, error: float, rate: float) -> None:
        """Write one row of the training curve."""
        self.run.record(trainer.update, loss, error, rate)

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        """Write one look at the validation split."""
        self.run.record_evaluation(
            trainer.update,
            evaluation.accuracy,
            evaluation.loss,
            evaluation.silent,
            evaluation.classes,
        )

    def on_save(self, trainer: Trainer) -> None:
        """Write a checkpoint."""
        crossbar = trainer.crossbar
        self.run.save(
            trainer.update,
            crossbar.conductances(),
            crossbar.bias_currents(),
            trainer.state(),
            crossbar.owed(),
        )

    def on_end(self, trainer: Trainer, outcome: Outcome) -> None:
        """Write the verdict and the results."""
        results = {"updates": float(outcome.updates), "seconds": outcome.seconds}
        if outcome.test is not None:
            results["test_accuracy"] = outcome.test.accuracy
            results["test_loss"] = outcome.test.loss
        self.run.finish(outcome.verdict, results)


class RawReading(Callback):
    """Keeps the reads of every update in segment files beside the run."""

    wants_reads: ClassVar[bool] = True

    def __init__(self, reads: RawReads) -> None:
        self.reads = reads

    def on_reads(self, trainer: Trainer, contrast: Contrast) -> None:
        """Append the reads of both phases."""
        self.reads.append(trainer.update, contrast)

    def on_save(self, trainer: Trainer) -> None:
        """Write what is pending: a resume from this checkpoint will not measure it again."""
        self.reads.flush()

    def on_end(self, trainer: Trainer, outcome: Outcome) -> None:
        """Close the last segment."""
        self.reads.close()
