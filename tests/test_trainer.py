"""The training loop: descent, what it may depend on, and that it drives any crossbar."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from circuits import IRIS, PlainBench, simulated

from hilep.callbacks import Callback
from hilep.config import load
from hilep.data import load as load_data
from hilep.errors import NotSettledError, UnsupportedError
from hilep.initial import initial_conductances
from hilep.network import Network
from hilep.trainer import Trainer


class Curve(Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_log(self, trainer, loss, error, rate):
        self.losses.append(loss)


def trainer_for(settings, seed=0, wrap=lambda device: device, **device_options) -> Trainer:
    config = load(None, [*IRIS, f"training.seed={seed}", f"data.seed={seed}", *settings])
    network = config.network.network()
    device = simulated(network, sweeps=5, seed=seed, **device_options)
    device.program(initial_conductances(network, np.random.default_rng(seed), dtype=np.float64))
    return Trainer(wrap(device), load_data(config.data), config.training)


def final(trainer: Trainer) -> list[np.ndarray]:
    return [np.array(g) for g in trainer.crossbar.conductances()]


@pytest.mark.parametrize(
    ("variant", "nudging"),
    [
        ("positive", "current"),
        ("positive", "spring"),
        ("negative", "current"),
        ("centered", "current"),
        ("centered", "spring"),
    ],
)
def test_training_descends_on_average_with_noise(variant, nudging):
    """Loss over the last 100 of 300 updates to the first 100: 5 standard errors below 0.85."""
    ratios = []
    for seed in range(20):
        curve = Curve()
        trainer = trainer_for(
            [
                f'training.variant="{variant}"',
                f'training.nudging="{nudging}"',
                "training.log_every=100",
                "training.beta_siemens=0.2",
            ],
            seed,
            sigma_v=1e-3,
        )
        trainer.run([curve])
        ratios.append(curve.losses[-1] / curve.losses[0])
    error = np.std(ratios, ddof=1) / math.sqrt(len(ratios))
    assert np.mean(ratios) + 5 * error < 0.85


def test_training_does_not_depend_on_when_it_is_looked_at():
    often = trainer_for(["training.evaluate_every=7", "training.log_every=3"], sigma_v=1e-3)
    never = trainer_for(["training.evaluate_every=1000"], sigma_v=1e-3)
    often.run()
    never.run()
    for a, b in zip(final(often), final(never), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("variant", ["positive", "negative", "centered"])
def test_one_trainer_drives_a_bench_of_four_verbs_as_it_drives_the_simulator(variant):
    """Image by image through clamp, nudge and read: the same training to rounding."""
    settings = [f'training.variant="{variant}"', "training.updates=40"]
    batch = trainer_for(settings)
    bench = trainer_for(settings, wrap=PlainBench)
    here, there = batch.run().test, bench.run().test
    assert here.accuracy == there.accuracy
    assert here.loss == pytest.approx(there.loss, rel=1e-9)
    for a, b in zip(final(batch), final(bench), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_bench_without_a_spring_refuses_one_before_anything_is_clamped():
    with pytest.raises(UnsupportedError, match="'spring'"):
        trainer_for(['training.nudging="spring"'], wrap=PlainBench)


def test_the_crossbar_is_made_safe_on_every_way_out():
    made_safe = []

    class Watched(PlainBench):
        def safe(self):
            made_safe.append(True)
            super().safe()

    class Failing(Callback):
        def on_update(self, trainer):
            if trainer.update == 3:
                raise RuntimeError("user code")

    trainer_for(["training.updates=5"], wrap=Watched).run()
    assert made_safe
    made_safe.clear()
    with pytest.raises(RuntimeError, match="user code"):
        trainer_for(["training.updates=5"], wrap=Watched).run([Failing()])
    assert made_safe


def test_a_stopped_run_says_where():
    class Stop(Callback):
        def on_update(self, trainer):
            if trainer.update == 11:
                trainer.stop()

    outcome = trainer_for([]).run([Stop()])
    assert outcome.verdict == "interrupted at update 11"
    assert outcome.updates == 11
    assert outcome.test is None


def test_a_voltage_that_is_not_finite_stops_the_run_before_it_is_applied():
    trainer = trainer_for(["training.eta=1e38"], dtype=np.float32)
    outcome = trainer.run()
    assert outcome.verdict.startswith("diverged at update ")
    assert f"at update {outcome.updates}:" in outcome.verdict


def test_a_network_with_one_answer_is_called_dead():
    trainer = trainer_for(["training.eta=0", "training.updates=2"])
    trainer.crossbar.program([np.full(s, 0.1) for s in trainer.crossbar.network.shapes])
    assert trainer.run().verdict.startswith("dead: all 30 test images get the same answer")


@pytest.mark.parametrize("variant", ["positive", "centered"])
def test_ten_reads_train_like_a_third_of_the_noise(variant):
    """Eq. (11): N reads at sigma sqrt(N) draw what one read at sigma draws, number for number."""
    one = trainer_for([f'training.variant="{variant}"', "training.updates=50"], sigma_v=1e-3)
    many = trainer_for(
        [f'training.variant="{variant}"', "training.updates=50", "training.reads=16"],
        sigma_v=4e-3,
    )
    one.run()
    many.run()
    for a, b in zip(final(one), final(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_network_reports_which_layer_does_not_fit():
    config = load(None, IRIS)
    network = Network((7, 12, 3))
    device = simulated(network)
    with pytest.raises(ValueError, match="8 inputs and 3 outputs"):
        Trainer(device, load_data(config.data), config.training)


def test_a_dead_channel_of_a_bench_stops_the_run_and_is_named():
    """A hidden node that reads NaN in the free phase alone: no update is made of it."""

    class DeadChannel(PlainBench):
        nudged = False

        def nudge(self, amps):
            self.nudged = amps is not None
            return super().nudge(amps)

        def read(self, samples=1):
            reading = super().read(samples)
            if self.nudged:
                return reading
            mean = reading.mean.copy()
            mean[2] = np.nan
            return replace(reading, mean=mean)

    trainer = trainer_for([], wrap=DeadChannel)
    before = final(trainer)
    verdict = trainer.run().verdict
    assert verdict.startswith("diverged at update 0: node 2 of layer 1 reads nan V in the first")
    for a, b in zip(final(trainer), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_network_that_does_not_settle_ends_with_a_verdict():
    class Restless(PlainBench):
        def read(self, samples=1):
            if self.reads_left == 0:
                raise NotSettledError("relaxation: restless")
            self.reads_left -= 1
            return super().read(samples)

    trainer = trainer_for(["training.updates=3"], wrap=Restless)
    for reads in (0, 20, 60):
        trainer.crossbar.reads_left = reads
        assert trainer.run().verdict.endswith("relaxation: restless")
