"""Laws: a run that fails says so in one line, exits with 1 and leaves a file that can be read."""

import json
import sys

import numpy as np
import pytest
from command_line import ended, settings

from hilep.cli import run
from hilep.runfile import read_run


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def failed(values, capsys, folder):
    """Return the last line on standard error, the JSON object and the run file."""
    status = run(["train", *settings(values), "--out", "run.h5", "--json"])
    out, err = capsys.readouterr()
    assert status == 1
    assert "Warning" not in err
    last = err.splitlines()[-1]
    assert last.startswith("hilep: ")
    return last, json.loads(out), read_run(folder / "run.h5")


def is_finite(checkpoint):
    return all(np.isfinite(a).all() for a in (*checkpoint.conductances, checkpoint.bias_currents))


DIVERGING = {
    # The rate of the second half is beyond float32.
    "training.schedule": '"step"',
    "training.schedule_steps": "[0.5]",
    "training.schedule_factor": "1e60",
    "training.updates": "20",
}


@pytest.mark.parametrize("seconds", [0, 1000], ids=["saved", "not saved"])
@pytest.mark.parametrize("solver", ["reference", "fast"])
def test_a_diverging_run(solver, seconds, capsys, folder):
    values = {
        **DIVERGING,
        "device.solver": f'"{solver}"',
        "training.checkpoint_seconds": f"{seconds}",
    }
    line, answer, record = failed(values, capsys, folder)
    assert line.startswith("hilep: diverged at update 11: ")
    assert record.verdict == answer["verdict"]
    assert record.verdict in line
    assert answer["test_accuracy"] is None
    assert np.isfinite(record.curve.loss).all()
    if seconds:
        assert record.checkpoint is None
    else:
        assert record.checkpoint.update == 10
        assert is_finite(record.checkpoint)
    again = run(["train", "--resume", "run.h5"])
    assert again == 1
    assert record.verdict in capsys.readouterr().err
    assert read_run(folder / "run.h5").verdict == record.verdict


@pytest.mark.parametrize("bias", ["none", "current", "row"])
def test_a_run_that_diverges_at_once(bias, capsys, folder):
    values = {"training.eta": "1e300", "network.bias": f'"{bias}"'}
    line, answer, record = failed(values, capsys, folder)
    assert line.startswith("hilep: diverged at update 1: ")
    assert answer["updates"] == 1
    assert record.checkpoint is None


def test_a_dead_network(capsys, folder):
    values = {
        "training.eta": "0",
        "network.g_min_siemens": "0.9",
        "network.initial_scale_siemens": "0.1",
    }
    line, answer, record = failed(values, capsys, folder)
    assert line.startswith("hilep: dead: all 4 test images get the same answer; ")
    assert record.verdict == answer["verdict"]
    assert answer["test_accuracy"] == record.results["test_accuracy"] == 0.5
    assert is_finite(record.checkpoint)


def test_a_network_that_does_not_settle_leaves_no_file(capsys, folder):
    values = {"training.relaxation_tolerance": "1e-300", "device.solver": '"fast"'}
    assert run(["train", *settings(values), "--out", "run.h5"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("hilep: relaxation: ")
    assert err.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_too_little_memory(capsys, folder):
    values = {"training.updates": "1000000000000000", "training.log_every": "1"}
    assert run(["train", *settings(values), "--out", "run.h5"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("hilep: not enough memory: ")
    assert err.count("\n") == 1
    assert list(folder.iterdir()) == []


LIMITED = """
import resource, sys
from hilep.cli import main
from hilep.callbacks import Recording

limit, update = int(sys.argv.pop(1)), int(sys.argv.pop(1))
log = Recording.on_log

def lower():
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

def on_log(self, trainer, *values):
    if trainer.update == update:
        lower()
    log(self, trainer, *values)

Recording.on_log = on_log
if update < 0:
    lower()
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file size (RLIMIT_FSIZE)")
def test_a_full_disk_at_the_start(folder):
    words = ["train", *settings(), "--out", "run.h5"]
    status, out, err = ended(["20000", "-1", *words], folder, LIMITED)
    assert (status, out) == (1, "")
    assert err.startswith("hilep: run file run.h5: cannot be written: ")
    assert err.count("\n") == 1
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file size (RLIMIT_FSIZE)")
def test_a_full_disk_during_training(folder):
    values = {"training.checkpoint_seconds": "0", "training.log_every": "1"}
    words = ["train", *settings(values), "--out", "run.h5", "--json"]
    status, out, err = ended(["1000", "8", *words], folder, LIMITED)
    assert (status, out) == (1, "")
    assert [line for line in err.splitlines() if line.startswith("hilep: ")] == [
        err.splitlines()[-1]
    ]
    assert "run.h5: cannot be written: " in err
    assert "what was saved at update 7 is kept" in err
    record = read_run(folder / "run.h5")
    assert record.checkpoint.update == 7
    assert ended(["train", "--resume", "run.h5"], folder)[0] == 0
    assert read_run(folder / "run.h5").checkpoint.update == 12
