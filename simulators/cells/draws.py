"""Where the randomness of cells comes from: streams addressed by what they are for, never by state.

Every draw has an address: what it is for, the layer, and how many draws of that kind came before.
A run therefore goes on bit-identically from a few counters, and no layer disturbs another.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from hilep.arrays import Doubles
from hilep.streams import stream

Kind: TypeAlias = Literal["window", "gain", "pulses", "ageing", "faults", "operation", "flicker"]

_KINDS: dict[Kind, int] = {
    "window": 0,
    "gain": 1,
    "pulses": 2,
    "ageing": 3,
    "faults": 4,
    "operation": 5,
    "flicker": 6,
}
_WORD = 1 << 32


def draws(seed: int, kind: Kind, layer: int, *index: int) -> np.random.Generator:
    """Return the generator at one address.

    Args:
        seed: of the cells, not negative.
        kind: what differs between cells ("window", "gain", "pulses", "ageing", "faults"), the
            fresh noise of an "operation", or "flicker".
        layer: the array, from 0.
        index: further whole numbers, not negative; each below 2**64.
    """
    # A spawn key is a list of 32-bit words, so that (2**32 + 5,) and (5, 1) would be the same.
    words = [word for number in index for word in (number % _WORD, number // _WORD)]
    return stream(seed, "cells", _KINDS[kind], layer, *words)


def positive_factors(
    generator: np.random.Generator, shape: tuple[int, int], spread: float
) -> Doubles:
    """Return log-normal factors (n_pre, n_post) of mean 1 and standard deviation `spread`."""
    sigma = np.sqrt(np.log1p(spread**2))
    return np.asarray(np.exp(sigma * generator.standard_normal(shape) - sigma**2 / 2))
