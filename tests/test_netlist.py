"""The simulated network against an independent circuit simulator, ngspice, through our netlists."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from circuits import programmed, simulated

from hilep.errors import BadInputError
from hilep.network import Network
from hilep.simulators.netlist import JunctionDiode, netlist, node_names

needs_ngspice = pytest.mark.skipif(
    shutil.which("ngspice") is None, reason="needs ngspice (a Debian package) on the path"
)
TIGHT = ".options reltol=1e-10 abstol=1e-18 vntol=1e-12 gmin=1e-20 itl1=1000"


def operating_point(text: str, names: list[str]) -> np.ndarray:
    """Volts of `names` in ngspice's operating point."""
    wanted = "".join(f"print v({name})\n" for name in names)
    control = f"{TIGHT}\n.control\nset numdgt=15\nop\n{wanted}quit\n.endc\n.end"
    told = text.replace(".op\n.end", control)
    assert told != text
    done = subprocess.run(
        ["ngspice", "-b", "/dev/stdin"],
        input=told,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    pairs = (line.split("=") for line in done.stdout.splitlines() if line.startswith("v("))
    found = {name.strip()[2:-1]: float(value) for name, value in pairs}
    assert set(found) == set(names), done.stdout[-500:] + done.stderr[-500:]
    return np.array([found[name] for name in names])


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
