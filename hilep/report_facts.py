"""What a run file says, as numbers and sentences for its report."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilep.config import DataSection
from hilep.errors import HilepError
from hilep.nudging import loss_curvature
from hilep.report_text import abbreviated, quantity
from hilep.runrecord import RunRecord

VISION_TEST = 10000
VISION_TRAIN = 60000
_PREFERRED = "NaN"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the data; None where it is not known.

    Attributes:
        validation: samples in the validation split.
        test: samples in the test split.
        image: (height, width) of a sample that is a picture.
    """

    validation: int | None = None
    test: int | None = None
    image: tuple[int, int] | None = None
