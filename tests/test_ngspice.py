"""The whole circuit against ngspice, at every node: two programs that share no formula."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import random_bias, random_conductances
from operating_points import needs_ngspice, operating_point

from hilep.network import Network
from hilep.simulators.cells.conduction import SinhLaw
from hilep.simulators.circuit.graph import circuit_graph
from hilep.simulators.circuit.nodal import solve
from hilep.simulators.circuit.rectifiers import IdealDiode, JunctionDiode, PrecisionRectifier
from hilep.simulators.circuit.wiring import Wiring
from hilep.simulators.netlist import netlist

pytestmark = needs_ngspice

CLOSE = 1e-11
"""Of the largest voltage of a free node. Nearly all differ by 1e-14 at most."""
NOMINAL = JunctionDiode()
BIASED = JunctionDiode(series_ohm=0.1, leakage_siemens=1e-3, bias_v=0.5)
CORNER = PrecisionRectifier(on_ohm=0.15 / np.pi, off_siemens=1e-3, offset_v=0.02, bias_v=0.1)
LINES = Wiring(word_ohm=0.01, bit_ohm=0.02, source_ohm=0.1, meter_ohm=100.0, node_farads=1e-9)


def difference(network: Network, *, scale=1.0, volts=5.0, phase=None, **told) -> float:
    """Largest difference of any node's volts in the two programs, over the largest of a free node.

    The first random network in which some rectifiers conduct and some do not; hidden nodes reach
    about `volts`.
    """
    rectifier = told.pop("diode", NOMINAL)
    for seed in range(100):
        generator = np.random.default_rng(seed)
        conductances = [scale * g for g in random_conductances(network, generator, zeros=0.1)]
        bias = random_bias(network, generator)
        x = generator.normal(0, volts * np.sqrt(network.inputs), network.inputs)
        nudge = {}
        if phase == "current":
            nudge["amps"] = scale * generator.normal(0, 1, network.outputs)
        elif phase is not None:
            targets = generator.normal(0, 1, network.outputs)
            nudge = {"spring_siemens": phase, "targets": targets}
        told_both = (network, conductances, bias, x)
        solution = solve(circuit_graph(*told_both, rectifier=rectifier, **nudge, **told))
        supplied = np.abs(solution.rectifier_amps)[network.polarity != 0]
        if 0.2 < (supplied > 0.1 * scale * volts).mean() < 0.8:
            break
    else:
        raise AssertionError("no network in which some rectifiers conduct and some do not")
    names = [name for name in solution.graph.nodes if name != "0"]
    ours = np.array([solution.volts_of(name) for name in names])
    theirs = operating_point(netlist(*told_both, diode=rectifier, **nudge, **told), names)
    return float(np.abs(ours - theirs).max() / np.abs(solution.free_volts).max())


def test_ngspices_thermal_voltage_is_ours():
    """A current through one diode of a known law: its volts say what n k T / q is."""
    for law in (NOMINAL, JunctionDiode(ideality=1.7, kelvin=345.0), JunctionDiode(kelvin=77.0)):
        text = netlist(
            Network((1, 1, 1), "relu", "current"),
            [[[0.0]], [[1.0]]],
            [-1e-3, 0.0],
            [0.0],
            diode=law,
        )
        volts = operating_point(text, ["h1_0"])[0]
        slope = -volts / np.log1p(1e-3 / law.saturation_a)
        assert slope == pytest.approx(law.slope_v, rel=1e-12)


@pytest.mark.parametrize("phase", [None, "current", 0.7, np.inf])
@pytest.mark.parametrize("layers", [(4, 3, 2), (8, 6, 4, 3), (20, 16, 5), (196, 128, 10)], ids=str)
def test_junctions_agree(layers, phase):
    for diodes in ("split", "relu"):
        assert difference(Network(layers, diodes, "current"), phase=phase) < CLOSE


@pytest.mark.parametrize("bias", ["none", "row"])
@pytest.mark.parametrize("diode", [NOMINAL, BIASED, CORNER], ids=["junction", "biased", "corner"])
@pytest.mark.parametrize("wiring", [Wiring(), LINES], ids=["ideal", "lines"])
@pytest.mark.parametrize("gains", [(1.0, 1.0), (3.0, 0.5)], ids=str)
@pytest.mark.parametrize("law", [None, SinhLaw(np.pi)], ids=["linear", "sinh"])
def test_every_element_agrees(bias, diode, wiring, gains, law):
    network = Network(
        (5, 4, 3, 2), "split", bias, voltage_gain=gains[0], current_gain=gains[1], bias_v=1.5
    )
    told = {"diode": diode, "wiring": wiring, "cell_law": law, "phase": "current"}
    assert difference(network, **told) < CLOSE


@pytest.mark.parametrize(
    "wiring",
    [Wiring(word_ohm=0.1), Wiring(bit_ohm=0.1), Wiring(source_ohm=0.1), Wiring(meter_ohm=2.0)],
    ids=str,
)
def test_each_resistance_alone_agrees(wiring):
    assert difference(Network((5, 4, 3), "split", "row"), wiring=wiring) < CLOSE


def test_larger_arrays_with_lines_agree():
    network = Network((64, 32, 10), "split", "row")
    wiring = Wiring(word_ohm=1e-3, bit_ohm=1e-3)
    assert difference(network, wiring=wiring, phase="current") < CLOSE


@pytest.mark.parametrize("diode", ["biased", "corner"])
def test_a_bench_of_microsiemens_agrees(diode):
    wiring = Wiring(1e4, 2e4, 1e5, 1e8)
    law = {
        "biased": JunctionDiode(
            saturation_a=1e-15, series_ohm=1e4, leakage_siemens=1e-9, bias_v=0.5
        ),
        "corner": PrecisionRectifier(on_ohm=1e4, off_siemens=1e-9, offset_v=1e-3),
    }[diode]
    network = Network((8, 6, 4), "split", "row")
    told = {"scale": 1e-6, "volts": 1.0, "phase": "current"}
    assert difference(network, wiring=wiring, diode=law, **told) < CLOSE


def test_ngspices_reverse_current_is_an_approximation():
    """Below -3 n k T / q ngspice has a cubic for the exponential: the most that we differ by."""
    network = Network((1, 1, 1), "relu", "current")
    law = JunctionDiode(saturation_a=1e-3)
    off = {}
    for slopes in (1.0, 2.9, 4.5, 100.0):
        volts = slopes * law.slope_v
        # The current through 1 S that leaves the node at `volts` if the law is Shockley's.
        amps = volts + law.saturation_a * -np.expm1(-slopes)
        told = (network, [[[1.0]], [[0.0]]], [amps, 0.0], [0.0])
        theirs = operating_point(netlist(*told, diode=law), ["h1_0"])[0]
        ours, _ = law.current(np.array([volts]))
        assert -ours[0] == pytest.approx(law.saturation_a * -np.expm1(-slopes), rel=1e-12)
        off[slopes] = abs(theirs - volts) / law.saturation_a
    assert max(off[1.0], off[2.9]) < 1e-12
    assert 0.001 < off[4.5] < 0.05
    assert off[100.0] < 2e-6


def test_ideal_diodes_are_the_limit_of_both_of_ngspices():
    """The error is proportional to the ideality, and to the resistance, over decades."""
    network = Network((20, 16, 5), "split", "current")
    generator = np.random.default_rng(5)
    conductances = random_conductances(network, generator)
    bias = random_bias(network, generator)
    x = generator.normal(0, 6, 20)
    exact = solve(circuit_graph(network, conductances, bias, x, rectifier=IdealDiode()))
    names = [name for name in exact.graph.nodes if name != "0"]
    ours = np.array([exact.volts_of(name) for name in names])
    decades = 10.0 ** -np.arange(1, 6)
    for laws in (
        [JunctionDiode(ideality=n) for n in decades],
        [PrecisionRectifier(on_ohm=ohm) for ohm in 0.1 * decades],
    ):
        errors = [
            np.abs(
                operating_point(netlist(network, conductances, bias, x, diode=law), names) - ours
            ).max()
            for law in laws
        ]
        ratios = np.array(errors[1:]) / np.array(errors[:-1])
        np.testing.assert_allclose(ratios[1:], 0.1, rtol=0.02)


def test_a_transient_is_run_where_asked():
    """From 0 V on, every capacitance carries the whole inflow: dV/dt = I / C."""
    network = Network((1, 1), bias="none")
    farads = 1e-6
    told = {"wiring": Wiring(node_farads=farads), "analysis": ".tran 1u 1m uic"}
    text = netlist(network, [[[1e-3]]], None, [2.0], **told)
    late = operating_point(text, ["y0"], analysis="tran 1u 1m uic")
    assert late[0] == pytest.approx(2.0 * -np.expm1(-1e-3 * 1e-3 / farads), rel=1e-3)
