"""Cells go on where they were, and layers do not disturb each other."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hilep.errors import BadInputError
from hilep.simulators.cells.ageing import Drift, Retention
from hilep.simulators.cells.array import CellArray
from hilep.simulators.cells.cell import Cell
from hilep.simulators.cells.faults import Faults
from hilep.simulators.cells.flicker import Flicker
from hilep.simulators.cells.levels import Levels
from hilep.simulators.cells.pulses import PulseResponse
from hilep.simulators.cells.window import Window
from hilep.simulators.cells.writing import WriteGain, WriteNoise

SHAPES = ((9, 7), (7, 4), (4, 3))


def everything(ageing) -> Cell:
    """A cell with every imperfection there is."""
    return Cell(
        Window(1e-6, 1e-4, 0.1, 0.1),
        Levels(64),
        WriteNoise(1e-7, 0.01),
        WriteGain(0.05),
        PulseResponse(50, 2.0, 3.0, 0.1, 0.3, 0.2, 0.5),
        ageing,
        Flicker(0.02, 8, 3.0),
        Faults(0.05, 0.05, 0.05, 0.05),
    )


AGEING = (Drift(0.08, 0.02, 1.0), Retention(1e4, 2e-5))


def live(cells: CellArray, generator: np.random.Generator, steps: int) -> list[np.ndarray]:
    """Write, pulse and wait, and return all that was conducted on the way."""
    seen = []
    for _ in range(steps):
        if generator.random() < 0.4:
            cells.write([generator.uniform(1e-6, 1e-4, shape) for shape in SHAPES])
        cells.advance(float(generator.exponential(20.0)))
        for layer, shape in enumerate(SHAPES):
            if generator.random() < 0.7:
                change = generator.normal(0, 3e-6, shape)
                cells.pulse(layer, cells.pulses_for(layer, change))
        cells.advance(float(generator.exponential(20.0)))
        seen += [cells.siemens(layer) for layer in range(len(SHAPES))]
    return [g.copy() for g in seen]


@pytest.mark.parametrize("ageing", AGEING, ids=["drift", "retention"])
@pytest.mark.parametrize("restore_first", [True, False])
def test_state_and_conductances_go_on_bit_for_bit(ageing, restore_first):
    """From any moment, through JSON text, on a fresh array of the same seed."""
    for steps in (0, 1, 6):
        first = CellArray(SHAPES, everything(ageing), 11)
        live(first, np.random.default_rng(1), steps)
        state = json.dumps(first.state(), allow_nan=False)
        kept = [g.copy() for g in first.achieved()]
        fresh = CellArray(SHAPES, everything(ageing), 11)
        live(fresh, np.random.default_rng(99), 2)
        if restore_first:
            fresh.restore(json.loads(state))
        fresh.take(kept)
        fresh.restore(json.loads(state))
        assert fresh.state() == first.state()
        for g, other in zip(first.achieved(), fresh.achieved(), strict=True):
            np.testing.assert_array_equal(g, other)
        again, there = (live(cells, np.random.default_rng(2), 6) for cells in (first, fresh))
        for g, other in zip(again, there, strict=True):
            np.testing.assert_array_equal(g, other)


def test_the_state_is_small_and_holds_no_array():
    cells = CellArray([(300, 200)] * 8, everything(AGEING[0]), 1)
    cells.write([np.full((300, 200), 5e-5)] * 8)
    cells.advance(1 / 3)
    cells.pulse(3, np.ones((300, 200), dtype=int))
    text = json.dumps(cells.state())
    assert len(text) < 1000
    with pytest.raises(BadInputError, match="expected 3 layers"):
        CellArray(SHAPES, Cell(), 1).restore(json.loads(text))


def test_the_order_of_layers_does_not_matter():
    """Neither for pulses nor for reads; and a layer is the same among other layers."""
    generator = np.random.default_rng(3)
    asked = [generator.uniform(1e-6, 1e-4, shape) for shape in SHAPES]
    counts = [generator.integers(-9, 10, shape) for shape in SHAPES]
    ends = []
    for order in ((0, 1, 2), (2, 0, 1)):
        cells = CellArray(SHAPES, everything(AGEING[0]), 4)
        cells.write(asked)
        cells.advance(50.0)
        for layer in order:
            cells.pulse(layer, counts[layer])
        cells.advance(50.0)
        seen = {layer: cells.siemens(layer) for layer in order[::-1]}
        ends.append([seen[layer] for layer in range(3)])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
    # The first layer alone.
    alone = CellArray(SHAPES[:1], everything(AGEING[0]), 4)
    alone.write(asked[:1])
    alone.advance(50.0)
    alone.pulse(0, counts[0])
    alone.advance(50.0)
    np.testing.assert_array_equal(alone.siemens(0), ends[0][0])


def test_one_imperfection_does_not_change_the_draws_of_another():
    """The same cells are stuck, and writes err alike, whatever else is switched on."""
    asked = [np.full(shape, 5e-5) for shape in SHAPES]
    plain = Cell(Window(1e-6, 1e-4), write_noise=WriteNoise(1e-7), faults=Faults(0.1))
    more = Cell(
        Window(1e-6, 1e-4, 0.1),
        write_noise=WriteNoise(1e-7),
        pulses=PulseResponse(50, device_spread=0.1),
        ageing=AGEING[0],
        flicker=Flicker(0.1),
        faults=Faults(0.1),
    )
    one, other = CellArray(SHAPES, plain, 5), CellArray(SHAPES, more, 5)
    one.write(asked)
    other.write(asked)
    for layer, (g, h) in enumerate(zip(one.achieved(), other.achieved(), strict=True)):
        healthy = one.layers[layer].ails == 0
        np.testing.assert_array_equal(one.layers[layer].ails, other.layers[layer].ails)
        np.testing.assert_array_equal(g[healthy], h[healthy])


def test_another_seed_is_another_array():
    ends = []
    for seed in (6, 7):
        cells = CellArray(SHAPES, everything(AGEING[0]), seed)
        cells.write([np.full(shape, 5e-5) for shape in SHAPES])
        ends.append(cells.siemens(0))
    assert (ends[0] != ends[1]).mean() > 0.5
