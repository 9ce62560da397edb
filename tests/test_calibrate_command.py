"""`hilep calibrate`: what it answers, what it refuses, and that nothing measured is lost."""

import contextlib
import json
import math
import os
import signal
import sys

import numpy as np
import pytest
from command_line import settings

from hilep import durable
from hilep.calibration import calibrating
from hilep.calibration.calibrationfile import read
from hilep.cli import run
from hilep.cli.termination import terminable
from hilep.errors import HilepError, StorageError
from hilep.reading import SATURATED
from hilep.simulators.solved import SolvedCrossbar

NOISY = {"device.sigma_v": "1e-4", "calibration.pairs": "60", "calibration.reads": "256"}
KEYS = {
    "sigma_v", "sigma_v_ci95", "nodes", "independent", "max_useful_reads", "limited_by_record",
    "interleave", "interleaving_gain", "settling_s", "problems", "notes", "device", "calibration",
}  # fmt: skip


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text("")
    return str(path)


def words(config, tmp_path, values=None, *more):
    return [
        "calibrate", config, *settings({**NOISY, **(values or {})}),
        "--out", str(tmp_path / "cal.h5"), "--json", *more,
    ]  # fmt: skip


def said(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def spoiled(monkeypatch, spoil):
    """Let `spoil` change every reading before it is given back; it gets the number of the read."""
    plain, count = SolvedCrossbar.read, [0]

    def read(self, samples=1):
        reading = spoil(count[0], plain(self, samples))
        count[0] += 1
        return reading

    monkeypatch.setattr(SolvedCrossbar, "read", read)


def with_samples(reading, volts, status):
    from hilep.reading import Reading

    return Reading(
        volts.mean(axis=0), reading.count, volts, None, time_s=reading.time_s,
        status=np.array(status, np.uint8),
    )  # fmt: skip


def test_it_answers_with_the_sigma_that_was_set(config, tmp_path, capsys):
    assert run(words(config, tmp_path)) == 0
    answer = said(capsys)
    assert set(answer) == KEYS
    low, high = answer["sigma_v_ci95"]
    assert low < 1e-4 < high
    assert low < answer["sigma_v"] < high
    assert answer["nodes"] == 8
    assert answer["independent"] is True
    assert answer["max_useful_reads"] == 4
    assert answer["limited_by_record"] is True
    assert answer["settling_s"] is None
    assert answer["problems"] == []
    found = read(tmp_path / "cal.h5")
    assert found.sigma.pooled.sigma_v == answer["sigma_v"]
    assert found.reads.free.shape == found.reads.nudged.shape == (60, 8)
    assert found.record.volts.shape == (256, 8)
    assert found.reads.amps.any()


def test_the_file_says_what_was_measured_and_how(config, tmp_path, capsys):
    assert run(words(config, tmp_path, {"training.beta_siemens": "0.25"})) == 0
    found = read(tmp_path / "cal.h5")
    assert json.loads(found.config)["training"]["beta_siemens"] == 0.25
    device = json.loads(found.device)
    assert device["options"]["sigma_v"] == 1e-4
    assert device["description"] == said(capsys)["device"]
    assert "T" in found.created
    assert found.created[-6] in "+-"


def test_the_nudge_scales_as_told(config, tmp_path):
    run(words(config, tmp_path))
    whole = read(tmp_path / "cal.h5").reads.amps
    run(words(config, tmp_path, {"calibration.nudge_fraction": "0.5"}, "--overwrite"))
    assert read(tmp_path / "cal.h5").reads.amps == pytest.approx(whole / 2)


@pytest.mark.parametrize("nudging", ["spring", "clamp"])
def test_every_kind_of_training_can_be_calibrated(config, tmp_path, capsys, nudging):
    variant = '"chl"' if nudging == "clamp" else '"centered"'
    values = {"training.nudging": f'"{nudging}"', "training.variant": variant}
    assert run(words(config, tmp_path, values)) == 0
    low, high = said(capsys)["sigma_v_ci95"]
    assert low < 1e-4 < high


def test_a_circuit_is_measured_alike(config, tmp_path, capsys):
    values = {
        "device.backend": "circuit", "device.solver": None, "network.bias": "none",
        "calibration.reads": "128",
    }  # fmt: skip
    assert run(words(config, tmp_path, values)) == 0
    answer = said(capsys)
    assert answer["sigma_v"] == pytest.approx(1e-4, rel=4 / math.sqrt(2 * 8 * 59))


@pytest.mark.slow
def test_a_circuit_that_takes_its_time_says_how_long_to_wait(config, tmp_path, capsys):
    values = {
        "device.backend": "circuit", "device.solver": None, "network.bias": "none",
        "device.node_farads": "1e-9", "device.sigma_v": "1e-5", "network.layers": "[4, 3, 2]",
        "network.g_min_siemens": "0.1", "calibration.longest_settling_s": "1e-5",
    }  # fmt: skip
    assert run(words(config, tmp_path, values)) == 0
    answer = said(capsys)
    found = read(tmp_path / "cal.h5").settling
    assert {step.split(",")[0] for step in found.steps} == {"clamp", "nudge"}
    # A node's capacitance over what joins it: 1e-9 F over 0.1 S to some siemens.
    slowest = max(response.time_constants_s[0] for response in found.responses)
    assert 1e-10 < slowest < 2e-8
    assert slowest < answer["settling_s"] < 30 * slowest
    assert found.delay.tolerance_v <= 0.1 * 1.3e-5


def test_settling_is_left_out_where_that_is_asked(config, tmp_path, capsys):
    assert run(words(config, tmp_path, {"calibration.settling": "false"})) == 0
    assert said(capsys)["notes"] == []


def test_a_silent_device_has_no_sigma(config, tmp_path, capsys):
    assert run(words(config, tmp_path, {"device.sigma_v": "0.0"})) == 1
    answer = said(capsys)
    assert answer["sigma_v"] is answer["sigma_v_ci95"] is answer["max_useful_reads"] is None
    assert answer["independent"] == "cannot tell"
    assert any("8 of 8 nodes constant" in line for line in answer["problems"])
    assert read(tmp_path / "cal.h5").sigma.pooled is None


def test_a_constant_node_is_named_and_the_others_are_judged(config, tmp_path, capsys):
    sigma = "[1e-4, 1e-4, 0.0, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4]"
    assert run(words(config, tmp_path, {"device.sigma_v": sigma})) == 0
    answer = said(capsys)
    assert answer["nodes"] == 7
    assert any("constant" in line and line.endswith("node 2") for line in answer["problems"])


def test_saturated_and_missing_reads_are_named(config, tmp_path, capsys, monkeypatch):
    def spoil(number, reading):
        volts = np.array(reading.volts)
        volts[:, 4] = math.nan
        return with_samples(reading, volts, [0, SATURATED, 0, 0, 8, 0, 0, 0])

    spoiled(monkeypatch, spoil)
    assert run(words(config, tmp_path)) == 0
    answer = said(capsys)
    assert answer["nodes"] == 6
    problems = answer["problems"]
    assert any("saturated" in line and line.endswith("node 1") for line in problems)
    assert any("not finite" in line and line.endswith("node 4") for line in problems)
    found = read(tmp_path / "cal.h5")
    assert np.isnan(found.reads.free[:, 4]).all()
    assert found.judged.tolist() == [0, 2, 3, 5, 6, 7]


def test_reads_below_the_converters_step_are_no_zero(config, tmp_path, capsys):
    values = {"device.adc_bits": "10", "device.adc_range_v": "50.0"}
    assert run(words(config, tmp_path, values)) == 1
    answer = said(capsys)
    assert answer["sigma_v"] is None
    assert any("no node's reads can carry a sigma" in line for line in answer["problems"])


def test_a_failure_half_way_keeps_what_was_read(config, tmp_path, capsys, monkeypatch):
    def spoil(number, reading):
        if number == 42:
            raise StorageError("the voltmeter\nis gone")
        return reading

    spoiled(monkeypatch, spoil)
    assert run(words(config, tmp_path)) == 1
    answer = said(capsys)
    assert answer["problems"][0] == "pairs: the voltmeter is gone"
    assert answer["sigma_v"] == pytest.approx(1e-4, rel=4 / math.sqrt(2 * 8 * 19))
    found = read(tmp_path / "cal.h5")
    # One read of the outputs goes before; pair 20 had its free read only.
    assert found.reads.free.shape == (20, 8)
    assert found.record is None
    assert found.failed


def test_ctrl_c_keeps_what_was_read_and_makes_the_device_safe(
    config, tmp_path, capsys, monkeypatch
):
    made_safe = []
    monkeypatch.setattr(SolvedCrossbar, "safe", lambda self: made_safe.append(True))

    def spoil(number, reading):
        if reading.count == 256:
            raise KeyboardInterrupt
        return reading

    spoiled(monkeypatch, spoil)
    assert run(words(config, tmp_path)) == 1
    assert said(capsys)["problems"][0] == "record: stopped"
    assert made_safe
    assert read(tmp_path / "cal.h5").reads.free.shape == (60, 8)


def test_a_failure_of_the_first_read_is_one_line(config, tmp_path, capsys, monkeypatch):
    def spoil(number, reading):
        raise StorageError("no voltmeter")

    spoiled(monkeypatch, spoil)
    assert run(words(config, tmp_path)) == 1
    assert capsys.readouterr().err == "hilep: no voltmeter\n"
    assert not (tmp_path / "cal.h5").exists()


def test_an_evaluation_that_fails_leaves_the_reads(config, tmp_path, monkeypatch):
    plain = calibrating.findings

    def broken(*given):
        if not given[-1]:
            raise ZeroDivisionError("by zero")
        return plain(*given)

    monkeypatch.setattr(calibrating, "findings", broken)
    with pytest.raises(ZeroDivisionError):
        run(words(config, tmp_path))
    found = read(tmp_path / "cal.h5")
    assert found.reads.free.shape == (60, 8)
    assert found.record.volts.shape == (256, 8)
    assert "evaluation: by zero" in found.problems
    assert not found.carries_a_verdict


def test_the_conductances_of_a_run_are_programmed(config, tmp_path, capsys, monkeypatch):
    trained = str(tmp_path / "run.h5")
    assert run(["train", *settings(), "--out", trained]) == 0
    from hilep.runfile import read_run

    asked = []
    plain = SolvedCrossbar.program

    def program(self, conductances, bias_currents=None):
        asked.append([np.array(g) for g in conductances])
        return plain(self, conductances, bias_currents)

    monkeypatch.setattr(SolvedCrossbar, "program", program)
    assert run(words(config, tmp_path, None, "--run", trained)) == 0
    for have, want in zip(asked[0], read_run(trained).checkpoint.conductances, strict=True):
        assert np.array_equal(have, want)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"calibration.image": "100000"}, "calibration.image: expected 0 to "),
        ({"calibration.pairs": "0"}, "calibration.pairs: "),
        ({"calibration.reads": "1.5"}, "calibration.reads: "),
        ({"calibration.nudge_fraction": "0.0"}, "calibration.nudge_fraction: "),
        ({"calibration.nothing": "1"}, "calibration.nothing: unknown key"),
        ({"network.layers": "[5, 6, 2]"}, "network.layers: "),
        ({"network.current_limit_a": "1e-12"}, "nudge: "),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(config, tmp_path, capsys, values, expected):
    assert run(words(config, tmp_path, values)) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert not (tmp_path / "cal.h5").exists()


def test_reads_are_kept_where_leaving_the_device_fails(config, tmp_path, capsys, monkeypatch):
    @contextlib.contextmanager
    def leaving(*given):
        with entered(*given) as device:
            yield device
        raise HilepError("smu1: its output is not known to be off")

    entered = calibrating.backends.crossbar
    monkeypatch.setattr(calibrating.backends, "crossbar", leaving)
    assert run(words(config, tmp_path)) == 1
    assert "device: smu1: its output is not known to be off" in capsys.readouterr().err
    kept = read(tmp_path / "cal.h5")
    assert kept.failed
    assert kept.reads.free.shape[0] > 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
def test_what_is_no_file_is_not_replaced(config, tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert run(["calibrate", config, "--out", str(pipe), "--overwrite"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "no file" in line
    assert pipe.is_fifo()


def refused(**given):
    raise OSError("no space")


def test_files_are_checked_before_anything_is_measured(config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(calibrating, "measured", None)
    (tmp_path / "cal.h5").write_bytes(b"kept")
    assert run(words(config, tmp_path)) == 2
    assert "already there" in capsys.readouterr().err
    assert (tmp_path / "cal.h5").read_bytes() == b"kept"
    assert run(["calibrate", config, "--out", str(tmp_path / "no" / "cal.h5")]) == 2
    assert "is not there" in capsys.readouterr().err
    assert run(["calibrate", config, "--out", str(tmp_path)]) == 2
    assert "a folder" in capsys.readouterr().err
    monkeypatch.setattr(durable.tempfile, "TemporaryFile", refused)
    assert run(["calibrate", config, "--out", str(tmp_path / "other.h5")]) == 1
    assert "cannot be written: no space" in capsys.readouterr().err
    assert run(["calibrate", str(tmp_path / "none.toml")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert run(["calibrate", config, "--virtual"]) == 2
    assert "--virtual" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal to send")
def test_a_termination_ends_a_command_as_ctrl_c_does():
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), terminable():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_training_whose_file_has_the_section_trains(tmp_path):
    assert run(["train", *settings(NOISY), "--out", str(tmp_path / "run.h5")]) == 0
