"""Which samples each update sees, as a function of the seed and the update's number."""

from __future__ import annotations

from collections.abc import Sized
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hilep.errors import DataError
from hilep.streams import stream


def order(split_length: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order in which an epoch visits the samples, a permutation (split_length,)."""
    permutation = stream(seed, "order", epoch).permutation(split_length)
    return permutation.astype(np.int64, copy=False)


class Batches:
    """The batches of a run: epochs end to end, each visiting every sample once.

    A batch may hold the end of one epoch and the start of the next, and so a sample twice; a batch
    longer than the split holds several epochs. Nothing is kept between calls but a cache, so a
    resumed run needs no state from here.

    Args:
        split: whose samples are drawn; its length is taken once.
        batch_size: samples per update, at least 1.
        seed: of the orders.

    Raises:
        DataError: the split is empty, or `batch_size` is below 1.
    """

    def __init__(self, split: Sized, batch_size: int, seed: int) -> None:
        self.split_length = len(split)
        self.batch_size = batch_size
        self.seed = seed
        if self.split_length == 0:
            raise DataError("data: expected a split with samples, got an empty one")
        if batch_size < 1:
            raise DataError(f"training.batch_size: expected at least 1, got {batch_size}")
        self._order = lru_cache(maxsize=2)(self._fixed_order)

    def _fixed_order(self, epoch: int) -> NDArray[np.int64]:
        permutation = order(self.split_length, self.seed, epoch)
        # Batches are views of it.
        permutation.setflags(write=False)
        return permutation

    def indices(self, update: int) -> NDArray[np.int64]:
        """Return the samples of an update, (batch_size,), read-only.

        Args:
            update: counted from 0.
        """
        epoch, start = divmod(update * self.batch_size, self.split_length)
        end = start + self.batch_size
        if end <= self.split_length:
            return self._order(epoch)[start:end]
        parts = []
        while end > 0:
            parts.append(self._order(epoch)[start : min(end, self.split_length)])
            epoch, start, end = epoch + 1, 0, end - self.split_length
        return np.concatenate(parts)
