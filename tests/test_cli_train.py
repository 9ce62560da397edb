"""Laws: results on standard output, everything else on standard error, and light imports."""

import contextlib
import json
import os
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
from command_line import ENVIRONMENT, SMALL, ended, settings, start, toml

from hilep.cli import run
from hilep.runfile import read_run

HEAVY = {"torch", "torchvision", "numba", "pandas", "sklearn", "scipy", "matplotlib", "h5py"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_json_is_all_of_standard_output(capsys, folder):
    assert run(["train", *settings(), "--out", "run.h5", "--json"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    answer = json.loads(out)
    record = read_run(folder / "run.h5")
    assert answer["run"] == "run.h5"
    assert answer["updates"] == 12
    assert answer["verdict"] == record.verdict == "done"
    assert answer["test_accuracy"] == record.results["test_accuracy"]
    assert answer["validation_accuracy"] == record.evaluations.accuracy[-1]
    assert answer["test_standard_error"] == pytest.approx(
        (answer["test_accuracy"] * (1 - answer["test_accuracy"]) / 4) ** 0.5
    )
    assert "xor: 4 training, 4 validation, 4 test samples; network 4-6-2" in err
    assert "numpy reference" in err
    assert "run file run.h5" in err
    assert err.count(" validation ") >= 10


def test_without_json_nothing_is_on_standard_output(capsys, folder):
    assert run(["train", *settings()]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    [path] = folder.glob("hilep-*.h5")
    assert str(path.name) in err
    assert run(["train", *settings()]) == 0
    assert len(list(folder.glob("hilep-*.h5"))) == 2


def test_an_override_beats_the_file_and_the_file_beats_the_default(capsys, folder):
    (folder / "run.toml").write_text(toml({**SMALL, "training.seed": "5", "device.seed": "6"}))
    words = ["run.toml", "--set", "training.seed=7", "--set", " training.loss = half-sum"]
    assert run(["train", *words, "--out", "run.h5"]) == 0
    config = read_run(folder / "run.h5").config
    assert (config.training.seed, config.device.options["seed"]) == (7, 6)
    assert (config.training.updates, config.training.batch_size) == (12, 4)
    assert config.training.loss == "half-sum"


def test_the_same_configuration_gives_the_same_run_and_another_seed_another(capsys, folder):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert run(["train", *settings({"training.seed": seed}), "--out", f"{name}.h5"]) == 0
    a, b, c = (read_run(folder / f"{name}.h5").checkpoint.conductances[0] for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_overwrite_replaces_a_run(capsys, folder):
    for seed in ("1", "2"):
        words = [*settings({"training.seed": seed}), "--out", "run.h5", "--overwrite"]
        assert run(["train", *words]) == 0
    assert read_run(folder / "run.h5").config.training.seed == 2


@pytest.mark.parametrize("sigma", ["0", "0.5"])
def test_a_finished_run_says_so_and_answers_the_same(sigma, capsys, folder):
    (folder / "run.toml").write_text(toml({**SMALL, "device.sigma_v": sigma}))
    assert run(["train", "run.toml", "--out", "run.h5", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    before = read_run(folder / "run.h5")
    for words in (["--resume", "run.h5"], ["run.toml", "--resume", "run.h5"]):
        assert run(["train", *words, "--json"]) == 0
        out, err = capsys.readouterr()
        again = json.loads(out)
        assert "all 12 updates were already done" in err
        assert "going on" not in err
        for key in ("verdict", "test_accuracy", "validation_accuracy", "updates", "run"):
            assert again[key] == first[key]
    after = read_run(folder / "run.h5")
    assert np.array_equal(after.curve.loss, before.curve.loss)
    assert np.array_equal(after.evaluations.accuracy, before.evaluations.accuracy)
    assert np.array_equal(after.checkpoint.conductances[0], before.checkpoint.conductances[0])


def test_reads_at_the_end_of_the_range_are_told(capsys, folder):
    values = {"device.adc_bits": "12", "device.adc_range_v": "0.1"}
    status = run(["train", *settings(values), "--out", "run.h5", "--json"])
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert status == (0 if answer["verdict"] == "done" else 1)
    assert answer["saturated_readings"] > 0
    assert f"{answer['saturated_readings']} readings of a node hold a read at the end" in err


def test_help_and_version(capsys):
    for words in (["--help"], []):
        assert run(words) == 0
        out, err = capsys.readouterr()
        assert "train" in out
        assert "report" in out
        assert err == ""
    assert run(["train", "--help"]) == 0
    out, err = capsys.readouterr()
    for option in ("config", "--set", "--out", "--resume", "--overwrite", "--json", "--help"):
        assert option in out
    assert err == ""
    assert run(["--version"]) == 0
    assert capsys.readouterr() == (version("hilep") + "\n", "")


def loaded(statement):
    """The top-level modules that a new process holds after `statement`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys; print(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    return {name.partition(".")[0] for name in done.stderr.split()}


def test_imports_are_light():
    assert not loaded("import hilep") & {*HEAVY, "pydantic", "typer", "rich"}
    for words in (["--help"], ["--version"]):
        modules = loaded(f"from hilep.cli import run; assert run({words}) == 0")
        assert not modules & {*HEAVY, "pydantic", "rich"}
    # Typer itself looks at a command's options with pydantic where it is installed.
    for words in (["train", "--help"], ["train", "--foo"]):
        assert not loaded(f"from hilep.cli import run; run({words})") & HEAVY


def test_a_run_on_the_reference_solver_loads_no_numba_and_no_torch():
    words = ["train", *settings(), "--out", os.devnull + "/run.h5"]
    modules = loaded(f"from hilep.cli import run; assert run({words}) == 2")
    assert not modules & {"numba", "torch", "torchvision", "matplotlib", "pandas", "sklearn"}


def test_the_streams_of_a_process_without_a_terminal(folder):
    status, out, err = ended(["train", *settings(), "--out", "run.h5", "--json"], folder)
    assert status == 0
    assert json.loads(out)["run"] == "run.h5"
    assert out.count("\n") == 1
    assert "\x1b" not in err
    assert "\r" not in err
    status, out, err = ended(["--version"], folder)
    assert (status, out, err) == (0, version("hilep") + "\n", "")


def test_readers_that_go_away_do_not_end_a_run(folder):
    values = {"training.updates": "400", "training.evaluate_every": "1"}
    with start(["train", *settings(values), "--out", "run.h5", "--json"], folder) as process:
        process.stdout.close()
        process.stderr.readline()
        process.stderr.close()
        assert process.wait(timeout=60) in (0, 1)
    record = read_run(folder / "run.h5")
    assert record.verdict == "done"
    assert record.checkpoint.update == 400


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed during the run"])
def test_a_terminal_shows_a_bar_and_may_be_closed(closed, folder):
    import pty

    master, slave = pty.openpty()
    values = {"training.updates": "1000"}
    words = ["train", *settings(values), "--out", "run.h5", "--json"]
    with start(words, folder, stderr=slave) as process:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # Linux's word for the end of a terminal
            while part := os.read(master, 1000):
                shown += part
                if closed and b"/1,000 updates" in shown:
                    break
        os.close(master)
        out = process.stdout.read()
        assert process.wait(timeout=60) == 0
    assert b"/1,000 updates" in shown
    assert b"update 100: " not in shown
    assert closed or b"test accuracy" in shown
    assert json.loads(out)["updates"] == 1000
    assert read_run(folder / "run.h5").verdict == "done"
