"""Conductances set by a voltage: the map, its inverse, its ends, and the role that uses it."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilep.errors import BadInputError
from hilep.instruments.acquisition import Acquisition
from hilep.instruments.directmap import CellMaps, ConductanceMap
from hilep.instruments.directprogramming import DirectProgrammer
from hilep.instruments.errors import RangeLimitError
from hilep.instruments.programsections import DirectProgram
from hilep.instruments.roles import ConductanceProgrammer
from hilep.instruments.status import COMPLIANCE

STEPS = st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=12)


@given(volts=STEPS, siemens=STEPS, falling=st.booleans(), data=st.data())
@settings(deadline=None, max_examples=60)
def test_the_inverse_returns_what_was_asked_whatever_monotone_points_there_are(
    volts, siemens, falling, data
):
    count = min(len(volts), len(siemens))
    points = 1e-6 * (1 + np.cumsum([0, *siemens[:count]]))
    curve = ConductanceMap(np.cumsum([-1, *volts[:count]]), points[::-1] if falling else points)
    low, high = curve.window
    share = data.draw(st.floats(0, 1))
    asked = np.array([low, low + share * (high - low), high])
    found = curve.siemens_at(curve.volts_at(asked))
    np.testing.assert_allclose(found, asked, rtol=1e-12)
    at = np.linspace(curve.volts[0], curve.volts[-1], 100)
    steps = np.diff(curve.siemens_at(at)) * (-1 if falling else 1)
    assert steps.min() >= -1e-12 * high


def test_points_are_met_exactly_and_a_straight_line_stays_one():
    curve = ConductanceMap([0.0, 0.5, 2.0], [1e-6, 4e-6, 5e-6])
    np.testing.assert_array_equal(curve.siemens_at(curve.volts), curve.siemens)
    np.testing.assert_allclose(curve.volts_at(curve.siemens), curve.volts, atol=1e-12)
    line = ConductanceMap([0.0, 1.0, 3.0], [1e-6, 2e-6, 4e-6])
    np.testing.assert_allclose(line.siemens_at(2.2), 3.2e-6, rtol=1e-12)
    np.testing.assert_allclose(line.resolution([0.3, 2.9], 1e-3), 1e-9, rtol=1e-9)


@pytest.mark.parametrize("asked", [0.9e-6, 5.1e-6, np.nan, -1.0])
def test_beyond_what_was_calibrated_is_refused(asked):
    curve = ConductanceMap([0.0, 2.0], [1e-6, 5e-6])
    with pytest.raises(RangeLimitError, match=r"expected 1e-06 to 5e-06 S"):
        curve.volts_at([2e-6, asked])
    with pytest.raises(RangeLimitError, match="expected 0 to 2 V"):
        curve.siemens_at(2.1)
    with pytest.raises(RangeLimitError, match="cell 2, 3 of layer 1"):
        CellMaps(curve).volts_at([[0, 0, 0], [1, 2, 3]], [2e-6, asked])


@pytest.mark.parametrize(
    ("volts", "siemens"),
    [([0.0], [1e-6]), ([0, 0], [1, 2]), ([0, 1, 2], [1, 3, 2]), ([0, 1], [1, 1]), ([0, 1], [1])],
)
def test_points_that_are_no_monotone_curve_are_refused(volts, siemens):
    with pytest.raises(BadInputError, match="map"):
        ConductanceMap(volts, siemens)


def test_each_cell_may_have_a_map_of_its_own():
    first, second = ConductanceMap([0, 1], [1e-6, 2e-6]), ConductanceMap([0, 1], [4e-6, 2e-6])
    maps = CellMaps([[[first, second]]])
    cells = np.array([[0, 0, 1], [0, 0, 0]])
    np.testing.assert_allclose(maps.volts_at(cells, [3e-6, 1.5e-6]), [0.5, 0.5])
    np.testing.assert_allclose(maps.siemens_at(cells, [1.0, 1.0]), [2e-6, 2e-6])


class FakeSource:
    """An SMU whose levels come in steps, and which may be at its limit."""

    identity = SimpleNamespace(maker="m", model="smu", serial="1", firmware="1")

    def __init__(self, step_v):
        self.step_v = step_v
        self.levels, self.limited, self.messages = {}, set(), []
        self.channels = {
            c: SimpleNamespace(setup=None, source_voltage=self._made(c), on=lambda: None)
            for c in "ab"
        }

    def _made(self, channel):
        def source_voltage(limit_a, *, range_v):
            self.messages.append("configure")
            self.channels[channel].setup = SimpleNamespace(source=SimpleNamespace(step=self.step_v))

        return source_voltage

    def apply(self, levels):
        self.messages.append("apply")
        if any(0 < abs(v) < 0.5 * self.step_v for v in levels.values()):
            raise RangeLimitError("below the resolution")
        self.levels |= {c: round(v / self.step_v) * self.step_v for c, v in levels.items()}
        return {c: self.levels[c] for c in levels}

    def acquire(self, samples, channels):
        self.messages.append("read")
        shape = (samples, len(channels))
        status = np.array([[COMPLIANCE * (c in self.limited) for c in channels]], np.uint8)
        nothing = np.full(shape, np.nan)
        return Acquisition(tuple(channels), nothing, nothing, nothing, status)

    def safe(self):
        for channel in self.channels.values():
            channel.setup = None


class FakeOutputs:
    """Analog outputs."""

    def __init__(self):
        self.configured = []

    def configure_outputs(self, limits):
        self.limits = dict(limits)
        self.configured.append(dict(limits))

    def apply(self, levels):
        self.levels = dict(levels)


def direct(step_v=1e-4, outputs=False):
    section = DirectProgram.model_validate(
        {
            "kind": "direct",
            "cells": [[["x.a", "x.b"]]],
            "map": {"volts": [0.0, 1.0, 2.0], "siemens": [1e-6, 2e-6, 5e-6]},
            "max_v": 2.0,
            "range_v": 2.0,
            "limit_a": None if outputs else 1e-3,
            "tolerance": 0.01,
        }
    )
    source = FakeOutputs() if outputs else FakeSource(step_v)
    return source, DirectProgrammer(section, {"x": source})


CELLS = np.array([[0, 0, 0], [0, 0, 1]])


def test_a_conductance_within_half_a_step_of_zero_volts_goes_there():
    source, programmer = direct(0.1)
    report = programmer.program(CELLS, np.array([1e-6 + 1e-12, 1e-6 + 1e-9]), 1e-4)
    assert source.levels == {"a": 0.0, "b": 0.0}
    np.testing.assert_allclose(report.siemens, 1e-6, rtol=1e-12)
    np.testing.assert_array_equal(report.failed, [False, True])


def test_one_message_sets_all_cells_and_the_step_of_the_source_is_in_the_report():
    source, programmer = direct(0.1)
    assert isinstance(programmer, ConductanceProgrammer)
    asked = np.array([1.33e-6, 4e-6])
    report = programmer.program(CELLS, asked, 0.01)
    assert source.messages == ["configure", "configure", "apply", "read"]
    curve = programmer.maps.of(0, 0, 0)
    achieved = curve.siemens_at([source.levels["a"], source.levels["b"]])
    np.testing.assert_array_equal(report.siemens, achieved)
    np.testing.assert_array_equal(report.failed, np.abs(achieved / asked - 1) > 0.01)
    assert report.failed.any()
    fine = direct(1e-6)[1].program(CELLS, asked, 0.01)
    assert not fine.failed.any()


def test_a_source_at_its_limit_is_a_failed_cell_and_safe_needs_a_new_configuration():
    source, programmer = direct()
    source.limited = {"b"}
    report = programmer.program(CELLS, np.array([2e-6, 3e-6]), 0.01)
    np.testing.assert_array_equal(report.failed, [False, True])
    programmer.safe()
    source.messages.clear()
    programmer.program(CELLS[:1], np.array([2e-6]), 0.01)
    assert source.messages == ["configure", "configure", "apply", "read"]


def test_beyond_the_map_nothing_is_sent():
    source, programmer = direct()
    with pytest.raises(RangeLimitError, match="cell 0, 1 of layer 0"):
        programmer.program(CELLS, np.array([2e-6, 6e-6]), 0.01)
    assert source.messages == []


def test_analog_outputs_are_taken_into_use_once_with_their_limits():
    source, programmer = direct(outputs=True)
    for _ in range(2):
        report = programmer.program(CELLS, np.array([2e-6, 3e-6]), 0.01)
        assert not report.failed.any()
    assert source.configured == [{"a": 2.0, "b": 2.0}]
    assert source.levels["a"] == pytest.approx(1.0)
