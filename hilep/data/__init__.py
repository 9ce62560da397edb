"""Data sets as volts and targets: what to clamp, and where the outputs should go."""

from hilep.data.batches import Batches, order
from hilep.data.dataset import Dataset, Split
from hilep.data.loading import NAMES, load

__all__ = ["NAMES", "Batches", "Dataset", "Split", "load", "order"]
