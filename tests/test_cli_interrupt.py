"""Law: however a run is stopped, it goes on to the same conductances and the same curve."""

import random
import shlex
import signal
import sys
import time

import numpy as np
import pytest
from command_line import ended, settings, start

from hilep import experiment
from hilep.callbacks import Callback
from hilep.cli import run
from hilep.config import load, validated
from hilep.runfile import read_run

POSIX = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows delivers Ctrl-C to whole consoles, not to a process"
)

RUN = {
    "training.updates": "2000",
    "training.checkpoint_seconds": "0.05",
    "training.log_every": "100",
    "training.evaluate_every": "250",
    "training.reads": "2",
    "training.estimator": '"mean-of-squares"',
    "device.sigma_v": "0.02",
    "device.precision": '"float64"',
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The record of the run that nothing stops."""
    path = tmp_path_factory.mktemp("undisturbed") / "run.h5"
    config = load(None, settings(RUN)[1::2])
    assert experiment.prepare(config, path).execute().done
    return read_run(path)


def same(record, other):
    """Whether two runs ended alike, to the last bit, in everything but time."""
    columns = [
        (getattr(record, table), getattr(other, table), name)
        for table, names in (
            ("curve", ("update", "loss", "error", "rate")),
            ("evaluations", ("update", "accuracy", "loss", "silent", "classes")),
        )
        for name in names
    ]
    one, two = record.checkpoint, other.checkpoint
    arrays = [
        *((getattr(a, name), getattr(b, name)) for a, b, name in columns),
        *zip(one.conductances, two.conductances, strict=True),
        (one.bias_currents, two.bias_currents),
    ]
    results = [
        {key: value for key, value in r.results.items() if key != "seconds"}
        for r in (record, other)
    ]
    return (
        all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in arrays)
        and one.update == two.update
        and record.verdict == other.verdict
        and results[0] == results[1]
    )


def begun(process):
    """Read standard error up to the first look at the validation split after an update."""
    for line in process.stderr:
        if line.startswith("update ") and not line.startswith("update 0:"):
            return
    pytest.fail(f"ended with {process.wait()} before the first update")


@POSIX
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_saves_and_says_how_to_go_on(name, undisturbed, tmp_path):
    out = "my run.h5"
    with start(["train", *settings(RUN), "--out", out, "--json"], tmp_path) as process:
        begun(process)
        process.send_signal(getattr(signal, name))
        answer, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in err
    stopped = read_run(tmp_path / out)
    assert stopped.verdict == f"interrupted at update {stopped.checkpoint.update}"
    assert 250 <= stopped.checkpoint.update < 2000
    assert stopped.verdict in err
    assert stopped.verdict in answer
    assert "saving after this update" in err
    command = shlex.split(err.splitlines()[-1].partition("go on with: ")[2])
    assert command == ["hilep", "train", "--resume", out]
    status, _, err = ended(command[1:], tmp_path)
    assert status == 0
    assert f"going on after update {stopped.checkpoint.update}" in err
    assert same(read_run(tmp_path / out), undisturbed)


STUCK = """
import sys, time
from hilep.cli import main
from hilep.simulators.ideal import SimulatedCrossbar

update = SimulatedCrossbar.update
safe = SimulatedCrossbar.safe
done = 0

def stuck(self, *arguments):
    global done
    done += 1
    if done == 200:
        print("stuck", file=sys.stderr, flush=True)
        time.sleep(60)
    return update(self, *arguments)

def told(self):
    print("safe", file=sys.stderr, flush=True)
    safe(self)

SimulatedCrossbar.update = stuck
SimulatedCrossbar.safe = told
main()
"""


@POSIX
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_second_signal_stops_at_once_and_safely(name, undisturbed, tmp_path):
    words = ["train", *settings(RUN), "--out", "run.h5"]
    with start(words, tmp_path, STUCK) as process:
        for line in process.stderr:
            if line == "stuck\n":
                break
        process.send_signal(getattr(signal, name))
        for line in process.stderr:
            if "once more to stop at once" in line:
                break
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "safe\n" in err
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("hilep: stopped at once; ")
    assert last.endswith("go on with: hilep train --resume run.h5")
    assert ended(["train", "--resume", "run.h5"], tmp_path)[0] == 0
    assert same(read_run(tmp_path / "run.h5"), undisturbed)


# The signal arrives when a module is imported, as if Ctrl-C were pressed just then.
AT_IMPORT = """
import builtins, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
where, begun = sys.argv.pop(1), builtins.__import__

def look(name, *arguments, **more):
    if name == where:
        builtins.__import__ = begun
        os.kill(os.getpid(), signal.SIGINT)
    return begun(name, *arguments, **more)

builtins.__import__ = look
from hilep.cli import main
main()
"""


@POSIX
@pytest.mark.parametrize(
    "module", ["hilep.cli.commands", "typer", "pydantic", "h5py", "hilep.cli.progress"]
)
def test_ctrl_c_during_start_up_is_one_line(module, tmp_path):
    words = [module, "train", *settings(RUN), "--out", "run.h5"]
    status, out, err = ended(words, tmp_path, AT_IMPORT)
    assert (status, out) == (1, "")
    assert err in ("hilep: stopped\n", "hilep: stopped before anything was begun\n")
    assert list(tmp_path.iterdir()) == []


# Ctrl-C comes when the run file has just been made and no handler is in place yet.
AFTER_THE_FILE = """
import os, signal
from hilep import experiment
prepare = experiment.prepare

def interrupted(*arguments):
    prepared = prepare(*arguments)
    os.kill(os.getpid(), signal.SIGINT)
    return prepared

experiment.prepare = interrupted
from hilep.cli import main
main()
"""


@POSIX
def test_ctrl_c_between_the_run_file_and_the_first_update_names_the_run_file(tmp_path):
    words = ["train", *settings(RUN), "--out", "run.h5"]
    status, _, err = ended(words, tmp_path, AFTER_THE_FILE)
    assert status == 1
    assert err.endswith("go on with: hilep train --resume run.h5\n")
    assert ended(["train", "--resume", "run.h5"], tmp_path)[0] == 0


@POSIX
def test_ctrl_c_at_any_moment_leaves_no_traceback(undisturbed, tmp_path):
    draw = random.Random(11)
    for trial in range(8):
        path = tmp_path / f"{trial}.h5"
        program = "print(flush=True)\nfrom hilep.cli import main; main()"
        with start(["train", *settings(RUN), "--out", path.name], tmp_path, program) as process:
            process.stdout.readline()
            time.sleep(0.1 + draw.uniform(0, 0.8))
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        assert process.returncode in (0, 1)
        assert err.splitlines()[-1].startswith(("hilep: ", "test accuracy"))
        if err.endswith(("hilep: stopped\n", "before anything was begun\n")):
            assert not path.exists()
        elif "stopped at once" in err:
            read_run(path)
        else:
            assert read_run(path).checkpoint is not None


def rows_are_those_of(record, undisturbed):
    """Whether what is in the curve so far stands in the curve of the undisturbed run."""
    rows = len(record.curve.update)
    return all(
        np.array_equal(getattr(record.curve, name), getattr(undisturbed.curve, name)[:rows])
        for name in ("update", "loss", "error", "rate")
    )


def test_runs_killed_at_their_start_are_absent_or_resume(undisturbed, tmp_path):
    draw = random.Random(5)
    for trial in range(10):
        path = tmp_path / f"{trial}.h5"
        with start(["train", *settings(RUN), "--out", path.name], tmp_path) as process:
            time.sleep(draw.uniform(0.1, 0.9))
            process.kill()
        if path.exists():
            assert rows_are_those_of(read_run(path), undisturbed)
            experiment.resume(path).run.close()


def test_a_run_killed_again_and_again_comes_to_the_same_end(undisturbed, tmp_path):
    draw = random.Random(7)
    path = tmp_path / "run.h5"
    kills = with_checkpoint = ends = 0
    while kills < 14 or not ends:
        going_on = ["--resume", path.name]
        words = going_on if path.exists() else [*settings(RUN), "--out", path.name]
        with start(["train", *words], tmp_path) as process:
            if kills < 14:
                process.stderr.readline()
                time.sleep(draw.uniform(0, 0.4))
                kills += process.poll() is None
                process.kill()
            _, err = process.communicate(timeout=60)
        if not path.exists():
            continue
        record = read_run(path)
        with_checkpoint += record.checkpoint is not None
        assert rows_are_those_of(record, undisturbed)
        if record.verdict is not None:
            assert same(record, undisturbed), err
            ends += 1
            path = tmp_path / f"{ends}.h5"
    assert with_checkpoint >= 5


class StopAt(Callback):
    def __init__(self, update):
        self.update = update

    def on_update(self, trainer):
        if trainer.update == self.update:
            trainer.stop()


BASE = {
    "data": {"name": "xor", "gamma_v": 4.0},
    "network": {"layers": [4, 6, 2], "g_min_siemens": 0.02},
    "device": {"solver": "reference", "sigma_v": 0.05, "seed": 3},
    "training": {
        "updates": 40,
        "eta": 1e-4,
        "eta_bias": 1e-4,
        "checkpoint_seconds": 1000.0,
        "log_every": 7,
        "evaluate_every": 9,
    },
}
VARIED = {
    "plain": {"device": {"sigma_v": 0.0}},
    "noise": {},
    "one sigma per node": {"device": {"sigma_v": [0.01 * k for k in range(8)]}},
    "clamped noise": {"device": {"clamped_noise": True}},
    "converter": {"device": {"adc_bits": 10, "adc_range_v": 4.0}},
    "converter of many reads": {
        "device": {"adc_bits": 10, "adc_range_v": 4.0},
        "training": {"reads": 5},
    },
    "spring": {"training": {"nudging": "spring"}},
    "negative spring": {
        "training": {"nudging": "spring", "variant": "negative", "beta_siemens": 1e-3}
    },
    "centered": {"training": {"variant": "centered", "beta_siemens": 0.1}},
    "centered spring": {
        "training": {"variant": "centered", "nudging": "spring", "beta_siemens": 1e-3}
    },
    "clamped outputs": {"training": {"variant": "chl", "nudging": "clamp"}},
    "mean of squares": {"training": {"estimator": "mean-of-squares", "reads": 3}},
    "unbiased": {
        "device": {"clamped_noise": True},
        "training": {"estimator": "unbiased", "reads": 3},
    },
    "noisy evaluation": {"training": {"evaluation_reads": 3}},
    "undoubled": {"data": {"doubled": False}, "network": {"layers": [2, 6, 2]}},
    "batch of 1": {"training": {"batch_size": 1}},
    "batch of 5": {"training": {"batch_size": 5, "reduction": "mean"}},
    "two layers": {"network": {"layers": [4, 2]}},
    "five layers": {"network": {"layers": [4, 6, 5, 3, 2]}},
    "bias rows": {"network": {"bias": "row", "bias_v": 2.0}},
    "no bias": {"network": {"bias": "none"}},
    "window": {"network": {"g_min_siemens": 0.1, "g_max_siemens": 0.3}},
    "tolerance": {"training": {"relaxation_tolerance": 1e-6}},
    "raw reads": {"training": {"keep_reads": True, "reads": 2}},
    "iris": {"data": {"name": "iris"}, "network": {"layers": [8, 6, 3]}},
}


def configured(*changes):
    tables = {section: dict(values) for section, values in BASE.items()}
    for change in changes:
        for section, values in change.items():
            tables[section].update(values)
    return validated(tables, "test")


@pytest.mark.parametrize(
    ("name", "solver", "precision"),
    [
        ("noise", "reference", "float32"),
        ("noise", "fast", "float64"),
        *((name, "reference", "float64") for name in VARIED),
        *((name, "fast", "float32") for name in VARIED),
    ],
)
def test_a_stopped_run_goes_on_to_the_same_end(name, solver, precision, tmp_path):
    config = configured(VARIED[name], {"device": {"solver": solver, "precision": precision}})
    straight, broken = tmp_path / "straight.h5", tmp_path / "broken.h5"
    whole = experiment.prepare(config, straight).execute()
    stopped = experiment.prepare(config, broken).execute((StopAt(13),))
    assert stopped.verdict == "interrupted at update 13"
    assert experiment.resume(broken).execute((StopAt(31),)).updates == 31
    again = experiment.resume(broken, config).execute()
    assert again.verdict == whole.verdict
    assert again.updates == 40
    assert same(read_run(broken), read_run(straight))


def test_a_run_without_a_checkpoint_begins_again(tmp_path):
    config = configured()
    straight, broken = tmp_path / "straight.h5", tmp_path / "broken.h5"
    experiment.prepare(config, straight).execute()
    experiment.prepare(config, broken).run.close()
    assert read_run(broken).checkpoint is None
    experiment.resume(broken).execute()
    assert same(read_run(broken), read_run(straight))


def test_a_run_depends_on_no_look_and_no_save(tmp_path):
    """How often a run is looked at and saved changes nothing but the rows that say so."""
    ends = []
    for k, (seconds, every) in enumerate([(0.0, 1), (1000.0, 40)]):
        change = {"training": {"checkpoint_seconds": seconds, "evaluate_every": every}}
        path = tmp_path / f"{k}.h5"
        experiment.prepare(configured(change), path).execute()
        ends.append(read_run(path).checkpoint)
    for one, two in zip(ends[0].conductances, ends[1].conductances, strict=True):
        assert np.array_equal(one, two)
    assert np.array_equal(ends[0].bias_currents, ends[1].bias_currents)


def test_a_run_in_use_is_not_resumed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with experiment.prepare(configured(), tmp_path / "run.h5").run:
        assert run(["train", "--resume", "run.h5"]) == 2
    assert capsys.readouterr().err == "hilep: run.h5: in use by another writer\n"


@POSIX
def test_a_run_under_nohup_survives_its_terminal(undisturbed, tmp_path):
    program = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from hilep.cli import main; main()"
    )
    with start(["train", *settings(RUN), "--out", "run.h5"], tmp_path, program) as process:
        begun(process)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert same(read_run(tmp_path / "run.h5"), undisturbed)
