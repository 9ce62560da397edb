"""Retention, single pulses and stuck cells on the virtual bench, through every message."""

import contextlib

import h5py
import numpy as np
import pytest
import virtual_files
from virtual_files import NETWORK

from hilep.calibration.measurepulses import measure_pulses
from hilep.calibration.measureretention import measure_retention
from hilep.errors import BadInputError
from hilep.reading import LayerUpdate, Update

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from hilep.instruments import locks
from hilep.instruments.bench import Bench
from hilep.instruments.pulseschedule import Schedule
from hilep.instruments.singlepulses import single_pulses
from hilep.instruments.writeverify import Verified
from hilep.simulators.virtual.twin import twin

STUCK = [0, 1, 2, 6e-6]


@pytest.fixture(autouse=True)
def _drivers(tmp_path, monkeypatch):
    virtual_files.installed(tmp_path, monkeypatch)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)


@contextlib.contextmanager
def on_twin(folder, cells, **program):
    given = virtual_files.tables()
    given["roles"]["program"] |= program
    given["virtual"] = {"cells": cells}
    kept = []

    @contextlib.contextmanager
    def served(file, network):
        with twin(file, network) as resources:
            kept.append(resources)
            yield resources

    with Bench(virtual_files.bench_file(folder, given), NETWORK, twin=served) as bench:
        bench.open()
        yield bench, kept[0].world
        bench.session.end()


def none_stuck():
    return [np.zeros(shape, np.uint8) for shape in NETWORK.shapes]


def test_cells_age_while_every_output_is_off(tmp_path):
    with on_twin(tmp_path, {"pulses": 200, "retention_s": 1000.0}) as (bench, world):
        found = measure_retention(
            bench, [500.0, 2000.0], none_stuck(), reads=2, generator=np.random.default_rng(1)
        )
        assert not bench.outputs.on
        held = world.siemens()
    assert (found.ages_s > [499.999, 1999.999]).all()
    assert (found.ages_s < [600, 2100]).all()
    for layer, true in zip(found.layers, held, strict=True):
        np.testing.assert_allclose(layer.siemens[-1], true, rtol=0.05, atol=2e-8)
        distance = layer.siemens - 1e-7
        shares = distance[1:] / distance[0]
        kept = np.exp(-found.ages_s / 1000)[:, None, None]
        np.testing.assert_allclose(shares, np.broadcast_to(kept, shares.shape), rtol=0.15)


def test_single_pulses_show_the_cells_own_law(tmp_path):
    cells = {"pulses": 4000, "pulse_nonlinearity_up": 1.5, "pulse_nonlinearity_down": 1.0}
    # The twin counts whole pulses of 0.01 s: one of 1 s is 100 of them, to the nearest.
    schedules = {
        "increase": {"volts": [2.0], "seconds": [1.0]},
        "decrease": {"volts": [-2.0], "seconds": [1.0]},
    }
    with on_twin(tmp_path, cells, **schedules) as (bench, world):
        bench.program(virtual_files.siemens(NETWORK))
        before = bench.session.station.programmer.statistics.pulses
        others = world.siemens()
        found = measure_pulses(bench, 2, 12, none_stuck(), generator=np.random.default_rng(3))
        assert bench.session.station.programmer.statistics.pulses >= before + 48
        held = world.siemens()
        chosen = {tuple(cell) for cell in found.cells.tolist()}
        for place, (layer, row, column) in enumerate(found.cells):
            true = held[layer][row, column]
            assert found.siemens[-1, place] == pytest.approx(true, rel=0.02)
            assert bench.conductances()[layer][row, column] == pytest.approx(true, rel=0.02)
        for layer, shape in enumerate(NETWORK.shapes):
            for row, column in np.ndindex(*shape):
                if (layer, row, column) not in chosen:
                    assert held[layer][row, column] == others[layer][row, column]
    assert found.pulses == pytest.approx(40, rel=0.1)
    assert found.nonlinearity_up == pytest.approx(1.5, abs=0.25)
    assert found.nonlinearity_down == pytest.approx(1.0, abs=0.25)


def test_more_pulses_than_a_cell_may_take_are_refused_before_the_first(tmp_path):
    with on_twin(tmp_path, {"pulses": 40}, max_pulses=20) as (bench, _):
        with pytest.raises(BadInputError, match=r"roles\.program\.max_pulses: 20, asked for 24"):
            measure_pulses(bench, 2, 12, none_stuck(), generator=np.random.default_rng(3))
        assert bench.session.station.programmer.statistics.pulses == 0


class Cell:
    """A cell that rises by one with each pulse up, and may fail."""

    def __init__(self, siemens=1.0, most=100.0):
        self.siemens, self.most, self.pulses = siemens, most, []
        self.unanswered = 0
        self.silent_at = None

    def read(self):
        return Verified(min(self.siemens, self.most), good=self.siemens < self.most)

    def pulse(self, volts, seconds):
        self.pulses.append((volts, seconds))
        self.siemens += np.sign(volts)
        if len(self.pulses) == self.silent_at:
            self.unanswered += 1


def curve(cell, directions, window=(0.0, 100.0)):
    up, down = Schedule.of([1.0, 2.0], [0.1, 0.2]), Schedule.of([-1.5, -2.0], [0.3, 0.4])
    return single_pulses(cell, directions, up, down, window, lambda: cell.unanswered)


def test_every_single_pulse_is_the_first_of_its_schedule():
    cell = Cell()
    assert curve(cell, [1, 1, -1]).tolist() == [1, 2, 3, 2]
    assert cell.pulses == [(1.0, 0.1), (1.0, 0.1), (-1.5, 0.3)]


@pytest.mark.parametrize(
    ("cell", "window", "given"),
    [(Cell(most=3.0), (0.0, 100.0), 2), (Cell(), (0.0, 2.5), 2), (Cell(most=0.5), (0, 9), 0)],
    ids=["reader at its limit", "beyond the window", "at its limit from the start"],
)
def test_a_cell_that_leaves_its_limits_gets_no_further_pulse(cell, window, given):
    found = curve(cell, [1] * 6, window)
    assert len(cell.pulses) == given
    assert np.isnan(found[given + 1 :]).all()


def test_after_a_pulse_without_an_answer_there_is_no_other():
    cell = Cell()
    cell.silent_at = 2
    found = curve(cell, [1] * 5)
    assert len(cell.pulses) == 2
    assert found[:2].tolist() == [1, 2]
    assert np.isnan(found[2:]).all()


# Stuck cells --------------------------------------------------------------------------------------


def mask():
    layer, row, column, siemens = STUCK
    held = [np.full(shape, np.nan) for shape in NETWORK.shapes]
    held[layer][row, column] = siemens
    return held


def test_a_measured_stuck_cell_takes_no_pulse_and_is_left_out_of_updates(tmp_path):
    """Without the mask it takes `max_pulses` in vain, which is what the second part shows."""
    layer, row, column, siemens = STUCK
    wanted = virtual_files.siemens(NETWORK, low=2e-6, high=4e-6)
    cells = {"pulses": 200, "stuck_cells": [STUCK]}
    with on_twin(tmp_path, cells) as (bench, _):
        bench.leave_alone(mask())
        report = bench.program(wanted)
        assert report.failed == ()
        assert report.programmed == sum(g.size for g in wanted) - 1
        assert bench.conductances()[layer][row, column] == siemens
        programmer = bench.session.station.programmer
        before = programmer.statistics.pulses
        changes = [np.zeros(shape) for shape in NETWORK.shapes]
        changes[layer][row, column] = 3e-6
        bench.update([Update(tuple(LayerUpdate(np.eye(len(g)), g) for g in changes))])
        assert programmer.statistics.pulses == before
        assert bench.owed()[layer][row, column] == 0
        assert bench.snapshot()["stuck_cells"] == [STUCK]
        with pytest.raises(BadInputError, match="stuck cells: expected layers"):
            bench.leave_alone([np.ones((1, 1))])
    with on_twin(tmp_path, cells) as (bench, _):
        report = bench.program(wanted)
        assert report.failed == ((layer, row, column),)


def test_a_calibration_of_cells_alone_gives_its_stuck_ones_to_the_bench(tmp_path, caplog):
    from hilep import backends
    from hilep.config import validated

    path = tmp_path / "cal.h5"
    with h5py.File(path, "w") as file:
        file.attrs["schema"], file.attrs["version"] = "hilep-calibration", 1
        for number, held in enumerate(mask()):
            file[f"conductance/layers/{number}/stuck"] = np.isfinite(held).astype(np.uint8)
            file[f"conductance/layers/{number}/stuck_siemens"] = held
    bench = virtual_files.bench_file(tmp_path, virtual_files.tables())
    network = {
        "layers": [2, 3, 2], "bias": "row", "bias_v": 0.5, "g_min_siemens": 1e-7,
        "g_max_siemens": 1e-5,
    }  # fmt: skip
    device = {"backend": "bench", "file": str(bench.path), "calibration": str(path)}
    asked = validated({"network": network, "device": device}, "test")
    found = backends.crossbar(asked, asked.network.network())
    assert found.snapshot()["stuck_cells"] == [STUCK]
    assert "1 stuck cells are left alone" in caplog.text
    with h5py.File(path, "r+") as file:
        del file["conductance"]
    with pytest.raises(BadInputError, match="holds no gains and offsets"):
        backends.crossbar(asked, NETWORK)
