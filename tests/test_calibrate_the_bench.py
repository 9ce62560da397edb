"""Law: `hilep calibrate` measures a bench as it does a simulation, and only one that is armed."""

import numpy as np
import pytest
from virtual_files import bench_file, direct

from hilep.calibration.calibrationfile import read
from hilep.network import Network

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from bench_checking import answer, install

XOR = Network((4, 3, 2), "split", "row", bias_v=0.5, g_min_siemens=1e-7, g_max_siemens=1e-5)
TRAINING = """
[data]
name = "xor"
gamma_v = 0.2
target_v = 0.03
[network]
layers = [4, 3, 2]
bias = "row"
bias_v = 0.5
g_min_siemens = 1e-7
g_max_siemens = 1e-5
initial_scale_siemens = 1e-5
[device]
backend = "bench"
file = "bench.toml"
[training]
beta_siemens = 1e-6
[calibration]
pairs = 30
reads = 128
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)


def test_the_twin_is_measured_on_its_own_clock_and_the_bench_is_refused_unarmed(tmp_path, capsys):
    bench_file(tmp_path, direct(XOR))
    (tmp_path / "run.toml").write_text(TRAINING)
    words = ["calibrate", "run.toml", "--out", "cal.h5"]
    status, found, err = answer(capsys, words)
    assert (status, found) == (2, None)
    assert "not armed" in err
    assert not (tmp_path / "cal.h5").exists()

    status, found, err = answer(capsys, [*words, "--virtual"])
    assert status == 0, err
    assert found["device"].startswith("virtual bench")
    assert 0 < found["sigma_v_ci95"][0] < found["sigma_v"] < found["sigma_v_ci95"][1]
    calibration = read(tmp_path / "cal.h5")
    assert calibration.reads.free.shape == (30, 5)
    assert calibration.reads.amps.any()
    # Times are those of the instruments: a read takes one interval, a phase settles first.
    assert calibration.record.interval_s > 0
    assert calibration.reads.delay_s >= 0.99 * calibration.record.interval_s
    assert np.all(np.diff(calibration.reads.free_time_s) > 0)


def test_sigma_at_other_settings_of_the_reader_is_found_and_they_are_undone(tmp_path, capsys):
    """Noise of the converter falls with the aperture, and with the range."""
    given = direct(XOR)
    given["instruments"]["daq1"] = {"driver": "keithleydaq6510", "resource": "GPIB0::9::INSTR"}
    given["roles"]["nodes"] = {
        "channels": [f"daq1.{number}" for number in range(101, 106)],
        "range_v": 1.0,
        "nplc": 1.0,
        "delay_s": 0.0,
        "autozero": False,
    }
    given["virtual"] = {"noise": 100.0, "steps": False, "kelvin": 0.0, "seed": 5}
    bench_file(tmp_path, given)
    (tmp_path / "run.toml").write_text(
        TRAINING + "settling = false\nnplcs = [0.02, 2.0]\nranges_v = [10.0, 1.0]\n"
    )
    words = ["calibrate", "run.toml", "--out", "cal.h5", "--virtual"]
    status, found, err = answer(capsys, words)
    assert status == 0, err
    against = read(tmp_path / "cal.h5").against
    short, long = against.nplc.pooled_v
    assert short / long > 5
    wide, fine = against.range_v.pooled_v
    assert 3 < wide / fine < 30
    # Read with the bench file's own aperture, not with the last of the others.
    low, high = found["sigma_v_ci95"]
    assert against.range_v.pooled_low_v[1] < high
    assert against.range_v.pooled_high_v[1] > low
