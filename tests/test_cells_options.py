"""The `[device.cells]` table: ideal unless told otherwise, every mistake one line."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from hilep.config import Section, first_error
from hilep.errors import BadInputError
from hilep.network import Network
from hilep.simulators.cells.ageing import Drift, Retention
from hilep.simulators.cells.cell import Cell
from hilep.simulators.cells.options import CellOptions, build
from hilep.simulators.cells.window import Window

WINDOWED = Network((5, 4, 3), g_min_siemens=1e-6, g_max_siemens=1e-4)
OPEN = Network((5, 4, 3))


class Device(Section):
    """A backend's keys with the table in them."""

    cells: CellOptions = CellOptions()


@pytest.mark.parametrize("network", [WINDOWED, OPEN])
def test_the_defaults_are_ideal_cells(network):
    options = CellOptions()
    bounds = network.g_min_siemens, network.g_max_siemens
    assert options.cell(network) == Cell(Window(*bounds, 0.0, 0.0, *bounds))
    assert options.ideal
    assert options.law is None
    assert options.thermal is None
    cells = build(network, options)
    generator = np.random.default_rng(0)
    asked = [generator.uniform(1e-6, 1e-4, shape) for shape in network.shapes]
    written = cells.write(asked)
    cells.advance(1e9)
    assert not written.failed.size
    for layer, want in enumerate(asked):
        np.testing.assert_array_equal(cells.siemens(layer), want)


def test_every_key_arrives_at_its_model():
    options = CellOptions.model_validate(
        {
            "g_min_siemens": 2e-6,
            "g_max_siemens": 9e-5,
            "g_min_spread": 0.01,
            "g_max_spread": 0.02,
            "levels": 32,
            "write_noise_siemens": 1e-8,
            "write_noise_relative": 0.03,
            "device_spread_relative": 0.04,
            "write_tolerance_siemens": 5e-8,
            "programming": "pulses",
            "pulses": 100,
            "pulse_nonlinearity_up": 1.0,
            "pulse_nonlinearity_down": 2.0,
            "pulse_asymmetry": 0.1,
            "pulse_cycle_noise": 0.2,
            "pulse_device_spread": 0.3,
            "pulse_nonlinearity_spread": 0.4,
            "stuck_low": 0.05,
            "stuck_high": 0.06,
            "stuck_low_siemens": 0.0,
            "stuck_high_siemens": 8e-5,
            "dead_rows": [[0, 1], [1, 2]],
            "dead_columns": 0.07,
            "drift_exponent": 0.05,
            "drift_spread": 0.01,
            "drift_reference_s": 20,
            "flicker_relative": 0.01,
            "flicker_octaves": 12,
            "flicker_period_s": 1e-3,
            "nonlinearity_v": 0.25,
            "read_s": 1e-3,
            "update_s": 0.5,
            "temperature_k": 77,
            "bandwidth_hz": 1e3,
        }
    )
    assert not options.ideal
    cell = options.cell(WINDOWED)
    assert cell.window == Window(2e-6, 9e-5, 0.01, 0.02, 1e-6, 1e-4)
    assert cell.levels is not None
    assert cell.levels.count == 32
    assert (cell.write_noise.siemens, cell.write_noise.relative) == (1e-8, 0.03)
    assert cell.write_gain.spread == 0.04
    assert cell.tolerance_siemens == 5e-8
    response = cell.pulses
    assert response is not None
    assert (response.pulses, response.asymmetry, response.cycle_noise) == (100, 0.1, 0.2)
    assert (response.nonlinearity_up, response.nonlinearity_down) == (1.0, 2.0)
    assert (response.device_spread, response.nonlinearity_spread) == (0.3, 0.4)
    faults = cell.faults
    assert (faults.stuck_low, faults.stuck_high) == (0.05, 0.06)
    assert (faults.low_siemens, faults.high_siemens) == (0.0, 8e-5)
    assert faults.dead_rows == [(0, 1), (1, 2)]
    assert faults.dead_columns == 0.07
    assert cell.ageing == Drift(0.05, 0.01, 20)
    assert cell.flicker is not None
    assert (cell.flicker.octaves, cell.flicker.period_s) == (12, 1e-3)
    assert options.law is not None
    assert options.law.volts == 0.25
    assert options.thermal is not None
    assert (options.thermal.kelvin, options.thermal.hertz) == (77, 1e3)
    assert (build(WINDOWED, options, 3).layers[1].ails[2] == 3).all()
    resting = CellOptions(retention_s=60.0)
    assert resting.cell(WINDOWED).ageing == Retention(60.0, 1e-6)


@pytest.mark.parametrize(
    "keys",
    [
        {"levels": 16},
        {"stuck_high": 0.01},
        {"programming": "pulses", "pulses": 100.0},
        {"g_max_spread": 0.1},
    ],
)
def test_models_that_need_an_upper_bound_refuse_a_window_without_one(keys):
    with pytest.raises(BadInputError, match="upper bound") as error:
        build(OPEN, CellOptions(**keys))
    assert "\n" not in str(error.value)
    assert f"device.cells.{list(keys)[-1]}" in str(error.value)
    build(OPEN, CellOptions(**keys, g_max_siemens=1e-4))
    build(WINDOWED, CellOptions(**keys))


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"level": 16}, "device.cells.level: unknown key"),
        ({"levels": 1}, "device.cells.levels"),
        ({"levels": "16"}, "device.cells.levels"),
        ({"write_noise_relative": -0.1}, "device.cells.write_noise_relative"),
        ({"write_noise_siemens": float("nan")}, "device.cells.write_noise_siemens"),
        ({"programming": "pulse"}, "device.cells.programming"),
        ({"programming": "pulses"}, "needs pulses"),
        ({"pulse_cycle_noise": 0.1}, "pulse_cycle_noise is given without pulses"),
        ({"retention_rest_siemens": 1e-6}, "given without retention_s"),
        ({"retention_s": 1.0, "drift_exponent": 0.1}, "not both"),
        ({"stuck_low": 0.7, "stuck_high": 0.7}, "more than 1"),
        ({"dead_rows": 2.0}, "device.cells.dead_rows"),
        ({"dead_rows": [[1]]}, "device.cells.dead_rows"),
        ({"pulse_asymmetry": 1.0, "pulses": 9.0}, "device.cells.pulse_asymmetry"),
        ({"flicker_octaves": 0}, "device.cells.flicker_octaves"),
        ({"bandwidth_hz": float("inf")}, "device.cells.bandwidth_hz"),
    ],
)
def test_a_wrong_key_or_value_is_one_line(keys, word):
    with pytest.raises(ValidationError) as error:
        Device.model_validate({"cells": keys})
    line = first_error(error.value, "device")
    assert word in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "keys",
    [
        {"g_min_siemens": 5e-7},
        {"g_max_siemens": 2e-4},
        {"g_min_siemens": 5e-5, "g_max_siemens": 5e-5},
        {"dead_rows": [[0, 5]]},
        {"dead_columns": [[2, 0]]},
    ],
)
def test_cells_that_the_network_has_no_place_for_are_refused(keys):
    with pytest.raises(BadInputError, match=r"device\.cells") as error:
        build(WINDOWED, CellOptions(**keys))
    assert "\n" not in str(error.value)


def test_what_healthy_cells_achieve_fits_the_network_whatever_their_spread():
    options = CellOptions(g_min_spread=0.5, g_max_spread=0.5, write_noise_relative=0.5)
    cells = build(WINDOWED, options, 5)
    for g in cells.write([np.full(shape, 5e-5) for shape in WINDOWED.shapes]).achieved:
        assert g.min() >= 1e-6
        assert g.max() <= 1e-4


def test_only_what_changes_conductances_makes_cells_other_than_ideal():
    assert CellOptions(
        read_s=1.0, nonlinearity_v=0.2, bandwidth_hz=1e3, drift_reference_s=9.0
    ).ideal
    for keys in ({"levels": 9}, {"drift_spread": 0.1}, {"dead_rows": [[0, 1]]}, {"stuck_low": 0.1}):
        assert not CellOptions(**keys).ideal
