"""Laws of calibration files: what was written is read; a crash leaves the old or the new one."""

import contextlib
import dataclasses
import datetime
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import ENVIRONMENT
from noisy_crossbar import NoisyCrossbar, white

from hilep.calibration import calibrationfile
from hilep.calibration.calibrating import Measurement, evaluated
from hilep.calibration.calibration import Calibration, Settling
from hilep.calibration.calibrationfile import read, write
from hilep.calibration.channels import ChannelCalibration, calibrate_channel, released_nudge
from hilep.calibration.conductance import ConductanceMap, LayerCells
from hilep.calibration.delay import settling_delay
from hilep.calibration.measuresigma import NoiseApart
from hilep.calibration.measuring import alternating, long_record
from hilep.calibration.pulsecurves import pulse_curves
from hilep.calibration.retention import retention
from hilep.calibration.settings import Against, BootstrapIntervals, SigmaAtSettings
from hilep.calibration.settling import step_response
from hilep.calibration.stepreads import StepReads
from hilep.config import load
from hilep.errors import BadInputError, StorageError

TESTS = Path(__file__).parent
SMALL = ["network.layers=[4,6,2]", "network.bias=none"]


def measured(seed=0, pairs=40, reads=256, noise=None, status=None):
    """A calibration of a device that a test makes up."""
    config = load(None, SMALL)
    device = NoisyCrossbar(noise or white(1e-4), seed=seed, seconds=0.01, status=status)
    done = Measurement(device={"description": "made up, µ"}, created="2026-01-02T03:04:05+01:00")
    done.pairs += alternating(device, np.zeros(4), np.array([1e-3, -1e-3]), pairs)
    done.record = long_record(device, np.zeros(4), None, reads)
    return evaluated(config, done)


def whole():
    """A calibration with every part that there can be."""

    def noise(generator, count, nudged):
        volts = white(1e-4)(generator, count, nudged)
        volts[:, 1] = 0.5
        volts[:, 2] += 1e-3 * np.cos(0.9 * np.arange(count))
        return volts

    generator = np.random.default_rng(3)
    times = np.linspace(0, 1, 40)
    one = 1 - np.exp(-times / 0.1) + 1e-4 * generator.standard_normal(40)
    two = 1 + np.exp(-times / 0.2) + np.exp(-times / 0.02) + 1e-4 * generator.standard_normal(40)
    responses = (step_response(times, one), step_response(times, two, 2))
    steps = Settling(
        ("clamp, node 0", "nudge, node 3"),
        np.array([0, 3]),
        responses,
        (StepReads("clamp", np.ones((2, 3, 8)), np.zeros((2, 3, 8))),),
        settling_delay(responses, 1e-4, 4),
    )
    inputs = np.linspace(-1, 1, 9)
    channel = calibrate_channel(
        "daq1.101", inputs, 1.01 * inputs + 1e-3 + 1e-5 * generator.standard_normal(9),
        role="reader", reference="made up, serial 0", measured=datetime.date(2026, 1, 2),
        u_reference_gain=1e-5,
    )  # fmt: skip
    released = released_nudge(
        1e-9 * generator.standard_normal((4, 2)), 1e-8, channels=("smu1.a", "smu1.b")
    )
    ones = np.ones((2, 3))
    layer = LayerCells(ones, ones, ones.astype(np.uint8), ones, ones, ones.astype(np.int64))
    kept = retention([1 + generator.random((4, 2, 2, 3))], np.array([1.0, 2, 3]), [ones > 0])
    steps_of = np.repeat([1, -1], 4)
    curves = pulse_curves(np.array([[0, 1, 2], [0, 0, 0]]), steps_of, np.ones((9, 2)), 0.0, 2.0)
    cells = ConductanceMap(
        (layer, layer), 6, 1, 2.5, *np.linspace(0, 1, 9).tolist(), retention=kept, curves=curves
    )
    table = SigmaAtSettings.of("nplc", [0.1], [measured().sigma])
    volts = dataclasses.replace(table, setting="range_v")
    sweeps = Against(table, volts, volts, NoiseApart(1e-4, 0.0, 0.0, 1e-5, False))
    bootstrap = BootstrapIntervals(np.ones(6), np.full(6, np.nan), np.ones(6), 99, 0.95)
    return dataclasses.replace(
        measured(noise=noise, reads=1024), settling=steps, channels=(channel, channel),
        against=sweeps, bootstrap=bootstrap, notes=("a note",), failed=True,
        released=released, conductance=cells,
    )  # fmt: skip


def same(a, b):
    """Whether two records are equal, arrays and NaN included."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, field.name), getattr(b, field.name)) for field in dataclasses.fields(a)
        )
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    return type(a) is type(b) and a == b


def datasets(path):
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.update({name: dict(item.attrs)}))
        arrays = {name for name in found if isinstance(file[name], h5py.Dataset)}
    return {name: attributes for name, attributes in found.items() if name in arrays}


@pytest.mark.parametrize("make", [measured, whole], ids=["small", "whole"])
def test_what_was_written_is_read(tmp_path, make):
    calibration = make()
    write(tmp_path / "cal.h5", calibration)
    back = read(tmp_path / "cal.h5")
    for field in dataclasses.fields(Calibration):
        assert same(getattr(back, field.name), getattr(calibration, field.name)), field.name


def test_the_whole_one_has_every_part():
    calibration = whole()
    for field in dataclasses.fields(Calibration):
        assert getattr(calibration, field.name) is not None, field.name
    assert any(calibration.independence.lines)
    assert calibration.allan.pause_reads > 0
    assert isinstance(calibration.channels[0], ChannelCalibration)


def test_what_is_not_there_is_absent(tmp_path):
    silent = measured(pairs=1, reads=2, noise=lambda generator, count, nudged: np.zeros((count, 8)))
    write(tmp_path / "cal.h5", silent)
    with h5py.File(tmp_path / "cal.h5", "r") as file:
        for name in ("covariance", "distribution", "independence", "allan", "settling", "channels"):
            assert name not in file
        assert "pooled" not in file["sigma"]
        assert "agreement" not in file["phases"]
    assert same(read(tmp_path / "cal.h5"), silent)


def test_plain_h5py_finds_units_and_words(tmp_path):
    write(tmp_path / "cal.h5", whole())
    with h5py.File(tmp_path / "cal.h5", "r") as file:
        assert file.attrs["schema"] == "hilep-calibration"
        assert file.attrs["version"] == 1
        assert file.attrs["created"] == "2026-01-02T03:04:05+01:00"
        assert "made up" in file.attrs["device"]
        assert '"calibration"' in file.attrs["config"]
        assert file["reads/free"].attrs["units"] == "V"
        assert file["allan/allan/deviation_v"].shape == (len(file["judged"]), 9)
        assert file["channels/0/offset"].attrs["units"] == "V"
        assert file["channels/0/gain"].attrs["units"] == "1"
        assert file["against/nplc/values"].attrs["units"] == "1"
        assert file["against/range_v/values"].attrs["units"] == "V"
    for name, attributes in datasets(tmp_path / "cal.h5").items():
        assert attributes["units"], name
        assert any(map(str.isalpha, attributes["description"][:3])), name


def test_the_page_names_every_dataset(tmp_path):
    page = (TESTS.parent / "docs" / "calibration-files.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`/?([a-z0-9_]+)`", page)) | set(re.findall(r"`/([a-z0-9_/]+)`", page))
    named |= {part for name in named for part in name.split("/")}
    write(tmp_path / "cal.h5", whole())
    for name in datasets(tmp_path / "cal.h5"):
        assert {part for part in name.split("/") if not part.isdigit()} <= named, name


# Crashes --------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for a process that ends in the middle of a write."""


@pytest.mark.parametrize("failure", [Killed(), OSError(28, "No space left on device")])
def test_a_write_that_ends_anywhere_leaves_the_old_file(tmp_path, monkeypatch, failure):
    path = tmp_path / "cal.h5"
    old, new = measured(seed=1, pairs=5, reads=20), measured(seed=2, pairs=5, reads=20)
    write(path, old)
    before = path.read_bytes()
    plain, kept = Path.write_bytes, [0.0]

    def limited(self, data):
        plain(self, data[: int(kept[0] * len(data))])
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", limited)
        for kept[0] in np.linspace(0, 1, 11):
            with pytest.raises((Killed, StorageError)):
                write(path, new)
            assert path.read_bytes() == before
            assert list(tmp_path.iterdir()) == [path]
    write(path, new)
    assert same(read(path), new)


def test_a_prefix_of_a_file_is_refused_in_one_line(tmp_path):
    write(tmp_path / "cal.h5", measured(pairs=5, reads=20))
    image = (tmp_path / "cal.h5").read_bytes()
    cut = tmp_path / "cut.h5"
    for size in np.linspace(0, len(image) - 1, 60).astype(int):
        cut.write_bytes(image[:size])
        with pytest.raises(BadInputError, match="calibration file"):
            read(cut)


def test_damaged_bytes_never_end_in_a_traceback(tmp_path):
    write(tmp_path / "cal.h5", measured(pairs=5, reads=20))
    image = bytearray((tmp_path / "cal.h5").read_bytes())
    generator = np.random.default_rng(0)
    spoiled = tmp_path / "spoiled.h5"
    for _ in range(60):
        copy = bytearray(image)
        start = int(generator.integers(0, len(copy) - 64))
        copy[start : start + 64] = generator.bytes(64)
        spoiled.write_bytes(copy)
        # Bytes of an array may change unseen; what is refused is refused as bad input.
        with contextlib.suppress(BadInputError):
            read(spoiled)


WRITER = """
import sys
from pathlib import Path
import test_calibration_files as cases
from hilep.calibration.calibrationfile import write
calibrations = [cases.measured(seed, pairs=5, reads=20) for seed in (1, 2)]
print("ready", flush=True)
while True:
    for calibration in calibrations:
        write(Path(sys.argv[1]), calibration)
"""


def test_killed_writers_leave_one_of_the_two_files(tmp_path):
    path = tmp_path / "cal.h5"
    either = [measured(seed, pairs=5, reads=20) for seed in (1, 2)]
    write(path, either[0])
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{TESTS}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"}
    generator = np.random.default_rng(5)
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=environment
        ) as writer:
            assert writer.stdout.readline().strip() == b"ready"
            time.sleep(float(generator.uniform(0, 0.2)))
            writer.kill()
        found = read(path)
        assert any(same(found, one) for one in either)


# Refusals -------------------------------------------------------------------------------------


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "cal.h5"
    with pytest.raises(BadInputError, match="not there"):
        read(path)
    path.write_text("sigma = 1e-4")
    with pytest.raises(BadInputError, match="expected a file that `hilep calibrate` wrote"):
        read(path)
    with h5py.File(path, "w") as file:
        file["sigma"] = 1.0
    with pytest.raises(BadInputError, match="expected a file that `hilep calibrate` wrote"):
        read(path)
    write(path, measured(pairs=5, reads=20))
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = calibrationfile.VERSION + 1
    with pytest.raises(BadInputError, match="version 2, expected 1"):
        read(path)
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = calibrationfile.VERSION
        del file["sigma/states"]
    with pytest.raises(BadInputError, match="damaged"):
        read(path)
