"""Laws of reads: their form, their noise, its independence, and what N of them are worth."""

from __future__ import annotations

import numpy as np
import pytest

from hilep.arrays import Doubles, Floats
from hilep.nudging import Nudging
from hilep.reading import Reading
from hilep.testing.specimen import FALSE_ALARM, Specimen

FEW = 16
"""N where N reads are compared with one."""


class StatisticsLaws(Specimen):
    """Laws of `read` and of its noise."""

    def test_a_reading_has_its_form(self) -> None:
        """`volts` is float64 (N, n_free), finite; `mean` and `variance` are of those samples."""
        for network in self.networks():
            generator = np.random.default_rng(41)
            with self.programmed(network, generator) as device:
                device.clamp(self.draw_volts(network.inputs, generator))
                for samples in (1, 2, 7):
                    reading = device.read(samples)
                    assert isinstance(reading, Reading)
                    assert reading.count == samples
                    assert reading.volts is not None
                    assert reading.volts.shape == (samples, network.free_nodes)
                    assert reading.mean.shape == (network.free_nodes,)
                    assert reading.volts.dtype == reading.mean.dtype == np.float64
                    assert np.isfinite(reading.volts).all()
                    rounding = 1e-14 * np.abs(reading.volts).max()
                    assert self.off_by(reading.mean, reading.volts.mean(axis=0)) <= rounding
                    if reading.variance is not None:
                        spread = reading.volts.var(axis=0, ddof=1)
                        within = 1e-9 * spread + rounding**2
                        assert (np.abs(reading.variance - spread) <= within).all()
                    if reading.status is not None:
                        assert reading.status.shape == (network.free_nodes,)
                    if reading.clamped is not None:
                        assert reading.clamped.count == samples
                        assert reading.clamped.mean.shape == (network.inputs,)

    def test_a_reading_keeps_its_values(self) -> None:
        """What the device does later does not change a reading that was handed out."""
        network = self.network()
        generator = np.random.default_rng(42)
        with self.programmed(network, generator) as device:
            device.clamp(self.draw_volts(network.inputs, generator))
            reading = device.read(3)
            assert reading.volts is not None
            volts, mean = reading.volts.copy(), reading.mean.copy()
            device.nudge(self.draw_amps(network.outputs, generator))
            device.read(3)
            device.clamp(self.draw_volts(network.inputs, generator))
            device.program(self.draw_siemens(network, generator))
            device.read(3)
            assert np.array_equal(reading.volts, volts)
            assert np.array_equal(reading.mean, mean)

    def three_phases(self, seed: int) -> tuple[Doubles, Doubles, Doubles]:
        """Return reads (N, n_free): the free phase, the free phase again, a nudged phase."""
        network = self.network()
        generator = np.random.default_rng(seed)
        with self.programmed(network, generator) as device:
            device.clamp(self.draw_volts(network.inputs, generator))
            reads = [_samples(device.read(self.reads)) for _ in range(2)]
            device.nudge(self.draw_amps(network.outputs, generator))
            reads.append(_samples(device.read(self.reads)))
        return reads[0], reads[1], reads[2]

    def test_reads_spread_no_more_than_stated(self) -> None:
        """Every node's sample variance is below sigma_v^2 times a chi-square bound.

        The bound is the quantile at 1e-6 over the number of nodes and phases.
        """
        from scipy import stats

        phases = self.three_phases(43)
        freedom = self.reads - 1
        level = FALSE_ALARM / sum(phase.shape[1] for phase in phases)
        sigma = self.sigma_v * np.sqrt(stats.chi2.isf(level, freedom) / freedom)
        for phase in phases:
            spread = float(phase.std(axis=0, ddof=1).max())
            assert spread <= sigma + self.tolerance * self.volts

    def test_reads_are_independent(self) -> None:
        """No correlation between nodes, between phases, or between one read and the next.

        The bound on each coefficient is that of its Fisher transform at 1e-6 over their number.
        Nodes whose reads are all equal are left out.
        """
        if self.sigma_v == 0:
            pytest.skip("noiseless")
        from scipy import stats

        first, again, nudged = self.three_phases(44)
        together = _standardised(np.concatenate([first, again, nudged], axis=1))
        count, columns = together.shape
        across = (together.T @ together)[np.triu_indices(columns, 1)] / count
        after = _standardised(np.concatenate([first, again, nudged], axis=1)[1:])
        before = _standardised(np.concatenate([first, again, nudged], axis=1)[:-1])
        following = (after * before).mean(axis=0)
        comparisons = across.size + following.size
        bound = np.tanh(stats.norm.isf(FALSE_ALARM / (2 * comparisons)) / np.sqrt(count - 4))
        assert np.abs(across).max(initial=0.0) <= bound, "between nodes or phases"
        assert np.abs(following).max(initial=0.0) <= bound, "between one read and the next"

    def test_the_mean_of_n_reads_is_worth_n(self) -> None:
        """The mean of 16 reads has a sixteenth of the variance, however reads are taken.

        Readings of one image over and over, one by one and as batches. For each node the ratio of
        the two variances, times 16, lies between the quantiles of F at 1e-6 over the number of
        ratios.
        """
        if self.sigma_v == 0:
            pytest.skip("noiseless")
        from scipy import stats

        network = self.network()
        generator = np.random.default_rng(45)
        repeats = max(50, self.reads // 8)
        with self.programmed(network, generator) as device:
            image = self.draw_volts(network.inputs, generator)
            batch = np.tile(image, (repeats, 1))
            aims = np.zeros((repeats, network.outputs))
            nudging = Nudging("current", (0.0, 0.25 * self.siemens))
            device.clamp(image)
            taken: dict[str, list[Floats]] = {
                "read": [np.stack([device.read(n).mean for _ in range(repeats)]) for n in (1, FEW)],
                "read_batch": [device.read_batch(batch, n).mean for n in (1, FEW)],
                "free_and_nudged": [
                    device.free_and_nudged(batch, aims, nudging, n).first.mean for n in (1, FEW)
                ],
            }
        level = FALSE_ALARM / (2 * len(taken) * network.free_nodes)
        highest = stats.f.isf(level, repeats - 1, repeats - 1)
        for verb, (singles, means) in taken.items():
            one, many = singles.var(axis=0, ddof=1), FEW * means.var(axis=0, ddof=1)
            assert (many <= highest * one).all(), f"{verb}: too noisy by {many / one}"
            assert (one <= highest * many).all(), f"{verb}: too quiet by {one / many}"


def _samples(reading: Reading) -> Doubles:
    assert reading.volts is not None
    return np.asarray(reading.volts, np.float64)


def _standardised(columns: Doubles) -> Doubles:
    """Return columns of mean 0 and variance 1; one without any variance becomes zero."""
    moved = columns - columns.mean(axis=0)
    spread = moved.std(axis=0)
    return np.asarray(np.divide(moved, spread, out=np.zeros_like(moved), where=spread > 0))
