"""How circuits move in time: exponentials, eigenvalues, an independent integrator, equilibria."""

from __future__ import annotations

import numpy as np
import pytest
from circuit_ports import leaving, matrix, specimen

from hilep.errors import BadInputError, LimitError
from hilep.simulators.circuit.equilibrium import settle
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.rectifiers import IdealDiode, JunctionDiode, PrecisionRectifier
from hilep.simulators.circuit.response import Motion, response, time_constants

LAWS = [IdealDiode(), JunctionDiode(), JunctionDiode(series_ohm=0.5), PrecisionRectifier(0.05)]


def moved(one, law, farads, times, start=None, **options):
    start = np.zeros_like(one.amps) if start is None else start
    options.setdefault("amps", one.amps)
    amps = options.pop("amps")
    polarity = one.network.polarity
    return response(one.ports, polarity, law, amps, farads, start, times, **options)


def test_one_capacitor_charges_exponentially():
    ports = PortNetwork((np.array([2e-6]),), (), np.ones(1))
    times = np.array([0.0, 1e-4, 1e-3, 1e-3, 5e-3])
    found = response(
        ports, np.zeros(1, np.int8), IdealDiode(), [[3e-6]], 1e-9, [[0.5]], times, tolerance=1e-8
    )
    expected = 1.5 - np.exp(-times * 2e-6 / 1e-9)
    assert found[:, 0, 0] == pytest.approx(expected, rel=3e-6)


def test_a_linear_network_follows_its_eigenvectors():
    one = specimen((5, 7, 6, 3), "none", dense=0.5)
    farads = np.random.default_rng(0).uniform(0.5e-9, 2e-9, one.network.free_nodes)
    times = np.linspace(0, 3e-9, 7)
    found = moved(one, IdealDiode(), farads, times, tolerance=1e-8)
    root = np.sqrt(farads)
    rates, vectors = np.linalg.eigh(matrix(one.ports) / np.outer(root, root))
    rest = np.linalg.solve(matrix(one.ports), one.amps.T).T
    modes = (-rest * root) @ vectors
    expected = rest + (np.exp(-np.outer(times, rates))[:, None, :] * modes) @ vectors.T / root
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(rest).max()


@pytest.mark.parametrize("law", LAWS[1:])
def test_it_agrees_with_an_independent_integrator(law):
    from scipy.integrate import solve_ivp

    one = specimen((6, 9, 4), "split", batch=1, volts=5.0)
    farads = np.random.default_rng(0).uniform(0.5, 2.0, one.network.free_nodes)
    times = np.linspace(0.0, 3.0, 7)

    def rate(_, volts):
        # Its trial steps go to volts at which a junction's current is not finite.
        off, _ = leaving(one, law, volts[None])
        return -np.clip(off[0], -1e4, 1e4) / farads

    reference = solve_ivp(
        rate, (0, 3), np.zeros(farads.size), "Radau", times, rtol=1e-10, atol=1e-10
    ).y.T
    found = moved(one, law, farads, times)[:, 0]
    assert np.abs(found - reference).max() <= 1e-4 * np.abs(reference).max()


@pytest.mark.parametrize("law", [JunctionDiode(ideality=20.0), IdealDiode()])
def test_the_step_is_of_second_order_and_its_error_estimate_of_third(law):
    one = specimen((5, 7, 3), "split" if isinstance(law, JunctionDiode) else "none", volts=1.0)
    count = one.network.free_nodes
    motion = Motion(
        one.ports, one.network.polarity, law, one.amps, np.full(count, 1e-9), np.zeros(count)
    )

    def run(steps):
        volts, slope = motion.begin(np.zeros_like(one.amps))
        for _ in range(steps):
            volts, slope, error = motion.step(volts, slope, 1e-9 / steps)
        return volts, np.abs(error).max()

    exact, _ = run(1280)
    coarse, fine = run(20), run(40)
    assert 3.6 < np.abs(coarse[0] - exact).max() / np.abs(fine[0] - exact).max() < 4.5
    assert 6 < coarse[1] / fine[1] < 10


@pytest.mark.parametrize("law", LAWS)
def test_it_ends_at_the_equilibrium(law):
    one = specimen((6, 9, 4), "split", volts=5.0)
    rest = settle(one.ports, one.network.polarity, law, one.amps)
    slowest = 1e-6 / min(float(own.min()) for own in one.ports.own)
    found = moved(one, law, 1e-6, [0.0, 100 * slowest])
    assert np.abs(found[-1] - rest).max() <= 1e-5 * np.abs(rest).max()
    at_once = moved(one, law, 0.0, [0.0, 1.0, 1.0])
    assert np.array_equal(at_once, np.broadcast_to(rest, at_once.shape))


def test_ideal_diodes_never_let_go_below_their_bias():
    one = specimen((6, 9, 4), "split", volts=5.0)
    polarity = one.network.polarity
    start = np.random.default_rng(0).normal(0, 3, one.amps.shape)
    found = moved(one, IdealDiode(0.2), 1e-9, np.linspace(0, 3e-9, 20), start)
    u = (polarity * found)[:, :, polarity != 0]
    assert (u >= 0.2).all()
    assert (u == 0.2).any()


def test_a_spring_of_opposite_sign_slows_and_clamped_outputs_stay():
    one = specimen((6, 9, 4), "none")
    targets = np.ones((3, 4))
    polarity, count = one.network.polarity, one.network.free_nodes
    free = time_constants(one.ports, polarity, IdealDiode(), 1e-9, np.zeros(count))
    siemens = np.zeros(count)
    siemens[one.network.output_slice] = -0.3
    pulled = time_constants(
        one.ports, polarity, IdealDiode(), 1e-9, np.zeros(count), siemens=siemens
    )
    assert pulled[0] > free[0]
    siemens[one.network.output_slice] = -100.0
    with pytest.raises(LimitError):
        time_constants(one.ports, polarity, IdealDiode(), 1e-9, np.zeros(count), siemens=siemens)
    options = one.pulled(np.inf, targets)
    found = moved(one, IdealDiode(), 1e-9, [0.0, 1e-9], **options)
    assert np.array_equal(found[:, :, one.network.output_slice], np.ones((2, 3, 4)))


@pytest.mark.parametrize("law", LAWS)
def test_small_changes_die_out_with_the_time_constants(law):
    one = specimen((6, 9, 4), "split", batch=1, volts=5.0)
    polarity = one.network.polarity
    rest = settle(one.ports, polarity, law, one.amps)
    seconds = time_constants(one.ports, polarity, law, 1e-9, rest[0])
    assert (np.diff(seconds) <= 0).all()
    pushed = rest.copy()
    pushed[:, one.network.output_slice] += 1e-6
    late = np.array([8.0, 9.0]) * seconds[0]
    found = moved(one, law, 1e-9, late, pushed, tolerance=1e-13)
    gone = np.abs(found - rest).max(axis=(1, 2))
    assert gone[0] / gone[1] == pytest.approx(np.e, rel=0.02)


def test_nodes_without_capacitance_follow_the_others():
    one = specimen((6, 9, 4), "split", volts=5.0)
    law = JunctionDiode()
    farads = np.full(one.network.free_nodes, 1e-9)
    farads[:9] = 0.0
    times = [0.0, 1e-10, 1e-9]
    found = moved(one, law, farads, times)
    for volts in found:
        off, scale = leaving(one, law, volts)
        assert np.all(np.abs(off[:, :9]) <= 1e-12 * scale[:, :9])
    assert np.array_equal(found[0, :, 9:], np.zeros((3, 4)))
    farads[:9] = 1e-15
    assert found[1:] == pytest.approx(moved(one, law, farads, times)[1:], rel=1e-4, abs=1e-4)


def test_wrong_input_is_refused():
    one = specimen()
    for wrong in ([0.0, -1.0], [2.0, 1.0], [np.nan]):
        with pytest.raises(BadInputError):
            moved(one, JunctionDiode(), 1e-9, wrong)
    with pytest.raises(BadInputError, match="farads"):
        moved(one, JunctionDiode(), -1e-9, [1.0])
    with pytest.raises(BadInputError, match="tolerance"):
        moved(one, JunctionDiode(), 1e-9, [1.0], tolerance=0.0)
    with pytest.raises(BadInputError, match="no finite current"):
        moved(one, JunctionDiode(), 1e-9, [1.0], np.full_like(one.amps, -500.0))
