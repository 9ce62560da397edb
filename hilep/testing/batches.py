"""Laws of the batch verbs: what they give is what image by image gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from hilep.arrays import Doubles
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError, LimitError
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.reading import Contrast, Reading, Statistic
from hilep.testing.specimen import FALSE_ALARM, Specimen

BATCH = 3
STATISTICS: tuple[Statistic, ...] = ("mean", "variance", "samples")


class BatchLaws(Specimen):
    """Laws of `read_batch` and `free_and_nudged`."""

    def nudgings(self, device: Crossbar) -> Iterator[Nudging]:
        """Yield positive, negative and centred nudgings of each kind that the device has."""
        strong, weak = 0.5 * self.siemens, 0.25 * self.siemens
        for kind in ("current", "spring") if device.has_spring else ("current",):
            for strengths in ((0.0, strong), (0.0, -weak), (-weak, weak)):
                yield Nudging("spring" if kind == "spring" else "current", strengths)
        if device.has_spring:
            yield Nudging("clamp", (0.0, float("inf")))

    def test_a_batch_is_its_images_in_turn(self) -> None:
        """Row k of `read_batch` is the free phase of image k; N is counted; the default agrees."""
        for network in self.networks():
            generator = np.random.default_rng(51)
            with self.programmed(network, generator) as device:
                for size in (1, 4, 5):
                    images = self.draw_volts((size, network.inputs), generator)
                    true = np.stack([self.expected(device, image) for image in images])
                    for default in (False, True):
                        reading = (
                            Crossbar.read_batch(device, images, self.reads)
                            if default
                            else device.read_batch(images, self.reads)
                        )
                        assert reading.count == self.reads
                        assert reading.mean.shape == (size, network.free_nodes)
                        assert reading.mean.dtype == np.float64
                        assert self.off_by(reading.mean, true) <= self.allowance(self.reads)

    def test_a_pair_of_phases_is_what_the_default_reads(self) -> None:
        """Both phases of `free_and_nudged` are the equilibria that its nudging leads to.

        The device's own implementation and the default of the base class are held to the same:
        every kind and sign of nudging, every statistic. A nudge current follows the free outputs
        as they were read, so each phase is compared with the equilibrium under that very current.
        """
        for network in self.networks():
            generator = np.random.default_rng(52)
            with self.programmed(network, generator) as device:
                images = self.draw_volts((BATCH, network.inputs), generator)
                aims = 0.25 * self.draw_volts((BATCH, network.outputs), generator)
                for nudging in self.nudgings(device):
                    for statistic in STATISTICS:
                        own = device.free_and_nudged(images, aims, nudging, self.reads, statistic)
                        self.check_contrast(device, own, images, aims, nudging, statistic)
                    default = Crossbar.free_and_nudged(device, images, aims, nudging, self.reads)
                    self.check_contrast(device, default, images, aims, nudging, "samples")
                    self.check_alike(own, default)

    def check_alike(self, own: Contrast, default: Contrast) -> None:
        """Check that two contrasts differ by noise and tolerance alone."""
        off_by = self.off_by(own.free_outputs, default.free_outputs)
        assert off_by <= 2 * self.allowance(self.reads)
        assert self.off_by(own.inputs, default.inputs) <= self.tolerance * self.volts
        if self.sigma_v == 0:
            for a, b in ((own.first, default.first), (own.second, default.second)):
                assert self.off_by(a.mean, b.mean) <= 4 * self.tolerance * self.volts

    def check_contrast(
        self,
        device: Crossbar,
        contrast: Contrast,
        images: Doubles,
        aims: Doubles,
        nudging: Nudging,
        statistic: Statistic,
    ) -> None:
        """Check form, voltages and statistics of one pair of phases."""
        network, what = device.network, f"{nudging}, {statistic}"
        out = network.output_slice
        assert self.off_by(contrast.inputs, images) <= self.tolerance * self.volts, what
        assert contrast.free_outputs.shape == aims.shape, what
        free = np.stack([self.expected(device, image)[out] for image in images])
        assert self.off_by(contrast.free_outputs, free) <= self.allowance(self.reads), what
        for strength, phase in zip(
            nudging.strengths, (contrast.first, contrast.second), strict=True
        ):
            true = self.phase(device, contrast, images, aims, nudging, strength)
            self.check_phase(network, contrast, phase, strength, true, what)
        if nudging.kind == "current":
            assert contrast.amps is not None, what
            asked = nudging.strengths[1] * (aims - contrast.free_outputs)
            off_by = self.off_by(contrast.amps, asked)
            assert off_by <= self.tolerance * self.siemens * self.volts, what
        else:
            assert contrast.amps is None, what
        if statistic == "variance":
            self.check_variances(contrast, what)
        if statistic == "samples":
            self.check_samples(contrast, what)

    def check_phase(
        self,
        network: Network,
        contrast: Contrast,
        phase: Reading,
        strength: float,
        true: Doubles,
        what: str,
    ) -> None:
        """Check form, count and means of one phase of a contrast against the `true` volts."""
        assert phase.count == self.reads, what
        assert phase.mean.shape == (true.shape[0], network.free_nodes), what
        assert phase.mean.dtype == np.float64, what
        assert self.off_by(phase.mean, true) <= 2 * self.allowance(self.reads), what
        if strength == 0.0:
            free = phase.mean[:, network.output_slice]
            assert np.array_equal(free, contrast.free_outputs), what

    def phase(
        self,
        device: Crossbar,
        contrast: Contrast,
        images: Doubles,
        aims: Doubles,
        nudging: Nudging,
        strength: float,
    ) -> Doubles:
        """Return the true volts (batch, n_free) of a phase, given the free outputs as read."""
        if nudging.kind == "current":
            amps = strength * (aims - contrast.free_outputs)
            pairs = zip(images, amps, strict=True)
            return np.stack([self.expected(device, image, amps=i) for image, i in pairs])
        return np.stack(
            [
                self.expected(device, image, spring_siemens=strength, targets=aim)
                for image, aim in zip(images, aims, strict=True)
            ]
        )

    def check_variances(self, contrast: Contrast, what: str) -> None:
        """Check that both phases have the variance of their reads, at most sigma_v squared."""
        from scipy import stats

        freedom = self.reads - 1
        level = FALSE_ALARM / (1000 * contrast.first.mean.size)
        sigma = self.sigma_v * np.sqrt(stats.chi2.isf(level, freedom) / freedom)
        for phase in (contrast.first, contrast.second):
            assert phase.variance is not None, what
            assert phase.variance.shape == phase.mean.shape, what
            assert (phase.variance >= 0).all(), what
            spread = float(np.sqrt(phase.variance.max()))
            assert spread <= sigma + self.tolerance * self.volts, what

    def check_samples(self, contrast: Contrast, what: str) -> None:
        """Check that the blocks hold every sample once, in pairs, and belong to the means."""
        for _ in range(2):
            counts = [0, 0]
            sums = [np.zeros(contrast.first.mean.shape) for _ in counts]
            for pair in contrast.sample_blocks():
                for index, reading in enumerate(pair):
                    assert reading.volts is not None, what
                    assert reading.volts.shape == (reading.count, *sums[index].shape), what
                    counts[index] += reading.count
                    sums[index] += reading.volts.sum(axis=0)
            assert counts == [self.reads, self.reads], what
            for total, phase in zip(sums, (contrast.first, contrast.second), strict=True):
                rounding = 1e-12 * (np.abs(phase.mean).max() + self.sigma_v)
                assert self.off_by(total / self.reads, phase.mean) <= rounding, what

    def test_the_last_image_stays_clamped_without_a_nudge(self) -> None:
        """After a batch verb the device is where image by image would have left it."""
        network = self.network()
        generator = np.random.default_rng(53)
        with self.programmed(network, generator) as device:
            images = self.draw_volts((BATCH, network.inputs), generator)
            aims = 0.25 * self.draw_volts((BATCH, network.outputs), generator)
            nudging = Nudging("current", (0.0, 0.5 * self.siemens))
            for verb in ("read_batch", "free_and_nudged"):
                device.clamp(images[0])
                device.nudge(self.draw_amps(network.outputs, generator))
                if verb == "read_batch":
                    device.read_batch(images)
                else:
                    device.free_and_nudged(images, aims, nudging)
                off_by = self.off_by(self.read_mean(device), self.expected(device, images[-1]))
                assert off_by <= self.allowance(self.reads), verb

    def test_bad_batches_are_refused(self) -> None:
        """One image without its axis, other shapes, NaN, or beyond a limit."""
        network = self.network()
        generator = np.random.default_rng(54)
        with self.programmed(network, generator) as device:
            images = self.draw_volts((BATCH, network.inputs), generator)
            aims = 0.25 * self.draw_volts((BATCH, network.outputs), generator)
            nudging = Nudging("current", (0.0, 0.5 * self.siemens))
            spoiled, beyond = images.copy(), images.copy()
            spoiled[-1, 0] = np.nan
            beyond[-1, -1] = -1.01 * network.voltage_limit_v
            for wrong, error in (
                (images[0], BadInputError),
                (images[:, 1:], BadInputError),
                (spoiled, BadInputError),
                (beyond, LimitError),
            ):
                with pytest.raises(error):
                    device.read_batch(wrong)
                with pytest.raises(error):
                    device.free_and_nudged(wrong, aims, nudging)
            for wrong in (aims[:-1], aims[:, 1:], np.full_like(aims, np.nan)):
                with pytest.raises(BadInputError):
                    device.free_and_nudged(images, wrong, nudging)
            far = np.full_like(aims, 100.0 * self.volts)
            with pytest.raises(LimitError):
                device.free_and_nudged(images, far, nudging)
