"""Predicted pulse widths: few pulses on any monotonous cell, and no trust in one that is stuck."""

import numpy as np
import pytest

from hilep.instruments.pulseschedule import Schedule
from hilep.instruments.pulsewidths import ArrayResponse
from hilep.instruments.writeverify import Verified, write_verify

WIDTHS = [1e-2 * 2**k for k in range(8)]
UP, DOWN = Schedule.of([2.0] * 8, WIDTHS), Schedule.of([-2.0] * 8, WIDTHS)
LOW, HIGH = 1e-6, 1e-4


class Cell:
    """A cell whose conductance saturates at its bounds, with a spread from pulse to pulse."""

    def __init__(self, seed, bend, spread, siemens=2e-5):
        self.generator = np.random.default_rng(seed)
        self.bend, self.spread, self.siemens = bend, spread, siemens
        self.widths = []

    def read(self):
        return Verified(self.siemens)

    def pulse(self, volts, seconds):
        self.widths.append(seconds)
        rate = 1e-5 * (1 + self.spread * self.generator.standard_normal())
        room = (HIGH - self.siemens if volts > 0 else self.siemens - LOW) / (HIGH - LOW)
        moved = rate * seconds * (1 - self.bend + self.bend * room)
        self.siemens = float(np.clip(self.siemens + np.sign(volts) * moved, LOW, HIGH))


@pytest.mark.parametrize(("bend", "spread"), [(0.0, 0.0), (0.8, 0.0), (0.8, 0.2)])
def test_predicted_widths_take_fewer_pulses_and_get_there(bend, spread):
    targets = np.random.default_rng(5).uniform(1e-5, 8e-5, 40)
    used = {}
    for predicted in (False, True):
        cell, array = Cell(1, bend, spread), ArrayResponse()
        used[predicted] = 0
        for target in targets:
            response = array.of_cell((0, 0, 0)) if predicted else None
            write = write_verify(cell, target, 0.02 * target, UP, DOWN, 400, response)
            assert not write.failed
            assert abs(cell.siemens - target) <= 0.02 * target
            used[predicted] += write.pulses
        assert min(cell.widths) >= WIDTHS[0]
        assert max(cell.widths) <= WIDTHS[-1]
    assert used[True] < used[False] / 2


def test_a_straight_cell_that_is_known_takes_one_pulse():
    cell, array = Cell(0, 0.0, 0.0), ArrayResponse()
    write_verify(cell, 2.5e-5, 1e-7, UP, DOWN, 100, array.of_cell((0, 0, 0)))
    write = write_verify(cell, 2.9e-5, 1e-7, UP, DOWN, 100, array.of_cell((0, 0, 0)))
    assert write.pulses == 1
    # Another cell is taken to be like it.
    write = write_verify(Cell(0, 0, 0), 2.3e-5, 1e-7, UP, DOWN, 100, array.of_cell((0, 1, 0)))
    assert write.pulses == 1


def test_a_stuck_cell_takes_its_budget_and_teaches_nothing():
    cell, array = Cell(0, 0.0, 0.0), ArrayResponse()
    write_verify(cell, 2.5e-5, 1e-7, UP, DOWN, 100, array.of_cell((0, 0, 0)))
    stuck = Cell(0, 0.0, 0.0)
    stuck.siemens = HIGH
    write = write_verify(stuck, 2 * HIGH, 1e-7, UP, DOWN, 10, array.of_cell((0, 1, 0)))
    assert write.failed
    assert write.pulses == 10
    # From the second on the schedule is as it is.
    assert stuck.widths[1:] == [UP.pulse(attempt)[1] for attempt in range(1, 10)]
    write = write_verify(Cell(0, 0, 0), 2.3e-5, 1e-7, UP, DOWN, 100, array.of_cell((0, 2, 0)))
    assert write.pulses == 1
