"""A data set: three splits of samples that are turned into volts as they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.data.source import Labels, Rows
from hilep.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Split:
    """Samples of one purpose, and how they become volts.

    Attributes:
        samples: (n, features), uint8 or float32.
        labels: (n,), the class of each sample.
        volts_per_unit: what a sample is multiplied by.
        doubled: whether each feature drives two inputs, at plus and minus its volts.
        target_table: volts (classes, n_out), the outputs' target for each class.
    """

    samples: Rows
    labels: Labels
    volts_per_unit: np.float32
    doubled: bool
    target_table: Doubles

    def __len__(self) -> int:
        return len(self.labels)

    def volts(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return volts to clamp, (batch, n_in), C-contiguous and a new array at every call.

        Doubled inputs are all features first, then the same with the sign reversed.
        """
        rows = self.samples.take(indices, axis=0)
        if not self.doubled:
            return np.multiply(rows, self.volts_per_unit, dtype=np.float32)
        batch, features = rows.shape
        volts = np.empty((batch, 2 * features), dtype=np.float32)
        positive = volts[:, :features]
        np.multiply(rows, self.volts_per_unit, out=positive)
        np.negative(positive, out=volts[:, features:])
        return volts

    def targets(self, indices: NDArray[np.int64]) -> Doubles:
        """Return the outputs' target volts, (batch, n_out), a new array at every call."""
        return self.target_table.take(self.labels.take(indices), axis=0)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples for training, for choosing among trainings, and for the final accuracy.

    Attributes:
        name: as in `[data]`.
        classes: the name of each class, in the order of the labels and outputs.
        train: what updates are made from.
        validation: what is looked at during training; may be empty.
        test: what is looked at in the end.
        image_shape: (height, width) of a sample as a picture, or None where it is none.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    image_shape: tuple[int, int] | None = None

    @property
    def features(self) -> int:
        """Numbers per sample."""
        return int(self.train.samples.shape[1])

    @property
    def n_inputs(self) -> int:
        """Input nodes that a sample drives: one per feature, or two where doubled."""
        return self.features * (2 if self.train.doubled else 1)

    @property
    def n_outputs(self) -> int:
        """Output nodes: one per class."""
        return len(self.classes)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the samples and labels of all splits, in hexadecimal.

        It changes with the data and with their division, not with volts.
        """
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            for array in (split.samples, split.labels):
                # Files move between machines, so the order of bytes is fixed.
                fixed = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
                digest.update(f"{fixed.dtype.str}{fixed.shape}".encode())
                digest.update(fixed.data if fixed.size else b"")
        return digest.hexdigest()

    def check_layers(self, layers: Sequence[int]) -> None:
        """Check that a network with these layers takes this data.

        Raises:
            ConfigError: another number of inputs or outputs, with the numbers that fit.
        """
        if (layers[0], layers[-1]) == (self.n_inputs, self.n_outputs):
            return
        doubled = "doubled" if self.train.doubled else "not doubled"
        raise ConfigError(
            f"network.layers: data {self.name!r} has {self.n_inputs} inputs and "
            f"{self.n_outputs} outputs ({self.features} features, {doubled}), "
            f"got {layers[0]} and {layers[-1]}"
        )
