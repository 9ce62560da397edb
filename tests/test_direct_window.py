"""Conductances set by a voltage, at the ends of the window and after outputs were switched off."""

import itertools

import numpy as np
import pytest
import virtual_files
from virtual_files import NETWORK, bench_file, direct

from hilep.errors import ConfigError
from hilep.instruments.errors import RangeLimitError
from hilep.network import Network

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from hilep.instruments import locks
from hilep.instruments.bench import Bench
from hilep.instruments.directmap import CellMaps, ConductanceMap
from hilep.simulators.virtual.twin import twin

LOW, HIGH, TOLERANCE = 1e-7, 1e-5, 0.05


@pytest.fixture(autouse=True)
def _lab(tmp_path, monkeypatch):
    virtual_files.installed(tmp_path, monkeypatch)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)


def with_smus(network):
    """The same bench with an SMU's channel for each cell."""
    given = direct(network)
    names = (f"cell{number}.{letter}" for number in itertools.count(1) for letter in "ab")
    shapes = network.shapes
    cells = [[[next(names) for _ in range(n)] for _ in range(m)] for m, n in shapes]
    for array in cells:
        for line in (line for row in array for line in row):
            name = line.partition(".")[0]
            number = 10 + int(name.removeprefix("cell"))
            resource = f"GPIB0::{number}::INSTR"
            given["instruments"][name] = {"driver": "keithley2600", "resource": resource}
    given["roles"]["program"] |= {"cells": cells, "range_v": 1.0, "limit_a": 1e-3}
    return given


def network(low=LOW, high=HIGH, shape=(1, 2)):
    return Network(shape, "none", "none", g_min_siemens=low, g_max_siemens=high)


def linear(given):
    del given["hidden"]
    return given


def ended(bench):
    bench.close()
    bench.session.end()


@pytest.mark.parametrize("make", [direct, with_smus])
@pytest.mark.parametrize("volts", [[0.0, 0.99997], [-0.7000133, 0.3]])
@pytest.mark.parametrize("falling", [False, True])
def test_the_ends_of_the_window_and_a_hair_beside_them_are_written(tmp_path, make, volts, falling):
    """The ends of the map need not be steps of the source, and 0 V is one that it refuses around.

    What is reported is what the circuit has, to half a step.
    """
    wired = network()
    given = linear(make(wired))
    siemens = [HIGH, LOW] if falling else [LOW, HIGH]
    given["roles"]["program"]["map"] = {"volts": volts, "siemens": siemens}
    bench = Bench(bench_file(tmp_path, given), wired, twin=twin)
    beside = (1 - 1e-13, 1.0, 1 + 1e-13, 1 + 1e-6)
    try:
        with bench:
            programmer = bench.session.station.programmer
            world = bench.session._resources.world
            cells = np.array([[0, 0, 0], [0, 0, 1]])
            for low, high in [(LOW * one, HIGH / one) for one in beside]:
                asked = np.array([low, high])
                report = programmer.program(cells, asked, TOLERANCE)
                assert not report.failed.any()
                # One step of 10 V in 16 bits, at each end.
                step = 10.0 / 2**16 * (HIGH - LOW)
                np.testing.assert_allclose(report.siemens, asked, rtol=1e-9, atol=2 * step)
                np.testing.assert_allclose(world.siemens()[0][0], report.siemens, atol=step)
            bench.program([np.array([[wired.g_min_siemens, wired.g_max_siemens]])])
            bench.program([bench.conductances()[0]])
    finally:
        ended(bench)


def test_what_the_map_does_not_know_is_refused_unless_its_end_counts_as_achieved(tmp_path):
    curve = ConductanceMap([0.0, 2.0], [LOW, HIGH])
    maps = CellMaps([[[curve]]])
    for end, way in ((LOW, -1), (HIGH, 1)):
        volts = curve.volts_at(end)
        for asked in (end, end * (1 + 1e-13 * way), end * (1 + 0.8 * TOLERANCE * way)):
            np.testing.assert_allclose(curve.volts_at(asked, TOLERANCE), volts, atol=1e-12)
            np.testing.assert_allclose(maps.volts_at([[0, 0, 0]], [asked], TOLERANCE), volts)
        for beyond, tolerance in ((end * (1 + 1.2 * TOLERANCE * way), TOLERANCE), (1.001, 0.0)):
            wrong = beyond if tolerance else end * beyond**way
            with pytest.raises(RangeLimitError, match="which is what was calibrated"):
                curve.volts_at(wrong, tolerance)
    for low, high in ((LOW / 1.001, HIGH), (LOW, HIGH * 1.001)):
        wired = network(low, high)
        bench = Bench(bench_file(tmp_path, linear(direct(wired))), wired, twin=twin)
        try:
            report = bench.program([np.array([[low, high]])])
            assert not report.failed
            assert bench.conductances()[0].min() >= low
            assert bench.conductances()[0].max() <= high
        finally:
            ended(bench)
    for low, high in ((LOW / 1.1, HIGH), (LOW, HIGH * 1.1)):
        wired = network(low, high)
        with pytest.raises(ConfigError, match=r"roles.program.map: .* expected it to cover"):
            Bench(bench_file(tmp_path, linear(direct(wired))), wired, twin=twin)


@pytest.mark.parametrize("make", [direct, with_smus])
@pytest.mark.parametrize("way", ["bench", "session", "each"])
def test_cells_are_set_up_again_after_everything_was_switched_off(tmp_path, make, way):
    """Limit, level and output: whoever switched off, and whichever cells are written next."""
    wired = network(shape=(2, 2))
    bench = Bench(bench_file(tmp_path, linear(make(wired))), wired, twin=twin)
    generator = np.random.default_rng(3)
    try:
        with bench:
            asked = [generator.uniform(2e-6, 8e-6, (2, 2))]
            bench.program(asked)
            bench.clamp([0.1, -0.2])
            bench.read()
            world = bench.session._resources.world
            if way == "bench":
                bench.safe()
            elif way == "session":
                bench.session.safe()
            else:
                for instrument in bench.session.connections.instruments.values():
                    instrument.safe()
            np.testing.assert_allclose(world.siemens()[0], LOW, rtol=1e-3)
            programmer = bench.session.station.programmer
            cells = np.argwhere(np.ones((1, 2, 2), bool))
            report = programmer.program(cells, asked[0].ravel(), TOLERANCE)
            assert not report.failed.any()
            np.testing.assert_allclose(world.siemens()[0], asked[0], rtol=2e-3)
            for line in (line for row in programmer.lines[0] for line in row):
                instrument = bench.session.connections.instruments[line.instrument]
                if make is with_smus:
                    assert instrument.read_outputs()[line.channel]
                    assert instrument.channels[line.channel].setup.limit == 1e-3
                else:
                    assert instrument.limits[line.channel] == 1.0
    finally:
        ended(bench)


def test_a_file_whose_window_is_the_maps_passes_through_a_bench(tmp_path):
    """Updates are clipped to the window, and its ends are written."""
    wired = Network(NETWORK.layers, "split", "row", g_min_siemens=LOW, g_max_siemens=HIGH)
    bench = Bench(bench_file(tmp_path, direct(wired)), wired, twin=twin)
    try:
        with bench:
            middle = [np.full(shape, 4e-6) for shape in wired.shapes]
            bench.program(middle)
            for change in (1.0, -1.0):
                bench.outputs.cells.add([np.full(shape, change) for shape in wired.shapes])
                bench.outputs.write(bench.session.station)
                end = HIGH if change > 0 else LOW
                for found in bench.conductances():
                    np.testing.assert_allclose(found, end, rtol=TOLERANCE)
    finally:
        ended(bench)
