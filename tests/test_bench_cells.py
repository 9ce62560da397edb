"""Writing the cells of a bench: what is due, owed, failed, lost and in doubt."""

import bench_fakes
import numpy as np
import pytest
from bench_cases import NETWORK, Case, nothing_but

pytest.importorskip("filelock", reason="needs the bench extra")

from hilep.errors import BadInputError
from hilep.instruments import arming


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    bench_fakes.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(arming, "records", lambda: tmp_path / "armed")


def test_changes_below_what_a_write_resolves_are_owed_and_not_lost(tmp_path):
    case = Case(tmp_path)
    case.tables["roles"]["program"]["deadband_siemens"] = 1e-8
    with case.bench() as bench:
        bench.program(case.siemens())
        start = bench.conductances()[1][2, 1]
        written = [bench.update([nothing_but(NETWORK, 1, 2, 1, 3e-9)]).programmed for _ in range(8)]
        assert written == [0, 0, 0, 1, 0, 0, 0, 1]
        assert bench.conductances()[1][2, 1] == pytest.approx(start + 8 * 3e-9, rel=1e-12)


def test_what_is_owed_is_kept_over_a_resume(tmp_path):
    case = Case(tmp_path)
    case.tables["roles"]["program"]["deadband_siemens"] = 1e-8
    with case.bench() as bench:
        bench.program(case.siemens())
        for _ in range(3):
            bench.update([nothing_but(NETWORK, 1, 2, 1, 3e-9)])
        kept, owed = [g.copy() for g in bench.conductances()], bench.owed()
        assert owed[1][2, 1] == pytest.approx(9e-9)
    with case.bench() as resumed:
        resumed.program(kept)
        resumed.owe(owed)
        assert resumed.update([nothing_but(NETWORK, 1, 2, 1, 3e-9)]).programmed == 1
        assert resumed.conductances()[1][2, 1] == pytest.approx(kept[1][2, 1] + 1.2e-8)
        for wrong in (owed[:1], [owed[0], owed[0]], [owed[0], np.nan * owed[1]]):
            with pytest.raises(BadInputError):
                resumed.owe(wrong)


def test_a_cell_that_failed_is_reported_left_out_and_trained_around(tmp_path):
    case = Case(tmp_path)
    case.world.stuck = {(0, 1, 2): 5e-7}
    with case.bench() as bench:
        report = bench.program(case.siemens())
        assert report.failed == ((0, 1, 2),)
        assert bench.conductances()[0][1, 2] == 5e-7
        bench.clamp(case.volts())
        bench.read()
        for _ in range(3):
            report = bench.update([nothing_but(NETWORK, 0, 1, 2, 1e-7)])
            assert report.programmed == 0
        # What it could not follow does not pile up.
        bench.update([nothing_but(NETWORK, 0, 1, 1, 1e-7)])
        assert bench.conductances()[0][1, 2] == 5e-7
        case.world.stuck.clear()
        bench.program(case.siemens())
        assert np.array_equal(bench.conductances()[0], case.siemens()[0])


def test_a_failed_cell_is_brought_back_to_where_it_was(tmp_path):
    case = Case(tmp_path, programmer={"volatile": True})
    case.world.stuck = {(0, 1, 2): 5e-7}
    with case.bench() as bench:
        bench.program(case.siemens())
        bench.update([nothing_but(NETWORK, 0, 1, 2, 1e-7)])
        case.world.stuck.clear()
        bench.safe()
        bench.clamp(case.volts())
        assert case.world.siemens[0][1, 2] == 5e-7


def test_a_stuck_cell_outside_the_window_is_reported_inside_it(tmp_path):
    case = Case(tmp_path)
    case.world.stuck = {(1, 0, 0): 1e-3}
    with case.bench() as bench:
        bench.program(case.siemens())
        bench.program(bench.conductances())
        assert bench.conductances()[1][0, 0] == NETWORK.g_max_siemens


def test_cells_that_outputs_hold_are_written_again_after_safe(tmp_path):
    case = Case(tmp_path, programmer={"volatile": True})
    with case.bench() as bench:
        case.started(bench)
        bench.safe()
        case.world.siemens = [np.full(shape, 1e-9) for shape in NETWORK.shapes]
        bench.clamp(case.volts())
        for have, want in zip(case.world.siemens, case.siemens(), strict=True):
            assert np.array_equal(have, want)
        assert [len(cells) for cells in case.world.writer.calls] == [25, 25]


def test_an_interrupted_write_leaves_its_cells_in_doubt(tmp_path):
    case = Case(tmp_path)
    with case.bench() as bench:
        case.started(bench)
        case.world.faults["program"] = ["interrupt"]
        with pytest.raises(KeyboardInterrupt):
            bench.update([nothing_but(NETWORK, 0, 0, 0, 1e-7)])
        with pytest.raises(BadInputError):
            bench.read()
        case.world.faults.clear()
        assert bench.update([]).programmed == 1
        bench.read()
