"""Cells measured in place, and the simulated twin of what was measured."""

import json

import h5py
import numpy as np
import pytest
from command_line import settings

from hilep import backends
from hilep.calibration.calibrationfile import read
from hilep.calibration.conductance import layer_cells, write_errors
from hilep.calibration.measureconductance import measure_conductance, targets
from hilep.cli import run
from hilep.config import validated
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError, ConfigError, UnsupportedError

WINDOW = {"layers": [12, 20, 6], "bias": "none", "g_min_siemens": 1e-6, "g_max_siemens": 1e-4}


def config(backend="simulated", cells=None, **device):
    given = {"backend": backend, "seed": 5, **device}
    if cells is not None:
        given["cells"] = cells
    return validated({"network": WINDOW, "device": given}, "test")


def device(*args, **more):
    asked = config(*args, **more)
    crossbar = backends.crossbar(asked, asked.network.network())
    crossbar.program([np.full(shape, 5e-5) for shape in crossbar.network.shapes])
    return crossbar


def mapped(crossbar, **options):
    return measure_conductance(crossbar, generator=np.random.default_rng(1), **options)


@pytest.mark.parametrize("backend", ["simulated", "circuit"])
def test_stuck_cells_and_how_writes_come_out_are_found(backend):
    """Three 95 % intervals: all hold the truth in 6 of 7 seeds, and with this one."""
    stuck = [[0, 3, 7, 2e-6], [0, 11, 19, 9e-5], [1, 0, 5, 5e-5]]
    cells = {
        "stuck_cells": stuck, "write_noise_relative": 0.02, "write_noise_siemens": 5e-7,
        "device_spread_relative": 0.04,
    }  # fmt: skip
    found = mapped(device(backend, cells), rounds=8)
    where = [
        [layer, *place.tolist()]
        for layer, one in enumerate(found.layers)
        for place in np.argwhere(one.stuck)
    ]
    assert where == [one[:3] for one in stuck]
    for layer, row, column, siemens in stuck:
        assert found.layers[layer].stuck_siemens[row, column] == pytest.approx(siemens)
        assert np.isnan(found.layers[layer].gain[row, column])
    assert found.write_noise_relative_low < 0.02 < found.write_noise_relative_high
    assert found.write_noise_siemens_low < 5e-7 < found.write_noise_siemens_high
    assert found.device_spread_relative_low < 0.04 < found.device_spread_relative_high
    for name in ("write_noise_relative", "device_spread_relative"):
        width = getattr(found, f"{name}_high") - getattr(found, f"{name}_low")
        assert width < 0.4 * getattr(found, name)


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    """40 devices: fewer than 33 of 40 hits of a 95 % interval have a chance of 1 in 10,000."""
    generator = np.random.default_rng(7)
    hits = np.zeros(3)
    for _ in range(40):
        asked = generator.uniform(1e-5, 9e-5, (6, 20, 10))
        gain = 1 + 0.03 * generator.standard_normal((20, 10))
        noise = np.hypot(8e-7, 0.02 * asked) * generator.standard_normal(asked.shape)
        reads = 2e-7 * generator.standard_normal((6, 2, 20, 10))
        found = (gain * asked + noise)[:, None] + reads
        said = write_errors([asked], [found], [np.ones((20, 10), bool)], generator)
        truth = ((8e-7, said.siemens_range), (0.02, said.relative_range), (0.03, said.spread_range))
        hits += [low < true < high for true, (low, high) in truth]
    assert (hits >= 33).all(), hits


def test_ideal_cells_have_no_noise_of_writing():
    found = mapped(device(precision="float64"))
    assert found.write_noise_relative < 1e-9
    assert found.device_spread_relative < 1e-9
    assert not any(layer.stuck.any() for layer in found.layers)
    for layer in found.layers:
        np.testing.assert_allclose(layer.gain, 1, rtol=1e-12)


def test_every_round_asks_for_another_conductance_within_the_window():
    crossbar = device()
    rounds = targets(crossbar, 5, np.random.default_rng(0))
    for layer in range(2):
        asked = np.sort(np.stack([one[layer] for one in rounds]), axis=0)
        assert (np.diff(asked, axis=0) > 0.1 * (1e-4 - 1e-6)).all()
        assert asked.min() > 1e-6
        assert asked.max() < 1e-4


def test_what_cannot_be_measured_is_refused():
    class Blind(type(device())):
        measure_conductances = Crossbar.measure_conductances

    crossbar = device()
    crossbar.__class__ = Blind
    with pytest.raises(UnsupportedError, match="reads no single cells"):
        mapped(crossbar)
    with pytest.raises(BadInputError, match="at least 3 rounds"):
        mapped(device(), rounds=2)
    with pytest.raises(BadInputError, match="at least 3 rounds"):
        layer_cells(np.ones((2, 3, 3)), np.ones((2, 1, 3, 3)), np.zeros((3, 3), np.int64))
    with pytest.raises(BadInputError, match=r"stuck_cells: no cell \[0, 12, 0\]"):
        device(cells={"stuck_cells": [[0, 12, 0, 1e-6]]})
    with pytest.raises(ConfigError, match="stuck_cells: expected whole numbers"):
        device(cells={"stuck_cells": [[0, 1.5, 0, 1e-6]]})


# The twin -----------------------------------------------------------------------------------------

SIGMA = [1e-4, 2e-4, 1e-4, 3e-4, 1e-4, 2e-4, 1e-4, 1e-4]
STUCK = [[0, 2, 1, 0.5], [1, 4, 0, 0.05]]


@pytest.fixture
def calibrated(tmp_path, capsys):
    """A calibration of a simulated device with stuck cells, noisy writes and unequal nodes."""
    values = {
        "device.sigma_v": json.dumps(SIGMA), "network.g_max_siemens": "1.0",
        "device.cells.stuck_cells": json.dumps(STUCK),
        "device.cells.write_noise_relative": "0.03", "calibration.pairs": "200",
        "calibration.reads": "64", "calibration.conductance": "true",
        "calibration.conductance_rounds": "10",
    }  # fmt: skip
    path = tmp_path / "small.toml"
    path.write_text("")
    words = [*settings(values), "--out", str(tmp_path / "cal.h5"), "--json"]
    assert run(["calibrate", str(path), *words]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert any("2 of 36 cells are stuck: [0, 2, 1], [1, 4, 0]" in x for x in said["problems"])
    return tmp_path / "cal.h5"


def twin(path, backend="simulated", **device):
    network = {"layers": [4, 6, 2], "g_min_siemens": 0.02, "g_max_siemens": 1.0, "bias": "none"}
    asked = validated(
        {"network": network, "device": {"backend": backend, "twin_of": str(path), **device}}, "test"
    )
    return backends.options(asked), backends.crossbar(asked, asked.network.network())


@pytest.mark.parametrize("backend", ["simulated", "circuit"])
def test_a_twin_has_what_was_measured(calibrated, backend):
    """Sigma of 8 nodes from 200 pairs within 4 standard errors each, and so the noise of writes."""
    options, crossbar = twin(calibrated, backend)
    np.testing.assert_allclose(options.sigma_v, SIGMA, rtol=4 / np.sqrt(2 * 199))
    found = read(calibrated).conductance
    both = np.hypot(found.write_noise_siemens, 0.5 * found.write_noise_relative)
    assert both == pytest.approx(0.5 * 0.03, rel=4 / np.sqrt(2 * 34 * 9))
    assert options.cells.write_noise_relative == found.write_noise_relative
    assert [cell[:3] for cell in options.cells.stuck_cells] == [cell[:3] for cell in STUCK]
    crossbar.program([np.full(shape, 0.2) for shape in crossbar.network.shapes])
    held = crossbar.measure_conductances()
    for layer, row, column, siemens in STUCK:
        assert held[layer][0, row, column] == pytest.approx(siemens)
    assert np.ptp(held[0]) > 0
    crossbar.clamp([0.1, -0.2, 0.3, 0.1])
    reads = crossbar.read(2000).volts.std(axis=0)
    np.testing.assert_allclose(reads, options.sigma_v, rtol=4 / np.sqrt(2 * 1999))


def test_what_is_given_besides_goes_first(calibrated):
    options, _ = twin(calibrated, sigma_v=5e-4, cells={"write_noise_relative": 0.5})
    assert options.sigma_v == 5e-4
    assert options.cells.write_noise_relative == 0.5
    assert len(options.cells.stuck_cells) == 2


def test_a_twin_of_another_network_is_refused(calibrated):
    network = {"layers": [4, 7, 2], "bias": "none"}
    asked = validated({"network": network, "device": {"twin_of": str(calibrated)}}, "test")
    with pytest.raises(ConfigError, match=r"device\.twin_of.* expected sigma of 9 .* got 8"):
        backends.crossbar(asked, asked.network.network())


def test_a_twin_of_nothing_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"twin_of: .*cal\.h5: not there"):
        twin(tmp_path / "cal.h5")
    (tmp_path / "cal.h5").write_text("not HDF5")
    with pytest.raises(ConfigError, match=r"twin_of: .*cal\.h5: damaged"):
        twin(tmp_path / "cal.h5")
    with h5py.File(tmp_path / "cal.h5", "w") as file:
        file.attrs.update({"schema": "hilep-calibration", "version": 2})
    with pytest.raises(ConfigError, match=r"twin_of: .*cal\.h5: version 2, expected 1"):
        twin(tmp_path / "cal.h5")


# On a bench ---------------------------------------------------------------------------------------


def test_a_bench_reads_every_cell_alone_and_without_a_pulse(tmp_path, monkeypatch):
    pytest.importorskip("pymeasure", reason="needs the bench extra")
    pytest.importorskip("lupa", reason="needs the bench extra")
    import contextlib

    import virtual_files

    from hilep.instruments import locks
    from hilep.instruments.bench import Bench
    from hilep.simulators.virtual.twin import twin as served

    virtual_files.installed(tmp_path, monkeypatch)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)
    kept = []

    @contextlib.contextmanager
    def twin(file, network):
        with served(file, network) as resources:
            kept.append(resources)
            yield resources

    given = virtual_files.tables()
    given["virtual"] = {"cells": {"pulses": 200, "stuck_cells": [[0, 1, 2, 6e-6]]}}
    file = virtual_files.bench_file(tmp_path, given)
    with Bench(file, virtual_files.NETWORK, twin=twin) as bench:
        found = bench.measure_conductances(2)
        held = kept[0].world.siemens()
        for one, true in zip(found, held, strict=True):
            assert one.shape == (2, *true.shape)
            np.testing.assert_allclose(one.mean(axis=0), true, rtol=0.02, atol=2e-8)
        assert found[0][:, 1, 2] == pytest.approx(6e-6, rel=0.02)
        assert bench.session.station.programmer.statistics.pulses == 0
        bench.session.end()


def test_a_bench_whose_programmer_reads_nothing_says_so(tmp_path, monkeypatch):
    pytest.importorskip("pymeasure", reason="needs the bench extra")
    pytest.importorskip("nidaqmx", reason="needs the bench extra")
    pytest.importorskip("lupa", reason="needs the bench extra")
    import virtual_files

    from hilep.instruments import locks
    from hilep.instruments.bench import Bench
    from hilep.simulators.virtual.twin import twin as served

    virtual_files.installed(tmp_path, monkeypatch)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)
    file = virtual_files.bench_file(tmp_path, virtual_files.direct(virtual_files.NETWORK))
    with (
        Bench(file, virtual_files.NETWORK, twin=served) as bench,
        pytest.raises(UnsupportedError, match="nothing reads a single cell"),
    ):
        mapped(bench)
    bench.session.end()
