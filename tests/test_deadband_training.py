"""Training on cells whose writes are noisy: what the deadband mends, and that it goes on."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from test_imperfect_training import BACKENDS, RUN, the_same_whether_stopped_or_not

from hilep.config import Config
from hilep.experiment import prepare
from hilep.runfile import read_run

IRIS = Path(__file__).parent.parent / "docs" / "examples" / "iris.toml"
NOISY = "write_noise_siemens=5e-3"


@pytest.mark.parametrize(
    "cells",
    [
        f"{NOISY}, deadband_siemens=0.02",
        f"{NOISY}, deadband_siemens=0",
        "deadband_siemens=0.01, levels=64, stuck_high=0.1, drift_exponent=0.05, "
        "drift_reference_s=0.05, update_s=1",
    ],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_with_debts_goes_on_bit_for_bit(backend, cells, tmp_path):
    settings = [*RUN, *BACKENDS[backend], f"device.cells={{{cells}}}"]
    record = the_same_whether_stopped_or_not(settings, 9, tmp_path)
    assert any(part.any() for part in record.checkpoint.owed)
    other = read_run(tmp_path / "parts.h5").checkpoint.owed
    for one, two in zip(record.checkpoint.owed, other, strict=True):
        np.testing.assert_array_equal(one, two)


def accuracy(cells, seed, folder):
    """Held-out accuracy, and how many writes of cells the training took."""
    tables = tomllib.loads(IRIS.read_text(encoding="utf-8"))
    tables["training"] |= {"updates": 4000, "seed": seed}
    tables["device"] = {"backend": "simulated", "seed": seed, "cells": cells}
    experiment = prepare(Config.model_validate(tables), folder / "run.h5", overwrite=True)
    crossbar, writes = experiment.crossbar, 0
    update = crossbar.update

    def counted(blocks, next_volts=None):
        nonlocal writes
        report = update(blocks, next_volts)
        writes += report.programmed
        return report

    crossbar.update = counted
    outcome = experiment.execute()
    return 0.0 if outcome.test is None else outcome.test.accuracy, writes


@pytest.mark.slow
def test_a_deadband_mends_the_random_walk_of_write_noise(tmp_path):
    """Iris, three seeds: noise that ruins training without it costs little with it."""
    noise = {"write_noise_siemens": 5e-3}
    found = {
        name: np.array([accuracy(cells, seed, tmp_path) for seed in range(3)]).mean(axis=0)
        for name, cells in {
            "exact": {},
            "walking": noise,
            "owed": {**noise, "deadband_siemens": 0.0},
            "rare": {**noise, "deadband_siemens": 0.01},
        }.items()
    }
    exact = found["exact"][0]
    assert exact >= 0.9
    # Held out are 3 x 30 flowers: a standard error of about 0.03.
    assert found["walking"][0] < exact - 0.2
    assert found["owed"][0] > exact - 0.09
    assert found["rare"][0] > exact - 0.09
    # Twice the noise of a write leaves most writes out.
    assert found["rare"][1] < 0.05 * found["walking"][1]
