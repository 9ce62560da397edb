"""Every cell of a device in place: written to different conductances, and read alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.calibration.conductance import ConductanceMap, LayerCells, layer_cells, write_errors
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError

Told = Callable[[str, int, int], None]
_MARGIN = 0.1
"""Of the window at either end, where a write that is off would be cut."""


def targets(device: Crossbar, rounds: int, generator: np.random.Generator) -> list[list[Doubles]]:
    """Return siemens for every cell in each round: spread over the window, each cell's own order.

    Without an upper end the window reaches up to what the device holds.

    Raises:
        BadInputError: the window is empty.
    """
    network = device.network
    low, high = network.g_min_siemens, network.g_max_siemens
    if not math.isfinite(high):
        high = max((float(np.max(g)) for g in device.conductances()), default=low)
    if not high > low:
        raise BadInputError(f"conductance: expected a window, got {low:g} to {high:g} S")
    first = [generator.random(shape) for shape in network.shapes]
    found = []
    for k in range(rounds):
        places = [(one + k / rounds) % 1.0 for one in first]
        reach = (1 - 2 * _MARGIN) * (high - low)
        found.append([low + _MARGIN * (high - low) + reach * place for place in places])
    return found


def measure_conductance(
    device: Crossbar,
    *,
    rounds: int = 6,
    reads: int = 1,
    generator: np.random.Generator,
    told: Told = lambda what, done, of: None,
) -> ConductanceMap:
    """Write every cell `rounds` times and read it after each: what it held before is gone.

    Args:
        device: that reads single cells.
        rounds: at least 3.
        reads: of each cell after each write.
        generator: of what is asked, and of the bootstrap.
        told: of progress.

    Raises:
        UnsupportedError: the device reads no single cells; nothing was written.
        BadInputError: for fewer than 3 rounds.
    """
    if rounds < 3:
        raise BadInputError(f"conductance: expected at least 3 rounds, got {rounds}")
    device.measure_conductances(1)
    shapes = device.network.shapes
    asked = targets(device, rounds, generator)
    found: list[list[Doubles]] = []
    failed = [np.zeros(shape, np.int64) for shape in shapes]
    pulses = writes = 0
    for done, goal in enumerate(asked):
        told("conductance", done, rounds)
        report = device.program(goal)
        pulses += report.pulses
        writes += report.programmed
        for layer, row, column in report.failed:
            failed[layer][row, column] += 1
        found.append(device.measure_conductances(reads))
    told("conductance", rounds, rounds)
    goals = [np.stack([one[k] for one in asked]) for k in range(len(shapes))]
    seen = [np.stack([one[k] for one in found]) for k in range(len(shapes))]
    layers = tuple(
        layer_cells(goal, one, failures)
        for goal, one, failures in zip(goals, seen, failed, strict=True)
    )
    healthy = [
        (layer.stuck == 0) & np.isfinite(one).all(axis=(0, 1))
        for layer, one in zip(layers, seen, strict=True)
    ]
    errors = write_errors(goals, seen, healthy, generator)
    nothing = math.nan, (math.nan, math.nan)
    flat, flat_range = nothing if errors is None else (errors.siemens, errors.siemens_range)
    rising, rising_range = nothing if errors is None else (errors.relative, errors.relative_range)
    spread, spread_range = nothing if errors is None else (errors.spread, errors.spread_range)
    return ConductanceMap(
        layers, rounds, reads, pulses / max(writes, 1),
        flat, *flat_range, rising, *rising_range, spread, *spread_range,
    )  # fmt: skip


def said_of(found: ConductanceMap) -> tuple[list[str], list[str]]:
    """Return what is wrong with the cells, and what is worth knowing, in few lines."""
    stuck = _named(found.layers, lambda layer: np.argwhere(layer.stuck != 0))
    unread = _named(found.layers, lambda layer: np.argwhere(~np.isfinite(layer.siemens)))
    cells = sum(layer.stuck.size for layer in found.layers)
    problems, notes = [], []
    for cases, what in ((stuck, "are stuck"), (unread, "could not be read")):
        if cases:
            some = ", ".join(cases[:5]) + (", ..." if len(cases) > 5 else "")
            problems.append(f"conductance: {len(cases)} of {cells} cells {what}: {some}")
    failed = sum(int(layer.failed[layer.stuck == 0].sum()) for layer in found.layers)
    if failed:
        notes.append(f"conductance: {failed} writes of cells that are not stuck have failed")
    return problems, notes


def _named(
    layers: tuple[LayerCells, ...], which: Callable[[LayerCells], NDArray[np.intp]]
) -> list[str]:
    return [
        f"[{number}, {row}, {column}]"
        for number, layer in enumerate(layers)
        for row, column in which(layer).tolist()
    ]
