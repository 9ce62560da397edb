"""Independent streams of random numbers from the seeds of a configuration.

Seeds of different sections are often equal, so each purpose has a spawn key of its own: no two of
these streams share a number, whatever the seeds.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

Purpose: TypeAlias = Literal["split", "order", "initial", "noise", "cells", "calibration"]

_KEYS: dict[Purpose, int] = {
    "split": 1,
    "order": 2,
    "initial": 3,
    "noise": 4,
    "cells": 5,
    "calibration": 6,
}


def stream(seed: int, purpose: Purpose, *index: int) -> np.random.Generator:
    """Return the generator of one purpose.

    Args:
        seed: from the configuration, not negative.
        purpose: "split" of the data, "order" of an epoch, "initial" conductances, read "noise",
            what "cells" do, or what a "calibration" asks of them.
        index: further whole numbers, such as the epoch.
    """
    key = (_KEYS[purpose], *index)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
