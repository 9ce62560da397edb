"""Laws of phases in portions that take turns: the same two equilibria, as many reads of each."""

from __future__ import annotations

import numpy as np
import pytest

from hilep.arrays import Doubles
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError
from hilep.interleaving import portions
from hilep.nudging import Nudging
from hilep.reading import Contrast, Statistic
from hilep.testing.batches import BatchLaws
from hilep.testing.specimen import STANDARD_ERRORS

IMAGES = 2
TURNED: tuple[tuple[int, Statistic], ...] = ((2, "mean"), (3, "variance"), (4, "samples"))
"""Portions and the statistic asked for: balanced, odd, and more than one turn of each phase."""


class InterleavingLaws(BatchLaws):
    """Laws of `interleaved`, the device's own and the default."""

    def test_portions_are_of_the_same_two_equilibria(self) -> None:
        """With k portions both phases are those of one, from N reads each, for every nudging.

        A nudge current follows the free outputs in their first portion, so that noisy reads are
        compared with the equilibrium under the current achieved; those of a noiseless device agree
        with k = 1 as well.
        """
        network = self.network()
        generator = np.random.default_rng(55)
        with self.programmed(network, generator) as device:
            images = self.draw_volts((IMAGES, network.inputs), generator)
            aims = 0.25 * self.draw_volts((IMAGES, network.outputs), generator)
            for nudging in self.nudgings(device):
                one = device.interleaved(images, aims, nudging, self.reads, 1)
                self.check_turns(device, one, images, aims, nudging, 1)
                for interleave, statistic in TURNED:
                    own = device.interleaved(
                        images, aims, nudging, self.reads, interleave, statistic
                    )
                    self.check_turns(device, own, images, aims, nudging, interleave)
                    self.check_alike(own, one)
                    if statistic == "variance":
                        self.check_variances(own, f"{nudging}, {interleave} portions")
                    if statistic == "samples":
                        self.check_samples(own, f"{nudging}, {interleave} portions")
                default = Crossbar.interleaved(device, images, aims, nudging, self.reads, 2)
                self.check_turns(device, default, images, aims, nudging, 2)
                self.check_samples(default, f"{nudging}, the default")
                self.check_alike(default, one)

    def check_turns(
        self,
        device: Crossbar,
        contrast: Contrast,
        images: Doubles,
        aims: Doubles,
        nudging: Nudging,
        interleave: int,
    ) -> None:
        """Check form, counts, currents and voltages of two phases, and that no nudge is left."""
        network, what = device.network, f"{nudging}, {interleave} portions"
        assert self.off_by(contrast.inputs, images) <= self.tolerance * self.volts, what
        assert contrast.free_outputs.shape == aims.shape, what
        if nudging.kind == "current":
            # The outputs in the first portion differ from those in all of them by their noise.
            leading = portions(self.reads, interleave)[0]
            noise = STANDARD_ERRORS * self.sigma_v * (leading**-0.5 + self.reads**-0.5)
            strength = nudging.strengths[1]
            assert contrast.amps is not None, what
            off_by = self.off_by(contrast.amps, strength * (aims - contrast.free_outputs))
            allowed = self.tolerance * self.siemens * self.volts + abs(strength) * noise
            assert off_by <= allowed, what
        else:
            assert contrast.amps is None, what
        for strength, phase in zip(
            nudging.strengths, (contrast.first, contrast.second), strict=True
        ):
            true = self.turned(device, contrast, images, aims, nudging, strength)
            self.check_phase(network, contrast, phase, strength, true, what)
        off_by = self.off_by(self.read_mean(device), self.expected(device, images[-1]))
        assert off_by <= self.allowance(self.reads), f"{what}: a nudge is left"

    def turned(
        self,
        device: Crossbar,
        contrast: Contrast,
        images: Doubles,
        aims: Doubles,
        nudging: Nudging,
        strength: float,
    ) -> Doubles:
        """Return the true volts (batch, n_free) of a phase, given the currents achieved."""
        if contrast.amps is None:
            return self.phase(device, contrast, images, aims, nudging, strength)
        amps = contrast.amps * (strength / nudging.strengths[1])
        pairs = zip(images, amps, strict=True)
        return np.stack([self.expected(device, image, amps=i) for image, i in pairs])

    def test_more_portions_than_reads_are_refused(self) -> None:
        """0, -1 and N + 1 portions, or no reads, are refused, and nothing has changed."""
        network = self.network()
        generator = np.random.default_rng(56)
        with self.programmed(network, generator) as device:
            images = self.draw_volts((IMAGES, network.inputs), generator)
            aims = 0.25 * self.draw_volts((IMAGES, network.outputs), generator)
            nudging = Nudging("current", (0.0, 0.5 * self.siemens))
            device.clamp(images[0])
            device.nudge(self.draw_amps(network.outputs, generator))
            with self.left_unchanged(device):
                for samples, interleave in ((4, 0), (4, -1), (4, 5), (0, 1)):
                    with pytest.raises(BadInputError):
                        device.interleaved(images, aims, nudging, samples, interleave)
