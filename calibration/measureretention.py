"""How long the cells of a device keep what they were given: written once, read at growing ages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.calibration.measureconductance import targets
from hilep.calibration.retention import CellRetention, retention
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError

Told = Callable[[str, int, int], None]


def measure_retention(
    device: Crossbar,
    ages_s: Sequence[float],
    stuck: Sequence[NDArray[np.uint8]],
    *,
    reads: int = 1,
    generator: np.random.Generator,
    told: Told = lambda what, done, of: None,
) -> CellRetention:
    """Write every cell once more, read it, wait, and read it again at every age.

    An age that has passed before its reads can begin is that at which they do.

    Args:
        device: that reads single cells, and lets time pass.
        ages_s: seconds since the end of writing, growing.
        stuck: other than 0 where a cell is stuck (n_pre, n_post) of each layer.
        reads: of each cell at each age.
        generator: of what is asked.
        told: of progress.

    Raises:
        UnsupportedError: the device reads no single cells.
        BadInputError: for no ages, or ages that do not grow.
    """
    if not len(ages_s):
        raise BadInputError("retention: expected at least one age")
    device.program(targets(device, 1, generator)[0])
    written_s = device.wait(0)
    found: list[list[Doubles]] = [device.measure_conductances(reads)]
    reached = []
    for done, age in enumerate(ages_s):
        told("retention", done, len(ages_s))
        left = written_s + age - device.wait(0)
        begins = device.wait(left) if left > 0 else device.wait(0)
        reached.append(begins - written_s)
        found.append(device.measure_conductances(reads))
    told("retention", len(ages_s), len(ages_s))
    layers = [np.stack([one[k] for one in found]) for k in range(len(stuck))]
    return retention(layers, np.array(reached), [part == 0 for part in stuck])


def said_of_retention(found: CellRetention) -> list[str]:
    """Return what is worth knowing, in few lines."""
    if found.power_law is False:
        return ["retention: cells do not change along a power law; its exponent says little"]
    return []
