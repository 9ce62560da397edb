"""The programming deadband: nothing that was asked is lost, and nothing is written for less."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilep import backends
from hilep.backends import Relaxation
from hilep.config import load
from hilep.errors import BadInputError, ConfigError, UnsupportedError
from hilep.network import Network
from hilep.owed import Owed
from hilep.reading import LayerUpdate, Update
from hilep.runfile import RunFile, read_run
from hilep.simulators.backend import SIMULATED
from hilep.testing import CrossbarLaws

GRAIN = 2.0**-20
"""Whole multiples of this add up without rounding, so that laws hold to the last digit."""
LOW, HIGH = 0.25, 1.0
SHAPES = [(2, 3)]
GRAINS = st.integers(-(2**18), 2**18)
CHANGES = st.lists(st.lists(GRAINS, min_size=6, max_size=6), min_size=1, max_size=20)


def arrays(numbers):
    return [GRAIN * np.array(numbers, np.float64).reshape(SHAPES[0])]


@given(changes=CHANGES, errors=CHANGES, deadband=st.integers(0, 2**18))
@settings(deadline=None)
def test_applied_and_owed_are_what_was_asked_to_the_last_digit(changes, errors, deadband):
    """Also where writes miss their targets, and with asking that stops at the window."""
    owed = Owed(SHAPES, LOW, HIGH, deadband * GRAIN)
    present = [np.full(SHAPES[0], 0.5)]
    wanted = present[0].copy()
    for step, numbers in enumerate(changes):
        change = arrays(numbers)
        due = owed.ask(present, change)
        wanted = np.clip(wanted + change[0], LOW, HIGH)
        np.testing.assert_array_equal(due.targets[0], wanted)
        error = arrays(errors[step % len(errors)])[0] / 16
        written = np.clip(due.targets[0] + error, LOW, HIGH)
        present = [np.where(due.where[0], written, present[0])]
        owed.record(due, present)
        np.testing.assert_array_equal(present[0] + owed.siemens[0], wanted)
        # At a bound nothing beyond it is owed.
        assert (present[0] + owed.siemens[0] >= LOW).all()
        assert (present[0] + owed.siemens[0] <= HIGH).all()
        # What is not written is owed no more than the deadband.
        assert (np.abs(owed.siemens[0][~due.where[0]]) <= deadband * GRAIN).all()


@given(changes=CHANGES, deadband=st.integers(1, 2**18))
@settings(deadline=None)
def test_a_cell_is_left_alone_until_its_changes_have_added_up(changes, deadband):
    owed = Owed(SHAPES, -np.inf, np.inf, deadband * GRAIN)
    present = [np.zeros(SHAPES[0])]
    since = np.zeros(SHAPES[0])
    for numbers in changes:
        change = arrays(numbers)
        since += change[0]
        due = owed.ask(present, change)
        np.testing.assert_array_equal(due.where[0], np.abs(since) > deadband * GRAIN)
        since[due.where[0]] = 0.0
        present = [np.where(due.where[0], due.targets[0], present[0])]
        owed.record(due, present)


@given(changes=CHANGES, split=st.integers(0, 20))
@settings(deadline=None)
def test_going_on_from_what_is_owed_is_going_on(changes, split):
    def run(owed, present, steps):
        for numbers in steps:
            due = owed.ask(present, [change / 7 for change in arrays(numbers)])
            present = [np.where(due.where[0], due.targets[0], present[0])]
            owed.record(due, present)
        return present

    whole, first, second = (Owed(SHAPES, LOW, HIGH, 0.01) for _ in range(3))
    start = [np.full(SHAPES[0], 0.5)]
    middle = run(first, start, changes[:split])
    second.owe(first.siemens)
    end = run(second, middle, changes[split:])
    np.testing.assert_array_equal(run(whole, start, changes)[0], end[0])
    np.testing.assert_array_equal(whole.siemens[0], second.siemens[0])


def test_a_failed_cell_is_owed_nothing_and_goes_on_from_where_it_is():
    owed = Owed(SHAPES, LOW, HIGH, 0.1)
    present = [np.full(SHAPES[0], 0.5)]
    due = owed.ask(present, [np.full(SHAPES[0], 0.2)])
    achieved = [due.targets[0].copy()]
    achieved[0][1, 2] = 0.3
    owed.record(due, achieved, [(0, 1, 2)])
    np.testing.assert_array_equal(owed.siemens[0], 0.0)
    due = owed.ask(achieved, [np.full(SHAPES[0], 0.15)])
    assert due.targets[0][1, 2] == 0.3 + 0.15


@pytest.mark.parametrize("deadband", [-1.0, np.nan, np.inf])
def test_a_deadband_that_is_none_is_refused(deadband):
    with pytest.raises(BadInputError, match="deadband_siemens: expected siemens >= 0"):
        Owed(SHAPES, 0, 1, deadband)
    owed = Owed(SHAPES, 0, 1, 0.1)
    with pytest.raises(BadInputError, match="expected 1 layers, got 2"):
        owed.owe([np.zeros((2, 3))] * 2)
    with pytest.raises(BadInputError, match="owed: layer 0"):
        owed.owe([np.zeros((2, 2))])


# On a simulated crossbar --------------------------------------------------------------------------

NETWORK = Network((4, 3, 2), g_min_siemens=0.1, g_max_siemens=2.0)


def crossbar(cells, network=NETWORK):
    options = SIMULATED.options.model_validate({"precision": "float64", "seed": 3, "cells": cells})
    return SIMULATED.build(network, options, Relaxation(None, 1e-12))


def update_of(changes):
    """Changes (n_pre, n_post) as an update in factors."""
    return Update(tuple(LayerUpdate(np.eye(len(dg)), dg) for dg in changes))


def test_a_crossbar_writes_only_what_is_due_and_says_what_it_owes():
    device = crossbar({"deadband_siemens": 0.05})
    start = [np.full(shape, 1.0) for shape in NETWORK.shapes]
    device.program(start)
    assert all(not part.any() for part in device.owed())
    changes = [np.full(shape, 0.02) for shape in NETWORK.shapes]
    changes[0][0, 0] = 0.3
    cells = sum(g.size for g in start)
    assert device.update([update_of(changes)]).programmed == 1
    assert device.conductances()[0][0, 0] == pytest.approx(1.3)
    assert device.owed()[0][0, 1] == pytest.approx(0.02)
    small = [np.full(shape, 0.02) for shape in NETWORK.shapes]
    assert device.update([update_of(small)]).programmed == 0
    assert device.update([update_of(small)]).programmed == cells - 1
    for g, debt, one in zip(device.conductances(), device.owed(), start, strict=True):
        moved = np.full(g.shape, 0.06)
        moved[0, 0] += 0.28 if one is start[0] else 0.0
        np.testing.assert_allclose(g + debt - one, moved, atol=1e-14)


def test_without_a_deadband_nothing_is_owed():
    for cells in (None, {"write_noise_siemens": 1e-3}):
        device = crossbar(cells)
        assert device.owed() is None
        with pytest.raises(UnsupportedError, match=r"owe|deadband"):
            device.owe([np.zeros(shape) for shape in NETWORK.shapes])


def test_open_loop_pulses_have_no_deadband():
    keys = 'device.cells={programming="pulses", pulses=100, deadband_siemens=0.1}'
    with pytest.raises(ConfigError, match='deadband_siemens needs programming = "write"'):
        backends.options(load(None, ['device.backend="simulated"', keys]))


def test_errors_of_writes_do_not_add_up():
    """A walk of n steps of sigma is sqrt(n) sigma long; with what is owed it stays one step."""
    steps, sigma = 400, 1e-3
    network = Network((20, 10, 3), g_min_siemens=0.1, g_max_siemens=3.0)
    spreads = []
    for deadband in (None, 0.0):
        keys = {} if deadband is None else {"deadband_siemens": deadband}
        device = crossbar({"write_noise_siemens": sigma, **keys}, network)
        device.program([np.full(shape, 1.0) for shape in network.shapes])
        generator = np.random.default_rng(0)
        for _ in range(steps):
            signs = [1e-4 * generator.choice([-1.0, 1.0], shape) for shape in network.shapes]
            device.update([update_of(signs)])
            device.update([update_of([-sign for sign in signs])])
        ends = np.concatenate([g.ravel() for g in device.conductances()])
        spreads.append(float(np.std(ends - 1.0)))
    # Within five standard errors of a standard deviation of 230 cells.
    assert spreads[0] == pytest.approx(np.sqrt(2 * steps + 1) * sigma, rel=0.24)
    assert spreads[1] == pytest.approx(sigma, rel=0.24)


class TestDeadband(CrossbarLaws):
    """A cell may be as far off as the deadband, here a thousandth of a microsiemens."""

    layers = ((6, 5, 3), (4, 3))
    conductance_tolerance = 1e-3

    def build(self, network):
        return crossbar({"deadband_siemens": 1e-9}, network)


# In a run file ------------------------------------------------------------------------------------


def test_a_run_file_keeps_what_is_owed_to_the_last_digit(tmp_path):
    config = load(None, ["network.layers=[4,3,2]"])
    shapes = config.network.network().shapes
    generator = np.random.default_rng(0)
    conductances = [generator.random(shape) for shape in shapes]
    owed = [1e-9 * generator.standard_normal(shape) for shape in shapes]
    keys = {
        "config": config,
        "network": config.network.network(),
        "dtype": np.dtype(np.float64),
        "provenance": {"device": {"description": "made up"}},
    }
    bias = np.zeros(config.network.network().free_nodes)
    with RunFile.create(tmp_path / "with.h5", owing=True, **keys) as run:
        run.save(0, conductances, bias, {}, owed)
        with pytest.raises(BadInputError, match="expected what is owed of shapes"):
            run.save(1, conductances, bias, {})
    found = read_run(tmp_path / "with.h5").checkpoint
    for one, other in zip(found.owed, owed, strict=True):
        np.testing.assert_array_equal(one, other)
    content = bytearray((tmp_path / "with.h5").read_bytes())
    at = content.index(owed[1].tobytes())
    content[at] ^= 1
    (tmp_path / "with.h5").write_bytes(content)
    with pytest.raises(BadInputError, match="no valid checkpoint"):
        read_run(tmp_path / "with.h5")
    with RunFile.create(tmp_path / "without.h5", **keys) as run:
        run.save(0, conductances, bias, {})
        with pytest.raises(BadInputError, match="expected what is owed of shapes"):
            run.save(1, conductances, bias, {}, owed)
    assert read_run(tmp_path / "without.h5").checkpoint.owed is None
