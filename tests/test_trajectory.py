"""Laws: what is remembered of a change is what it would be anew, and goes with its cause."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.linalg import expm

from hilep.backends import Relaxation
from hilep.network import Network
from hilep.simulators.circuit.blocks import Blocks
from hilep.simulators.circuit.options import CIRCUIT
from hilep.simulators.circuit.response import response
from hilep.simulators.circuit.trajectory import GRID, rounded

NETWORK = Network((4, 6, 3), "split", "current")
INPUTS = np.array([3.0, -2.0, 1.0, 4.0])
AMPS = np.array([0.3, -0.2, 0.1])
FARADS = 1e-9
LAWS = {
    "ideal": {},
    "precision": {"nonlinearity": "precision", "precision": {"on_ohm": 0.05}},
    "junction": {
        "nonlinearity": "junction",
        "junction": {"saturation_a": 1e-6, "series_ohm": 0.1, "bias_v": 0.3},
    },
    "lines": {"word_ohm": 0.02, "bit_ohm": 0.03, "source_ohm": 0.1, "meter_ohm": 50.0},
}


def circuit(law="precision", seed=3, **keys):
    options = {"node_farads": FARADS, **LAWS[law], **keys}
    device = CIRCUIT.build(NETWORK, CIRCUIT.options.model_validate(options), Relaxation())
    device.program(*drawn(seed))
    return device


def drawn(seed):
    generator = np.random.default_rng(seed)
    conductances = [generator.uniform(0.05, 1.0, shape) for shape in NETWORK.shapes]
    return conductances, generator.normal(0, 0.3, NETWORK.free_nodes)


def moving(device, start):
    device._now = start
    return device._moving()


@pytest.mark.parametrize("law", LAWS)
def test_the_order_of_delays_does_not_matter(law):
    generator = np.random.default_rng(5)
    start = generator.normal(0, 2, (1, NETWORK.free_nodes))
    delays = np.concatenate([[0.0], np.geomspace(1e-12, 1.0, 12), generator.uniform(0, 1e-8, 4)])
    device = circuit(law)
    device.clamp(INPUTS)
    anew = {}
    for delay in delays:
        device.solver.load(drawn(3)[0])
        anew[delay] = moving(device, start).at(delay)
    step = np.abs(anew[0.0] - anew[1.0]).max()
    for _ in range(3):
        device.solver.load(drawn(3)[0])
        trajectory = moving(device, start)
        for delay in generator.permutation(np.repeat(delays, 2)):
            assert np.abs(trajectory.at(delay) - anew[delay]).max() <= 1e-9 * step


@pytest.mark.parametrize("law", LAWS)
def test_a_trajectory_is_that_of_shorter_steps(law):
    device = circuit(law)
    device.clamp(INPUTS)
    device.nudge(AMPS)
    start = np.random.default_rng(6).normal(0, 2, (1, NETWORK.free_nodes))
    trajectory = moving(device, start)
    times = np.geomspace(1e-11, 1e-8, 8)
    amps = device.solver.forward(INPUTS[None]).amps + device.bias_currents() * NETWORK.node_weights
    amps[:, NETWORK.output_slice] += AMPS
    expected = response(
        device.ports(),
        NETWORK.polarity,
        device.rectifier,
        amps,
        FARADS,
        start,
        times,
        tolerance=1e-8,
    )
    for at, volts in zip(times, expected, strict=True):
        assert np.abs(trajectory.at(at) - volts).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("law", ["ideal", "precision", "lines"])
def test_a_change_that_switches_no_rectifier_is_exponential(law):
    """V - rest = expm(-G t / C) (start - rest), with the G of the free nodes at rest."""
    device = circuit(law)
    device.clamp(INPUTS)
    device.read()
    start = device._now
    device.nudge(1e-3 * AMPS)
    trajectory = moving(device, start)
    device.read()
    rest = device._now[0]
    siemens = Blocks(device.ports(), np.zeros(NETWORK.free_nodes)).times(np.eye(rest.size))
    free = np.ones(rest.size, np.bool_)
    if law == "precision":
        siemens += np.diag(NETWORK.node_weights * (NETWORK.polarity * rest < 0) / 0.05)
    else:
        free = (NETWORK.polarity == 0) | (NETWORK.polarity * rest > 0)
    assert not free.all() or law == "precision"
    left = (rounded(start)[0] - rest)[free]
    for at in np.geomspace(1e-11, 1e-7, 9):
        decay = expm(-siemens[np.ix_(free, free)] * at / FARADS)
        apart = (trajectory.at(at)[0] - rest)[free] - decay @ left
        assert np.abs(apart).max() <= 1e-9 * np.abs(left).max()


def test_a_change_made_again_is_remembered():
    device = circuit()
    found = []
    for _ in range(4):
        device.clamp(-INPUTS)
        device.read_after(1.0)
        device.clamp(INPUTS)
        found.append([device.read_after(delay).mean for delay in (1e-10, 1e-9, 5e-9)])
    for again in found[2:]:
        np.testing.assert_array_equal(again, found[1])
    np.testing.assert_allclose(found[0], found[1], atol=1e-8)
    assert len(device.solver._trajectories) <= 4


@pytest.mark.parametrize("change", ["cells", "bias", "clamp", "nudge", "spring", "released"])
def test_a_trajectory_is_forgotten_with_its_cause(change):
    """Reads after a change are those of a device that never was in another state."""
    start = np.random.default_rng(7).normal(0, 1, (1, NETWORK.free_nodes))

    def changed(device):
        conductances, bias = drawn(3)
        if change == "cells":
            device.program([0.5 * g for g in conductances], bias)
        elif change == "bias":
            device.program(conductances, bias + 0.1)
        elif change == "clamp":
            device.clamp(INPUTS + 1e-3)
        elif change == "nudge":
            device.nudge(2 * AMPS)
        elif change == "spring":
            device.nudge_spring(0.5, AMPS)
        else:
            device.nudge(None)

    known, other = circuit(settle_s=1e-9), circuit(settle_s=1e-9)
    for device in (known, other):
        device.clamp(INPUTS)
        device.nudge(AMPS)
    known._now = start
    before = known.read().mean
    changed(known)
    changed(other)
    known._now, other._now = start, start
    after = known.read().mean
    np.testing.assert_array_equal(after, other.read().mean)
    assert np.abs(after - before).max() > 1e-6


def test_cells_that_age_between_reads_are_not_those_remembered():
    network = Network((4, 6, 3), "split", "none", g_min_siemens=1e-3, g_max_siemens=2.0)
    cells = {"drift_exponent": 0.5, "drift_spread": 0.2, "read_s": 10.0}
    options = {"node_farads": FARADS, "cells": cells}
    device = CIRCUIT.build(network, CIRCUIT.options.model_validate(options), Relaxation())
    device.program(drawn(3)[0])
    device.clamp(INPUTS)
    at_rest = [device.read_after(1.0 + k).mean for k in range(4)]
    assert all(np.abs(b - a).max() > 1e-4 for a, b in itertools.pairwise(at_rest))


def test_starts_alike_in_all_but_their_last_digits_are_one_start():
    generator = np.random.default_rng(8)
    volts = generator.normal(0, 3, (2, 40)) * [[1.0], [1e-7]]
    near = volts * (1 + 1e-15 * generator.normal(0, 1, volts.shape))
    np.testing.assert_array_equal(rounded(volts), rounded(near))
    assert (np.abs(rounded(volts) - volts) <= GRID * np.abs(volts).max(axis=1)[:, None]).all()
    np.testing.assert_array_equal(rounded(8 * volts), 8 * rounded(volts))
    zero = np.zeros((1, 3))
    np.testing.assert_array_equal(rounded(zero), zero)
    tiny = np.full((1, 3), 5e-324)
    assert np.isfinite(rounded(tiny)).all()
