"""A bench on its virtual twin: real drivers, real sockets, one simulated circuit."""

import contextlib

import numpy as np
import pytest
import virtual_files
from virtual_files import NETWORK, bench_file, direct, siemens, tables

from hilep.instruments import locks
from hilep.nudging import Nudging
from hilep.reading import LayerUpdate, Update
from hilep.testing import equilibrium

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from hilep.instruments.bench import Bench
from hilep.instruments.errors import InstrumentError
from hilep.simulators.virtual.twin import twin

# Not many pulses above what new cells hold.
CONDUCTANCES = siemens(NETWORK, low=1e-6, high=2e-6)
KINDS = {"direct": direct, "pulses": tables}
LAYOUTS = [("direct", 2e-4), ("pulses", 1e-5)]


@pytest.fixture(autouse=True)
def _drivers(tmp_path, monkeypatch):
    virtual_files.installed(tmp_path, monkeypatch)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)


@contextlib.contextmanager
def on_twin(folder, kind, **changes):
    """A bench and the resources of its twin."""
    served = []

    @contextlib.contextmanager
    def kept(file, network):
        with twin(file, network) as resources:
            served.append(resources)
            yield resources

    given = KINDS[kind](NETWORK)
    for key, value in changes.items():
        given["roles"]["nudge"][key] = value
    with Bench(bench_file(folder, given), NETWORK, twin=kept) as bench:
        yield bench, served[0]
        bench.session.end()


@pytest.mark.parametrize(("kind", "volts"), LAYOUTS)
def test_it_programs_clamps_nudges_and_reads_the_circuit(tmp_path, kind, volts):
    with on_twin(tmp_path, kind) as (bench, resources):
        report = bench.program(CONDUCTANCES)
        assert report.failed == ()
        held = resources.world.siemens()
        for found, asked in zip(held, CONDUCTANCES, strict=True):
            np.testing.assert_allclose(found, asked, rtol=0.055)
        inputs = np.array([0.7, -0.4])
        bench.clamp(inputs)
        free = bench.read(4)
        expected = equilibrium(NETWORK, resources.world.siemens(), None, inputs)
        np.testing.assert_allclose(free.mean, expected, atol=volts)
        achieved = bench.nudge(np.array([4e-7, -3e-7]))
        nudged = bench.read(4)
        expected = equilibrium(NETWORK, resources.world.siemens(), None, inputs, amps=achieved)
        np.testing.assert_allclose(nudged.mean, expected, atol=volts)
        assert not np.allclose(nudged.mean, free.mean, atol=10 * volts)
        bench.nudge(None)
        np.testing.assert_allclose(bench.read(4).mean, free.mean, atol=2 * volts)


@pytest.mark.parametrize(("kind", "volts"), LAYOUTS)
def test_both_phases_of_a_batch_are_those_of_the_circuit(tmp_path, kind, volts):
    with on_twin(tmp_path, kind) as (bench, resources):
        bench.program(CONDUCTANCES)
        inputs = np.array([[0.7, -0.4], [-0.2, 0.9]])
        nudging = Nudging("current", (0.0, 1e-6))
        found = bench.free_and_nudged(inputs, np.full((2, 2), 0.05), nudging, samples=4)
        assert found.amps.any()
        cells = resources.world.siemens()
        for image, row in enumerate(inputs):
            for reading, amps in ((found.first, None), (found.second, found.amps[image])):
                expected = equilibrium(NETWORK, cells, None, row, amps=amps)
                np.testing.assert_allclose(reading.mean[image], expected, atol=volts)


@pytest.mark.parametrize("kind", KINDS)
def test_every_output_is_off_at_the_end(tmp_path, kind):
    with on_twin(tmp_path, kind) as (bench, resources):
        bench.program(CONDUCTANCES)
        bench.clamp([0.5, 0.5])
        bench.read()
        world = resources.world
        bench.safe()
        names = [name for name in world.nodes.index if name != "ground"]
        state = world.measure(names, 0.0, np.random.default_rng(0))
        assert not state.volts.any()
        assert not state.amps.any()


@pytest.mark.parametrize("kind", KINDS)
def test_sources_are_joined_to_the_array_again_after_safe(tmp_path, kind):
    with on_twin(tmp_path, kind) as (bench, _):
        bench.program(CONDUCTANCES)
        bench.clamp([0.7, -0.4])
        before = bench.read(4).mean
        bench.safe()
        bench.clamp([0.7, -0.4])
        np.testing.assert_allclose(bench.read(4).mean, before, atol=1e-3)
        assert abs(before).max() > 0.01


@pytest.mark.parametrize("clamped_first", [False, True])
def test_clamps_and_cells_on_one_card_keep_each_other_s_levels(tmp_path, clamped_first):
    with on_twin(tmp_path, "direct") as (bench, resources):
        inputs = np.array([0.7, -0.4])
        if clamped_first:
            bench.clamp(inputs)
        bench.program(CONDUCTANCES)
        if not clamped_first:
            bench.clamp(inputs)
        ones = [LayerUpdate(np.eye(shape[0]), np.full(shape, 1e-6)) for shape in NETWORK.shapes]
        for more in (0.0, 1e-6):
            cells = resources.world.siemens()
            for found, asked in zip(cells, CONDUCTANCES, strict=True):
                np.testing.assert_allclose(found, asked + more, rtol=0.055)
            expected = equilibrium(NETWORK, cells, None, inputs)
            np.testing.assert_allclose(bench.read(4).mean, expected, atol=2e-4)
            assert bench.update([Update(tuple(ones))]).failed == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_that_is_met_ends_the_read(tmp_path, kind):
    with on_twin(tmp_path, kind, limit_v=0.05) as (bench, _):
        bench.program(CONDUCTANCES)
        bench.clamp([0.9, 0.9])
        bench.nudge([1e-6, 1e-6])
        with pytest.raises(InstrumentError, match="limit"):
            bench.read()
