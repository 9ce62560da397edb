"""Write-verify by pulses through a switch matrix: what it reaches, and in which order it works."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from pulse_bench import all_cells, rig_for, section_for

from hilep.errors import BadInputError, ConfigError
from hilep.instruments.errors import ComplianceError, InstrumentError, NotAnswering, RangeLimitError
from hilep.instruments.isolation import BIASING, sneak_factor
from hilep.instruments.programming import PulseProgrammer, pulse_programmer
from hilep.instruments.roles import ConductanceProgrammer
from hilep.instruments.wiring import Line
from hilep.simulators.cells.array import CellArray
from hilep.simulators.cells.cell import Cell
from hilep.simulators.cells.faults import Faults
from hilep.simulators.cells.pulses import PulseResponse
from hilep.simulators.cells.window import Window

WINDOW = Window(1e-6, 1e-4)
REAL = PulseResponse(
    200,
    nonlinearity_up=2.5,
    nonlinearity_down=4.0,
    asymmetry=0.2,
    cycle_noise=0.4,
    device_spread=0.3,
    nonlinearity_spread=0.3,
)


def cells_of(shapes, seed=0, response=REAL, **keywords):
    return CellArray(shapes, Cell(window=WINDOW, pulses=response, **keywords), seed)


def targets_for(count, seed):
    return np.random.default_rng(seed).uniform(1e-5, 8e-5, count)


def held(array, cells):
    return np.array([array.siemens(k)[i, j] for k, i, j in cells])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nonlinear_noisy_cells_come_within_tolerance_within_their_budget(seed):
    array = cells_of([(4, 3), (3, 2)], seed)
    rig, programmer = rig_for(array, noise=1e-3, seed=seed)
    cells = all_cells(array.shapes)
    targets = targets_for(len(cells), seed)
    report = programmer.program(cells, targets, 0.02)
    assert not report.failed.any()
    # The read is good to 0.1 %, five deviations of which are 0.5 %.
    assert np.abs(held(array, cells) / targets - 1).max() < 0.025
    assert np.abs(report.siemens / targets - 1).max() <= 0.02
    assert report.pulses == sum(event[1] == "pulse" for event in rig.events)
    assert report.pulses <= 60 * len(cells)
    statistics = programmer.statistics
    assert (statistics.cells, statistics.failed) == (len(cells), 0)
    # All cells start at the lower bound, so that one pulse each is never enough.
    assert 5 < statistics.pulses / statistics.cells < 20
    again = programmer.program(cells, report.siemens, 0.03)
    assert again.pulses == 0


def test_the_trace_of_a_cell_is_a_read_before_and_after_each_pulse():
    array = cells_of([(2, 2)])
    _, programmer = rig_for(array)
    before = held(array, np.array([[0, 1, 0]]))
    report = programmer.program(np.array([[0, 0, 0], [0, 1, 0]]), np.array([3e-5, 6e-5]), 0.02)
    assert len(programmer.trace) > 2
    assert len(programmer.trace) <= report.pulses
    np.testing.assert_allclose(programmer.trace[0], before, rtol=0.01)
    assert programmer.trace[-1] == report.siemens[1]
    pulses = programmer.statistics.pulses
    programmer.program(np.array([[0, 1, 0]]), report.siemens[1:], 0.02)
    assert (len(programmer.trace), programmer.statistics.pulses) == (1, pulses)


def test_stuck_cells_are_reported_and_the_others_do_not_suffer():
    array = cells_of([(4, 3)], faults=Faults(stuck_low=0.2, stuck_high=0.1), seed=3)
    ails = array.layers[0].ails != 0
    assert 0 < ails.sum() < ails.size
    _, programmer = rig_for(array)
    cells = all_cells(array.shapes)
    report = programmer.program(cells, np.full(len(cells), 4e-5), 0.02)
    np.testing.assert_array_equal(report.failed, ails.ravel())
    assert np.isfinite(report.siemens).all()
    assert programmer.statistics.failed == ails.sum()
    stuck = held(array, cells)[report.failed]
    np.testing.assert_allclose(report.siemens[report.failed], stuck, rtol=1e-6)
    assert report.pulses >= 60 * ails.sum()


@pytest.mark.parametrize("seed", [0, 1])
def test_unselected_cells_keep_every_digit(seed):
    array = cells_of([(4, 3), (3, 2)], seed)
    rig, programmer = rig_for(array)
    cells = all_cells(array.shapes)
    programmer.program(cells, targets_for(len(cells), seed), 0.02)
    before = held(array, cells)
    chosen = np.array([[0, 2, 1], [1, 0, 0]])
    programmer.program(chosen, 0.7 * held(array, chosen), 0.02)
    moved = (held(array, cells) != before).nonzero()[0]
    assert {tuple(cells[k]) for k in moved} == {(0, 2, 1), (1, 0, 0)}
    # The largest pulse is 1.2 V and no unselected cell took more than half of it.
    assert rig.largest_unselected_v <= 0.6 + 1e-9
    assert programmer.snapshot()["largest_unselected_v"] == pytest.approx(0.6)


@pytest.mark.parametrize("unselected", ["half", "third"])
def test_a_guarded_read_is_of_one_cell_whatever_its_neighbours_are(unselected):
    array = cells_of([(4, 5)])
    generator = np.random.default_rng(0)
    array.take([np.exp(generator.uniform(np.log(1e-6), np.log(1e-4), (4, 5)))])
    # In the thirds the bias alone is 2/3 of a pulse, so pulses of one height are all there may be.
    one = {"increase": {"volts": [0.9], "seconds": [1e-3]}}
    one["decrease"] = {"volts": [-0.9], "seconds": [1e-3]}
    rig, programmer = rig_for(array, unselected, **one)
    cells = all_cells(array.shapes)
    report = programmer.program(cells, held(array, cells), 1e-6)
    assert report.pulses == 0
    np.testing.assert_allclose(report.siemens, held(array, cells), rtol=1e-7)
    assert rig.largest_unselected_v <= 0.1 + 1e-9


@pytest.mark.parametrize("unselected", ["half", "third"])
def test_the_stated_stress_is_what_the_circuit_gives_unselected_cells(unselected):
    array = cells_of([(4, 3)])
    height = 0.9
    one = {"increase": {"volts": [height], "seconds": [1e-3]}}
    one["decrease"] = {"volts": [-height], "seconds": [1e-3]}
    rig, programmer = rig_for(array, unselected, **one)
    programmer.program(np.array([[0, 1, 1]]), np.array([2e-5]), 0.05)
    stated = BIASING[unselected].stress(4, 3)
    assert stated == {"half": 1 / 2, "third": 2 / 3}[unselected]
    assert rig.largest_unselected_v == pytest.approx(stated * height, rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 5), (1, 4), (6, 1)])
def test_floating_lines_read_the_cell_and_its_sneak_paths(shape):
    array = cells_of([shape])
    array.take([np.full(shape, 1e-5)])
    section = section_for([shape], "half")
    rig, _ = rig_for(array, "half")
    matrix = section.matrix
    rig.closed = {Line.of(matrix.rows[0][0]), Line.of(matrix.columns[0][0])}
    rig.levels[rig.source] = 0.1
    read = rig.measured(rig.source) / 0.1
    assert read == pytest.approx(1e-5 * sneak_factor(*shape), rel=1e-6)
    isolates = BIASING["float"].isolates(*shape)
    assert isolates == (sneak_factor(*shape) == 1)


@pytest.mark.parametrize(
    ("shapes", "unselected", "line"),
    [
        (
            [(1, 4), (4, 2)],
            "float",
            '"float" does not isolate a cell of the 4 x 2 array of layer 1',
        ),
        ([(2, 2)], "ground", '"ground" does not isolate a cell of the 2 x 2 array'),
        ([(2, 2)], "third", '"third" puts 0.8 V on unselected cells'),
    ],
)
def test_biasing_that_cannot_tell_cells_apart_is_refused(shapes, unselected, line):
    with pytest.raises(BadInputError, match=line):
        PulseProgrammer(section_for(shapes, unselected), rig_for(cells_of(shapes))[0].instruments)


@pytest.mark.parametrize(("shape", "unselected"), [((1, 3), "float"), ((4, 1), "ground")])
def test_a_single_line_of_cells_needs_no_bias_sources(shape, unselected):
    array = cells_of([shape])
    _, programmer = rig_for(array, unselected)
    cells = all_cells([shape])
    targets = targets_for(len(cells), 5)
    assert not programmer.program(cells, targets, 0.02).failed.any()
    np.testing.assert_allclose(held(array, cells), targets, rtol=0.021)


def test_everything_happens_in_an_order_that_harms_nothing():
    array = cells_of([(2, 2)])
    rig, programmer = rig_for(array, others=["clamp.a"])
    assert isinstance(programmer, ConductanceProgrammer)
    programmer.connect()
    assert {line.channel for line in rig.closed} == {"1", "2"}
    rig.events.clear()
    programmer.program(np.array([[0, 0, 1]]), np.array([3e-5]), 0.02)
    kinds = [event[:2] for event in rig.events]
    # Proof of rest; limits before outputs; paths before levels; off before the run's paths close.
    assert kinds[0] == ("clamp", "outputs?")
    connects = [k for k, event in enumerate(rig.events) if event[1] == "connect"]
    ons = [k for k, event in enumerate(rig.events) if event[1] == "on"]
    limits = [k for k, event in enumerate(rig.events) if event[1] == "limit"]
    offs = [k for k, event in enumerate(rig.events) if event[1] == "off"]
    pulses = [k for k, event in enumerate(rig.events) if event[1] == "pulse"]
    assert max(limits) < min(ons)
    assert max(ons) < connects[0] < pulses[0] <= pulses[-1] < min(offs)
    assert max(offs) < connects[1] == len(kinds) - 1
    assert len(connects) == 2
    matrix = programmer.section.matrix
    assert rig.events[connects[0]][2] == tuple(
        sorted(
            path.partition(".")[2]
            for path in (
                matrix.rows[0][0],
                matrix.columns[0][1],
                matrix.unselected_rows[0][1],
                matrix.unselected_columns[0][0],
            )
        )
    )
    # Bias before and after each pulse, and a read after each.
    for at in pulses:
        height = rig.events[at][2]
        assert rig.events[at - 1] == ("smu", "apply", {"a": 0.0, "b": pytest.approx(height / 2)})
        assert rig.events[at + 1] == ("smu", "apply", {"a": 0.0, "b": 0.0})
        assert rig.events[at + 2] == ("smu", "apply", {"a": 0.1, "b": 0.1})
        assert rig.events[at + 3] == ("smu", "read", ("a", "b"))
    assert not rig.on
    assert {line.channel for line in rig.closed} == {"1", "2"}


def test_a_clamp_that_is_still_on_stops_it_before_anything_is_driven():
    rig, programmer = rig_for(cells_of([(2, 2)]), others=["clamp.a"])
    rig.on.add(Line("clamp", "a"))
    with pytest.raises(InstrumentError, match="channel a is on, expected off"):
        programmer.program(np.array([[0, 0, 0]]), np.array([2e-5]), 0.02)
    assert [event[1] for event in rig.events if event[0] != "clamp"] in (["off", "off"], [])
    assert rig.on == {Line("clamp", "a")}


def test_a_clamp_at_rest_may_stay_on_at_zero_but_nowhere_else():
    rig, programmer = rig_for(cells_of([(2, 2)]), others=["clamp.a"], idle="zero")
    clamp = rig.instruments["clamp"].channels["a"]
    clamp.source_voltage(1e-3, range_v=2.0)
    clamp.on()
    cell, target = np.array([[0, 0, 0]]), np.array([2e-5])
    assert not programmer.program(cell, target, 0.05).failed.any()
    rig.levels[clamp.line] = 0.2
    with pytest.raises(InstrumentError, match=r"channel a is at 0\.2, expected 0"):
        programmer.program(cell, target, 0.05)


def test_a_relay_that_does_not_follow_stops_it_before_a_pulse():
    rig, programmer = rig_for(cells_of([(2, 2)]))
    rig.instruments["mat"].stuck = {programmer.section.matrix.columns[0][0].partition(".")[2]}
    with pytest.raises(InstrumentError, match="closed are"):
        programmer.program(np.array([[0, 0, 0]]), np.array([2e-5]), 0.02)
    assert not any(event[1] in ("pulse", "read") for event in rig.events)
    assert not rig.on


@pytest.mark.parametrize("fault", ["lost", "given", "stays"])
def test_a_pulse_that_is_not_answered_is_counted_and_the_cell_read_before_another(fault):
    array = cells_of([(2, 2)])
    rig, programmer = rig_for(array)
    rig.faults = [None, fault]
    cell = np.array([[0, 1, 0]])
    report = programmer.program(cell, np.array([5e-5]), 0.02)
    assert not report.failed.any()
    np.testing.assert_allclose(held(array, cell), 5e-5, rtol=0.021)
    assert programmer.statistics.unanswered == 1
    assert report.pulses == sum(event[1] == "pulse" for event in rig.events)
    kinds = [event[1] for event in rig.events]
    at = kinds.index("recover")
    assert kinds[at - 1] == "pulse"
    after = kinds[at + 1 :]
    assert after.index("read") < after.index("pulse")
    # Zero goes out first, and the channel is configured anew, limit before output.
    assert rig.events[at + 2] == ("smu", "apply", {"a": 0.0, "b": 0.0})
    assert after.index("limit") < after.index("on") < after.index("read")


def test_a_second_unanswered_pulse_ends_it_with_the_outputs_off():
    rig, programmer = rig_for(cells_of([(2, 2)]))
    rig.faults = ["lost", "given"]
    with pytest.raises(NotAnswering):
        programmer.program(np.array([[0, 1, 0]]), np.array([5e-5]), 0.02)
    assert not rig.on
    assert rig.events[-1][1] == "safe"
    assert programmer.statistics.pulses == 2


def test_a_guard_at_its_limit_is_an_error_because_the_cell_is_not_read_alone():
    array = cells_of([(2, 2)])
    array.take([np.full((2, 2), 9e-5)])
    rig, programmer = rig_for(array, limit_a=4e-6)
    with pytest.raises(ComplianceError, match=r"guard smu\.b"):
        programmer.program(np.array([[0, 0, 0]]), np.array([4e-6]), 0.02)
    assert not rig.on


def test_a_cell_that_shorts_is_brought_back_or_reported():
    # A limit of 4 uA at 0.1 V is met above 40 uS.
    cell, target = np.array([[0, 0, 0]]), np.array([4e-6])
    array = cells_of([(1, 2)])
    array.take([np.full((1, 2), 9e-5)])
    _, programmer = rig_for(array, limit_a=4e-6)
    report = programmer.program(cell, target, 0.05)
    assert not report.failed.any()
    stuck = cells_of([(1, 1)], faults=Faults(stuck_high=1.0))
    _, programmer = rig_for(stuck, limit_a=4e-6)
    report = programmer.program(cell, target, 0.05)
    assert report.failed.all()
    assert report.siemens[0] == pytest.approx(4e-6 / 0.1)
    with pytest.raises(RangeLimitError, match="reads up to 4e-05 S, asked for 5e-05 S"):
        programmer.program(cell, np.array([5e-5]), 0.05)


def test_straight_cells_take_as_many_pulses_as_their_distance_holds():
    array = cells_of([(4, 3)], response=PulseResponse(400))
    # One height, which counts as one pulse; a schedule that grows would take fewer.
    one = {"increase": {"volts": [0.75], "seconds": [1e-3]}}
    one["decrease"] = {"volts": [-0.75], "seconds": [1e-3]}
    _, programmer = rig_for(array, max_pulses=400, **one)
    cells = all_cells(array.shapes)
    targets = targets_for(len(cells), 0)
    report = programmer.program(cells, targets, 0.01)
    step = WINDOW.span_siemens / 400
    expected = np.ceil((0.99 * targets - WINDOW.g_min_siemens) / step - 1e-6)
    assert report.pulses == int(expected.sum())
    assert programmer.statistics.reversals == 0
    growing = rig_for(cells_of([(4, 3)], response=PulseResponse(400)))[1]
    assert growing.program(cells, targets, 0.01).pulses < report.pulses / 2


def bench_file(section, range_v):
    """As much of a bench file as the programmer looks at."""
    roles = SimpleNamespace(
        program=section,
        nodes=SimpleNamespace(range_v=range_v),
        clamp=SimpleNamespace(channels=["clamp.a"], bias_channels=[]),
        nudge=SimpleNamespace(channels=["clamp.b"]),
    )
    return SimpleNamespace(
        path="bench.toml",
        sections=SimpleNamespace(roles=roles),
        error=lambda key, message: ConfigError(f"bench.toml: {key}: {message}"),
    )


def test_readers_that_stay_on_the_array_need_a_range_that_survives_the_pulses():
    shapes = [(2, 2)]
    instruments = rig_for(cells_of(shapes))[0].instruments
    section = section_for(shapes)
    assert section.matrix.run
    programmer = pulse_programmer(bench_file(section, 0.5), instruments)
    assert programmer.others == (Line("clamp", "a"), Line("clamp", "b"))
    assert json.loads(json.dumps(programmer.snapshot()))["statistics"]["pulses"] == 0
    matrix = section.matrix.model_copy(update={"run": []})
    stays = section.model_copy(update={"matrix": matrix})
    with pytest.raises(ConfigError, match=r"roles\.nodes\.range_v: 0\.5 V, expected at least the"):
        pulse_programmer(bench_file(stays, 0.5), instruments)
    pulse_programmer(bench_file(stays, 1.5), instruments)
    with pytest.raises(ConfigError, match=r'bench\.toml: roles\.program: unselected: "third" puts'):
        pulse_programmer(bench_file(section_for(shapes, "third"), 1.5), instruments)


def test_a_closer_tolerance_takes_more_pulses_and_more_turns():
    spent = []
    for tolerance in (0.05, 0.02, 0.01):
        pulses = turns = 0
        for seed in range(3):
            array = cells_of([(4, 3)], seed)
            _, programmer = rig_for(array, noise=1e-3, seed=seed, max_pulses=200)
            cells = all_cells(array.shapes)
            assert not programmer.program(cells, targets_for(12, seed), tolerance).failed.any()
            pulses += programmer.statistics.pulses
            turns += programmer.statistics.reversals
        spent.append((pulses, turns))
    assert spent == sorted(spent)
    assert spent[0][1] < spent[1][1] < spent[2][1]
