"""What a reader of data hands over, before it is split, scaled and turned into volts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.uint8] | NDArray[np.float32]
Samples: TypeAlias = Rows | NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Source:
    """Samples and labels as they were found.

    Attributes:
        x: (n, features), or images (n, height, width).
        y: (n,), from 0 to the number of classes less one.
        classes: the name of each class.
        full_scale: the sample value that becomes 1; None asks for the range of the training split.
        test: x and y of a test set that came with the data, or None to take one out of x.
        divisible: False where every sample belongs to every split.
    """

    x: Samples
    y: Labels
    classes: tuple[str, ...]
    full_scale: float | None = None
    test: tuple[Samples, Labels] | None = None
    divisible: bool = True
