"""Laws of `training.interleave`: which device gets it, what it refuses, and how a run resumes."""

import numpy as np
import pytest

from hilep import backends, data, experiment
from hilep.config import Config, load
from hilep.crossbar import Crossbar
from hilep.errors import ConfigError
from hilep.nudging import Nudging
from hilep.trainer import Trainer

IRIS = ['data.name="iris"', "network.layers=[8,6,3]", "device.sigma_v=1e-3",
        "training.updates=40", "training.reads=5", "training.checkpoint_seconds=0",
        "training.evaluate_every=20"]  # fmt: skip


def test_more_portions_than_reads_are_refused_with_one_line():
    with pytest.raises(ConfigError) as refused:
        load(None, ["training.reads=4", "training.interleave=5"])
    assert (
        str(refused.value) == "--set: training.interleave: expected 1 to training.reads (4), got 5"
    )
    with pytest.raises(ConfigError, match=r"training\.interleave: .* greater than or equal to 1"):
        load(None, ["training.interleave=0"])


def test_the_setting_survives_a_run_file():
    config = load(None, ["training.reads=4", "training.interleave=2"])
    assert Config.from_json(config.to_json()) == config
    older = config.to_json().replace('"interleave": 2, ', "")
    assert older != config.to_json()
    assert Config.from_json(older).training.interleave == 1


@pytest.mark.parametrize("estimator", ["square-of-means", "unbiased", "mean-of-squares"])
def test_a_resumed_run_ends_bit_for_bit_where_a_straight_one_does(tmp_path, estimator):
    config = load(None, [*IRIS, "training.interleave=2", f'training.estimator="{estimator}"'])
    straight = experiment.prepare(config, tmp_path / "straight.h5")
    assert straight.execute().done
    broken = experiment.prepare(config, tmp_path / "broken.h5")
    step, trainer = broken.trainer._step, broken.trainer

    def stepping(batch, following):
        step(batch, following)
        if trainer.update == 16:
            trainer.stop()

    trainer._step = stepping
    assert not broken.execute().done
    resumed = experiment.resume(tmp_path / "broken.h5")
    assert resumed.execute().done
    for g, other in zip(
        straight.crossbar.conductances(), resumed.crossbar.conductances(), strict=True
    ):
        np.testing.assert_array_equal(g, other)


def test_the_trainer_reads_in_portions():
    """Also a device whose own `free_and_nudged` knows nothing of them."""
    config = load(None, [*IRIS, "training.interleave=2"])
    asked = []

    class Older(type(backends.crossbar(config, config.network.network()))):
        def free_and_nudged(self, volts, targets, nudging, samples=1, statistic="mean"):
            assert samples == 1, "only the rehearsal reads without portions"
            return super().free_and_nudged(volts, targets, nudging, samples, statistic)

        def read(self, samples=1):
            asked.append(samples)
            return super().read(samples)

        interleaved = Crossbar.interleaved

    device = backends.crossbar(config, config.network.network())
    device.__class__ = Older
    experiment.begin(device, config)
    trainer = Trainer(device, data.load(config.data), config.training)
    trainer.rehearse()
    trainer._step(trainer._batch(0), trainer._batch(1))
    assert asked == [3, 5, 2] * config.training.batch_size


def test_simulated_cells_that_move_are_read_in_turn():
    """All samples of a simulated read are those of its beginning: a lag of -N/k^2 is left."""
    config = load(
        None,
        ["network.layers=[2,1]", 'network.diodes="none"', 'network.bias="none"',
         "network.g_min_siemens=1e-6", "network.g_max_siemens=1e-4", 'device.precision="float64"',
         "device.cells.retention_s=1e6", "device.cells.read_s=1.0"],
    )  # fmt: skip
    moved = {}
    for interleave in (1, 2, 4):
        device = backends.crossbar(config, config.network.network())
        device.program([[[2e-5], [8e-5]]])
        faint = Nudging("current", (0.0, 1e-20))
        pair = device.interleaved([[0.2, 0.4]], [[1.0]], faint, 16, interleave)
        moved[interleave] = (pair.second.mean - pair.first.mean).item()
    assert abs(moved[1]) > 1e-8
    assert moved[2] == pytest.approx(-moved[1] / 4, rel=1e-4)
    assert moved[4] == pytest.approx(-moved[1] / 16, rel=1e-4)
