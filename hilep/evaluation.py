"""Accuracy on a split, with its uncertainty, and what a dead network looks like from outside."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hilep.crossbar import Crossbar
from hilep.data import Split
from hilep.nudging import Loss, loss_of

IMAGES_AT_ONCE = 32
"""Images read in one call: few enough that their volts are small beside the conductances."""

SILENT_FRACTION = 1e-3
"""A hidden node is silent if its volts span less than this part of the liveliest node's span."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A look at one split in the free phase.

    Attributes:
        accuracy: fraction of images whose largest output is the right one.
        loss: mean loss, volts squared.
        silent: fraction of hidden nodes that hardly change from image to image.
        classes: how many different answers the network gave.
        images: number of images.
    """

    accuracy: float
    loss: float
    silent: float
    classes: int
    images: int

    @property
    def standard_error(self) -> float:
        """Binomial standard error of the accuracy."""
        return math.sqrt(max(self.accuracy * (1.0 - self.accuracy), 0.0) / self.images)


def evaluate(crossbar: Crossbar, split: Split, loss: Loss, reads: int = 1) -> Evaluation:
    """Read every image of `split` once in the free phase.

    Args:
        crossbar: programmed.
        split: at least one image.
        loss: normalisation of the loss.
        reads: N of every node.
    """
    network = crossbar.network
    out = network.output_slice
    hidden = slice(0, out.start)
    lowest = np.full(out.start, np.inf)
    highest = np.full(out.start, -np.inf)
    right, total = 0, 0.0
    answers: set[int] = set()
    for start in range(0, len(split), IMAGES_AT_ONCE):
        indices = np.arange(start, min(start + IMAGES_AT_ONCE, len(split)))
        mean = crossbar.read_batch(split.volts(indices), reads).mean
        chosen = mean[:, out].argmax(axis=1)
        right += int((chosen == split.labels[indices]).sum())
        total += float(loss_of(mean[:, out], split.targets(indices), loss).sum())
        answers.update(chosen.tolist())
        np.minimum(lowest, mean[:, hidden].min(axis=0), out=lowest)
        np.maximum(highest, mean[:, hidden].max(axis=0), out=highest)
    span = highest - lowest
    silent = float((span <= SILENT_FRACTION * span.max()).mean()) if span.size else 0.0
    images = len(split)
    return Evaluation(right / images, total / images, silent, len(answers), images)
