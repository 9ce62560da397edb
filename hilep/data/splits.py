"""Which samples train, which choose, and which are looked at once."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hilep.errors import DataError

Indices: TypeAlias = NDArray[np.int64]


def hold_out(
    labels: NDArray[np.int64], fraction: float, generator: np.random.Generator, key: str
) -> tuple[Indices, Indices]:
    """Return the indices to keep and those to hold out, each class in proportion.

    Both are in ascending order.

    Args:
        labels: (n,).
        fraction: of the samples to hold out, rounded up; 0 holds out none and draws nothing.
        generator: the source of the choice.
        key: the configuration key to name in an error.

    Raises:
        DataError: a class has too few samples for both parts.
    """
    everything = np.arange(len(labels), dtype=np.int64)
    if fraction == 0:
        return everything, everything[:0]
    from sklearn.model_selection import train_test_split

    try:
        kept, held = train_test_split(
            everything,
            test_size=fraction,
            stratify=labels,
            # scikit-learn knows only the older class; this one draws from the same bits.
            random_state=np.random.RandomState(generator.bit_generator),
        )
    except ValueError as error:
        raise DataError(
            f"{key} = {fraction}: {len(labels)} samples cannot be divided so that each class "
            f"is in both parts: {error}"
        ) from error
    return np.sort(kept), np.sort(held)
