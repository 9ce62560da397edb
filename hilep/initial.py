"""Conductances before the first update."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np

from hilep.arrays import Floats
from hilep.errors import BadInputError
from hilep.network import Network

Initial: TypeAlias = Literal["clipped-uniform", "absolute-uniform"]


def initial_conductances(
    network: Network,
    generator: np.random.Generator,
    initial: Initial = "clipped-uniform",
    scale_siemens: float = 1.0,
    dtype: type[np.floating] = np.float32,
) -> list[Floats]:
    """Return conductances in siemens, one (n_pre, n_post) per layer.

    "clipped-uniform" draws U(-1, +1) * scale / sqrt(n_in) and clips at `g_min`, so that half of the
    cells start there, as the public simulator of Scellier et al. does; "absolute-uniform" takes the
    magnitude instead. n_in counts the nodes of the layer before, without bias rows.

    Raises:
        BadInputError: for an unknown word.
    """
    if initial not in ("clipped-uniform", "absolute-uniform"):
        raise BadInputError(
            f'network.initial: expected "clipped-uniform" or "absolute-uniform", got {initial!r}'
        )
    arrays = []
    for nodes, shape in zip(network.layers, network.shapes, strict=False):
        reach = scale_siemens / math.sqrt(nodes)
        # Drawn with the post node first: the order in which a simulator stores them.
        drawn = generator.random(shape[::-1], dtype=np.float32).astype(dtype, copy=False)
        drawn *= 2 * reach
        drawn -= reach
        if initial == "absolute-uniform":
            np.abs(drawn, out=drawn)
        np.clip(drawn, *network.window(dtype), out=drawn)
        arrays.append(drawn.T)
    return arrays
