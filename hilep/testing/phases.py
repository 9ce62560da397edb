"""Laws of clamp, nudge, read and safe as verbs: order, refusals, and what they leave behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hilep.errors import BadInputError, LimitError, UnsupportedError
from hilep.nudging import Nudging
from hilep.testing.specimen import Specimen

NO_COUNTS: tuple[Any, ...] = (0, -1, 1.5, True, float("nan"))


class PhaseLaws(Specimen):
    """Laws of the order of the verbs and of what each refuses."""

    def test_reading_needs_conductances_and_inputs(self) -> None:
        """`read` before `program`, or before `clamp`, is refused with a `BadInputError`."""
        network = self.network()
        generator = np.random.default_rng(21)
        with self.build(network) as device, pytest.raises(BadInputError):
            device.read()
        with self.programmed(network, generator) as device, pytest.raises(BadInputError):
            device.read()

    def test_a_count_of_reads_is_a_whole_number_above_zero(self) -> None:
        """0, -1, 1.5, True and NaN samples are refused, and nothing has changed."""
        network = self.network()
        generator = np.random.default_rng(22)
        with self.programmed(network, generator) as device:
            inputs = self.draw_volts(network.inputs, generator)
            aims = np.zeros((1, network.outputs))
            nudging = Nudging("current", (0.0, 0.5 * self.siemens))
            device.clamp(inputs)
            for samples in NO_COUNTS:
                with self.left_unchanged(device):
                    with pytest.raises(BadInputError):
                        device.read(samples)
                    with pytest.raises(BadInputError):
                        device.read_batch(inputs[None], samples)
                    with pytest.raises(BadInputError):
                        device.free_and_nudged(inputs[None], aims, nudging, samples)

    def test_bad_input_volts_are_refused(self) -> None:
        """Another shape, NaN, or beyond the limit: refused, with inputs and nudge as they were."""
        network = self.network()
        generator = np.random.default_rng(23)
        with self.programmed(network, generator) as device:
            good = self.draw_volts(network.inputs, generator)
            device.clamp(good)
            device.nudge(self.draw_amps(network.outputs, generator))
            for wrong in (good[:-1], np.append(good, 0.0), good[None], np.append(good[1:], np.nan)):
                with self.left_unchanged(device), pytest.raises(BadInputError):
                    device.clamp(wrong)
            for sign in (1.0, -1.0):
                beyond = np.append(good[1:], sign * 1.01 * network.voltage_limit_v)
                with self.left_unchanged(device), pytest.raises(LimitError):
                    device.clamp(beyond)

    def test_bad_nudge_currents_are_refused(self) -> None:
        """Another shape, NaN, or beyond the limit: refused, with the nudge as it was."""
        network = self.network()
        generator = np.random.default_rng(24)
        with self.programmed(network, generator) as device:
            good = self.draw_amps(network.outputs, generator)
            device.clamp(self.draw_volts(network.inputs, generator))
            device.nudge(good)
            for wrong in (good[:-1], np.append(good, 0.0), good[None], np.append(good[1:], np.nan)):
                with self.left_unchanged(device), pytest.raises(BadInputError):
                    device.nudge(wrong)
            for sign in (1.0, -1.0):
                beyond = np.append(good[1:], sign * 1.01 * network.current_limit_a)
                with self.left_unchanged(device), pytest.raises(LimitError):
                    device.nudge(beyond)

    def test_bad_springs_are_refused(self) -> None:
        """Without springs every one is refused; with them NaN siemens and bad targets are."""
        network = self.network()
        generator = np.random.default_rng(25)
        with self.programmed(network, generator) as device:
            good = self.draw_volts(network.outputs, generator)
            device.clamp(self.draw_volts(network.inputs, generator))
            if not device.has_spring:
                with self.left_unchanged(device), pytest.raises(UnsupportedError):
                    device.nudge_spring(self.siemens, good)
                return
            for siemens, targets in (
                (np.nan, good),
                (self.siemens, good[:-1]),
                (self.siemens, np.append(good[1:], np.nan)),
                (np.inf, np.append(good, 0.0)),
            ):
                with self.left_unchanged(device), pytest.raises(BadInputError):
                    device.nudge_spring(siemens, targets)

    def test_require_refuses_what_the_device_cannot_do(self) -> None:
        """Currents always pass `require`; springs and clamped outputs where `has_spring`."""
        with self.build(self.network()) as device:
            device.require(Nudging("current", (0.0, self.siemens)))
            for nudging in (
                Nudging("spring", (0.0, self.siemens)),
                Nudging("clamp", (0.0, float("inf"))),
            ):
                if device.has_spring:
                    device.require(nudging)
                else:
                    with pytest.raises(UnsupportedError):
                        device.require(nudging)

    def test_amplifiers_that_the_device_lacks_are_refused(self) -> None:
        """Gains other than 1 are refused by `build` or `require` unless `has_amplifiers`."""
        network = self.network(gains=(4.0, 0.25))
        nudging = Nudging("current", (0.0, self.siemens))
        try:
            device = self.build(network)
        except UnsupportedError:
            assert self.gains == ((1.0, 1.0),), "gains are claimed and refused"
            return
        with device:
            if device.has_amplifiers:
                device.require(nudging)
            else:
                assert self.gains == ((1.0, 1.0),), "gains are claimed and refused"
                with pytest.raises(UnsupportedError):
                    device.require(nudging)

    def test_safe_holds_until_the_next_clamp(self) -> None:
        """After `safe`, once or twice, reads are refused; a clamp brings the free phase back."""
        network = self.network()
        generator = np.random.default_rng(26)
        with self.build(network) as device:
            device.safe()
        with self.programmed(network, generator) as device:
            inputs = self.draw_volts(network.inputs, generator)
            device.clamp(inputs)
            device.nudge(self.draw_amps(network.outputs, generator))
            device.read()
            for _ in range(2):
                device.safe()
                with pytest.raises(BadInputError):
                    device.read()
            device.clamp(inputs)
            off_by = self.off_by(self.read_mean(device), self.expected(device, inputs))
            assert off_by <= self.allowance(self.reads)

    def test_leaving_the_context_makes_safe(self) -> None:
        """`with device:` calls `safe` on every way out and lets an exception pass."""
        network = self.network()
        generator = np.random.default_rng(27)
        device = self.build(network)
        with device as entered:
            assert entered is device
            device.program(self.draw_siemens(network, generator))
            device.clamp(self.draw_volts(network.inputs, generator))
            device.read()
        with pytest.raises(BadInputError):
            device.read()
        device.clamp(self.draw_volts(network.inputs, generator))
        device.read()
        with pytest.raises(ZeroDivisionError), device:
            raise ZeroDivisionError
        with pytest.raises(BadInputError):
            device.read()
