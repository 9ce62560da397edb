"""What a run file says of its run, and what follows from that."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilep.arrays import Doubles
from hilep.config import DataSection
from hilep.errors import HilepError
from hilep.runrecord import RunRecord

VISION_TRAIN, VISION_TEST = 60000, 10000
"""Images in each part of MNIST, KMNIST and FashionMNIST, which torchvision checks by its sums."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the data; None where it is not known.

    Attributes:
        validation: samples in the validation split.
        test: samples in the test split.
        image: (height, width) of a sample that is a picture.
    """

    validation: int | None = None
    test: int | None = None
    image: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """A run file and what follows from it.

    Attributes:
        record: what the file holds.
        sizes: of its data.
        updates: updates done, by the results or else by the last row or checkpoint.
        test_accuracy: fraction, or None where the test split was not looked at.
        standard_error: binomial, of the test accuracy, or None where it cannot be known.
        interval: 95 % interval of the test accuracy (Wilson, 1927), or None.
        saturated: reads at the end of the converter's range, up to the checkpoint.
        device: the device's snapshot.
        sigma_v: volts, one value or one per node (n,); None where it is not known.
    """

    record: RunRecord
    sizes: Sizes
    updates: int
    test_accuracy: float | None
    standard_error: float | None
    interval: tuple[float, float] | None
    saturated: int
    device: dict[str, Any]
    sigma_v: Doubles | None

    @property
    def stopped_early(self) -> bool:
        """Whether the run ended before all its updates."""
        planned = self.record.config.training.updates
        return self.record.verdict is not None and self.updates < planned

    @property
    def state(self) -> str:
        """One word: done, diverged, dead, interrupted, failed, or unfinished."""
        if self.record.verdict is None:
            return "unfinished"
        word = self.record.verdict.split(maxsplit=1)[0].rstrip(":") if self.record.verdict else ""
        return word if word in ("done", "diverged", "dead", "interrupted") else "failed"

    @property
    def explanation(self) -> str:
        """What a reader has to know about a run that is not done; empty for one that is."""
        if self.state == "done":
            return ""
        planned = self.record.config.training.updates
        progress = f"{self.updates} of {planned} updates"
        if self.state == "unfinished":
            return (
                f"The file holds {progress} so far. The run is being written, or it "
                "was killed; then hilep train --resume goes on from the checkpoint."
            )
        if self.state == "interrupted":
            return f"Stopped on request after {progress}; hilep train --resume goes on from there."
        if self.state == "dead":
            return "Every voltage was finite, but the network gives one answer to all samples."
        return f"Ended after {progress}; what is below is from before that."


def facts(record: RunRecord) -> Facts:
    """Return the facts of a run."""
    checkpoint = record.checkpoint
    counts = [int(table.update[-1]) for table in (record.curve, record.evaluations) if
              table.update.size]  # fmt: skip
    if checkpoint is not None:
        counts.append(checkpoint.update)
    updates = int(record.results.get("updates", max(counts, default=0)))
    device = record.provenance.get("device")
    device = device if isinstance(device, dict) else {}
    sizes = _sizes(record, device)
    accuracy = record.results.get("test_accuracy")
    error, interval = None, None
    if accuracy is not None and sizes.test is not None:
        error = math.sqrt(max(accuracy * (1 - accuracy), 0.0) / sizes.test)
        interval = _wilson(accuracy, sizes.test)
    saturated = 0 if checkpoint is None else int(checkpoint.state.get("saturated", 0))
    sigma = device.get("sigma_v", record.config.device.options.get("sigma_v"))
    return Facts(
        record, sizes, updates, accuracy, error, interval, saturated, device, _numbers(sigma)
    )


def _numbers(value: Any) -> Doubles | None:
    """Return one number or a list of them as an array, and anything else as None."""
    if value is None or isinstance(value, (str, bool)):
        return None
    try:
        array = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        return None
    return array if array.ndim == 1 and array.size and np.isfinite(array).all() else None


def _wilson(accuracy: float, images: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    found = binomtest(round(accuracy * images), images).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _sizes(record: RunRecord, device: dict[str, Any]) -> Sizes:
    sizes = _sizes_of_data(record.config.data, str(device.get("data_sha256")))
    seen = None if record.checkpoint is None else record.checkpoint.state.get("validation")
    if isinstance(seen, dict) and isinstance(seen.get("images"), int):
        return Sizes(seen["images"], sizes.test, sizes.image)
    return sizes


@functools.lru_cache(maxsize=8)
def _sizes_of_data(section: DataSection, fingerprint: str) -> Sizes:
    """Return the sizes of the data a run was trained on, and never those of other data.

    Data on this machine are divided again and have to have the run's fingerprint. Those that would
    take a download are known by their name.
    """
    from hilep import data
    from hilep.data.vision import CLASS_NAMES, PIXELS

    if section.name in CLASS_NAMES:
        height, width = (pixels // section.downsample for pixels in PIXELS)
        held = math.ceil(section.validation_fraction * VISION_TRAIN)
        return Sizes(held, VISION_TEST, (height, width))
    try:
        dataset = data.load(section)
    except (HilepError, OSError):
        return Sizes()
    if dataset.fingerprint != fingerprint:
        return Sizes()
    return Sizes(len(dataset.validation), len(dataset.test), dataset.image_shape)
