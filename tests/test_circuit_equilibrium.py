"""The equilibrium of a circuit: Kirchhoff's law, limits, invariances, and errors that say where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from circuit_ports import leaving, matrix, specimen

from hilep.errors import BadInputError, LimitError, NotSettledError
from hilep.network import Network
from hilep.simulators.circuit import activeset
from hilep.simulators.circuit.equilibrium import settle
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.rectifiers import IdealDiode, JunctionDiode, PrecisionRectifier
from hilep.simulators.netlist import node_names
from hilep.testing.equilibrium import equilibrium

DEPTHS = [(5, 3), (6, 9, 4), (7, 11, 8, 5), (4, 6, 7, 8, 3)]
SMOOTH = [
    JunctionDiode(),
    JunctionDiode(1e-18, 1e-4),
    JunctionDiode(1e-6, 2.0, series_ohm=0.3, leakage_siemens=1e-3, bias_v=0.6),
    JunctionDiode(1e-15, 1.0, series_ohm=1e-9),
    PrecisionRectifier(0.1),
    PrecisionRectifier(1e-9, 1e-6, 1e-3, 0.2),
]


def solved(one, law, **options):
    options.setdefault("amps", one.amps)
    return settle(one.ports, one.network.polarity, law, options.pop("amps"), **options)


@pytest.mark.parametrize("spring", [0.0, 0.7, -0.1, np.inf])
@pytest.mark.parametrize("diodes", ["relu", "split", "none"])
@pytest.mark.parametrize("layers", DEPTHS)
def test_ideal_diodes_agree_with_the_direct_equilibrium(layers, diodes, spring):
    for bias in ("none", "current", "row"):
        one = specimen(layers, diodes, bias, seed=len(layers))
        targets = np.random.default_rng(1).normal(0, 1, (3, one.network.outputs))
        volts = solved(one, IdealDiode(), **one.pulled(spring, targets))
        for image in range(3):
            expected = equilibrium(
                one.network,
                one.conductances,
                one.bias,
                one.inputs[image],
                spring_siemens=spring,
                targets=targets[image],
            )
            assert np.abs(volts[image] - expected).max() <= 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("bias_v", [0.0, 0.4])
def test_a_held_node_is_exactly_at_its_bias(bias_v):
    one = specimen(diodes="split", batch=5)
    volts = solved(one, IdealDiode(bias_v))
    u = one.network.polarity * volts
    hidden = one.network.polarity != 0
    off = one.network.polarity * (volts @ matrix(one.ports) - one.amps)
    held = hidden & (u == bias_v)
    assert held.any()
    assert (off[held] >= 0).all()
    assert (u[:, hidden] >= bias_v).all()
    assert np.abs(off[~held]).max() <= 1e-13 * np.abs(one.amps).max()


def test_least_index_pivoting_finds_the_same_set(monkeypatch):
    one = specimen((7, 11, 8, 5), "split")
    expected = solved(one, IdealDiode())
    monkeypatch.setattr(activeset, "MOST_ROUNDS", 0)
    start = np.random.default_rng(0).normal(0, 3, one.amps.shape)
    assert solved(one, IdealDiode(), start=start) == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("dense", [0.0, 1.0])
@pytest.mark.parametrize("law", SMOOTH)
def test_kirchhoffs_law_holds_at_every_node(law, dense):
    for layers in DEPTHS:
        for volts in (0.3, 500.0):
            one = specimen(layers, volts=volts, dense=dense, seed=len(layers))
            found = solved(one, law)
            off, scale = leaving(one, law, found)
            # What the rounding of a volt changes in a rectifier's current, at a corner too.
            u = one.network.polarity * found
            ulp = 1e-15 * (np.abs(u) + abs(law.corner_v))
            steep = np.where(one.network.polarity != 0, law.current(u - ulp)[1], 0.0)
            assert np.all(np.abs(off) <= 2e-13 * scale + steep * ulp)


def test_a_single_junction_agrees_with_bracketing():
    from scipy.optimize import brentq

    law = JunctionDiode(1e-12, 1.3, series_ohm=5.0)
    ports = PortNetwork((np.array([0.02]),), (), np.ones(1))
    for inflow in (-0.3, -1e-5, 0.01):
        volts = settle(ports, np.array([1], np.int8), law, [[inflow]])

        def off(v, inflow=inflow):
            return 0.02 * v - inflow - float(law.current(np.array([v]))[0][0])

        expected = brentq(off, -500.0, 500.0, xtol=1e-15, rtol=1e-14)
        assert volts[0, 0] == pytest.approx(expected, rel=1e-12)


def test_ideality_and_on_resistance_towards_0_lead_to_ideal_diodes_in_proportion():
    one = specimen((7, 11, 8, 5), "split")
    ideal = solved(one, IdealDiode())

    def junction(ideality):
        return np.abs(solved(one, JunctionDiode(1e-12, ideality)) - ideal).max()

    def precision(ohms):
        return np.abs(solved(one, PrecisionRectifier(ohms)) - ideal).max()

    for gap in (junction, precision):
        assert 8 < gap(1e-3) / gap(1e-4) < 12


@pytest.mark.parametrize("law", [IdealDiode(), JunctionDiode()])
def test_a_linear_network_agrees_with_one_dense_solve(law):
    for dense in (0.0, 2.0):
        one = specimen((7, 11, 8, 5), "none", dense=dense)
        extra = np.random.default_rng(0).uniform(0, 1, one.network.free_nodes)
        expected = np.linalg.solve(matrix(one.ports) + np.diag(extra), one.amps.T).T
        found = solved(one, law, siemens=extra)
        assert found == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("law", [IdealDiode(0.1), *SMOOTH])
def test_weights_multiply_the_law_of_a_node(law):
    one = specimen((7, 11, 8, 5), "split", dense=0.5)
    siemens = np.full(one.network.free_nodes, 0.3)
    expected = solved(one, law, siemens=siemens)
    # The factor multiplies every term of every node's law, and so changes no voltage.
    factor = 7.0
    ports = PortNetwork(
        tuple(factor * own for own in one.ports.own),
        tuple(factor * joined for joined in one.ports.joined),
        factor * one.ports.weight,
    )
    found = settle(ports, one.network.polarity, law, factor * one.amps, siemens=siemens)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-11)


def test_weights_of_one_layer_scale_only_its_own_rectifiers():
    one = specimen((6, 9, 4), "relu")
    law = PrecisionRectifier(0.5)
    weight = np.ones(one.network.free_nodes)
    weight[:9] = 3.0
    heavier = replace(one, ports=replace(one.ports, weight=weight))
    # Three times the current of a rectifier of 0.5 ohm is one of a third of that.
    expected = solved(one, PrecisionRectifier(0.5 / 3))
    assert solved(heavier, law) == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("law", [IdealDiode(), *SMOOTH])
def test_batches_and_warm_starts_change_nothing(law):
    one = specimen((7, 11, 8, 5), "split", batch=6)
    together = solved(one, law)
    for image in range(6):
        alone = solved(one, law, amps=one.amps[image : image + 1])
        assert alone[0] == pytest.approx(together[image], rel=1e-11, abs=1e-12)
    generator = np.random.default_rng(2)
    for start in (together, generator.normal(0, 5, together.shape), np.zeros_like(together)):
        assert solved(one, law, start=start) == pytest.approx(together, rel=1e-11, abs=1e-12)
    assert solved(one, law, amps=one.amps[:0]).shape == (0, one.network.free_nodes)


def test_powers_of_two_scale_every_voltage_exactly():
    one = specimen((7, 11, 8, 5), "split")
    up, volt = 2.0**-20, 2.0**-9
    ports = PortNetwork(
        tuple(up * own for own in one.ports.own),
        tuple(up * joined for joined in one.ports.joined),
        one.ports.weight,
    )
    pairs = [
        (IdealDiode(0.25), IdealDiode(0.25 * volt)),
        (PrecisionRectifier(0.5, 0, 0.125), PrecisionRectifier(0.5 / up, 0, 0.125 * volt)),
        (JunctionDiode(1e-9, 1.0), JunctionDiode(1e-9 * up * volt, volt)),
    ]
    for law, scaled in pairs:
        found = settle(ports, one.network.polarity, scaled, up * volt * one.amps)
        assert np.array_equal(found, volt * solved(one, law))


@pytest.mark.parametrize("law", [IdealDiode(), JunctionDiode(), PrecisionRectifier()])
def test_clamped_outputs_stay_and_hidden_nodes_balance(law):
    one = specimen((7, 11, 8, 5), "split", dense=0.3)
    targets = np.random.default_rng(1).normal(0, 1, (3, 5))
    found = solved(one, law, **one.pulled(np.inf, targets))
    assert np.array_equal(found[:, one.network.output_slice], targets)
    almost = solved(one, law, **one.pulled(1e9, targets))
    assert found == pytest.approx(almost, rel=1e-6, abs=1e-6)


def cut_off(one, node):
    """The same ports with one output joined to nothing."""
    joined = one.ports.joined[-1].copy()
    lost = joined[:, node].copy()
    joined[:, node] = 0.0
    own = [block.copy() for block in one.ports.own]
    own[-2] -= lost
    own[-1][node] = 0.0
    return PortNetwork(tuple(own), (*one.ports.joined[:-1], joined), one.ports.weight)


@pytest.mark.parametrize("law", [IdealDiode(), JunctionDiode(), PrecisionRectifier()])
def test_a_node_that_nothing_joins_is_named(law):
    one = specimen()
    names = node_names(one.network)
    with pytest.raises(NotSettledError, match=r"y2\b"):
        settle(cut_off(one, 2), one.network.polarity, law, one.amps, names=names)


def test_a_group_of_nodes_that_floats_is_named():
    network = Network((2, 2, 1), diodes="none")
    # The second hidden node and the output are joined to each other and to nothing else.
    ports = PortNetwork(
        (np.array([1.0, 0.3]), np.array([0.3])), (np.array([[0.0], [0.3]]),), np.ones(3)
    )
    for amps in ([[1.0, 0.0, 0.0]], [[1.0, 0.1, 0.0]]):
        with pytest.raises(NotSettledError, match=r"h1_1|y0"):
            settle(ports, network.polarity, IdealDiode(), amps, names=node_names(network))
        with pytest.raises(NotSettledError, match=r"node [12]"):
            settle(ports, network.polarity, JunctionDiode(), amps)


def test_a_lone_hidden_node_is_where_its_rectifier_alone_puts_it():
    network = Network((2, 2, 1), diodes="relu")
    ports = PortNetwork(
        (np.array([1.0, 0.0]), np.array([0.4])), (np.array([[0.2], [0.0]]),), np.ones(3)
    )
    pulled, still = [[1.0, -1e-3, 0.0]], [[1.0, 0.0, 0.0]]
    held = settle(ports, network.polarity, IdealDiode(0.25), pulled)
    assert held[0, 1] == 0.25
    with pytest.raises(NotSettledError, match="h1_1"):
        settle(ports, network.polarity, IdealDiode(), still, names=node_names(network))
    diode = JunctionDiode(bias_v=0.5)
    assert settle(ports, network.polarity, diode, still)[0, 1] == 0.5
    carrying = settle(ports, network.polarity, diode, pulled)
    assert diode.current(carrying[:, 1])[0] == pytest.approx(1e-3, rel=1e-12)


@pytest.mark.parametrize("law", [IdealDiode(), JunctionDiode(), PrecisionRectifier()])
def test_a_negative_spring_without_equilibrium_names_the_output(law):
    one = specimen(diodes="none") if isinstance(law, IdealDiode) else specimen()
    siemens = np.zeros(one.network.free_nodes)
    total = float(one.ports.own[-1][1])
    names = node_names(one.network)
    for share in (0.999, 1.5):
        siemens[one.network.output_slice][1] = -share * total
        with pytest.raises(LimitError, match=r"y1\b"):
            solved(one, law, siemens=siemens, names=names)


def test_wrong_input_is_refused():
    one = specimen()
    bad = one.amps.copy()
    bad[1, 2] = np.nan
    for wrong in ({"amps": bad}, {"amps": one.amps[:, :-1]}, {"start": one.amps[:1]}):
        with pytest.raises(BadInputError):
            solved(one, JunctionDiode(), **wrong)
