"""From a configuration to a run: what a bench is asked, and that it is safe on every way out."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import IRIS, PlainBench, simulated

from hilep import backends, experiment
from hilep.config import load
from hilep.errors import LimitError, RunFileError
from hilep.joining import stacked
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.rawreads import read_raw_reads
from hilep.reading import SATURATED, Reading
from hilep.trainer import Trainer


class Logged(PlainBench):
    """Writes down what was asked of it."""

    def __init__(self, inner):
        super().__init__(inner)
        self.asked = []

    def program(self, conductances, bias_currents=None):
        self.asked.append("program")
        return super().program(conductances, bias_currents)

    def clamp(self, volts):
        self.asked.append("clamp")
        super().clamp(volts)

    def nudge(self, amps):
        self.asked.append("nudge" if amps is not None else "release")
        return super().nudge(amps)

    def safe(self):
        self.asked.append("safe")
        super().safe()


def test_a_nudge_beyond_the_limit_leaves_none_behind():
    """A centred pair whose second current is refused: the first one is released."""
    network = Network((2, 1), bias="none", current_limit_a=0.5)
    inner = simulated(network)
    inner.program([np.full((2, 1), 1.0)])
    bench = Logged(inner)
    with pytest.raises(LimitError):
        bench.free_and_nudged([[1.0, 1.0]], [[3.0]], Nudging("current", (0.1, 1.0)))
    assert bench.asked == ["clamp", "nudge", "nudge", "release"]
    assert bench.read().mean[0] == pytest.approx(1.0)


def test_one_flagged_image_keeps_its_flags_among_good_ones():
    good = Reading(np.zeros(2), 1)
    bad = Reading(np.zeros(2), 1, status=np.array([0, SATURATED], np.uint8))
    np.testing.assert_array_equal(stacked([good, bad]).status, [[0, 0], [0, SATURATED]])
    assert stacked([good, good]).status is None


@pytest.fixture
def logged_backend(monkeypatch):
    """Every crossbar that an experiment builds, as a bench that writes down what is asked."""
    made = []

    def crossbar(config, network):
        bench = Logged(simulated(network, sweeps=5))
        made.append(bench)
        return bench

    monkeypatch.setattr(backends, "crossbar", crossbar)
    return made


def test_nothing_is_asked_of_a_bench_for_a_run_that_cannot_be_recorded(logged_backend, tmp_path):
    (tmp_path / "there.h5").write_bytes(b"kept")
    for path in (tmp_path / "there.h5", tmp_path / "missing" / "run.h5", tmp_path):
        with pytest.raises(RunFileError):
            experiment.prepare(load(None, IRIS), path)
    assert logged_backend == []
    assert (tmp_path / "there.h5").read_bytes() == b"kept"


@pytest.mark.parametrize("where", ["begin", "provenance"])
def test_a_bench_is_made_safe_where_a_run_does_not_begin(
    logged_backend, tmp_path, monkeypatch, where
):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, where, broken)
    with pytest.raises(KeyboardInterrupt):
        experiment.prepare(load(None, IRIS), tmp_path / "run.h5")
    assert logged_backend[0].asked[-1] == "safe"
    assert not (tmp_path / "run.h5").exists()


def test_a_bench_is_made_safe_where_a_run_does_not_go_on(logged_backend, tmp_path, monkeypatch):
    config = load(None, [*IRIS, "training.updates=3"])
    experiment.prepare(config, tmp_path / "run.h5").execute()

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "restore", broken)
    with pytest.raises(KeyboardInterrupt):
        experiment.resume(tmp_path / "run.h5")
    assert logged_backend[-1].asked[-1] == "safe"


@pytest.mark.parametrize("estimator", ["square-of-means", "mean-of-squares"])
def test_reads_on_request_are_all_kept(tmp_path, estimator):
    """Every sample of both phases, whatever the rule itself needs."""
    config = load(
        None,
        [
            *IRIS,
            "training.updates=4",
            "training.reads=6",
            f'training.estimator="{estimator}"',
            "training.keep_reads=true",
            "device.sigma_v=1e-3",
            'device.solver="reference"',
        ],
    )
    run = experiment.prepare(config, tmp_path / "run.h5")
    run.execute()
    kept = list(read_raw_reads(tmp_path / "run.h5"))
    assert [update for update, _ in kept] == [0, 1, 2, 3]
    for _, contrast in kept:
        for phase in (contrast.first, contrast.second):
            assert phase.volts.shape == (6, 4, 15)
            assert phase.volts.std(axis=0, ddof=1).min() > 0
