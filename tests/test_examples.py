"""The example configurations learn what they are for.

Runs are seeded, so a failure is a change of the program or of its arithmetic. The thresholds leave
room for rounding on other machines: the means measured in docs/results.md lie above them by at
least two standard deviations of a single trial over the square root of the trials.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hilep import experiment
from hilep.config import load

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


def accuracies(config: Path | None, folder: Path, seeds: int) -> np.ndarray:
    found = []
    for seed in range(seeds):
        settings = [f"{section}.seed={seed}" for section in ("data", "device", "training")]
        run = experiment.prepare(load(config, settings), folder / f"{seed}.h5")
        outcome = run.execute()
        assert outcome.done, outcome.verdict
        found.append(outcome.test.accuracy)
    return np.array(found)


def test_digits_by_default(tmp_path):
    """At least 95 % with the default seed and 96 % on average."""
    found = accuracies(None, tmp_path, 3)
    assert found[0] >= 0.95
    assert found.mean() >= 0.96


@pytest.mark.parametrize(("name", "least"), [("iris", 0.92), ("wine", 0.95), ("xor", 1.0)])
def test_small_data_with_current_nudging_and_bias_rows(name, least, tmp_path):
    assert accuracies(EXAMPLES / f"{name}.toml", tmp_path, 5).mean() >= least
