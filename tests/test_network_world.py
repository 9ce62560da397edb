"""A crossbar as instruments meet it: the circuit's own voltages, and limits that limit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_worlds import clamp, conductances, free_volts, hold, network, world

from hilep.errors import BadInputError, FloatingNodeError, NotSettledError, UnsupportedError
from hilep.network import Network
from hilep.simulators.circuit.rectifiers import IdealDiode, JunctionDiode, PrecisionRectifier
from hilep.simulators.circuit.solver import CircuitSolver
from hilep.simulators.circuit.wiring import Wiring
from hilep.simulators.pull import Pull
from hilep.simulators.virtual.world import Drive, SwitchedWorld, World

RECTIFIERS = [
    IdealDiode(),
    IdealDiode(0.05),
    JunctionDiode(),
    JunctionDiode(bias_v=0.5, series_ohm=10.0),
    PrecisionRectifier(),
    PrecisionRectifier(10.0, 1e-7, 0.003),
]
WIRINGS = [Wiring(), Wiring(source_ohm=50.0, meter_ohm=1e7), Wiring(2.0, 3.0, 50.0, 1e9)]
GENERATOR = np.random.default_rng(0)


def state(made, names):
    return made.measure(names, 0.0, np.random.default_rng(0))


@pytest.mark.parametrize("rectifier", RECTIFIERS, ids=repr)
@pytest.mark.parametrize("wiring", WIRINGS, ids=["ideal", "sources", "lines"])
def test_driven_ideally_it_is_the_circuit(rectifier, wiring):
    of = network((5, 4, 6, 3))
    siemens = conductances(of)
    made = world(of, siemens, wiring=wiring, rectifier=rectifier)
    circuit = CircuitSolver(of, wiring, rectifier)
    circuit.load(siemens)
    generator = np.random.default_rng(2)
    for _ in range(5):
        volts = generator.uniform(-1, 1, of.inputs)
        amps = 1e-6 * generator.standard_normal(of.outputs)
        clamp(made, volts)
        for k, value in enumerate(amps):
            made.drive(f"y{k}", Drive("amps", value, 10.0))
        found = free_volts(made)
        expected = circuit.equilibrium(circuit.forward(volts[None]), Pull(amps[None]), None)[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_it_keeps_the_protocol():
    made = world(network())
    assert isinstance(made, World)
    assert isinstance(made, SwitchedWorld)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_every_source_is_at_its_level_or_at_its_limit(seed):
    """Wherever sources are and whatever they do, hidden nodes with ideal diodes included."""
    generator = np.random.default_rng(seed)
    of = network((3, 4, 2))
    made = world(of, conductances(of, seed), leakage_siemens=1e-13)
    names = ["x0", "x1", "x2", "bp", "bn", *(f"h1_{k}" for k in range(4)), "y0", "y1"]
    drives = {}
    for name in names:
        kind = str(generator.choice(["volts", "amps", "off"]))
        level = float(generator.normal()) * (1e-6 if kind == "amps" else 1.0)
        limit = float(10 ** generator.uniform(-7, -4)) if kind == "volts" else 0.5
        drives[name] = Drive(kind, level, limit)
        made.drive(name, drives[name])
    found = state(made, names)
    for k, name in enumerate(names):
        volts, amps, drive = found.volts[0, k], found.amps[0, k], drives[name]
        if drive.kind == "off":
            assert amps == 0
            assert not found.limited[k]
            continue
        held, other = (volts, amps) if drive.kind == "volts" else (amps, volts)
        assert abs(other) <= drive.limit * (1 + 1e-9)
        if found.limited[k]:
            # At its limit it still pushes towards its level.
            assert abs(other) == pytest.approx(drive.limit, rel=1e-9)
            assert np.sign(other) == np.sign(drive.level - held)
        else:
            assert held == pytest.approx(drive.level, rel=1e-9, abs=1e-18)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_currents_add_up_and_diodes_conduct_one_way(seed):
    generator = np.random.default_rng(seed)
    of = network((3, 4, 2), bias="none")
    siemens = conductances(of, seed)
    made = world(of, siemens)
    clamp(made, generator.uniform(-1, 1, 3))
    made.drive("y0", Drive("amps", 1e-6, 0.5))
    names = ["x0", "x1", "x2", "h1_0", "h1_1", "h1_2", "h1_3", "y0", "y1"]
    found = state(made, names)
    x, h, y = np.split(found.volts[0], [3, 7])
    through = siemens[0] * (x[:, None] - h)
    np.testing.assert_allclose(found.amps[0, :3], through.sum(1), rtol=1e-9, atol=1e-18)
    onward = siemens[1] * (h[:, None] - y)
    diodes = onward.sum(1) - through.sum(0)
    polarity = np.array([1, 1, -1, -1])
    assert (polarity * h >= -1e-15).all()
    assert (polarity * diodes >= -1e-15).all()
    assert np.minimum(np.abs(h), np.abs(diodes) * 1e5).max() < 1e-9
    np.testing.assert_allclose(onward.sum(0), [-1e-6, 0], atol=1e-17)


def test_an_input_without_a_source_floats():
    """It takes the mean of the nodes that its cells join it to."""
    of = network((3, 4, 2), "none", "none")
    siemens = conductances(of)
    made = world(of, siemens)
    hold(made, {"x0": 1.0, "x1": -0.5})
    made.drive("x2", Drive())
    found = state(made, ["x2", *(f"h1_{k}" for k in range(4))]).volts[0]
    assert found[0] == pytest.approx(found[1:] @ siemens[0][2] / siemens[0][2].sum(), rel=1e-9)


def test_what_nothing_joins_to_anything_is_at_zero():
    made = world(network(), leakage_siemens=1e-14, extra=("spare",))
    assert state(made, ["spare"]).volts[0, 0] == 0
    made.drive("spare", Drive("amps", 1e-9, 0.5))
    found = state(made, ["spare"])
    assert found.volts[0, 0] == 0.5
    assert found.limited[0]


def test_relays_join_and_part():
    of = network((3, 4, 2), "none", "none")
    siemens = conductances(of)
    made = world(of, siemens, extra=("program",), contact_ohm=1.0)
    made.join("program", "r0_1")
    made.join("ground", "c0_2")
    hold(made, {"program": 0.3})
    found = state(made, ["program", "x1", "h1_2"])
    assert found.volts[0, 1] == pytest.approx(0.3, abs=1e-5)
    assert found.volts[0, 2] == pytest.approx(0.0, abs=1e-5)
    made.part("program", "r0_1")
    assert state(made, ["program"]).amps[0, 0] == pytest.approx(0.0, abs=1e-15)


def test_a_parted_terminal_is_apart_until_its_relay_closes():
    of = network((3, 4, 2), "split", "none")
    siemens = conductances(of)
    parted = ("x0", "x1", "x2", "h1_0", "h1_1", "h1_2", "h1_3", "y0", "y1")
    made = world(of, siemens, parted=parted, contact_ohm=1e-3, leakage_siemens=1e-14)
    volts = [1.0, -0.5, 0.25]
    clamp(made, volts)
    assert not free_volts(made).any()
    for name in parted:
        made.join(name, f"{name} line")
    plain = world(of, siemens)
    clamp(plain, volts)
    np.testing.assert_allclose(free_volts(made), free_volts(plain), atol=1e-7)
    made.part("h1_1", "h1_1 line")
    # Two poles: a hidden node leaves its column and its row of the next array.
    assert state(made, ["h1_1"]).volts[0, 0] == 0
    assert free_volts(made)[4] != pytest.approx(free_volts(plain)[4], abs=1e-3)


def test_own_bias_sources_of_each_array_are_apart():
    of = network((3, 4, 2), "none", "row")
    made = world(of, conductances(of), shared_bias=False)
    clamped = {f"x{k}": 0.0 for k in range(3)} | {"bp0": 0.5, "bn0": -0.5, "bp1": 0.0, "bn1": 0.0}
    hold(made, clamped)
    before = free_volts(made)
    hold(made, {"bp1": 0.4})
    assert (free_volts(made)[4:] > before[4:]).all()
    with pytest.raises(BadInputError, match="bp"):
        made.drive("bp", Drive())


def test_rectifiers_need_their_supplies():
    of = network((2, 2, 1), "relu", "none")
    made = world(of, [np.full((2, 2), 5e-6), np.full((2, 1), 5e-6)], supplies=(("supply 0", 5.0),))
    clamp(made, [-1.0, -1.0])
    assert free_volts(made)[0] < -0.5
    hold(made, {"supply 0": 5.0})
    assert free_volts(made)[0] == 0
    assert state(made, ["supply 0"]).amps[0, 0] == pytest.approx(5e-4)
    hold(made, {"supply 0": 5.0}, limit=1e-4)
    assert free_volts(made)[0] < -0.5


def test_thermal_noise_is_that_of_the_resistance():
    """Nyquist: 4 k T R B with the bandwidth of a mean over the reading."""
    of = network((1, 1), bias="none")
    made = world(of, [np.full((1, 1), 1e-6)], kelvin=300.0)
    clamp(made, [0.1])
    read = made.measure(["y0", "x0"], 0.02, np.random.default_rng(3), 20_000).volts
    expected = math.sqrt(4 * 1.380649e-23 * 300 * 1e6 / (2 * 0.02))
    assert read[:, 0].std() == pytest.approx(expected, rel=0.02)
    assert (read[:, 1] == 0.1).all()


def test_settling_follows_the_slowest_node_and_happens_once():
    of = network((1, 1), bias="none")
    made = world(of, [np.full((1, 1), 1e-6)], wiring=Wiring(node_farads=1e-9))
    clamp(made, [0.1])
    assert made.settle() == pytest.approx(16 * 1e-9 / 1e-6)
    assert made.settle() == 0
    clamp(made, [0.2])
    assert made.settle() > 0


def test_contradictions_and_floating_nodes_are_named():
    of = network((2, 2, 1), "relu", "none")
    made = world(of, conductances(of), rectifier=IdealDiode(0.6))
    clamp(made, [0.0, 0.0])
    with pytest.raises(NotSettledError, match="h1_0"):
        made.drive("h1_0", Drive("amps", 0.0, 0.5))
    alone = world(of, [np.zeros(s) + 1e-7 for s in of.shapes], leakage_siemens=0.0, extra=("z",))
    with pytest.raises((NotSettledError, FloatingNodeError), match="z"):
        state(alone, ["z"])


def test_networks_that_no_bench_has_are_refused():
    for more in ({"bias": "current"}, {"bias": "none", "voltage_gain": 2.0}):
        of = Network((2, 2, 1), **more)
        with pytest.raises(UnsupportedError):
            world(of)
    with pytest.raises(BadInputError, match="x9"):
        world(network(), parted=("x9",))
    with pytest.raises(BadInputError, match="nowhere"):
        world(network()).drive("nowhere", Drive())
