"""Laws: virtual nodes with capacitance move as the circuit does, and readings are means of that."""

import numpy as np
import pytest
from network_worlds import clamp, conductances, free_volts, hold, network, world

from hilep.backends import Relaxation
from hilep.simulators.circuit.options import CIRCUIT
from hilep.simulators.circuit.rectifiers import IdealDiode, JunctionDiode, PrecisionRectifier
from hilep.simulators.circuit.wiring import Wiring
from hilep.simulators.virtual.world import Drive

FARADS = 1e-9
OF = network((4, 6, 3))
INPUTS = np.array([0.7, -0.4, 0.2, -0.6])
DRAWS = np.random.default_rng(0)
DIODES = {
    "ideal": (IdealDiode(), {}),
    "precision": (PrecisionRectifier(on_ohm=50.0, bias_v=0.01), {"on_ohm": 50.0, "bias_v": 0.01}),
    "junction": (
        JunctionDiode(saturation_a=1e-9, series_ohm=10.0),
        {"saturation_a": 1e-9, "series_ohm": 10.0},
    ),
}


def moving(of=OF, siemens=None, **around):
    """A world whose nodes take their time."""
    given = {"wiring": Wiring(node_farads=FARADS), "transients": True, **around}
    return world(of, conductances(of) if siemens is None else siemens, **given)


def circuit(of, kind, options, **wiring):
    """The same by the circuit of ports, which has no limits and no relays."""
    keys = {"nonlinearity": kind, "node_farads": FARADS, **wiring}
    if options:
        keys[kind] = options
    made = CIRCUIT.build(of, CIRCUIT.options.model_validate(keys), Relaxation())
    made.program(conductances(of))
    return made


@pytest.mark.parametrize("kind", DIODES)
def test_steps_are_those_of_the_circuit(kind):
    """After clamp and nudge, to a few 1e-5 of the step."""
    rectifier, options = DIODES[kind]
    made, device = moving(rectifier=rectifier), circuit(OF, kind, options)
    times = np.geomspace(1e-6, 3e-3, 30)
    clamp(made, np.zeros(4))
    made.clock.advance(1.0)
    device.clamp(np.zeros(4))
    device.read()
    names = [made.nodes.names[node] for node in made.nodes.free]
    for step in range(2):
        before = free_volts(made)
        if step:
            device.nudge([8e-7, -5e-7, 2e-7])
            for k, amps in enumerate([8e-7, -5e-7, 2e-7]):
                made.drive(f"y{k}", Drive("amps", amps, 1.0))
        else:
            clamp(made, INPUTS)
            device.clamp(INPUTS)
        expected = device.response(times)
        begins = np.repeat(times[:, None], len(names), axis=1)
        found = made.measure(names, 0.0, DRAWS, times.size, begins).volts
        size = np.abs(expected[-1] - before).max()
        assert size > 1e-3
        np.testing.assert_allclose(found, expected, atol=4e-5 * size)
        made.clock.advance(1.0)
        np.testing.assert_allclose(free_volts(made), device.read().mean, atol=1e-7)


def test_one_node_discharges_as_its_resistance_and_capacitance_say():
    """Two cells of 1 uS from sources to one node of 1 nF: 0.5 ms, exactly averaged."""
    of = network((2, 1), "none", "none")
    made = moving(of, [np.full((2, 1), 1e-6)])
    tau = FARADS / 2e-6
    hold(made, {"x0": 0.0, "x1": 0.0})
    made.clock.advance(1.0)
    hold(made, {"x0": 1.0})
    aperture = 2e-4
    begins = np.linspace(0, 5 * tau, 40)[:, None]
    found = made.measure(["y0"], aperture, DRAWS, 40, begins).volts
    decay = np.exp(-begins / tau) * -np.expm1(-aperture / tau) * tau / aperture
    np.testing.assert_allclose(found, 0.5 * (1 - decay), atol=2e-5)
    # What goes into the capacitor comes out of the sources.
    state = made.measure(["x0", "x1"], aperture, DRAWS, 1, np.zeros((1, 2)))
    mean = 0.5 * (1 - decay[0, 0])
    np.testing.assert_allclose(state.amps[0], [1e-6 * (1 - mean), -1e-6 * mean], rtol=1e-4)
    assert not state.limited.any()


def test_time_goes_on_between_readings_and_from_change_to_change():
    of = network((2, 1), "none", "none")
    made = moving(of, [np.full((2, 1), 1e-6)])
    tau, level, expected = FARADS / 2e-6, 0.0, 0.0
    hold(made, {"x0": 0.0, "x1": 0.0})
    generator = np.random.default_rng(4)
    for _ in range(20):
        wait, level = generator.uniform(0, 2 * tau), generator.uniform(-1, 1)
        hold(made, {"x0": level})
        made.clock.advance(wait)
        expected += (level / 2 - expected) * -np.expm1(-wait / tau)
        assert made.measure(["y0"], 0.0, DRAWS).volts[0, 0] == pytest.approx(expected, abs=5e-5)
        assert made.settle() == 0


def test_the_row_behind_a_source_is_a_second_time_constant():
    """A cell of 1 uS between 100 kohm with 0.2 nF and 1 nF: two constants from the circuit."""
    of = network((1, 1), "none", "none")
    siemens, source = 1e-6, 1e-5
    wiring = Wiring(node_farads=FARADS, source_ohm=1 / source, meter_ohm=1e7)
    made = moving(of, [np.full((1, 1), siemens)], wiring=wiring, source_farads=2e-10)
    hold(made, {"x0": 0.0})
    made.clock.advance(1.0)
    hold(made, {"x0": 1.0})
    admittance = np.array([[source + siemens, -siemens], [-siemens, siemens + 1e-7]])
    rates, modes = np.linalg.eig(admittance / np.array([[2e-10], [FARADS]]))
    rest = np.linalg.solve(admittance, [source, 0.0])
    parts = np.linalg.solve(modes, -rest)
    times = np.geomspace(1e-6, 1e-2, 30)
    expected = rest[1] + (modes[1] * parts * np.exp(-np.outer(times, rates))).sum(1)
    found = made.measure(["y0"], 0.0, DRAWS, 30, times[:, None]).volts[:, 0]
    np.testing.assert_allclose(found, expected, atol=4e-5)
    assert 1 / rates.max() < 0.05 / rates.min()


def test_an_ideal_diode_holds_its_node_only_once_it_is_there():
    """A hidden node that is pulled below its diode falls with its own constant, then stops."""
    of = network((1, 1, 1), "relu", "none")
    made = moving(of, [np.full((1, 1), 1e-6), np.full((1, 1), 1e-7)])
    hold(made, {"x0": 0.5})
    made.clock.advance(1.0)
    hold(made, {"x0": -0.5})
    times = np.linspace(0, 2e-3, 41)[:, None]
    volts = made.measure(["h1_0"], 0.0, DRAWS, 41, times).volts[:, 0]
    assert volts[0] == pytest.approx(0.5, rel=1e-3)
    assert (np.diff(volts) <= 1e-9).all()
    assert volts.min() > -1e-6
    # Half the way to -0.5 V, as if nothing held it, is where the diode is: ln 2 of 1 ms, nearly.
    there = times[np.argmax(volts < 1e-4), 0]
    assert there == pytest.approx(np.log(2) * 1e-3, rel=0.12)


def test_without_transients_nothing_of_them_is_there():
    made = world(OF, conductances(OF), wiring=Wiring(node_farads=FARADS))
    clamp(made, INPUTS)
    begins = np.zeros((1, 1))
    at_once = made.measure(["y0"], 0.0, DRAWS, 1, begins).volts
    made.clock.advance(1.0)
    np.testing.assert_array_equal(made.measure(["y0"], 0.0, DRAWS, 1, begins).volts, at_once)
