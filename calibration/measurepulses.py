"""Potentiation and depression of some cells of a device: single pulses, each followed by a read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hilep.calibration.pulsecurves import PulseCurves, pulse_curves
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError

_START = 0.1
"""Place in the window from which the pulses up set out."""


def measure_pulses(
    device: Crossbar,
    count: int,
    pulses: int,
    stuck: Sequence[NDArray[np.uint8]],
    *,
    generator: np.random.Generator,
) -> PulseCurves:
    """Bring some cells low, give each `pulses` up and as many down, and read after each.

    Args:
        device: that gives single pulses.
        count: of cells, drawn from those that are not stuck; all of them where there are fewer.
        pulses: in each direction.
        stuck: other than 0 where a cell is stuck (n_pre, n_post) of each layer.
        generator: draws the cells.

    Raises:
        UnsupportedError: the device gives no single pulses; no cell was pulsed.
        BadInputError: the network's window has no upper end, or every cell is stuck.
    """
    low, high = device.network.g_min_siemens, device.network.g_max_siemens
    if not math.isfinite(high):
        raise BadInputError("pulse curves: network.g_max_siemens: expected an upper end")
    places = np.concatenate(
        [np.insert(np.argwhere(part == 0), 0, layer, axis=1) for layer, part in enumerate(stuck)]
    )
    if not len(places):
        raise BadInputError("pulse curves: expected cells that are not stuck")
    chosen = places[np.sort(generator.choice(len(places), min(count, len(places)), replace=False))]
    directions = np.repeat([1, -1], pulses)
    # Refused before anything is written.
    device.pulse_response(np.zeros((0, 3), np.int64), directions)
    start = [np.array(g, np.float64) for g in device.conductances()]
    for layer, row, column in chosen.tolist():
        start[layer][row, column] = low + _START * (high - low)
    device.program(start)
    found = device.pulse_response(chosen, directions)
    return pulse_curves(chosen, directions, found, low, high)


def said_of_pulses(found: PulseCurves) -> list[str]:
    """Return what is worth knowing, in few lines."""
    given_up = int(np.isnan(found.siemens).any(axis=0).sum())
    if given_up:
        return [f"pulse curves: {given_up} of {len(found.cells)} cells did not take every pulse"]
    return []
