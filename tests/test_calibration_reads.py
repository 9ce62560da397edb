"""N from sigma and the critical sigma, and its cost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from noisy_crossbar import NoisyCrossbar, white

from hilep.calibration.independence import independence, unmeasured
from hilep.calibration.reads import Timing, plan_reads, reads_needed
from hilep.errors import BadInputError
from hilep.nudging import Nudging


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0])
def test_smallest_n_of_eq_11(scale):
    generator = np.random.default_rng(1)
    for ratio in generator.uniform(0.1, 300, 200):
        n = reads_needed(ratio * scale, scale)
        assert ratio / math.sqrt(n) <= 1 + 1e-12
        assert n == 1 or ratio / math.sqrt(n - 1) > 1
    for whole in (1, 2, 3, 10, 31, 1000):
        assert reads_needed(whole * scale, scale) == whole**2


@pytest.mark.parametrize(
    ("sigma", "critical"), [(0, 1), (1, 0), (-1, 1), (math.nan, 1), (1, math.inf), (1e9, 1e-9)]
)
def test_no_n_from_such_numbers(sigma, critical):
    with pytest.raises(BadInputError, match="plan"):
        reads_needed(sigma, critical)


def test_cost_adds_up():
    """1,000 updates of 4 images, two phases, N = 100: seconds, closures and pulses by hand."""
    timing = Timing(
        read_s=1e-3, settling_s=0.05, write_s=2.0, closures_per_scan=1, pulses_per_update=0.5
    )
    plan = plan_reads(1e-4, 1e-5, 1000, 4, timing)
    assert plan.reads == 100
    assert plan.hours * 3600 == pytest.approx(8000 * (0.05 + 0.1) + 2000)
    assert plan.relay_closures == 8000
    assert plan.pulses == 500
    assert plan.feasible
    scanned = Timing(read_s=1e-3, closures_per_scan=1, scan_per_read=True)
    assert plan_reads(1e-4, 1e-5, 1000, 4, scanned).relay_closures == 800_000


@pytest.mark.parametrize("interleave", [1, 2, 3, 7, 100, 150])
def test_portions_cost_what_training_asks_of_the_bench(interleave):
    """Law: the settlings, scans and reads of a plan are those of the verbs that one image takes."""
    timing = {"read_s": 1e-3, "settling_s": 0.05, "closures_per_scan": 2}
    found = plan_reads(1e-4, 1e-5, 1000, 4, Timing(**timing), interleave=interleave)
    assert found.reads == 100
    device = NoisyCrossbar(white(1e-4))
    nudging = Nudging("current", (0.0, 1e-3))
    device.interleaved(np.zeros((1, 4)), np.ones((1, 2)), nudging, 100, min(interleave, 100))
    *asked, last = device.asked
    assert last == "release", "no read waits for it: the next clamp releases as well"
    settlings = [word for word in asked if not word.startswith("read")]
    scans = [int(word.removeprefix("read ")) for word in asked if word.startswith("read")]
    assert len(settlings) == min(interleave, 100) + 1
    seconds = len(settlings) * 0.05 + sum(scans) * 1e-3
    assert found.hours * 3600 == pytest.approx(4000 * seconds)
    assert found.relay_closures == 4000 * 2 * len(scans)
    scanned = Timing(**timing, scan_per_read=True)
    each = plan_reads(1e-4, 1e-5, 1000, 4, scanned, interleave=interleave)
    assert each.relay_closures == 4000 * 2 * sum(scans)
    with pytest.raises(BadInputError, match="interleave"):
        plan_reads(1e-4, 1e-5, 1000, 4, scanned, interleave=0)


def test_beyond_rated_life_is_refused_and_says_why():
    timing = Timing(
        read_s=0.0, closures_per_scan=1, scan_per_read=True, rated_closures=1e5, rated_pulses=900
    )
    plan = plan_reads(1e-4, 1e-5, 1000, 4, timing)
    assert not plan.feasible
    assert any("closures" in line for line in plan.refusals)
    assert any("pulses" in line for line in plan.refusals)
    with pytest.raises(BadInputError):
        Timing(read_s=-1.0)
    with pytest.raises(BadInputError):
        Timing(read_s=math.nan)
    with pytest.raises(BadInputError):
        plan_reads(1e-4, 1e-5, 0, 4, timing)


def test_dependent_reads_need_more_or_cannot_do_it():
    """White 1 and a random walk: N from the measured deviation, and none below its minimum."""
    generator = np.random.default_rng(2)
    n = 1 << 14
    volts = generator.normal(size=n) + np.cumsum(0.02 * generator.normal(size=n))
    measured = independence(volts)
    assert measured.independent is False
    timing = Timing(read_s=1e-3)
    plan = plan_reads(1.0, 0.25, 10, 4, timing, measured)
    assert plan.feasible
    assert 16 <= plan.reads <= 20
    assert measured.parts is not None
    assert measured.parts[0].sigma_of_mean_v(plan.reads) <= 0.26
    hopeless = plan_reads(1.0, 0.02, 10, 4, timing, measured)
    assert not hopeless.feasible
    assert "not independent" in hopeless.refusals[0]


def test_a_single_read_needs_no_independence():
    """Nothing is averaged: the sigma that was measured is the one that counts."""
    short = independence(np.random.default_rng(4).normal(size=50))
    assert short.independent == "cannot tell"
    for measured in (short, unmeasured()):
        assert plan_reads(1.0, 1.0, 10, 4, Timing(read_s=1e-3), measured).feasible
        beyond = plan_reads(1.0, 0.7, 10, 4, Timing(read_s=1e-3), measured)
        assert beyond.reads == 3
        assert "longer" in beyond.refusals[0]


def test_independent_reads_only_as_far_as_the_record_shows():
    measured = independence(np.random.default_rng(3).normal(size=6400))
    assert measured.independent is True
    timing = Timing(read_s=1e-3)
    assert plan_reads(1.0, 0.1, 10, 4, timing, measured).feasible
    beyond = plan_reads(1.0, 0.05, 10, 4, timing, measured)
    assert beyond.reads == 400
    assert not beyond.feasible
    assert "longer" in beyond.refusals[0]
