"""`hilep train` on a bench: the trainer does not know, and the record holds what was there."""

import subprocess
import sys
from pathlib import Path

import bench_fakes
import pytest
from bench_cases import Case

pytest.importorskip("filelock", reason="needs the bench extra")

from hilep import experiment
from hilep.config import Config, load
from hilep.instruments import arming
from hilep.instruments.errors import NotAnswering
from hilep.runfile import read_run


@pytest.fixture
def case(tmp_path, monkeypatch):
    bench_fakes.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(arming, "records", lambda: tmp_path / "armed")
    settings = {
        "data": {"name": "iris", "gamma_v": 0.5, "target_v": 0.05},
        "network": {
            "layers": [8, 4, 3],
            "bias": "none",
            "g_min_siemens": 1e-7,
            "g_max_siemens": 1e-5,
            "initial_scale_siemens": 1e-5,
        },
        "device": {"backend": "bench", "file": str(tmp_path / "bench.toml")},
        "training": {
            "updates": 40,
            "beta_siemens": 1e-6,
            "eta": 1e-10,
            "reads": 2,
            "checkpoint_seconds": 0.0,
        },
    }
    config = Config.model_validate(settings)
    case = Case(tmp_path, config.network.network())
    case.config = config
    arming.arm(case.file(), {"passed": True})
    return case


def test_a_run_is_that_of_a_simulated_crossbar_and_ends_with_its_outputs_off(case, tmp_path):
    run = tmp_path / "run.h5"
    outcome = experiment.prepare(case.config, run).execute()
    assert outcome.updates == 40
    assert case.world.outputs_on() == []
    device = read_run(run).provenance["device"]
    assert device["file_sha256"] == case.file().sha256
    assert device["instruments"]["smu1"]["serial"] == "0001"
    settings = case.config.model_dump()
    settings["device"] = {"backend": "simulated", "precision": "float64", "solver": "reference"}
    settings["training"]["relaxation_tolerance"] = 1e-13
    other = tmp_path / "simulated.h5"
    simulated = experiment.prepare(Config.model_validate(settings), other).execute()
    assert outcome.test.accuracy == simulated.test.accuracy
    pairs = zip(
        read_run(run).checkpoint.conductances, read_run(other).checkpoint.conductances, strict=True
    )
    for have, want in pairs:
        assert have == pytest.approx(want, rel=1e-8)


def test_a_run_that_an_instrument_ends_opens_and_resumes(case, tmp_path):
    run = tmp_path / "run.h5"
    prepared = experiment.prepare(case.config, run)
    read, reads = bench_fakes.FakeScanner.acquire, []

    def failing(self, samples, channels=None):
        reads.append(samples)
        if len(reads) == 260:
            raise NotAnswering("no answer", instrument=self.name)
        return read(self, samples, channels)

    bench_fakes.FakeScanner.acquire = failing
    try:
        with pytest.raises(NotAnswering):
            prepared.execute()
    finally:
        bench_fakes.FakeScanner.acquire = read
    assert case.world.outputs_on() == []
    saved = read_run(run).checkpoint
    assert 0 < saved.update < 40
    for have, want in zip(case.world.siemens, saved.conductances, strict=True):
        assert have == pytest.approx(want, rel=1e-6)
    outcome = experiment.resume(run).execute()
    assert outcome.updates == 40
    assert case.world.outputs_on() == []


def test_training_on_the_virtual_bench_lowers_the_loss(monkeypatch, tmp_path):
    root = Path(__file__).parent.parent
    monkeypatch.chdir(root)
    config = load(root / "docs/examples/bench-xor.toml", ["training.updates=60"])
    outcome = experiment.prepare(config, tmp_path / "run.h5").execute()
    record = read_run(tmp_path / "run.h5")
    # Every split of XOR holds its four cases.
    assert record.evaluations.loss[-1] < 0.9 * record.evaluations.loss[0]
    assert outcome.updates == 60
    assert record.checkpoint.state["pulses"] > 0
    assert record.checkpoint.state["failed_cells"] == []


def test_a_bench_costs_nothing_until_it_is_opened():
    script = (
        "import sys, hilep.instruments.bench, hilep.instruments.backend\n"
        "print([name for name in ('pymeasure', 'pyvisa', 'nidaqmx', 'scipy', 'numba')"
        " if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
