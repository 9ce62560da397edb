"""Cells over time and under single pulses: what was put into them comes back."""

import json

import numpy as np
import pytest
from command_line import settings

from hilep import backends
from hilep.calibration.calibrationfile import read
from hilep.calibration.measurepulses import measure_pulses
from hilep.calibration.measureretention import measure_retention
from hilep.calibration.pulsecurves import pulse_curves
from hilep.calibration.retention import retention
from hilep.cli import run
from hilep.config import validated
from hilep.errors import BadInputError, ConfigError, UnsupportedError
from hilep.measured import MeasuredDevice

WINDOW = {"layers": [12, 20, 6], "bias": "none", "g_min_siemens": 1e-6, "g_max_siemens": 1e-4}
AGES = [10.0, 100.0, 1000.0]


def device(cells, backend="simulated"):
    asked = validated(
        {"network": WINDOW, "device": {"backend": backend, "seed": 5, "cells": cells}}, "test"
    )
    crossbar = backends.crossbar(asked, asked.network.network())
    crossbar.program([np.full(shape, 5e-5) for shape in crossbar.network.shapes])
    return crossbar


def stuck(crossbar):
    return [np.zeros(shape, np.uint8) for shape in crossbar.network.shapes]


def aged(crossbar, ages=AGES, **options):
    generator = np.random.default_rng(1)
    return measure_retention(crossbar, ages, stuck(crossbar), generator=generator, **options)


def pulsed(crossbar, count=40, pulses=60):
    generator = np.random.default_rng(1)
    return measure_pulses(crossbar, count, pulses, stuck(crossbar), generator=generator)


# Retention ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["simulated", "circuit"])
def test_a_drift_comes_back_with_its_spread_and_reference(backend):
    """360 cells: mean within 4 standard errors, spread within 4 of its own, reference exactly."""
    found = aged(
        device({"drift_exponent": 0.06, "drift_spread": 0.01, "drift_reference_s": 2.0}, backend)
    )
    assert found.ages_s.tolist() == AGES
    assert abs(found.exponent - 0.06) < 4 * 0.01 / np.sqrt(360)
    assert found.exponent_low < found.exponent < found.exponent_high
    assert found.exponent_spread == pytest.approx(0.01, rel=4 / np.sqrt(720))
    assert found.reference_s == pytest.approx(2.0, rel=1e-6)
    assert found.power_law is True
    for layer in found.layers:
        kept = (np.array(AGES)[:, None, None] / 2.0) ** -layer.exponent
        np.testing.assert_allclose(layer.change, kept - 1, rtol=1e-5)


def test_what_leaks_away_is_no_power_law():
    found = aged(device({"retention_s": 300.0}))
    assert found.power_law is False
    kept = 1e-6 + (found.layers[0].siemens[0] - 1e-6) * np.exp(-100 / 300)
    np.testing.assert_allclose(found.layers[0].siemens[2], kept, rtol=1e-6)


def test_cells_that_keep_everything_have_no_exponent_and_no_reference():
    found = aged(device({"write_noise_relative": 0.1}))
    assert abs(found.exponent) < 1e-12
    assert np.isnan(found.reference_s)
    assert all((layer.change == 0).all() for layer in found.layers)


def test_intervals_of_a_change_hold_it_as_often_as_they_say():
    """2,000 cells, each with a noise of its own: 95 % within 4 standard errors."""
    generator = np.random.default_rng(2)
    true = generator.uniform(1e-5, 9e-5, (40, 50))
    means = np.stack([true, true * 0.9, true * 0.8])
    reads = means[:, None] + 2e-7 * generator.standard_normal((3, 3, 40, 50))
    [layer] = retention([reads], np.array([1.0, 10.0]), [np.ones((40, 50), bool)]).layers
    for change, low, high in zip((-0.1, -0.2), layer.change_low, layer.change_high, strict=True):
        held = np.mean((low < change) & (change < high))
        assert abs(held - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000)


def test_ages_that_do_not_grow_are_refused():
    ones = np.ones((3, 1, 2, 2))
    for ages in ([], [0.0, 1.0], [2.0, 1.0], [1.0]):
        with pytest.raises(BadInputError, match="ages that grow"):
            retention([ones], np.array(ages), [np.ones((2, 2), bool)])
    with pytest.raises(ConfigError, match="ages that grow"):
        validated({"calibration": {"conductance": True, "retention_s": [2.0, 1.0]}}, "test")
    with pytest.raises(ConfigError, match="need conductance = true"):
        validated({"calibration": {"retention_s": [2.0]}}, "test")
    with pytest.raises(BadInputError, match="wait: expected finite seconds"):
        device({"retention_s": 1.0}).wait(-1.0)


# Pulses -------------------------------------------------------------------------------------------

PULSES = {
    "pulses": 100, "pulse_nonlinearity_up": 2.0, "pulse_nonlinearity_down": -1.0,
    "pulse_asymmetry": 0.2,
}  # fmt: skip
NUMBERS = ("pulses", "nonlinearity_up", "nonlinearity_down", "asymmetry")


@pytest.mark.parametrize("backend", ["simulated", "circuit"])
def test_without_noise_the_model_comes_back(backend):
    found = pulsed(device({**PULSES, "programming": "pulses"}, backend), 5)
    for name in NUMBERS:
        assert getattr(found, name) == pytest.approx(PULSES.get(f"pulse_{name}", 100), rel=1e-6)
    assert found.cycle_noise < 1e-6
    up = found.siemens[60] - found.siemens[0]
    assert found.step_up_siemens == pytest.approx(up.mean() / 60)
    assert found.step_down_siemens == pytest.approx((found.siemens[60] - found.siemens[-1])[0] / 60)
    assert len(np.unique(found.cells, axis=0)) == 5


def test_with_noise_it_does_within_its_intervals():
    """Five 95 % intervals of 60 cells, at three times their half width: less than 1 of 10,000."""
    found = pulsed(device({**PULSES, "pulse_cycle_noise": 0.1, "pulse_device_spread": 0.1}), 60)
    truth = {name: PULSES.get(f"pulse_{name}", 100) for name in NUMBERS} | {"cycle_noise": 0.1}
    for name, true in truth.items():
        value, low, high = (getattr(found, name + end) for end in ("", "_low", "_high"))
        assert low < value < high
        assert abs(value - true) < 1.5 * (high - low), name
        assert high - low < 0.2 * abs(true), name


def test_a_cell_that_gave_up_or_stands_still_says_nothing():
    steps = np.repeat([1, -1], 4)
    rising = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1.0])
    given_up = rising.copy()
    given_up[3:] = np.nan
    siemens = np.stack([rising, given_up, np.full(9, 3.0)], axis=1)
    cells = np.array([[0, 0, k] for k in range(3)])
    found = pulse_curves(cells, steps, siemens, 0.0, 10.0)
    assert found.pulses == pytest.approx(10.0)
    assert found.asymmetry == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(found.pulses_low)
    none = pulse_curves(cells[1:], steps, siemens[:, 1:], 0.0, 10.0)
    assert np.isnan(none.pulses)


def test_what_cannot_be_pulsed_is_refused():
    with pytest.raises(UnsupportedError, match=r"cells\.pulses: not given"):
        pulsed(device({"write_noise_relative": 0.1}))
    with pytest.raises(UnsupportedError, match="gives no single pulses"):
        pulsed(device(None))
    crossbar = device(PULSES)
    for cells, words in (([[0, 12, 0]], r"no cell \[0, 12, 0\]"), ([[0, 1, 1]] * 2, "given twice")):
        with pytest.raises(BadInputError, match=words):
            crossbar.pulse_response(np.array(cells), np.array([1]))
    with pytest.raises(BadInputError, match=r"\+1 or -1"):
        crossbar.pulse_response(np.array([[0, 0, 0]]), np.array([2]))
    with pytest.raises(BadInputError, match="finite window"):
        pulse_curves(np.zeros((1, 3), int), np.ones(1), np.ones((2, 1)), 0.0, np.inf)


# Through the command ------------------------------------------------------------------------------


def test_the_command_measures_both_and_a_twin_has_them(tmp_path, capsys):
    values = {
        "device.sigma_v": "1e-4", "network.g_max_siemens": "1.0",
        "device.cells.pulses": "100.0", "device.cells.pulse_nonlinearity_up": "1.5",
        "device.cells.drift_exponent": "0.05", "device.cells.drift_reference_s": "3.0",
        "calibration.pairs": "20", "calibration.reads": "64", "calibration.conductance": "true",
        "calibration.retention_s": "[10.0, 100.0, 1000.0]", "calibration.pulse_curves": "6",
    }  # fmt: skip
    path, out = tmp_path / "small.toml", tmp_path / "cal.h5"
    path.write_text("")
    assert run(["calibrate", str(path), *settings(values), "--out", str(out), "--json"]) == 0
    assert not any("pulse" in x for x in json.loads(capsys.readouterr().out)["problems"])
    found = read(out).conductance
    assert found.retention.exponent == pytest.approx(0.05, rel=1e-3)
    assert found.curves.siemens.shape == (101, 6)
    keys = MeasuredDevice.load(out).cells
    assert keys["drift_exponent"] == pytest.approx(0.05, rel=1e-3)
    assert keys["drift_reference_s"] == pytest.approx(3.0, rel=1e-2)
    assert keys["pulses"] == pytest.approx(100, rel=1e-2)
    assert keys["pulse_nonlinearity_up"] == pytest.approx(1.5, rel=1e-2)
    network = {"layers": [4, 6, 2], "g_min_siemens": 0.02, "g_max_siemens": 1.0, "bias": "none"}
    asked = validated({"network": network, "device": {"twin_of": str(out)}}, "test")
    again = backends.crossbar(asked, asked.network.network())
    again.program([np.full(shape, 0.5) for shape in again.network.shapes])
    again.wait(300.0)
    kept = again.measure_conductances()[0]
    np.testing.assert_allclose(kept, 0.5 * 100**-0.05, rtol=2e-2)


def test_without_being_asked_for_they_are_absent(tmp_path):
    import h5py

    values = {
        "device.sigma_v": "1e-4", "network.g_max_siemens": "1.0", "calibration.pairs": "20",
        "calibration.reads": "64", "calibration.conductance": "true",
    }  # fmt: skip
    path, out = tmp_path / "small.toml", tmp_path / "cal.h5"
    path.write_text("")
    assert run(["calibrate", str(path), *settings(values), "--out", str(out), "--json"]) == 0
    with h5py.File(out) as file:
        assert "retention" not in file["conductance"]
        assert "curves" not in file["conductance"]
    assert read(out).conductance.retention is None
