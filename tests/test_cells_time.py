"""What time does to cells: drift, retention, flicker.

Each random test is seeded; its threshold is stated with the chance that a correct program fails it
for a fresh seed.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilep.errors import BadInputError
from hilep.simulators.cells.ageing import Drift, Retention
from hilep.simulators.cells.array import CellArray
from hilep.simulators.cells.cell import Cell
from hilep.simulators.cells.faults import Faults
from hilep.simulators.cells.flicker import Flicker, Fluctuation
from hilep.simulators.cells.window import Window


def written(cell: Cell, shape=(50, 40), siemens=5e-5, seed=1, at_s=0.0) -> CellArray:
    cells = CellArray([shape], cell, seed)
    cells.advance(at_s)
    cells.write([np.full(shape, siemens)])
    return cells


def test_the_drift_exponents_come_back_from_a_log_log_fit():
    """Each cell's fit is exact; their mean and spread within 5 standard errors (chance 2e-6)."""
    cells = written(Cell(ageing=Drift(0.06, 0.01, 2.0)), at_s=1234.5)
    ages = np.geomspace(2.0, 1e7, 12)
    later = np.array([cells.siemens(0, 1234.5 + age).ravel() for age in ages])
    slope, offset = np.polyfit(np.log(ages / 2.0), np.log(later), 1)
    np.testing.assert_allclose(np.exp(offset), 5e-5, rtol=1e-9)
    ideal = np.exp(offset + slope * np.log(ages / 2.0)[:, None])
    np.testing.assert_allclose(later, ideal, rtol=1e-9)
    assert abs(-slope.mean() - 0.06) < 5 * 0.01 / np.sqrt(slope.size)
    assert abs(slope.std() / 0.01 - 1) < 5 / np.sqrt(2 * slope.size)


def test_nothing_drifts_before_the_reference_time_and_a_write_starts_anew():
    cells = written(Cell(ageing=Drift(0.1, 0.0, 10.0)))
    cells.advance(10.0)
    assert (cells.siemens(0) == 5e-5).all()
    cells.advance(90.0)
    np.testing.assert_allclose(cells.siemens(0), 5e-5 * 10**-0.1, rtol=1e-12)
    cells.write([np.full((50, 40), 5e-5)])
    cells.advance(10.0)
    assert (cells.siemens(0) == 5e-5).all()
    cells.advance(90.0)
    np.testing.assert_allclose(cells.siemens(0), 5e-5 * 10**-0.1, rtol=1e-12)


def test_no_cell_drifts_upwards():
    cells = written(Cell(ageing=Drift(0.01, 0.05)))
    cells.advance(1e6)
    assert (cells.siemens(0) <= 5e-5).all()


@pytest.mark.parametrize("start", [9e-5, 1e-6])
def test_the_retention_time_constant_comes_back_from_a_fit(start):
    cells = written(Cell(Window(1e-6, 1e-4), ageing=Retention(300.0, 2e-5)), (3, 2), start)
    times = np.linspace(0, 900, 10)
    left = np.array([cells.siemens(0, t)[1, 1] - 2e-5 for t in times]) / (start - 2e-5)
    slope, offset = np.polyfit(times, np.log(left), 1)
    assert -1 / slope == pytest.approx(300.0, rel=1e-9)
    assert offset == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(cells.siemens(0, 1e6), 2e-5, rtol=1e-12)


@settings(deadline=None)
@given(
    law=st.sampled_from([Drift(0.08, 0.02, 3.0), Retention(50.0, 1e-5)]),
    stops=st.lists(st.floats(0, 1e6), min_size=3, max_size=3).map(sorted),
)
def test_ageing_in_two_steps_is_ageing_in_one(law, stops):
    a, b, c = stops
    own = law.individual((4, 3), np.random.default_rng(0))
    start = np.full((4, 3), 5e-5)
    there = law.aged(law.aged(start, own, a, b), own, b, c)
    np.testing.assert_allclose(there, law.aged(start, own, a, c), rtol=1e-11)


def test_ageing_keeps_cells_in_their_windows_and_leaves_faulty_ones():
    cell = Cell(
        Window(2e-5, 1e-4, 0.1, 0.1),
        ageing=Drift(0.5),
        faults=Faults(stuck_low=0.1, stuck_high=0.1, dead_rows=0.05),
    )
    cells = written(cell)
    before = cells.achieved()[0].copy()
    cells.advance(1e9)
    own = cells.layers[0]
    healthy = own.ails == 0
    np.testing.assert_array_equal(cells.siemens(0)[healthy], own.low[healthy])
    np.testing.assert_array_equal(cells.siemens(0)[~healthy], before[~healthy])


def test_flicker_has_the_relative_deviation_asked_for():
    """Over cells and times that share no octave: mean and s within 5 standard errors (2e-6)."""
    flicker = Flicker(0.03, octaves=6, period_s=2.0)
    cells = written(Cell(flicker=flicker), (100, 50))
    apart = 2.0 * 2**6
    ratio = np.array([cells.siemens(0, k * apart) / 5e-5 for k in range(8)])
    assert abs(ratio.std() / 0.03 - 1) < 5 / np.sqrt(2 * ratio.size)
    assert abs(ratio.mean() - 1) < 5 * 0.03 / np.sqrt(ratio.size)


def test_the_flicker_spectrum_falls_as_one_over_f_between_the_corners():
    """Slope -1 and level relative^2 / (octaves ln 2 f), one-sided, over five octaves of f.

    In the mean over an octave the squared sincs of 12 octaves are 0.96 to 1 of that level, with a
    slope of 0.01 or less about it; 600 periodograms in bands of 8 bins and more have a standard
    error of at most 1.5 %. So 0.04 + 5 * 0.015 on each band, and 0.01 + 5 * 0.005 on the slope
    (chance about 4e-6).
    """
    octaves, relative = 12, 0.05
    fluctuation = Fluctuation(Flicker(relative, octaves, 1.0), 3, 0, (30, 20))
    times = np.arange(2**13) + 0.5
    series = np.array([fluctuation.factor(t).ravel() for t in times])
    density = (np.abs(np.fft.rfft(series - 1, axis=0)) ** 2).mean(axis=1) * 2 / len(times)
    frequency = np.fft.rfftfreq(len(times))
    level = density * frequency * octaves * np.log(2) / relative**2
    edges = 2.0 ** np.arange(-10, -5)
    bands = [level[(frequency >= edge) & (frequency < 2 * edge)].mean() for edge in edges]
    np.testing.assert_allclose(bands, 1.0, atol=0.115)
    assert abs(np.polyfit(np.log(edges), np.log(bands), 1)[0]) < 0.035
    # White below the lower corner, so that f times the density goes down with f.
    assert level[1] < 0.8


def test_flicker_is_a_function_of_time_alone():
    """In any order of times, on any object, and independent of the other layers."""
    flicker = Flicker(0.1, 5, 0.5)
    one, other = (Fluctuation(flicker, 9, 0, (4, 3)) for _ in range(2))
    times = [0.0, 0.4, 7.3, 0.6, 100.0, 7.3]
    forth = [one.factor(t) for t in times]
    back = [other.factor(t) for t in times[::-1]][::-1]
    np.testing.assert_array_equal(forth, back)
    np.testing.assert_array_equal(forth[0], forth[1])
    assert not np.array_equal(forth[1], forth[3])
    assert not np.array_equal(forth[0], Fluctuation(flicker, 9, 1, (4, 3)).factor(0.0))
    assert not np.array_equal(forth[0], Fluctuation(flicker, 10, 0, (4, 3)).factor(0.0))


def test_flicker_never_makes_a_conductance_negative_and_dead_cells_stay_dead():
    cell = Cell(Window(0, 1e-4), flicker=Flicker(2.0), faults=Faults(dead_columns=[(0, 3)]))
    g = written(cell).siemens(0, 5.0)
    assert g.min() == 0.0
    assert not g[:, 3].any()


def test_bad_values_are_refused():
    for attempt in (
        lambda: Drift(-0.1),
        lambda: Drift(0.1, -0.1),
        lambda: Drift(0.1, 0.0, 0.0),
        lambda: Retention(0.0),
        lambda: Retention(1.0, -1e-6),
        lambda: Flicker(0.0),
        lambda: Flicker(0.1, 0),
        lambda: Flicker(0.1, 4, np.inf),
        lambda: written(Cell()).advance(-1.0),
        lambda: written(Cell()).advance(np.nan),
        lambda: written(Cell(), at_s=5.0).siemens(0, 4.0),
        lambda: written(Cell()).siemens(0, np.inf),
    ):
        with pytest.raises(BadInputError) as error:
            attempt()
        assert "\n" not in str(error.value)


def test_cells_that_are_left_alone_do_not_begin_their_drift_again():
    """Writing one cell in ten, again and again, moves the others as time alone does."""
    drift = Drift(0.1, 0.0, 1.0)
    cells = CellArray([(10, 10)], Cell(window=Window(0.0, 2.0), ageing=drift), seed=3)
    alone = CellArray([(10, 10)], Cell(window=Window(0.0, 2.0), ageing=drift), seed=3)
    target = np.full((10, 10), 1.0)
    for array in (cells, alone):
        array.write([target])
    where = np.zeros((10, 10), dtype=bool)
    where[0] = True
    for _ in range(50):
        cells.advance(20.0)
        cells.write([target], [where])
    alone.advance(1000.0)
    assert np.allclose(cells.siemens(0)[1:], alone.siemens(0)[1:], rtol=1e-12)
    assert np.allclose(cells.siemens(0)[0], 1.0)
