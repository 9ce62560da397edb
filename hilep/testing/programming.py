"""Laws of programming: what was asked is achieved or reported, and bad values change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from hilep.crossbar import Crossbar
from hilep.errors import BadInputError, LimitError
from hilep.reading import ProgramReport
from hilep.testing.specimen import Specimen


def check_report(report: ProgramReport, device: Crossbar) -> None:
    """Check that a report speaks of this device's cells."""
    shapes = device.network.shapes
    assert isinstance(report, ProgramReport)
    assert 0 <= report.programmed <= sum(pre * post for pre, post in shapes)
    assert report.pulses >= 0
    for layer, row, column in report.failed:
        assert 0 <= layer < len(shapes)
        assert 0 <= row < shapes[layer][0]
        assert 0 <= column < shapes[layer][1]


class ProgrammingLaws(Specimen):
    """Laws of `program`, `conductances` and `bias_currents`."""

    def test_the_device_realises_the_network_it_was_built_for(self) -> None:
        """`network` is the one that was asked for, and the device describes itself."""
        for network in self.networks():
            with self.build(network) as device:
                assert device.network.layers == network.layers
                assert device.network.shapes == network.shapes
                assert np.array_equal(device.network.polarity, network.polarity)
                assert device.description

    def test_programmed_conductances_are_achieved_or_reported(self) -> None:
        """Every cell is as asked, within the accuracy of programming, or listed as failed."""
        for network in self.networks():
            generator = np.random.default_rng(1)
            with self.build(network) as device:
                for _ in range(2):
                    asked = self.draw_siemens(network, generator)
                    report = device.program(asked, self.draw_bias(network, generator))
                    check_report(report, device)
                    achieved = device.conductances()
                    assert [g.shape for g in achieved] == list(network.shapes)
                    for layer, (g, want) in enumerate(zip(achieved, asked, strict=True)):
                        off = np.abs(g - want) > self.siemens_allowance(want)
                        cells = {(layer, int(i), int(j)) for i, j in np.argwhere(off)}
                        assert cells <= set(report.failed), f"layer {layer} of {network.layers}"

    def test_what_a_device_reports_can_be_programmed_again(self) -> None:
        """Achieved conductances lie within the window, also at its ends: a resume programs them."""
        network = self.network()
        with self.build(network) as device:
            for end in (network.g_min_siemens, network.g_max_siemens):
                device.program([np.full(shape, end) for shape in network.shapes])
                achieved = [g.copy() for g in device.conductances()]
                for g in achieved:
                    assert g.min() >= network.g_min_siemens
                    assert g.max() <= network.g_max_siemens
                device.program(achieved)

    def test_a_conductance_outside_the_window_is_refused(self) -> None:
        """One cell above or below the window: a `LimitError`, and nothing has changed."""
        network = self.network()
        generator = np.random.default_rng(2)
        with self.programmed(network, generator) as device:
            device.clamp(self.draw_volts(network.inputs, generator))
            for wrong in (0.5 * network.g_min_siemens, 1.5 * network.g_max_siemens, -self.siemens):
                asked = self.draw_siemens(network, generator)
                asked[-1][-1, -1] = wrong
                with self.left_unchanged(device), pytest.raises(LimitError):
                    device.program(asked)

    def test_conductances_that_are_no_numbers_are_refused(self) -> None:
        """NaN, infinity and text: a `BadInputError`, and nothing has changed."""
        network = self.network()
        generator = np.random.default_rng(3)
        with self.programmed(network, generator) as device:
            device.clamp(self.draw_volts(network.inputs, generator))
            for wrong in (np.nan, np.inf):
                asked = self.draw_siemens(network, generator)
                asked[-1][0, 0] = wrong
                with self.left_unchanged(device), pytest.raises(BadInputError):
                    device.program(asked)
            words = [np.full(shape, "large") for shape in network.shapes]
            with self.left_unchanged(device), pytest.raises(BadInputError):
                device.program(words)

    def test_conductances_of_another_shape_are_refused(self) -> None:
        """Too few or too many layers, or a transposed one: refused, and nothing has changed."""
        for network in self.networks():
            generator = np.random.default_rng(4)
            with self.programmed(network, generator) as device:
                device.clamp(self.draw_volts(network.inputs, generator))
                asked = self.draw_siemens(network, generator)
                longer = np.concatenate([asked[0], asked[0][:1]])
                for wrong in (asked[:-1], [*asked, asked[-1]], [longer, *asked[1:]]):
                    with self.left_unchanged(device), pytest.raises(BadInputError):
                        device.program(wrong)

    def test_bias_currents_are_zero_at_first_and_stay_until_given_anew(self) -> None:
        """Bias currents: zero before any was given, then as given, kept by None."""
        for network in self.networks():
            if network.bias != "current":
                continue
            generator = np.random.default_rng(5)
            within = self.conductance_tolerance * self.siemens * self.volts
            with self.build(network) as device:
                device.program(self.draw_siemens(network, generator))
                assert device.bias_currents().shape == (network.free_nodes,)
                assert np.abs(device.bias_currents()).max() <= within
                asked = self.draw_amps(network.free_nodes, generator)
                for bias in (asked, None):
                    device.program(self.draw_siemens(network, generator), bias)
                    assert np.abs(device.bias_currents() - asked).max() <= within

    def test_bad_bias_currents_are_refused(self) -> None:
        """Another shape, a NaN, or any where the network has none: nothing has changed."""
        for network in self.networks():
            generator = np.random.default_rng(6)
            with self.programmed(network, generator) as device:
                device.clamp(self.draw_volts(network.inputs, generator))
                good = self.draw_amps(network.free_nodes, generator)
                wrong = [good[:-1], np.append(good[:-1], np.nan)]
                if network.bias != "current":
                    wrong.append(good)
                for bias in wrong:
                    asked = self.draw_siemens(network, generator)
                    with self.left_unchanged(device), pytest.raises(BadInputError):
                        device.program(asked, bias)

    def test_the_callers_arrays_stay_the_callers(self) -> None:
        """Writing to an array after it was given to a verb changes nothing on the device."""
        network = self.network()
        generator = np.random.default_rng(7)
        with self.build(network) as device:
            siemens = self.draw_siemens(network, generator)
            bias = self.draw_bias(network, generator)
            inputs = self.draw_volts(network.inputs, generator)
            amps = self.draw_amps(network.outputs, generator)
            device.program(siemens, bias)
            device.clamp(inputs)
            device.nudge(amps)
            with self.left_unchanged(device):
                given = [*siemens, inputs, amps] if bias is None else [*siemens, bias, inputs, amps]
                for array in given:
                    array *= -3.0
