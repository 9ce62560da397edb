"""The training sample that a calibration clamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilep import data
from hilep.arrays import Doubles, Floats
from hilep.config import Config
from hilep.errors import ConfigError

_OTHERS = 256
"""How many samples are looked at for the greatest step of the clamp."""


@dataclass(frozen=True, slots=True)
class Image:
    """A training sample as it is clamped.

    Attributes:
        volts: of the inputs (n_in,).
        targets: of the outputs, volts (n_out,).
        before: of the inputs of that sample, among the first of the training, whose clamp makes
            the greatest step to this one (n_in,).
    """

    volts: Floats
    targets: Doubles
    before: Floats


def image(config: Config) -> Image:
    """Return the training sample that `calibration.image` names.

    Raises:
        ConfigError: where there is none of that number, or data and network do not fit.
    """
    dataset = data.load(config.data)
    dataset.check_layers(config.network.layers)
    number, images = config.calibration.image, len(dataset.train)
    if number >= images:
        raise ConfigError(f"calibration.image: expected 0 to {images - 1}, got {number}")
    index = np.array([number])
    volts = dataset.train.volts(index)[0]
    others = dataset.train.volts(np.arange(min(images, _OTHERS)))
    farthest = int(np.abs(others - volts).max(axis=1).argmax())
    return Image(volts, dataset.train.targets(index)[0], others[farthest])
