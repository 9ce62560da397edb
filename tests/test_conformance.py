"""The conformance suite against the simulated crossbar, and against devices broken on purpose."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from hilep import kirchhoff
from hilep.backends import Relaxation
from hilep.crossbar import Crossbar
from hilep.network import Network
from hilep.simulators.backend import SIMULATED
from hilep.simulators.ideal import SimulatedCrossbar
from hilep.testing import CrossbarLaws, equilibrium


class Simulated(CrossbarLaws):
    """The simulated backend through its entry point, relaxed until it is at equilibrium."""

    options: ClassVar[dict[str, Any]] = {}

    def build(self, network: Network) -> Crossbar:
        keys = {"precision": "float64", "sigma_v": self.sigma_v, **self.options}
        options = SIMULATED.options.model_validate(keys)
        return SIMULATED.build(network, options, Relaxation(None, 1e-12))


class TestFast(Simulated):
    options: ClassVar[dict[str, Any]] = {"solver": "fast"}
    gains = ((1.0, 1.0), (4.0, 0.25))


class TestReference(Simulated):
    options: ClassVar[dict[str, Any]] = {"solver": "reference"}
    layers = ((5, 4, 3), (3, 2))
    gains = ((2.0, 0.75), (1.0, 1.0))


class TestFastWithNoise(Simulated):
    options: ClassVar[dict[str, Any]] = {"solver": "fast", "seed": 7}
    sigma_v = 1e-3


class TestReferenceWithNoise(Simulated):
    options: ClassVar[dict[str, Any]] = {"solver": "reference", "seed": 8, "clamped_noise": True}
    sigma_v = 1e-3
    layers = ((4, 4, 2),)


class TestSinglePrecisionAtTheScaleOfThePaper(Simulated):
    options: ClassVar[dict[str, Any]] = {"solver": "fast", "precision": "float32"}
    volts = 500.0
    siemens = 1.0
    sigma_v = 0.1
    tolerance = 2e-6
    conductance_tolerance = 1e-6


class TestSinglePrecisionReference(Simulated):
    options: ClassVar[dict[str, Any]] = {"solver": "reference", "precision": "float32"}
    siemens = 0.1
    tolerance = 2e-6
    conductance_tolerance = 1e-6
    layers = ((4, 4, 2),)


class TestConverter(Simulated):
    """Sixteen bits over four times full scale, with noise of two steps as dither."""

    options: ClassVar[dict[str, Any]] = {
        "solver": "fast",
        "adc_bits": 16,
        "adc_range_v": 4.0,
        "sigma_v": 2 * 8.0 / 2**16,
    }
    sigma_v = 2 * 8.0 / 2**16 * 1.02
    tolerance = 8.0 / 2**16
    layers = ((6, 5, 3),)


class WithoutSpring(SimulatedCrossbar):
    """A device with the base class's own batch verbs and no spring, as a plain bench has."""

    has_spring = False
    nudge_spring = Crossbar.nudge_spring
    read_batch = Crossbar.read_batch
    free_and_nudged = Crossbar.free_and_nudged
    interleaved = Crossbar.interleaved
    update = Crossbar.update

    def state(self) -> dict[str, Any]:
        return {}


class Made(Simulated):
    """Some class of simulated crossbar."""

    made: ClassVar[type[SimulatedCrossbar]] = SimulatedCrossbar
    options: ClassVar[dict[str, Any]] = {"solver": "fast"}
    layers = ((6, 5, 3),)
    sigma_v = 1e-4
    reads = 200

    def build(self, network: Network) -> Crossbar:
        device = super().build(network)
        assert isinstance(device, SimulatedCrossbar)
        return self.made(network, device.noise, device.solver, None, 1e-12)


class TestPlainBench(Made):
    made = WithoutSpring


# Devices that break one law each --------------------------------------------------------------


class WrongSign(WithoutSpring):
    def nudge(self, amps):
        achieved = super().nudge(None if amps is None else -np.asarray(amps))
        return -achieved


class NoClip(SimulatedCrossbar):
    def update(self, blocks, next_volts=None):
        pending = list(blocks)
        for block in pending:
            self.solver.add(block, clip=False, next_inputs=None)
        return super().update([], next_volts)


class ClipsEveryBlock(SimulatedCrossbar):
    def update(self, blocks, next_volts=None):
        for block in blocks:
            report = super().update([block], next_volts)
        return report


class SharedNoise(WithoutSpring):
    def read(self, samples=1):
        volts = super().read(samples).volts
        noise = volts[:, :1] - volts[:, :1].mean()
        return type(super().read(1)).of_samples(volts.mean(axis=0) + noise)


class SameNoiseAgain(WithoutSpring):
    def read(self, samples=1):
        self.noise.restore(self.__dict__.setdefault("_again", self.noise.state()))
        return super().read(samples)


class KeepsNudge(WithoutSpring):
    def clamp(self, volts):
        pull = self._pull
        super().clamp(volts)
        self._pull = pull


class Stale(WithoutSpring):
    def program(self, conductances, bias_currents=None):
        before = self._drive, self._volts
        report = super().program(conductances, bias_currents)
        self._drive, self._volts = before
        return report


class Permuted(SimulatedCrossbar):
    def read_batch(self, volts, samples=1):
        return super().read_batch(np.asarray(volts)[::-1], samples)


class ForgetsN(SimulatedCrossbar):
    def read_batch(self, volts, samples=1):
        reading = super().read_batch(volts, 1)
        return type(reading)(reading.mean, samples)


class AimsElsewhere(SimulatedCrossbar):
    def free_and_nudged(self, volts, targets, nudging, samples=1, statistic="mean"):
        return super().free_and_nudged(
            volts, np.roll(targets, 1, axis=0), nudging, samples, statistic
        )


class CountsOnePortion(SimulatedCrossbar):
    def interleaved(self, volts, targets, nudging, samples, interleave, statistic="mean"):
        portion = max(1, samples // interleave)
        return super().interleaved(volts, targets, nudging, portion, 1, statistic)


class NudgesLessLater(WithoutSpring):
    def clamp(self, volts):
        super().clamp(volts)
        self._turns = 0

    def nudge(self, amps):
        achieved = super().nudge(amps)
        if amps is not None:
            super().nudge(achieved / (1.0 + self._turns // 2))
            self._turns += 1
        return achieved


class StaysNudged(WithoutSpring):
    def interleaved(self, volts, targets, nudging, samples, interleave, statistic="mean"):
        pair = super().interleaved(volts, targets, nudging, samples, interleave, statistic)
        if interleave > 1 and pair.amps is not None:
            self.nudge(pair.amps[-1])
        return pair


class MixesTheTurns(WithoutSpring):
    def interleaved(self, volts, targets, nudging, samples, interleave, statistic="mean"):
        pair = super().interleaved(volts, targets, nudging, samples, interleave, statistic)
        if interleave == 1 or pair.first.volts is None:
            return pair
        portion = samples // interleave
        first, second = pair.first.volts.copy(), pair.second.volts.copy()
        first[-portion:], second[-portion:] = pair.second.volts[-portion:], first[-portion:]
        both = (type(pair.first).of_samples(phase) for phase in (first, second))
        return type(pair)(pair.inputs, *both, pair.free_outputs, pair.amps)


class NeverSafe(SimulatedCrossbar):
    def safe(self):
        pass


class NoLimits(SimulatedCrossbar):
    def clamp(self, volts):
        super().clamp(np.clip(volts, -2.0, 2.0))


class ForgetsState(SimulatedCrossbar):
    def restore(self, state):
        pass


class HalfProgrammed(SimulatedCrossbar):
    def program(self, conductances, bias_currents=None):
        for own, new in zip(self.solver.conductances, conductances, strict=False):
            if np.shape(new) == own.shape:
                own[:] = new
        return super().program(conductances, bias_currents)


BROKEN = [
    (WrongSign, "test_an_output_follows_its_own_current"),
    (WrongSign, "test_a_nudge_current_moves_the_equilibrium"),
    (WrongSign, "test_a_pair_of_phases_is_what_the_default_reads"),
    (NoClip, "test_an_update_in_factors_is_its_dense_sum_clipped"),
    (ClipsEveryBlock, "test_blocks_are_summed_before_they_are_clipped"),
    (SharedNoise, "test_reads_are_independent"),
    (SameNoiseAgain, "test_reads_are_independent"),
    (KeepsNudge, "test_every_way_to_the_free_phase_is_the_same"),
    (Stale, "test_programming_between_reads_shows_in_the_next_one"),
    (Permuted, "test_a_batch_is_its_images_in_turn"),
    (ForgetsN, "test_the_mean_of_n_reads_is_worth_n"),
    (AimsElsewhere, "test_a_pair_of_phases_is_what_the_default_reads"),
    (CountsOnePortion, "test_portions_are_of_the_same_two_equilibria"),
    (NudgesLessLater, "test_portions_are_of_the_same_two_equilibria"),
    (StaysNudged, "test_portions_are_of_the_same_two_equilibria"),
    (MixesTheTurns, "test_portions_are_of_the_same_two_equilibria"),
    (NeverSafe, "test_safe_holds_until_the_next_clamp"),
    (NeverSafe, "test_leaving_the_context_makes_safe"),
    (NoLimits, "test_bad_input_volts_are_refused"),
    (ForgetsState, "test_reads_repeat_bit_for_bit_from_a_restored_state"),
    (HalfProgrammed, "test_conductances_of_another_shape_are_refused"),
]


@pytest.mark.parametrize(("device", "law"), BROKEN)
def test_a_broken_device_is_caught(device, law):
    specimen = type("Broken", (Made,), {"made": device})()
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(specimen, law)()


def test_more_noise_than_stated_is_caught():
    specimen = type("Broken", (Made,), {"sigma_v": 1e-4, "options": {"sigma_v": 1.5e-4}})()
    with pytest.raises(AssertionError):
        specimen.test_reads_spread_no_more_than_stated()


# The solver that the suite compares with ------------------------------------------------------


@pytest.mark.parametrize("layers", [(3, 2), (6, 5, 3), (8, 7, 6, 4)])
@pytest.mark.parametrize("bias", ["none", "current", "row"])
def test_the_exact_equilibrium_meets_every_condition(layers, bias):
    generator = np.random.default_rng(len(layers))
    network = Network(layers, "split", bias, bias_v=2.0)
    for _ in range(20):
        conductances = [generator.uniform(0.0, 1.0, shape) for shape in network.shapes]
        currents = generator.normal(size=network.free_nodes) if bias == "current" else None
        inputs = generator.normal(size=network.inputs)
        targets = generator.normal(size=network.outputs)
        for nudge in (
            {},
            {"amps": targets},
            {"spring_siemens": 3.0, "targets": targets},
            {"spring_siemens": np.inf, "targets": targets},
        ):
            volts = equilibrium(network, conductances, currents, inputs, **nudge)
            rows = {k: v[None] if k in ("amps", "targets") else v for k, v in nudge.items()}
            off = kirchhoff.residual(network, conductances, currents, inputs, volts, **rows)
            assert off.max() <= 1e-12
