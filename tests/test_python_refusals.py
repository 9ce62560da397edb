"""What is wrong in a script is refused in one line, as it is in a configuration."""

from __future__ import annotations

import numpy as np
import pytest

from hilep import experiment
from hilep.backends import Relaxation
from hilep.config import load
from hilep.errors import BadInputError, RunFileError
from hilep.network import Network
from hilep.nudging import Nudging, beta_difference, loss_curvature
from hilep.rule import LearningRule

NETWORK = Network((4, 3, 2))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"variant": "positiv"}, "variant"),
        ({"kind": "currents"}, "nudging"),
        ({"kind": "clamp"}, "belong together"),
        ({"variant": "chl"}, "belong together"),
        ({"beta_siemens": 0.0}, "beta_siemens"),
        ({"beta_siemens": np.nan}, "beta_siemens"),
        ({"loss": "mse"}, "loss"),
    ],
)
def test_a_nudging_that_makes_no_sense(changes, told):
    given = {
        "variant": "positive",
        "kind": "current",
        "beta_siemens": 1.0,
        "loss": "mean",
        "outputs": 2,
        **changes,
    }
    with pytest.raises(BadInputError, match=told):
        Nudging.of(**given)


def test_unknown_words_elsewhere():
    with pytest.raises(BadInputError, match="variant"):
        beta_difference("positiv", 1.0)
    with pytest.raises(BadInputError, match="loss"):
        loss_curvature("mse", 2)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"beta_difference": 0.0}, "beta_difference"),
        ({"beta_difference": np.nan}, "beta_difference"),
        ({"eta": 1e-3}, "one value per layer"),
        ({"eta": [1e-3]}, "one per layer"),
        ({"estimator": "mean"}, "estimator"),
        ({"reduction": "average"}, "reduction"),
    ],
)
def test_a_rule_that_makes_no_sense(changes, told):
    given = {"beta_difference": 1.0, "eta": [1e-3, 1e-3], "eta_bias": [1e-3, 1e-3], **changes}
    with pytest.raises(BadInputError, match=told):
        LearningRule(NETWORK, **given)


@pytest.mark.parametrize("sweeps", [0, -3])
def test_a_relaxation_without_a_sweep(sweeps):
    with pytest.raises(BadInputError, match="sweeps"):
        Relaxation(sweeps)


@pytest.mark.parametrize(
    ("hidden_layers", "settings", "sweeps"),
    [
        (0, [], 5),
        (1, [], 5),
        (3, [], 15),
        (3, ["training.relaxation_sweeps=7"], 7),
        (3, ["training.relaxation_tolerance=1e-9"], None),
    ],
)
def test_sweeps_grow_with_depth_unless_told(hidden_layers, settings, sweeps):
    assert load(None, settings).training.sweeps(hidden_layers) == sweeps


def test_a_run_does_not_go_on_without_the_reads_it_kept(tmp_path):
    config = load(
        None,
        [
            'data.name="iris"',
            "network.layers=[8,6,3]",
            "training.updates=5",
            "training.keep_reads=true",
            'device.solver="reference"',
        ],
    )
    experiment.prepare(config, tmp_path / "run.h5").execute()
    (tmp_path / "run.h5").rename(tmp_path / "moved.h5")
    with pytest.raises(RunFileError, match="move the folder together"):
        experiment.resume(tmp_path / "moved.h5")
    (tmp_path / "run.reads").rename(tmp_path / "moved.reads")
    experiment.resume(tmp_path / "moved.h5").run.close()
