"""Open-loop pulses: the nominal curve, its asymmetry, how it varies, and what a controller sends.

Each random test is seeded; its threshold is stated with the chance that a correct program fails it
for a fresh seed.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilep.errors import BadInputError
from hilep.simulators.cells.array import CellArray
from hilep.simulators.cells.cell import Cell
from hilep.simulators.cells.faults import Faults
from hilep.simulators.cells.pulses import PulseResponse
from hilep.simulators.cells.window import Window

MICRO = Window(1e-6, 1e-4)
SPAN = 99e-6
BENDS = st.floats(-30, 30)


def one(response: PulseResponse, start: float, **others) -> CellArray:
    """A single cell that holds `start`."""
    cells = CellArray([(1, 1)], Cell(MICRO, pulses=response, **others))
    cells.write([[[start]]])
    return cells


def at(cells: CellArray) -> float:
    return float(cells.achieved()[0][0, 0])


@pytest.mark.parametrize("bend", [-3.0, 0.0, 1e-13, 1e-6, 2.4, 60.0])
def test_single_pulses_follow_the_published_closed_form(bend):
    """G = B (1 - exp(-n / A)) + G_min with B = span / (1 - exp(-P / A)) and A = P / bend."""
    pulses = 64
    response = PulseResponse(pulses, bend, 0.7 * bend)
    up, down = one(response, 1e-6), one(response, 1e-4)
    for n in range(1, pulses + 1):
        up.pulse(0, [[1]])
        down.pulse(0, [[-1]])
        if abs(bend) < 1e-3:
            rise = fall = SPAN * n / pulses
        else:
            a, b = pulses / bend, pulses / (0.7 * bend)
            rise = SPAN / (1 - np.exp(-pulses / a)) * (1 - np.exp(-n / a))
            fall = SPAN / (1 - np.exp(-pulses / b)) * (1 - np.exp(-n / b))
        rest = 1e-5 if 0 < abs(bend) < 1e-3 else 1e-11
        assert at(up) == pytest.approx(1e-6 + rise, rel=rest)
        assert at(down) == pytest.approx(1e-4 - fall, rel=rest, abs=1e-16)
        assert response.curve(np.array([n]), "up")[0] == pytest.approx(
            (at(up) - 1e-6) / SPAN, rel=1e-9
        )
    assert at(up) == pytest.approx(1e-4, rel=1e-12)
    assert at(down) == pytest.approx(1e-6, rel=1e-9)


@settings(deadline=None)
@given(
    bend=BENDS,
    other=BENDS,
    start=st.floats(1e-6, 1e-4),
    n=st.integers(0, 40),
    m=st.integers(0, 40),
    sign=st.sampled_from([1, -1]),
)
def test_bursts_add_up(bend, other, start, n, m, sign):
    """Pulses n and then m are pulses n + m, also where they reach the end of the window."""
    response = PulseResponse(50, bend, other, asymmetry=0.1)
    apart, together = one(response, start), one(response, start)
    apart.pulse(0, [[sign * n]])
    apart.pulse(0, [[sign * m]])
    together.pulse(0, [[sign * (n + m)]])
    assert at(apart) == pytest.approx(at(together), rel=1e-9)


@given(bend=BENDS, start=st.floats(1e-6, 1e-4), n=st.integers(1, 60))
def test_up_and_down_mirror_each_other_where_their_parameters_agree(bend, start, n):
    up = one(PulseResponse(50, bend, bend), start)
    down = one(PulseResponse(50, bend, bend), 1.01e-4 - at(up))
    up.pulse(0, [[n]])
    down.pulse(0, [[-n]])
    assert at(up) + at(down) == pytest.approx(1.01e-4, rel=1e-9)


@given(bend=BENDS, other=BENDS, start=st.floats(1e-6, 1e-4), n=st.integers(1, 60))
def test_pulses_up_never_lower_and_pulses_down_never_raise(bend, other, start, n):
    cells = one(PulseResponse(50, bend, other), start)
    before = at(cells)
    cells.pulse(0, [[n]])
    top = at(cells)
    assert before <= top <= 1e-4
    cells.pulse(0, [[-n]])
    assert 1e-6 <= at(cells) <= top


def test_saturating_curves_pull_equal_pulses_towards_the_middle():
    """Up steps shrink upwards and down steps downwards, so a pair of pulses moves to the middle.

    In a linear cell it moves nothing, except with an asymmetry.
    """
    for start, sign in ((9e-5, -1), (1.1e-5, 1)):
        cells = one(PulseResponse(50, 3.0, 3.0), start)
        cells.pulse(0, [[1]])
        cells.pulse(0, [[-1]])
        assert sign * (at(cells) - start) > 1e-3 * start
        linear = one(PulseResponse(50), start)
        linear.pulse(0, [[1]])
        linear.pulse(0, [[-1]])
        assert at(linear) == pytest.approx(start, rel=1e-12)
    biased = one(PulseResponse(50, asymmetry=0.25), 5e-5)
    biased.pulse(0, [[4]])
    biased.pulse(0, [[-4]])
    assert at(biased) - 5e-5 == pytest.approx(4 * 0.5 * SPAN / 50, rel=1e-9)


def test_device_and_cycle_spread_of_steps_are_as_asked_and_separate():
    """Linear cells, 25 single pulses each: within cells the cycle noise, between the device spread.

    Standard errors as in an analysis of variance; the kurtosis of log-normal factors at 0.1 is 0.16
    (each bound 5 standard errors, chance 6e-7).
    """
    shape, times = (80, 60), 25
    response = PulseResponse(1000, cycle_noise=0.3, device_spread=0.1)
    cells = CellArray([shape], Cell(MICRO, pulses=response), seed=1)
    cells.write([np.full(shape, 5e-5)])
    path = [cells.achieved()[0].copy()]
    for _ in range(times):
        cells.pulse(0, np.ones(shape, dtype=int))
        path.append(cells.achieved()[0].copy())
    steps = np.diff(path, axis=0).reshape(times, -1) / (SPAN / 1000)
    count = steps.shape[1]
    own = steps.mean(axis=0)
    # Noise is part of what a cell makes of its pulses, so it scales with the cell's factor.
    within = np.sqrt((steps / own).var(axis=0, ddof=1).mean())
    assert within == pytest.approx(0.3, abs=0.3 * (5 / np.sqrt(2 * count * times) + 0.3**2 / times))
    between = own.var(ddof=1) - steps.var(axis=0, ddof=1).mean() / times
    total = np.sqrt(0.1**2 + 0.3**2 / times)
    error = total**2 / 0.1**2 * np.sqrt(2.2 / count) / 2
    assert abs(np.sqrt(between) / 0.1 - 1) < 5 * error
    assert abs(own.mean() - 1) < 5 * total / np.sqrt(count)


def test_a_noisy_burst_has_the_law_of_its_single_pulses():
    """Mean and deviation after 16 pulses, at once and one by one (5 standard errors, 2e-6)."""
    shape = (100, 100)
    response = PulseResponse(200, 2.0, 2.0, cycle_noise=0.5)
    ends = []
    for seed, bursts in ((1, [16]), (2, [1] * 16)):
        cells = CellArray([shape], Cell(MICRO, pulses=response), seed)
        cells.write([np.full(shape, 3e-5)])
        for burst in bursts:
            cells.pulse(0, np.full(shape, burst))
        ends.append(cells.achieved()[0])
    error = np.sqrt(ends[0].var() + ends[1].var()) / 100
    assert abs(ends[0].mean() - ends[1].mean()) < 5 * error
    assert abs(ends[0].std() / ends[1].std() - 1) < 5 * np.sqrt(2 / 2) / 100


def test_nonlinearities_differ_between_cells():
    """The mean of the drawn a and b and their spread, within 5 standard errors (chance 2e-6)."""
    response = PulseResponse(50, 2.0, -1.0, nonlinearity_spread=0.5)
    _, up, down = response.individual((100, 100), np.random.default_rng(3))
    for bends, mean in ((up, 2.0), (down, -1.0)):
        assert abs(bends.mean() - mean) < 5 * 0.5 / 100
        assert abs(bends.std() / 0.5 - 1) < 5 / np.sqrt(2e4)
    assert abs(np.corrcoef(up.ravel(), down.ravel())[0, 1]) < 5 / 100


def test_a_list_of_cells_is_the_same_as_an_array_of_counts():
    shape = (30, 20)
    generator = np.random.default_rng(4)
    counts = np.where(generator.random(shape) < 0.1, generator.integers(-9, 10, shape), 0)
    cell = Cell(MICRO, pulses=PulseResponse(50, 1.0, 2.0, 0.1, 0.3, 0.2, 0.4))
    dense, listed = CellArray([shape], cell, 5), CellArray([shape], cell, 5)
    start = [generator.uniform(1e-6, 1e-4, shape)]
    dense.write(start)
    listed.write(start)
    dense.pulse(0, counts)
    rows, columns = np.nonzero(counts)
    listed.pulse(0, counts[rows, columns], (rows, columns))
    np.testing.assert_array_equal(dense.achieved()[0], listed.achieved()[0])
    untouched = counts == 0
    np.testing.assert_array_equal(dense.achieved()[0][untouched], start[0][untouched])


def test_a_controller_with_a_linear_cell_gets_what_it_wants_in_the_mean():
    """Changes of parts of a step: mean change within 5 standard errors (chance 6e-7).

    Rounded to the nearest instead, they are lost.
    """
    shape = (100, 100)
    cells = CellArray([shape], Cell(MICRO, pulses=PulseResponse(100, asymmetry=0.3)), 6)
    step = SPAN / 100
    for wanted in (0.2 * step, -0.2 * step, 3.4 * step):
        cells.write([np.full(shape, 5e-5)])
        change = np.full(shape, wanted)
        counts = cells.pulses_for(0, change)
        cells.pulse(0, counts)
        got = cells.achieved()[0] - 5e-5
        assert abs(got.mean() - wanted) < 5 * 0.5 * 1.3 * step / 100
        assert np.ptp(counts) <= 1
        assert (np.abs(cells.pulses_for(0, change, "nearest") * 1.3 * step) >= 0).all()
    assert not cells.pulses_for(0, np.full(shape, 0.2 * step), "nearest").any()
    assert (cells.pulses_for(0, np.full(shape, -1.0)) == -100).all()
    assert not cells.pulses_for(0, np.zeros(shape)).any()


def test_the_clock_goes_on_under_pulses():
    """A pulse starts from what is conducted by then, and the rest goes on relaxing as before."""
    from hilep.simulators.cells.ageing import Drift, Retention

    for ageing in (Retention(100.0, 1e-6), Drift(0.1, 0.02, 1.0)):
        shape = (6, 5)
        cell = Cell(MICRO, pulses=PulseResponse(50), ageing=ageing)
        pulsed, left = CellArray([shape], cell, 7), CellArray([shape], cell, 7)
        counts = np.zeros(shape, dtype=int)
        counts[2, 3] = 5
        for cells in (pulsed, left):
            cells.write([np.full(shape, 5e-5)])
            cells.advance(30.0)
        before = pulsed.siemens(0)[2, 3]
        pulsed.pulse(0, counts)
        assert pulsed.siemens(0)[2, 3] == pytest.approx(before + 5 * SPAN / 50, rel=1e-12)
        pulsed.advance(40.0)
        left.advance(40.0)
        others = counts == 0
        np.testing.assert_allclose(pulsed.siemens(0)[others], left.siemens(0)[others], rtol=1e-13)
        with pytest.raises(BadInputError, match="last programmed at 30"):
            pulsed.siemens(0, 29.0)


def test_bad_pulses_are_refused_and_move_nothing():
    cells = CellArray([(3, 2)], Cell(MICRO, pulses=PulseResponse(10)))
    cells.write([np.full((3, 2), 5e-5)])
    for counts, where in (
        (np.ones((2, 3), int), None),
        (np.ones((3, 2)), None),
        ([1], ([3], [0])),
        ([1], ([-1], [0])),
        ([1], ([0.5], [0])),
        ([1, 1], ([0, 0], [1, 1])),
        ([1, 1], ([0], [1])),
        ([[1]], ([0], [1])),
    ):
        with pytest.raises(BadInputError) as error:
            cells.pulse(0, counts, where)
        assert "\n" not in str(error.value)
    assert (cells.achieved()[0] == 5e-5).all()
    for attempt in (
        lambda: cells.pulses_for(0, np.ones((3, 2)), "up"),
        lambda: PulseResponse(0),
        lambda: PulseResponse(10, 101.0),
        lambda: PulseResponse(10, np.nan),
        lambda: PulseResponse(10, asymmetry=1.0),
        lambda: PulseResponse(10, cycle_noise=-0.1),
        lambda: CellArray([(3, 2)], Cell(MICRO)).pulse(0, np.ones((3, 2), int)),
        lambda: CellArray([(3, 2)], Cell(MICRO)).pulses_for(0, np.ones((3, 2))),
    ):
        with pytest.raises(BadInputError):
            attempt()


def test_stuck_cells_take_no_pulses():
    cell = Cell(MICRO, pulses=PulseResponse(10), faults=Faults(stuck_low=0.5, low_siemens=3e-6))
    cells = CellArray([(9, 9)], cell, 8)
    cells.pulse(0, np.full((9, 9), 4))
    stuck = cells.layers[0].ails != 0
    assert 0 < stuck.sum() < 81
    assert (cells.achieved()[0][stuck] == 3e-6).all()
    assert (cells.achieved()[0][~stuck] > 3e-5).all()
