"""Law: with `--virtual` a command speaks to the twin of a bench alone, and arms nothing."""

import contextlib

import pytest
from virtual_files import NETWORK, bench_file, direct, tables

from hilep.cli import run
from hilep.errors import ConfigError
from hilep.instruments import arming
from hilep.network import Network

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from bench_checking import answer, install

from hilep.instruments import session
from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.runfile import read_run
from hilep.simulators.virtual.twin import twin

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
backend = "{backend}"
{keys}
[training]
updates = 2
beta_siemens = 1e-6
eta = 1e-10
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def opened(monkeypatch):
    """Every resource that a driver opens from now on."""
    found, opening = [], session.Session._opened

    def noted(self):
        found.append(self.resource)
        return opening(self)

    monkeypatch.setattr(session.Session, "_opened", noted)
    return found


def configuration(folder, backend="bench", keys='file = "bench.toml"'):
    path = folder / "run.toml"
    path.write_text(TRAINING.format(backend=backend, keys=keys))
    return str(path)


def test_training_runs_on_the_twin_unarmed_and_opens_no_instrument(tmp_path, capsys, opened):
    file = bench_file(tmp_path, direct(XOR))
    words = ["train", configuration(tmp_path), "--out", "run.h5"]
    status, found, err = answer(capsys, words)
    assert (status, found) == (arming.NotArmedError.exit_status, None)
    assert "not armed" in err
    assert opened == []
    status, found, err = answer(capsys, [*words, "--virtual"])
    assert (status in (0, 1), found["updates"]) == (True, 2), err
    assert found["device"].startswith("virtual bench")
    assert opened
    assert all("127.0.0.1" in resource for resource in opened)
    assert arming.armed(file) is None
    assert read_run(tmp_path / "run.h5").config.device.options["virtual"] is True


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("simulated", []),
        ("circuit", []),
        (None, []),
        ("bench", ["--set", "device.backend=circuit"]),
    ],
)
def test_what_has_no_twin_is_one_line_and_begins_nothing(tmp_path, capsys, backend, words):
    config = [] if backend is None else [configuration(tmp_path, backend, "")]
    assert run(["train", *config, *words, "--virtual", "--out", "run.h5"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "--virtual: device.backend is" in err
    assert 'expected "bench"' in err
    assert not (tmp_path / "run.h5").exists()


def test_a_run_is_resumed_as_it_was_begun(tmp_path, capsys):
    assert run(["train", "--resume", "run.h5", "--virtual"]) == 2
    assert "--virtual: not with --resume" in capsys.readouterr().err


def test_a_check_of_the_twin_neither_arms_nor_disarms(tmp_path, capsys, opened):
    file = bench_file(tmp_path, tables())
    words = ["bench", "check", str(file.path), "--virtual"]
    status, found, _ = answer(capsys, words)
    assert (status, found["passed"], found["armed"], found["virtual"]) == (0, True, False, True)
    assert not list(tmp_path.glob("armed/*"))
    assert all("127.0.0.1" in resource for resource in opened)
    # The real bench goes by the very same bytes, and stays as it was.
    with pytest.raises(arming.NotArmedError):
        Bench(file, NETWORK).open()
    file = bench_file(tmp_path, {**tables(), "virtual": {"opened": ["daq1.101"]}})
    record = arming.arm(file, {"passed": True})
    status, found, _ = answer(capsys, words)
    assert (status, found["passed"]) == (1, False)
    assert record.exists()


def test_safe_is_rehearsed_on_the_twin(tmp_path, capsys, opened):
    file = bench_file(tmp_path, tables())
    status, found, err = answer(capsys, ["bench", "safe", str(file.path), "--virtual"])
    assert (status, found["all_off"]) == (0, True)
    assert set(found["off"]) == set(file.sections.instruments)
    assert len(err.splitlines()) == len(file.sections.instruments)
    assert len(opened) == len(file.sections.instruments)
    assert all("127.0.0.1" in resource for resource in opened)


def test_a_twin_without_one_of_the_instruments_opens_none(tmp_path, opened):
    file = bench_file(tmp_path, tables())

    @contextlib.contextmanager
    def incomplete(file: BenchFile, network: Network):
        with twin(file, network) as resources:
            del resources["smu3"]
            yield resources

    with pytest.raises(ConfigError, match=r"instruments\.smu3: the virtual twin has none"):
        Bench(file, NETWORK, twin=incomplete).open()
    assert opened == []
