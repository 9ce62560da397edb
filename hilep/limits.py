"""Whether what is asked of a device lies within its network's limits and window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Floats, checked
from hilep.errors import BadInputError, LimitError
from hilep.network import Network


def within_limit(values: Floats, limit: float, what: str, unit: str) -> Floats:
    """Return `values` if no magnitude exceeds `limit`.

    Raises:
        LimitError: naming the node, its value and the limit.
    """
    if math.isfinite(limit):
        beyond = np.flatnonzero(np.abs(values) > limit)
        if beyond.size:
            node = int(beyond[0])
            raise LimitError(
                f"{what}: node {node} asks for {values[node]:.9g} {unit}, "
                f"the limit is {limit:.9g} {unit}"
            )
    return values


def checked_conductances(network: Network, conductances: Sequence[ArrayLike]) -> list[Floats]:
    """Return `conductances` as arrays of the network's shapes, within its window.

    Raises:
        BadInputError: for another number of layers, a wrong shape or a NaN.
        LimitError: for an entry outside the window.
    """
    if len(conductances) != len(network.shapes):
        raise BadInputError(
            f"program: expected {len(network.shapes)} layers of conductances, "
            f"got {len(conductances)}"
        )
    arrays = []
    for layer, (values, shape) in enumerate(zip(conductances, network.shapes, strict=True)):
        g = checked(values, shape, f"program: conductances of layer {layer}")
        low, high = float(g.min()), float(g.max())
        if low < network.g_min_siemens or high > network.g_max_siemens:
            raise LimitError(
                f"program: conductances of layer {layer} span {low:.9g} to {high:.9g} S, the "
                f"window is {network.g_min_siemens:.9g} to {network.g_max_siemens:.9g} S"
            )
        arrays.append(g)
    return arrays
