"""Closed-loop writes: what is asked, what is reached, and what is reported.

Each random test is seeded; its threshold is stated with the chance that a correct program fails it
for a fresh seed.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hilep.errors import BadInputError
from hilep.simulators.cells.array import CellArray
from hilep.simulators.cells.cell import Cell
from hilep.simulators.cells.faults import DEAD, HEALTHY, STUCK_HIGH, STUCK_LOW, Faults
from hilep.simulators.cells.levels import Levels
from hilep.simulators.cells.pulses import PulseResponse
from hilep.simulators.cells.window import Window
from hilep.simulators.cells.writing import WriteGain, WriteNoise

SHAPES = ((40, 30), (32, 5))
MICRO = Window(1e-6, 1e-4)


def targets(generator, low=1e-6, high=1e-4, shapes=SHAPES):
    return [generator.uniform(low, high, shape) for shape in shapes]


def sigma_interval(draws: int, alarm: float = 1e-6) -> np.ndarray:
    """Where s / sigma of `draws` normal numbers lies with probability 1 - alarm."""
    return np.sqrt(stats.chi2.ppf([alarm / 2, 1 - alarm / 2], draws - 1) / (draws - 1))


def test_an_ideal_cell_holds_exactly_what_was_asked():
    asked = targets(np.random.default_rng(0))
    cells = CellArray(SHAPES, Cell())
    written = cells.write(asked)
    cells.advance(1e6)
    for layer, want in enumerate(asked):
        np.testing.assert_array_equal(written.achieved[layer], want)
        np.testing.assert_array_equal(cells.siemens(layer), want)
    assert written.failed.shape == (0, 3)


def test_write_noise_has_the_deviation_asked_for_both_its_parts():
    """s of z = error / deviation within chi-square's bounds, mean within normal's (2e-6)."""
    noise = WriteNoise(siemens=2e-7, relative=0.02)
    cells = CellArray(SHAPES, Cell(write_noise=noise), seed=1)
    generator = np.random.default_rng(1)
    z = []
    for _ in range(20):
        asked = targets(generator, 1e-5, 1e-4)
        for got, want in zip(cells.write(asked).achieved, asked, strict=True):
            z.append(((got - want) / np.hypot(2e-7, 0.02 * want)).ravel())
    z = np.concatenate(z)
    low, high = sigma_interval(z.size)
    assert low < z.std(ddof=1) < high
    assert abs(z.mean()) < 5 / np.sqrt(z.size)


def test_device_to_device_and_cycle_to_cycle_spread_separate_by_repeated_writes():
    """One-way ANOVA of 30 writes: within cells the noise, between them the gain (chance 2e-6).

    The within-cell mean square is sigma^2 chi^2 / nu; the between-cell variance of means has the
    relative standard error sqrt((kurtosis + 2) / n) of a log-normal sample, here below 1.6.
    """
    cell = Cell(write_noise=WriteNoise(relative=0.03), write_gain=WriteGain(0.1))
    cells = CellArray(SHAPES, cell, seed=2)
    asked = [np.full(shape, 5e-5) for shape in SHAPES]
    writes = np.array(
        [np.concatenate([g.ravel() for g in cells.write(asked).achieved]) for _ in range(30)]
    )
    ratios = writes / 5e-5
    times, count = ratios.shape
    within = ratios.var(axis=0, ddof=1).mean()
    between = ratios.mean(axis=0).var(ddof=1) - within / times
    low, high = sigma_interval(count * (times - 1) + 1)
    assert low < np.sqrt(within) / 0.03 < high
    assert abs(np.sqrt(between) / 0.1 - 1) < 5 * 0.5 * 1.6 / np.sqrt(count)
    assert abs(ratios.mean() - 1) < 5 * 0.1 / np.sqrt(count)


def test_without_device_spread_cells_do_not_differ():
    """Between-cell variance over within-cell variance is F distributed (chance 1e-6)."""
    cells = CellArray(SHAPES, Cell(write_noise=WriteNoise(siemens=1e-6)), seed=3)
    asked = [np.full(shape, 5e-5) for shape in SHAPES]
    writes = np.array(
        [np.concatenate([g.ravel() for g in cells.write(asked).achieved]) for _ in range(10)]
    )
    times, count = writes.shape
    ratio = times * writes.mean(axis=0).var(ddof=1) / writes.var(axis=0, ddof=1).mean()
    tails = stats.f.ppf([5e-7, 1 - 5e-7], count - 1, count * (times - 1))
    assert tails[0] < ratio < tails[1]


@given(
    count=st.integers(2, 2**20),
    low=st.floats(0, 1e-3),
    span=st.floats(1e-9, 10),
    seed=st.integers(0, 2**32),
)
def test_levels_are_equally_spaced_nearest_and_in_the_window(count, low, span, seed):
    window = Window(low, low + span)
    levels = Levels(count)
    asked = np.random.default_rng(seed).uniform(low, low + span, (9, 9))
    asked[0, :2] = low, window.g_max_siemens
    got = levels.nearest(asked, window)
    step = levels.step_siemens(window)
    assert np.abs(got - asked).max() <= step * (0.5 + 1e-6) + 1e-15 * window.g_max_siemens
    index = (got - low) / step
    assert np.abs(index - np.rint(index)).max() <= 1e-15 * count * (1 + low / span) * 10
    assert got[0, 0] == low
    assert got[0, 1] == window.g_max_siemens
    assert got.min() >= low
    assert got.max() <= window.g_max_siemens
    np.testing.assert_array_equal(levels.nearest(got, window), got)


def test_a_write_to_levels_reaches_each_and_none_between():
    cells = CellArray(SHAPES, Cell(MICRO, Levels(9)))
    written = cells.write(targets(np.random.default_rng(4)))
    reached = np.unique(np.concatenate([g.ravel() for g in written.achieved]))
    np.testing.assert_allclose(reached, np.linspace(1e-6, 1e-4, 9), rtol=1e-12)
    assert written.failed.size == 0


def test_bounds_spread_between_cells_as_asked():
    """Mean and standard deviation of each bound within 5 standard errors (chance about 3e-6).

    The standard error of a log-normal sample's deviation is s sqrt((kurtosis + 2) / 4 n); kurtosis
    is below 0.7 at a spread of 0.2.
    """
    shape = (200, 200)
    cells = CellArray([shape], Cell(Window(1e-6, 1e-4, 0.1, 0.2)), seed=5)
    own = cells.layers[0]
    for bound, nominal, spread in ((own.low, 1e-6, 0.1), (own.high, 1e-4, 0.2)):
        ratio = bound / nominal
        assert abs(ratio.mean() - 1) < 5 * spread / 200
        assert abs(ratio.std() / spread - 1) < 5 * np.sqrt(2.7 / 4) / 200
    far = [np.full(shape, 1.0)]
    np.testing.assert_array_equal(cells.write(far).achieved[0], own.high)
    np.testing.assert_array_equal(cells.write([np.zeros(shape)]).achieved[0], own.low)


@settings(max_examples=30, deadline=None)
@given(
    spreads=st.tuples(st.floats(0, 0.8), st.floats(0, 0.8)),
    noise=st.floats(0, 1.0),
    gain=st.floats(0, 1.0),
    pulses=st.floats(0.5, 300),
    bends=st.tuples(st.floats(-8, 8), st.floats(-8, 8)),
    cycle=st.floats(0, 3),
    seed=st.integers(0, 2**40),
)
def test_no_healthy_cell_ever_leaves_its_window(spreads, noise, gain, pulses, bends, cycle, seed):
    """Whatever is written or pulsed, and never beyond what the programming circuit allows."""
    window = Window(1e-5, 1e-4, *spreads, least_siemens=5e-6, most_siemens=2e-4)
    response = PulseResponse(pulses, *bends, 0.2, cycle, 0.5, 1.0)
    cell = Cell(
        window,
        write_noise=WriteNoise(relative=noise),
        write_gain=WriteGain(gain),
        pulses=response,
        faults=Faults(stuck_low=0.05, stuck_high=0.05),
    )
    cells = CellArray([(12, 9)], cell, seed)
    generator = np.random.default_rng(seed)
    own = cells.layers[0]
    for _ in range(3):
        cells.write([generator.uniform(0, 3e-4, (12, 9))])
        cells.pulse(0, generator.integers(-2 * int(pulses) - 2, 2 * int(pulses) + 3, (12, 9)))
        g = cells.achieved()[0]
        assert (g >= own.low).all()
        assert (g <= own.high).all()
        assert g.min() >= 5e-6
        assert g.max() <= 2e-4


def test_stuck_and_dead_cells_never_move_and_are_reported():
    """Fractions within 5 binomial standard errors (chance about 2e-6); writes, pulses, time."""
    shape = (120, 100)
    faults = Faults(0.02, 0.03, dead_rows=[(0, 7)], dead_columns=[(0, 0), (0, 99)])
    cell = Cell(MICRO, pulses=PulseResponse(50), faults=faults)
    cells = CellArray([shape], cell, seed=6)
    ails = cells.layers[0].ails
    assert (ails[7] == DEAD).all()
    assert (ails[:, [0, 99]] == DEAD).all()
    alive = 119 * 98
    for ailment, fraction in ((STUCK_LOW, 0.02), (STUCK_HIGH, 0.03)):
        count = (ails == ailment).sum()
        assert abs(count - fraction * alive) < 5 * np.sqrt(fraction * alive)
    expected = {STUCK_LOW: 1e-6, STUCK_HIGH: 1e-4, DEAD: 0.0}
    generator = np.random.default_rng(6)
    for _ in range(3):
        written = cells.write([generator.uniform(2e-6, 9e-5, shape)])
        assert {tuple(cell) for cell in written.failed} == {
            (0, i, j) for i, j in np.argwhere(ails != HEALTHY)
        }
        cells.pulse(0, generator.integers(-5, 6, shape))
        cells.advance(1e5)
        for ailment, siemens in expected.items():
            for g in (cells.achieved()[0], cells.siemens(0)):
                assert (g[ails == ailment] == siemens).all()
    # A stuck cell that is asked for what it holds has not failed.
    low = cells.write([np.full(shape, 1e-6)]).failed
    assert {tuple(cell) for cell in low} == {
        (0, i, j) for i, j in np.argwhere((ails != HEALTHY) & (ails != STUCK_LOW))
    }


def test_faults_hold_in_arrays_of_any_memory_order():
    asked = np.asfortranarray(np.full((30, 20), 5e-5))
    cells = CellArray([(30, 20)], Cell(MICRO, faults=Faults(stuck_low=0.2)), seed=7)
    cells.write([asked])
    stuck = cells.layers[0].ails == STUCK_LOW
    assert stuck.any()
    assert (cells.achieved()[0][stuck] == 1e-6).all()
    cells.take([np.asfortranarray(cells.achieved()[0])])
    assert (cells.achieved()[0][stuck] == 1e-6).all()
    assert (asked == 5e-5).all()


def test_healthy_cells_pass_the_tolerance_and_a_given_one_is_kept():
    """5 deviations of 48,000 writes (chance 0.03 for one cell; twice is below 1e-3)."""
    cell = Cell(MICRO, write_noise=WriteNoise(relative=0.02))
    cells = CellArray([(400, 120)], cell, seed=8)
    asked = [np.random.default_rng(8).uniform(1e-5, 8e-5, (400, 120))]
    assert len(cells.write(asked).failed) <= 1
    strict = Cell(MICRO, write_noise=WriteNoise(relative=0.02), tolerance_siemens=1e-7)
    written = CellArray([(400, 120)], strict, seed=8).write(asked)
    off = np.abs(written.achieved[0] - asked[0]) > 1e-7
    np.testing.assert_array_equal(written.failed[:, 1:], np.argwhere(off))


def test_bad_values_are_refused_in_one_line_and_nothing_changes():
    refused = [
        lambda: Window(2e-6, 1e-6),
        lambda: Window(1e-6, np.inf, g_max_spread=0.1),
        lambda: Window(1e-6, 1e-4, least_siemens=2e-6),
        lambda: Levels(1),
        lambda: WriteNoise(siemens=-1e-9),
        lambda: WriteGain(np.nan),
        lambda: Faults(stuck_low=0.6, stuck_high=0.6),
        lambda: Faults(dead_rows=1.5),
        lambda: Cell(levels=Levels(4)),
        lambda: Cell(faults=Faults(stuck_high=0.1)),
        lambda: Cell(pulses=PulseResponse(10)),
        lambda: Cell(tolerance_siemens=-1.0),
        lambda: CellArray([(3, 2)], Cell(faults=Faults(dead_rows=[(0, 3)]))),
        lambda: CellArray([(3, 2)], Cell(faults=Faults(dead_columns=[(1, 0)]))),
        lambda: CellArray([(3, 2)], Cell(), seed=-1),
    ]
    for attempt in refused:
        with pytest.raises(BadInputError) as error:
            attempt()
        assert "\n" not in str(error.value)
    cells = CellArray(SHAPES, Cell(write_noise=WriteNoise(1e-6)), seed=9)
    asked = targets(np.random.default_rng(9))
    before, state = [g.copy() for g in cells.write(asked).achieved], cells.state()
    for wrong in (asked[:1], [asked[0], asked[1].T], [asked[0], np.full(SHAPES[1], np.nan)]):
        for verb in (cells.write, cells.take):
            with pytest.raises(BadInputError):
                verb(wrong)
    assert cells.state() == state
    for g, was in zip(cells.achieved(), before, strict=True):
        np.testing.assert_array_equal(g, was)
