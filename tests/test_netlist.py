"""The simulated network against an independent circuit simulator, ngspice, through our netlists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from circuits import programmed, simulated
from operating_points import needs_ngspice, operating_point

from hilep.errors import BadInputError
from hilep.network import Network
from hilep.simulators.circuit import rectifiers
from hilep.simulators.circuit.wiring import Wiring
from hilep.simulators.netlist import JunctionDiode, netlist, node_names


def phases(network: Network, generator: np.random.Generator):
    """Yield (what to tell the netlist, how to nudge the device) for each kind of nudge."""
    amps = generator.normal(0, 0.5, network.outputs)
    targets = generator.normal(0, 1, network.outputs)
    yield {}, lambda device: None
    yield {"amps": amps}, lambda device: device.nudge(amps)
    for siemens in (0.7, np.inf):
        yield (
            {"spring_siemens": siemens, "targets": targets},
            lambda device, s=siemens: device.nudge_spring(s, targets),
        )


@needs_ngspice
@pytest.mark.parametrize("bias", ["none", "current", "row"])
def test_a_linear_network_agrees_with_ngspice(bias):
    """Resistors only, every kind of nudge: to 1e-9 of the largest voltage."""
    network = Network((6, 5, 4, 3), "none", bias, bias_v=1.5)
    generator = np.random.default_rng(1)
    device = simulated(network)
    conductances, currents = programmed(network, generator, device, zeros=0.2)
    x = generator.normal(0, 6, 6)
    for told, nudge in phases(network, generator):
        device.clamp(x)
        nudge(device)
        ours = device.read().mean
        text = netlist(network, conductances, currents, x, **told)
        theirs = operating_point(text, node_names(network))
        np.testing.assert_allclose(ours, theirs, atol=1e-9 * np.abs(theirs).max(), rtol=0)


@needs_ngspice
@pytest.mark.parametrize(
    ("layers", "diodes"),
    [((6, 5, 3), "relu"), ((6, 5, 4, 3), "split"), ((40, 30, 10), "split")],
    ids=str,
)
def test_the_ideal_diode_is_the_limit_of_ngspices_junctions(layers, diodes):
    """The difference is proportional to the junction's ideality: tenfold less for a tenth."""
    network = Network(layers, diodes, "current")
    device = simulated(network)
    for seed in range(100):
        generator = np.random.default_rng(seed)
        conductances, currents = programmed(network, generator, device)
        x = generator.normal(0, 6, layers[0])
        hidden = device.read_batch(x[None]).mean[0, : network.output_slice.start]
        if 0.3 < (hidden == 0).mean() < 0.7:
            break
    else:
        raise AssertionError("no network in which some diodes conduct and some do not")
    for told, nudge in phases(network, generator):
        device.clamp(x)
        nudge(device)
        ours = device.read().mean
        off = []
        for ideality in (1e-2, 1e-3, 1e-4):
            text = netlist(
                network, conductances, currents, x, diode=JunctionDiode(ideality=ideality), **told
            )
            off.append(np.abs(operating_point(text, node_names(network)) - ours).max())
        assert off[0] < 0.02
        assert off[1] / off[0] == pytest.approx(0.1, rel=0.05)
        assert off[2] / off[1] == pytest.approx(0.1, rel=0.05)


@needs_ngspice
def test_a_silicon_junction_is_far_from_ideal_at_these_voltages():
    """At n = 1 a hidden node that rectifies is off by a junction's drop, 0.5 to 1 V."""
    network = Network((6, 5, 3), "relu", "none")
    generator = np.random.default_rng(3)
    device = simulated(network)
    conductances, _ = programmed(network, generator, device)
    x = generator.normal(0, 6, 6)
    device.clamp(x)
    theirs = operating_point(netlist(network, conductances, None, x), node_names(network))
    assert 0.4 < np.abs(theirs - device.read().mean).max() < 1.0


@needs_ngspice
def test_an_output_without_conductance_reads_0_volts_in_both():
    network = Network((2, 2), bias="none")
    g = np.array([[1.0, 0.0], [0.5, 0.0]])
    device = simulated(network, sweeps=1)
    device.program([g])
    device.clamp([3.0, 0.0])
    ours = device.read().mean
    theirs = operating_point(netlist(network, [g], None, [3.0, 0.0]), node_names(network))
    np.testing.assert_allclose(ours, [2.0, 0.0])
    np.testing.assert_allclose(theirs, ours, atol=1e-9)


def test_numbers_are_read_back_bit_for_bit():
    network = Network((2, 1), bias="none")
    g = np.array([[0.1 + 1e-17], [1 / 3]])
    lines = netlist(network, [g], None, [np.pi, -1e-300]).splitlines()
    values = [float(line.split()[-1]) for line in lines if line[0] in "VG"]
    assert values == [np.pi, -1e-300, g[0, 0], g[1, 0]]


def test_the_whole_circuit_is_written():
    """Lines, meters, springs, capacitances, amplifiers, bias sources and leaks, by name."""
    network = Network((1, 1, 1), "relu", "row", voltage_gain=2.0, current_gain=0.5)
    text = netlist(
        network,
        [np.full((3, 1), 0.5)] * 2,
        None,
        [1.0],
        wiring=Wiring(0.125, 0.25, 0.5, 8.0, 1e-9),
        diode=JunctionDiode(series_ohm=0.5, leakage_siemens=0.25, bias_v=0.5),
        spring_siemens=-0.25,
        targets=[1.0],
        analysis=".tran 1n 1u uic",
    )
    lines = text.splitlines()
    for line in (
        "Vx0 x0 0 DC 1.0",
        "Vbn bn 0 DC -1.0",
        "Vt0 t0 0 DC 1.0",
        "Gw0_0_0 x0 w0_0_0 x0 w0_0_0 1.6",
        "Gw1_0_0 a1_0 w1_0_0 a1_0 w1_0_0 8.0",
        "G1_0_0 w1_0_0 b1_0_0 w1_0_0 b1_0_0 0.5",
        "Gb0_2_0 b0_2_0 h1_0 b0_2_0 h1_0 4.0",
        "Gm_y0 y0 0 y0 0 0.125",
        "Gt0 t0 y0 t0 y0 -0.25",
        "Ea1_0 ea1_0 0 h1_0 0 2.0",
        "Vsa1_0 ea1_0 a1_0 DC 0",
        "Fa1_0 h1_0 0 Vsa1_0 0.5",
        "Vrp rp 0 DC 0.5",
        "D_h1_0 rp h1_0 rectifier",
        "Gl_h1_0 rp h1_0 rp h1_0 0.25",
        "C_h1_0 h1_0 0 1e-09",
    ):
        assert line in lines, line
    assert " RS=0.5)" in text
    assert lines[-2:] == [".tran 1n 1u uic", ".end"]


def test_junction_diodes_are_those_of_the_circuit():
    assert JunctionDiode is rectifiers.JunctionDiode


def test_the_thermal_voltage_is_ours():
    assert JunctionDiode().slope_v == pytest.approx(0.025852, rel=1e-4)
    assert JunctionDiode(ideality=2).slope_v == 2 * JunctionDiode().slope_v


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"inputs": [1.0]}, "inputs"),
        ({"inputs": [1.0, np.nan]}, "inputs"),
        ({"amps": [1.0, 2.0]}, "amps"),
        ({"spring_siemens": 1.0}, "spring"),
        ({"spring_siemens": 1.0, "targets": [0.0], "amps": [1.0]}, "both"),
        ({"title": "two\nlines"}, "title"),
        ({"bias_currents": [1.0, 2.0]}, "bias"),
        ({"conductances": [[[-1.0], [1.0]]]}, "window"),
        ({"analysis": "op"}, "analysis"),
        ({"analysis": ""}, "analysis"),
        ({"cell_law": object()}, "object"),
    ],
)
def test_bad_input_is_named(changes, told):
    given = {
        "conductances": [[[1.0], [1.0]]],
        "bias_currents": None,
        "inputs": [1.0, 2.0],
        **changes,
    }
    with pytest.raises(BadInputError, match=told):
        netlist(Network((2, 1), bias="none"), **given)


@pytest.mark.parametrize("wrong", [{"ideality": 0.0}, {"saturation_a": -1.0}, {"kelvin": np.inf}])
def test_a_diode_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(BadInputError, match="expected a finite number > 0"):
        JunctionDiode(**wrong)


def test_the_examples_of_the_page_run(capsys):
    page = Path(__file__).parent.parent / "docs" / "spice.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    space: dict[str, Any] = {}
    for block in blocks:
        exec(block, space)
    assert len(blocks) == 2
    assert "'h1_0', 'h1_1', 'h1_2', 'y0', 'y1'" in capsys.readouterr().out
    assert space["text"].count("\nG0_") == 12
