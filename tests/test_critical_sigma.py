"""The critical sigma: its interval holds the truth, and what has none is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from command_line import SMALL, toml

from hilep.calibration.criticalsearch import search
from hilep.calibration.criticalsigma import Criterion, NoCriticalSigmaError, critical_sigma
from hilep.calibration.criticaltrials import Trials, twin
from hilep.config import load
from hilep.errors import BadInputError, UnsupportedError

MIDDLE_V, TOP, CHANCE = 1e-3, 0.97, 0.1


def accuracy(sigma_v):
    """Falls from `TOP` to `CHANCE`, halfway at `MIDDLE_V`."""
    return CHANCE + (TOP - CHANCE) / (1 + (sigma_v / MIDDLE_V) ** 2)


def crossing(threshold):
    """Where `accuracy` is `threshold`."""
    return MIDDLE_V * math.sqrt((TOP - CHANCE) / (threshold - CHANCE) - 1)


def misses(repeats, measured, truth, criterion, trials, generator):
    """How many intervals lie wholly above the truth, and how many below."""
    above = below = 0
    for _ in range(repeats):
        measure = measured(generator)
        start = MIDDLE_V * 10 ** generator.uniform(-2, 2)
        found = search(measure, start, trials, criterion)
        assert found.low_v <= found.sigma_v <= found.high_v
        above += found.low_v > truth
        below += found.high_v < truth
    return above, below


@pytest.mark.parametrize("trials", [5, 10])
def test_the_interval_of_the_mean_holds_the_truth(trials):
    """Planned too small (interval above the truth) or too large: each in at most 2.5 %.

    Trials differ by their seed, the same at every sigma, and by chance. Of 200 searches at most 12
    may miss on either side: 2.5 % and three standard errors.
    """

    def measured(generator):
        seeds = generator.normal(0, 0.01, trials)

        def measure(sigma_v, n):
            noise = generator.normal(0, 0.02, n)
            return np.clip(accuracy(sigma_v) + seeds[:n] + noise, 0, 1)

        return measure

    found = misses(200, measured, crossing(0.9), Criterion(0.9), trials, np.random.default_rng(1))
    assert max(found) <= 12


def test_the_interval_of_a_share_holds_the_truth():
    """The same where nine of ten trainings have to reach the threshold."""

    def reaching(sigma_v):
        return 1 / (1 + (sigma_v / MIDDLE_V) ** 4)

    def measured(generator):
        return lambda sigma_v, n: np.where(generator.random(n) < reaching(sigma_v), 0.95, 0.5)

    truth = MIDDLE_V * (1 / 0.9 - 1) ** (1 / 4)
    criterion = Criterion(0.9, share=0.9)
    found = misses(200, measured, truth, criterion, 40, np.random.default_rng(2))
    assert max(found) <= 12


def test_without_chance_it_is_the_crossing():
    found = search(lambda sigma_v, n: np.full(n, accuracy(sigma_v)), 1e-7, 4, Criterion(0.8), 1.05)
    assert found.sigma_v == pytest.approx(crossing(0.8), rel=2e-3)
    assert found.low_v == pytest.approx(found.high_v)
    assert found.trials == 4
    assert found.evaluated[0] == 0


def test_the_critical_sigma_scales_with_the_volts():
    """Law: volts times s, and nothing else changes."""
    generator = np.random.default_rng(3)
    sigmas = np.geomspace(1e-4, 1e-2, 9)
    table = np.clip(accuracy(sigmas)[:, None] + generator.normal(0, 0.01, (9, 6)), 0, 1)
    one = critical_sigma(sigmas, table, Criterion(0.8))
    other = critical_sigma(sigmas[::-1] * 1e-6, table[::-1], Criterion(0.8))
    for name in ("sigma_v", "low_v", "high_v"):
        assert getattr(other, name) == pytest.approx(1e-6 * getattr(one, name))


def test_a_limit_that_was_not_excluded_is_infinite():
    table = [[0.95] * 3, [0.85, 0.95, 0.8]]
    found = critical_sigma([1.0, 2.0], table, Criterion(0.9))
    assert found.high_v == math.inf
    assert 1 <= found.low_v <= found.sigma_v <= 2


@pytest.mark.parametrize(
    ("level", "words"),
    [(0.5, "not reached even at sigma = 0"), (0.95, "still reached")],
)
def test_no_crossing_is_refused(level, words):
    with pytest.raises(NoCriticalSigmaError, match=words):
        search(lambda sigma_v, n: np.full(n, level), 1e-3, 3, Criterion(0.9))
    with pytest.raises(NoCriticalSigmaError, match=words.replace("= 0", "=")):
        critical_sigma([1e-3, 2e-3], np.full((2, 3), level), Criterion(0.9))


def test_a_threshold_that_is_only_perhaps_reached_is_refused():
    table = np.array([[0.99, 0.84, 0.9], [0.1, 0.1, 0.1]])
    with pytest.raises(NoCriticalSigmaError, match="more trials"):
        critical_sigma([1e-3, 2e-3], table, Criterion(0.9))


@pytest.mark.parametrize(
    ("sigmas", "accuracies"),
    [
        ([1.0, 2.0], [[0.9, 0.9]]),
        ([1.0, 1.0], np.ones((2, 3))),
        ([-1.0, 1.0], np.ones((2, 3))),
        ([0.0], np.ones((1, 3))),
        ([1.0, math.nan], np.ones((2, 3))),
        ([1.0, 2.0], [[0.9, 0.9, math.nan]] * 2),
        ([1.0, 2.0], [[0.9, 0.9, 1.1]] * 2),
        ([1.0, 2.0], [[0.9, 0.9]] * 2),
    ],
)
def test_arrays_that_are_none_are_refused(sigmas, accuracies):
    with pytest.raises(BadInputError, match="critical sigma"):
        critical_sigma(sigmas, accuracies, Criterion(0.8))


@pytest.mark.parametrize("wrong", [(0.0,), (1.5,), (0.9, 1.0), (0.9, 0.0), (0.9, None, 1.0)])
def test_a_criterion_out_of_range_is_refused(wrong):
    with pytest.raises(BadInputError):
        Criterion(*wrong)


@pytest.mark.parametrize("share", [0.8, 0.9, 0.95])
def test_a_share_needs_as_many_trials_as_can_show_it(share):
    """Law: with that many trials, all good, the lower limit reaches the share; one less: not."""
    criterion = Criterion(0.9, share)
    n = criterion.least_trials
    assert criterion.limits(np.ones((1, n)))[0][0] >= share
    assert criterion.limits(np.ones((1, n - 1)))[0][0] < share
    with pytest.raises(BadInputError, match="trials"):
        search(lambda sigma_v, k: np.ones(k), 1e-3, n - 1, criterion)


def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(toml({**SMALL, "training.estimator": '"unbiased"'}), encoding="utf-8")
    return load(path)


def test_a_trial_is_trained_once(tmp_path):
    config, told = small(tmp_path), []
    first = Trials(config, tmp_path / "kept", told.append)
    accuracies = first(1e-3, 2)
    assert [(trial.sigma_v, trial.seed) for trial in told] == [(1e-3, 0), (1e-3, 1)]
    assert (first(1e-3, 2) == accuracies).all()
    assert len(told) == 2
    files = sorted((tmp_path / "kept").iterdir())
    assert len(files) == 2
    record = json.loads(files[0].read_text())
    record["accuracy"] = 0.125
    files[0].write_text(json.dumps(record))
    again = Trials(config, tmp_path / "kept")(1e-3, 2)
    assert again[record["seed"]] == 0.125
    files[0].write_text("{}")
    with pytest.raises(BadInputError, match="delete it"):
        Trials(config, tmp_path / "kept")(1e-3, 2)


def test_trials_of_a_sigma_share_their_seeds_and_take_single_reads(tmp_path):
    config = small(tmp_path)
    one, other = twin(config, 1e-3, 7), twin(config, 2e-3, 7)
    assert one.data == other.data
    assert one.training == other.training
    assert one.training.reads == one.training.evaluation_reads == 1
    assert one.device.options["sigma_v"] == 1e-3
    assert one.data.seed == one.training.seed == one.device.options["seed"] == 7
    many = twin(config, 1e-3, 7, reads=9).training
    assert many.reads == many.evaluation_reads == 9
    assert many.estimator == "unbiased"


def test_n_reads_train_like_one_read_of_sigma_over_root_n(tmp_path):
    """Eq. (11) on the twin, where the mean of N reads is drawn as one number."""
    config = load(None, ["data.name=xor", "network.layers=[4,6,2]", "training.updates=20"])
    trials = Trials(config)
    few, many = trials.trial(0.25, 3), trials.trial(4.0, 3, reads=256)
    assert few.accuracy == many.accuracy


def test_noise_that_cannot_be_set_is_refused():
    config = load(None, ["device.backend=bench", "device.file=none.toml"])
    with pytest.raises(UnsupportedError, match="twin"):
        twin(config, 1e-3, 0)
