"""Cells on a virtual bench: pulses across a threshold, half-selected neighbours, controls, time."""

import numpy as np
import pytest
from network_worlds import HIGH, LOW, conductances, free_volts, hold, network, world

from hilep.errors import BadInputError
from hilep.simulators.virtual.switching import Switching
from hilep.simulators.virtual.world import Drive

LAW = Switching(threshold_v=1.2, volts=2.0, seconds=1e-2)
STEP = (HIGH - LOW) / 100


def array(**around):
    """One array of 3 x 2 cells in the middle of their window, its lines as terminals."""
    of = network((3, 2), "none", "none")
    middle = [np.full((3, 2), 0.5 * (LOW + HIGH))]
    around = {"switching": LAW, "leakage_siemens": 1e-14} | around
    return world(of, middle, pulses=100, extra=("program", "guard"), **around)


def pulsed(made, volts, seconds):
    """Pulse cell (1, 0), every other line held at half of it."""
    paths = [("program", "r0_1"), ("ground", "c0_0")]
    paths += [("guard", f"r0_{row}") for row in (0, 2)] + [("guard", "c0_1")]
    for path in paths:
        made.join(*path)
    hold(made, {"program": volts, "guard": volts / 2})
    made.clock.advance(seconds)
    hold(made, {"program": 0.0, "guard": 0.0})
    return made.siemens()[0]


@pytest.mark.parametrize(("volts", "sign"), [(2.0, 1), (-2.0, -1)])
def test_a_pulse_moves_its_cell_alone_by_one_step(volts, sign):
    made = array()
    before = made.siemens()[0]
    after = pulsed(made, volts, 1.001e-2)
    moved = np.zeros((3, 2))
    moved[1, 0] = sign * STEP
    np.testing.assert_allclose(after - before, moved, rtol=1e-3, atol=1e-15)


def test_twice_the_width_is_twice_the_pulse_and_height_counts_above_the_threshold():
    for volts, seconds, pulses in ((2.0, 2e-2, 2), (2.4, 1e-2, 1), (2.8, 1e-2, 2), (1.6, 2e-2, 1)):
        made = array(contact_ohm=1e-3)
        before = made.siemens()[0]
        after = pulsed(made, volts, seconds * 1.001)
        assert (after - before)[1, 0] == pytest.approx(pulses * STEP, rel=1e-6), volts


def test_what_is_left_of_a_pulse_counts_with_the_next():
    made = array(contact_ohm=1e-3)
    before = made.siemens()[0]
    moves = [(pulsed(made, 2.0, 4.01e-3) - before)[1, 0] / STEP for _ in range(5)]
    assert moves == pytest.approx([0, 0, 1, 1, 2], abs=1e-6)


def test_nothing_moves_at_or_below_the_threshold_for_however_long():
    made = array()
    before = made.siemens()[0]
    assert (pulsed(made, 1.2, 1e6) == before).all()


def test_a_current_limit_keeps_a_pulse_from_its_cell():
    made = array()
    made.join("program", "r0_1")
    made.join("ground", "c0_0")
    before = made.siemens()[0]
    made.drive("program", Drive("volts", 2.0, 1e-6))
    made.clock.advance(1.0)
    made.drive("program", Drive())
    assert (made.siemens()[0] == before).all()


def test_without_time_nothing_happens():
    made = array()
    before = made.siemens()[0]
    assert (pulsed(made, 5.0, 0.0) == before).all()


def test_a_control_sets_its_cell_through_the_map():
    of = network((2, 2), "none", "none")

    def siemens(volts):
        return LOW + (HIGH - LOW) * volts

    made = world(of, control=siemens)
    hold(made, {"g0_1_0": 0.25, "x0": 0.5, "x1": 0.5})
    expected = np.full((2, 2), LOW)
    expected[1, 0] = siemens(0.25)
    np.testing.assert_allclose(made.siemens()[0], expected, rtol=1e-12)
    assert made.measure(["g0_1_0"], 0.0, np.random.default_rng(0)).volts[0, 0] == 0.25
    made.drive("g0_1_0", Drive())
    assert made.siemens()[0][1, 0] == LOW


def test_voltages_follow_the_cells():
    of = network((1, 1), "none", "none")
    made = world(of, [np.full((1, 1), 1e-6)], leakage_siemens=1e-6)
    hold(made, {"x0": 1.0})
    assert free_volts(made)[0] == pytest.approx(0.5)
    made.write([np.full((1, 1), 3e-6)])
    assert free_volts(made)[0] == pytest.approx(0.75)


def test_pulses_with_resistive_lines_are_those_at_the_cell():
    """A line drops part of the pulse, and the cell gets the rest."""
    from hilep.simulators.circuit.wiring import Wiring

    of = network((1, 1), "none", "none")
    made = world(of, [np.full((1, 1), 1e-6)], pulses=100, switching=LAW,
                 wiring=Wiring(word_ohm=5e5, bit_ohm=0.0))  # fmt: skip
    hold(made, {"x0": 3.0, "y0": 0.0})
    # A third of 3 V is lost in the lead of 0.5 of the cell's resistance.
    made.clock.advance(1.001e-2)
    hold(made, {"x0": 0.0})
    assert made.siemens()[0][0, 0] - 1e-6 == pytest.approx(STEP, rel=1e-6)


def test_laws_without_meaning_are_refused():
    for more in ({"threshold_v": 2.0}, {"seconds": 0.0}, {"exponent": -1.0}):
        with pytest.raises(BadInputError, match="switching"):
            Switching(**{"threshold_v": 1.0, "volts": 2.0, "seconds": 1.0} | more)


def test_conductances_are_as_written():
    of = network()
    siemens = conductances(of)
    for found, wanted in zip(world(of, siemens).siemens(), siemens, strict=True):
        assert (found == wanted).all()
