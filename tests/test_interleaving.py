"""Laws of reads in portions that take turns: what they gain against drift, and what they leave."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_crossbar import NoisyCrossbar, white
from scipy.stats import chi2

from hilep import backends, experiment
from hilep.calibration.allan import interleaving_gain
from hilep.calibration.evaluating import findings
from hilep.calibration.interleaving import interleaving_advice, worth_saying
from hilep.calibration.measuring import long_record, paired_reads
from hilep.config import load
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError
from hilep.interleaving import lag, portions, turns
from hilep.nudging import Nudging
from hilep.rule import LearningRule

FREE_FIRST, CENTRED = Nudging("current", (0.0, 1e-3)), Nudging("current", (-1e-3, 1e-3))
READS = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))
VOLTS, AIMS = np.zeros((1, 4)), np.ones((1, 2))
SLOPE = 1e-5


# The order ------------------------------------------------------------------------------------


@given(READS)
def test_each_phase_gets_its_reads_in_one_turn_more_than_portions(given):
    reads, interleave = given
    order = turns(reads, interleave)
    assert len(order) == interleave + 1
    assert [phase for phase, _ in order] == [k % 2 for k in range(interleave + 1)]
    for phase in (0, 1):
        assert sum(size for each, size in order if each == phase) == reads
    sizes = portions(reads, interleave)
    assert max(sizes) - min(sizes) <= 1
    assert order[0][1] == max(sizes)


@given(READS)
def test_the_lag_is_the_distance_of_the_mean_times(given):
    reads, interleave = given
    phases = np.concatenate([np.full(size, phase) for phase, size in turns(reads, interleave)])
    times = np.arange(2 * reads)
    apart = times[phases == 1].mean() - times[phases == 0].mean()
    assert lag(reads, interleave) == pytest.approx(apart, abs=1e-9)
    if reads % interleave == 0:
        expected = 0 if interleave % 2 == 0 else reads / interleave**2
        assert lag(reads, interleave) == pytest.approx(expected, abs=1e-12)
    elif interleave % 2 == 0:
        assert 0 <= lag(reads, interleave) <= 2 / interleave + 1 / reads


@pytest.mark.parametrize("interleave", [0, 5])
def test_more_portions_than_reads_are_refused(interleave):
    with pytest.raises(BadInputError, match=r"training\.interleave: expected 1 to .* \(4\), got"):
        NoisyCrossbar(white(1e-4)).interleaved(VOLTS, AIMS, FREE_FIRST, 4, interleave)


def test_verbs_come_in_balanced_order_and_the_next_clamp_releases():
    device = NoisyCrossbar(white(1e-4))
    device.interleaved(np.zeros((2, 4)), np.ones((2, 2)), FREE_FIRST, 5, 2)
    image = ["clamp", "read 3", "nudge", "read 5", "release", "read 2"]
    assert device.asked == [*image, *image, "release"]
    device = NoisyCrossbar(white(1e-4))
    device.interleaved(VOLTS, AIMS, CENTRED, 4, 2)
    turned = ["nudge", "read 2", "nudge", "read 4", "nudge", "read 2"]
    assert device.asked == ["clamp", "read 4", *turned, "release"]


@pytest.mark.parametrize("nudging", [FREE_FIRST, CENTRED])
def test_a_nudge_is_the_same_in_all_its_turns(nudging):
    device, given = NoisyCrossbar(white(0.1)), []
    plain = device.nudge

    def nudge(amps):
        given.append(None if amps is None else tuple(amps))
        return plain(amps)

    device.nudge = nudge
    pair = device.interleaved(VOLTS, AIMS, nudging, 16, 8)
    currents = [amps for amps in given if amps is not None]
    assert len(set(currents)) == sum(strength != 0 for strength in nudging.strengths)
    if nudging is CENTRED:
        np.testing.assert_array_equal(pair.amps[0], currents[1])
        np.testing.assert_array_equal(currents[0], -pair.amps[0])
        return
    first_portion = pair.first.volts[:2, 0, -2:].mean(axis=0)
    np.testing.assert_allclose(pair.amps[0], 1e-3 * (1 - first_portion), rtol=1e-12)
    np.testing.assert_array_equal(pair.amps[0], currents[0])
    np.testing.assert_array_equal(pair.free_outputs, pair.first.mean[:, -2:])


def test_a_failed_read_releases_the_nudge_and_is_what_is_told():
    device = NoisyCrossbar(white(1e-4), fails_at=1, failure=BadInputError("meter: gone"))
    with pytest.raises(BadInputError, match="meter: gone"):
        device.interleaved(VOLTS, AIMS, FREE_FIRST, 4, 2)
    assert device.asked[-1] == "release"


# Against drift --------------------------------------------------------------------------------


def drifting(per_read, per_verb=0.0):
    """A device whose every node rises with time; each read and each clamp or nudge takes some."""

    def drift(generator, count, nudged):
        changes = sum(word in ("clamp", "nudge", "release") for word in device.asked)
        began = device.read_so_far + np.arange(count)
        device.read_so_far += count
        return (per_read * began + per_verb * changes)[:, None] + np.zeros(8)

    device = NoisyCrossbar(drift)
    device.read_so_far = 0
    return device


@pytest.mark.parametrize("nudging", [FREE_FIRST, CENTRED])
@given(READS)
def test_a_linear_drift_leaves_its_lag(nudging, given):
    reads, interleave = given
    pair = drifting(SLOPE).interleaved(VOLTS, AIMS, nudging, reads, interleave)
    error = pair.second.mean - pair.first.mean
    np.testing.assert_allclose(error, SLOPE * lag(reads, interleave), atol=1e-13)


@pytest.mark.parametrize("interleave", [2, 4, 8])
def test_balanced_portions_cancel_what_drifts_while_the_network_settles_too(interleave):
    pair = drifting(SLOPE, 7 * SLOPE).interleaved(VOLTS, AIMS, FREE_FIRST, 16, interleave)
    np.testing.assert_allclose(pair.second.mean - pair.first.mean, 0, atol=1e-15)
    pair = drifting(SLOPE, 7 * SLOPE).free_and_nudged(VOLTS, AIMS, FREE_FIRST, 16)
    np.testing.assert_allclose(pair.second.mean - pair.first.mean, 23 * SLOPE, atol=1e-15)


def walking(steps_v, white_v, seed):
    """A device with a random walk and white noise about 1 V in every node."""

    def noise(generator, count, nudged):
        steps = steps_v * generator.standard_normal((count, 8))
        walk = device.at + np.cumsum(steps, axis=0)
        device.at = walk[-1]
        return 1 + walk + white_v * generator.standard_normal((count, 8))

    device = NoisyCrossbar(noise, seed=seed)
    device.at = np.zeros(8)
    return device


def test_the_gradient_gains_what_the_record_promises():
    """The update's error under a random walk, against the gain found in one record.

    Of 600 images and 8 nodes the sd has a relative error of 1.1 % or less, and a record of 2^15
    reads gives its gain to 2 %: 12 % are beyond 4 standard errors of the ratio.
    """
    reads, interleave, images = 16, 4, 600
    record = long_record(walking(1e-5, 2e-5, 1), VOLTS[0], None, 1 << 15)
    promised = interleaving_gain(record.volts, reads, interleave)
    errors = []
    for portion in (1, interleave):
        device = walking(1e-5, 2e-5, 2)
        rule = LearningRule(device.network, 1.0, [1.0, 1.0], [1.0, 1.0])
        moved, factors = [], []
        for _ in range(images):
            # The walk begins anew, so that the sum of both phases stays near 2 V.
            device.at = np.zeros(8)
            pair = device.interleaved(VOLTS, AIMS, FREE_FIRST, reads, portion)
            moved.append((pair.second.mean - pair.first.mean)[0])
            (update,) = rule.blocks(pair)
            # With inputs at 0 V the cells of the first layer see the nodes themselves.
            factors.append(update.layers[0].dense()[0])
        errors.append((np.std(moved), np.std(factors)))
    (apart, gradient), (turned, turned_gradient) = errors
    expected = math.exp(np.log(promised).mean())
    assert expected > 1.5
    assert apart / turned == pytest.approx(expected, rel=0.12)
    assert gradient / turned_gradient == pytest.approx(expected, rel=0.12)


# White noise ----------------------------------------------------------------------------------


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("interleave", [1, 2, 8])
def test_white_noise_stays_as_it_is(default, interleave):
    """The variance of the difference, at an output that a nudge moves by the part a of its miss.

    (sigma^2 / N) (2 + 2 a + k a^2), by chi-square with a false-alarm rate of 1e-6.
    """
    sigma, reads, images, strength = 1e-3, 8, 1500, 0.1
    config = load(
        None,
        ["network.layers=[2,1]", 'network.diodes="none"', 'network.bias="none"',
         f"device.sigma_v={sigma}"],
    )  # fmt: skip
    device = backends.crossbar(config, config.network.network())
    device.program([np.full((2, 1), 0.15)])
    volts, aims = np.tile([[0.2, 0.4]], (images, 1)), np.full((images, 1), 0.5)
    verb = Crossbar.interleaved if default else type(device).interleaved
    pair = verb(device, volts, aims, Nudging("current", (0.0, strength)), reads, interleave)
    part = strength / 0.3
    variance = sigma**2 / reads * (2 + 2 * part + interleave * part**2)
    found = (pair.second.mean - pair.first.mean)[:, 0]
    squares = (images - 1) * found.var(ddof=1) / variance
    assert chi2.ppf(5e-7, images - 1) < squares < chi2.isf(5e-7, images - 1)
    assert abs(found.mean() - part * 0.2) < 5 * math.sqrt(variance / images)
    free = pair.first.mean[:, 0]
    squares = (images - 1) * free.var(ddof=1) / (sigma**2 / reads)
    assert chi2.ppf(5e-7, images - 1) < squares < chi2.isf(5e-7, images - 1)


@pytest.mark.parametrize("statistic", ["mean", "variance", "samples"])
def test_a_simulator_keeps_the_statistic_that_is_asked_for(statistic):
    config = load(None, ["network.layers=[4,3,2]", "device.sigma_v=1e-3"])
    device = backends.crossbar(config, config.network.network())
    experiment.begin(device, config)
    images, aims = np.ones((400, 4)), np.zeros((400, 2))
    pair = device.interleaved(images, aims, FREE_FIRST, 6, 4, statistic)
    for reading in (pair.first, pair.second):
        assert reading.count == 6
        if statistic == "mean":
            continue
        # 5 degrees of freedom each, from 400 images and 5 nodes.
        freedom = 5 * reading.variance.size
        squares = 5 * reading.variance.sum() / 1e-6
        assert chi2.ppf(5e-7, freedom) < squares < chi2.isf(5e-7, freedom)
        if statistic == "samples":
            assert reading.volts.shape == (6, 400, 5)


# What a calibration says of it ----------------------------------------------------------------


def test_the_gain_of_a_ramp_is_the_ratio_of_lags():
    ramp = SLOPE * np.arange(1000.0)[:, None]
    assert interleaving_gain(ramp, 27, 3) == pytest.approx(9)
    assert interleaving_gain(ramp, 27, 3, pause=9) == pytest.approx(36 / (3 + 9 / 3))
    with pytest.raises(BadInputError, match="64 reads do not fit in 63 reads"):
        interleaving_gain(ramp[:63], 32, 1)


def test_a_record_recommends_the_order_that_training_takes():
    device = walking(1e-5, 2e-5, 3)
    pairs = paired_reads(device, VOLTS[0], np.array([1e-3, -1e-3]), 50)
    record = long_record(device, VOLTS[0], None, 4096)
    drift = findings(pairs, record, device.network, 32).allan
    assert drift.interleave in (2, 4, 8, 16)
    assert drift.portions == drift.interleave
    gain = interleaving_gain(record.volts, 32, drift.interleave)
    np.testing.assert_allclose(drift.interleaving_gain, gain, rtol=1e-9)
    (line,) = worth_saying(drift)
    assert line.startswith(f"interleaving: training.interleave = {drift.interleave} makes sigma")


def test_white_noise_recommends_nothing():
    """None in 20 records of 8 nodes; of one node 2.5 % at most would be false alarms."""
    generator = np.random.default_rng(5)
    for _ in range(20):
        advice = interleaving_advice(generator.normal(size=(1024, 8)), 16)
        assert advice.interleave == 1
        assert advice.portions >= 2
    assert interleaving_advice(generator.normal(size=(1024, 8)), 1).portions == 1
    assert interleaving_advice(generator.normal(size=(8, 8)), 16).interleave == 1
    assert worth_saying(None) == []
