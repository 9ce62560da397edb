"""Laws: reads are taken as training takes them, and what they say holds what was put in."""

import math

import numpy as np
import pytest
from noisy_crossbar import NoisyCrossbar, white

from hilep.calibration.evaluating import findings
from hilep.calibration.measuring import (
    LongRecord,
    alternating,
    gathered,
    long_record,
    nudge_like_training,
    paired_reads,
)
from hilep.config import load
from hilep.errors import BadInputError, NotSettledError, UnsupportedError
from hilep.network import Network
from hilep.reading import SATURATED, Reading

VOLTS, AMPS = np.zeros(4), np.array([1e-3, -1e-3])


def judged(device, pairs=200, reads=1024, planned=1):
    found = paired_reads(device, VOLTS, AMPS, pairs)
    record = long_record(device, VOLTS, None, reads)
    return findings(found, record, device.network, planned)


# How reads are taken --------------------------------------------------------------------------


def test_phases_alternate_while_the_inputs_stay_clamped():
    device = NoisyCrossbar(white(1e-4))
    paired_reads(device, VOLTS, AMPS, 3)
    assert device.asked == ["clamp", *["read 1", "nudge", "read 1", "release"] * 3]


def test_blocks_keep_every_read_in_order():
    def counted(generator, count, nudged):
        device.count += count
        start = device.count - count
        return np.arange(start, device.count)[:, None] + np.zeros(8)

    device = NoisyCrossbar(counted)
    device.count = 0
    found = paired_reads(device, VOLTS, AMPS, 2, block=3)
    assert found.free[:, 0].tolist() == [0, 1, 2, 6, 7, 8]
    assert found.nudged[:, 0].tolist() == [3, 4, 5, 9, 10, 11]
    assert found.amps.tolist() == AMPS.tolist()


def test_a_record_is_one_read_of_the_free_phase():
    device = NoisyCrossbar(white(1e-4))
    record = long_record(device, VOLTS, None, 64)
    assert record.volts.shape == (64, 8)
    assert device.asked[:2] == ["clamp", "release"]
    assert device.asked[-1] == "read 64"
    assert math.isnan(record.interval_s)


def test_a_record_of_the_nudged_phase_releases_the_nudge():
    device = NoisyCrossbar(white(1e-4))
    long_record(device, VOLTS, AMPS, 8)
    assert device.asked[:2] == ["clamp", "nudge"]
    assert device.asked[-1] == "release"


def test_times_give_interval_and_delay():
    device = NoisyCrossbar(white(1e-4), seconds=0.01)
    found = paired_reads(device, VOLTS, AMPS, 10)
    assert found.delay_s == pytest.approx(0.06)
    assert long_record(device, VOLTS, None, 100).interval_s == pytest.approx(0.01, rel=1e-4)
    assert math.isnan(paired_reads(NoisyCrossbar(white(1e-4)), VOLTS, AMPS, 2).delay_s)


def test_status_of_both_phases_is_kept():
    device = NoisyCrossbar(white(1e-4), status=[0] * 7 + [SATURATED])
    found = paired_reads(device, VOLTS, AMPS, 2)
    assert found.status.tolist() == [[0] * 7 + [SATURATED]] * 2


def test_pairs_before_a_failure_are_kept():
    failure = NotSettledError("no longer")
    device = NoisyCrossbar(white(1e-4), fails_at=7, failure=failure)
    taken = []

    def take():
        for pair in alternating(device, VOLTS, AMPS, 10):
            taken.append(pair)

    with pytest.raises(NotSettledError):
        take()
    assert gathered(taken).free.shape == (3, 8)


def test_a_device_that_keeps_moments_is_refused():
    class Moments(NoisyCrossbar):
        def read(self, samples=1):
            return Reading(np.zeros(8), samples, variance=np.ones(8))

    with pytest.raises(UnsupportedError, match="every read"):
        long_record(Moments(white(1e-4)), VOLTS, None, 4)
    with pytest.raises(BadInputError):
        paired_reads(NoisyCrossbar(white(1e-4)), VOLTS, AMPS, 0)


def test_the_nudge_is_the_one_of_training():
    reading = Reading.of_samples(np.array([[5.0, 0.25, 0.5]]))
    assert nudge_like_training(reading, [1.0, 0.0], 0.2).tolist() == pytest.approx([0.15, -0.1])


# What they say --------------------------------------------------------------------------------


def test_the_sigma_of_a_simulated_crossbar_lies_in_its_interval_at_the_stated_rate():
    from hilep.simulators.ideal import SimulatedCrossbar
    from hilep.simulators.noise import ReadNoise
    from hilep.simulators.reference import ReferenceSolver

    network = Network((4, 6, 2))
    pooled = free = nudged = nodes = 0
    trials = 40
    for seed in range(trials):
        noise = ReadNoise(network, 1e-4, np.random.default_rng(seed))
        device = SimulatedCrossbar(network, noise, ReferenceSolver(network, np.float64), 5, None)
        device.program([np.full(shape, 0.5) for shape in network.shapes])
        found = paired_reads(device, np.array([1.0, 2.0, -1.0, -2.0]), AMPS, 40)
        said = findings(found, None, network, 1)
        for part in (said.sigma, said.phases.free, said.phases.nudged):
            assert part.pooled.low_v < part.pooled.sigma_v < part.pooled.high_v
        pooled += said.sigma.pooled.low_v <= 1e-4 <= said.sigma.pooled.high_v
        free += said.phases.free.pooled.low_v <= 1e-4 <= said.phases.free.pooled.high_v
        nudged += said.phases.nudged.pooled.low_v <= 1e-4 <= said.phases.nudged.pooled.high_v
        each = said.sigma.per_node
        nodes += np.count_nonzero((each.low_v <= 1e-4) & (each.high_v >= 1e-4))
    # 95 % less four binomial standard errors.
    least = trials * (0.95 - 4 * math.sqrt(0.95 * 0.05 / trials))
    assert min(pooled, free, nudged) >= least
    rate = nodes / trials / 8
    assert rate == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / trials / 8))


def test_each_phase_has_its_own_sigma():
    said = judged(NoisyCrossbar(white(1e-4, nudged_sigma_v=2e-4)))
    free, nudged = said.phases.free.pooled, said.phases.nudged.pooled
    assert free.low_v <= 1e-4 <= free.high_v
    assert nudged.low_v <= 2e-4 <= nudged.high_v
    assert said.phases.agreement.agree is False
    assert any(line.startswith("phases: sigma differs") for line in said.problems)


def test_drift_is_in_each_phase_and_not_in_sigma():
    def drifting(generator, count, nudged):
        times = device.time + np.arange(count)[:, None]
        device.time += count
        return times * 1e-5 + 1e-4 * generator.standard_normal((count, 8))

    device = NoisyCrossbar(drifting)
    device.time = 0
    said = judged(device)
    assert said.sigma.pooled.low_v <= 1e-4 <= said.sigma.pooled.high_v
    assert said.phases.free.pooled.low_v > 5e-4
    assert said.independence.independent is False


def test_common_noise_cancels_at_the_edges():
    def common(generator, count, nudged):
        shared = 3e-4 * generator.standard_normal((count, 1))
        return shared + 1e-4 * generator.standard_normal((count, 8))

    said = judged(NoisyCrossbar(common), pairs=500)
    assert said.covariance.common_mode == pytest.approx(0.9, abs=0.05)
    assert said.covariance.edges.shape == (12, 2)
    assert said.covariance.edge_sigma.sigma_v == pytest.approx(math.sqrt(2) * 1e-4, rel=0.15)


def test_nodes_that_carry_nothing_are_named_and_pooled_nowhere():
    def spoiled(generator, count, nudged):
        volts = white(1e-4)(generator, count, nudged)
        volts[:, 1] = 0.25
        volts[:, 3] = np.nan
        volts[:, 7] *= 1000
        return volts

    status = np.array([0, 0, 0, 4, 0, SATURATED, 0, 0])
    said = judged(NoisyCrossbar(spoiled, status=status))
    states = said.sigma.states
    assert states[1] == "constant"
    assert states[3] == "not finite"
    assert states[5] == "saturated"
    assert said.judged.tolist() == [0, 2, 4, 6, 7]
    assert said.sigma.pooled.nodes == 5
    text = " ".join(said.problems)
    assert "node 1" in text
    assert "node 3" in text
    assert "node 5" in text
    assert "do not have the same sigma" in text
    assert said.covariance.edges.min() >= 0
    assert set(said.covariance.edges.ravel().tolist()) <= set(said.judged.tolist())


def test_dependent_nodes_are_named_by_their_own_numbers():
    def spoiled(generator, count, nudged):
        volts = white(1e-4)(generator, count, nudged)
        volts[:, 0] = 0.0
        volts[:, 5] += np.cumsum(1e-4 * generator.standard_normal(count))
        return volts

    said = judged(NoisyCrossbar(spoiled))
    assert said.independence.independent is False
    assert {line.split()[1] for line in said.independence.why} == {"5:"}


def test_nodes_that_read_alike_cost_their_edges_and_nothing_else():
    def alike(generator, count, nudged):
        volts = white(1e-4)(generator, count, nudged)
        volts[:, 7] = volts[:, 0] + 1.0
        return np.round(volts * 2**40) / 2**40

    said = judged(NoisyCrossbar(alike))
    assert said.sigma.pooled is not None
    assert said.covariance is None
    assert any("the difference of two nodes' reads is constant" in line for line in said.problems)


def test_no_record_leaves_the_pairs_to_judge_by():
    found = paired_reads(NoisyCrossbar(white(1e-4)), VOLTS, AMPS, 200)
    said = findings(found, None, Network((4, 6, 2), bias="none"), 1)
    assert said.independence.independent is True
    assert said.allan is None


def test_too_few_reads_cannot_tell_and_cost_nothing_else():
    said = judged(NoisyCrossbar(white(1e-4)), pairs=3, reads=1)
    assert said.sigma.pooled.nodes == 8
    assert said.independence is None
    assert any("at least 20 reads" in line for line in said.problems)
    said = judged(NoisyCrossbar(white(1e-4)), pairs=1)
    assert said.sigma.pooled is None
    assert any("too few reads" in line for line in said.problems)


def test_the_allan_deviation_is_taken_at_the_real_delay():
    def walking(generator, count, nudged):
        steps = 1e-5 * generator.standard_normal((count, 8))
        device.at = device.at + steps.sum(axis=0)
        return device.at + np.cumsum(steps, axis=0) - steps.sum(axis=0)

    device = NoisyCrossbar(walking, seconds=0.01)
    device.at = np.zeros(8)
    said = judged(device, reads=4096)
    assert said.allan.pause_reads == 5
    plain = np.array([node.deviation_v[0] for node in said.allan.allan])
    apart = np.array([node.deviation_v[0] for node in said.allan.at_delay])
    # A random walk: the variance of a difference grows with the delay, here 6 reads in place of 1.
    assert apart / plain == pytest.approx(math.sqrt(6), rel=0.15)
    assert (said.allan.interleaving_gain >= 0.99).all()


def test_white_reads_gain_nothing_from_interleaving():
    device = NoisyCrossbar(white(1e-4))
    found = paired_reads(device, VOLTS, AMPS, 50)
    record = long_record(device, VOLTS, None, 4096)
    said = findings(found, record, device.network, 16)
    assert said.allan.planned_reads == 16
    assert said.allan.interleaving_gain == pytest.approx(1, abs=0.2)


def test_a_record_of_one_read_is_no_evidence_against_a_node():
    found = paired_reads(NoisyCrossbar(white(1e-4)), VOLTS, AMPS, 50)
    record = LongRecord(found.free[:1], np.zeros(8, np.uint8), math.nan)
    assert findings(found, record, Network((4, 6, 2)), 1).judged.size == 8


def test_a_training_takes_no_notice_of_the_section():
    plain = load(None)
    other = load(None, ["calibration.pairs=3", "calibration.nudge_fraction=0.5"])
    assert plain.training == other.training
    assert other.calibration.pairs == 3
