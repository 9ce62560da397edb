"""The relaxation of eq. (6), for any depth, with one pass over each array per sweep."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles, Floats
from hilep.simulators.compiled import compiled

Integers: TypeAlias = NDArray[np.int64]

BLOCK = 256
"""Pre nodes handled together in a relaxation: their sums stay in the first cache."""


@compiled
def invert(siemens: Doubles, ohms: Doubles) -> None:
    """Write one over each conductance, and 0 for a conductance of 0."""
    for i in range(siemens.size):
        ohms[i] = 0.0 if siemens[i] == 0.0 else 1.0 / siemens[i]


@compiled
def relax(
    junctions: tuple[Floats, ...],
    starts: Integers,
    drive: Doubles,
    constant: Doubles,
    inverse: Doubles,
    low: Doubles,
    high: Doubles,
    pull: Doubles,
    pull_inverse: Doubles,
    clamped: bool,
    volts: Doubles,
    pushed: Doubles,
    sweeps: int,
) -> None:
    """Sweep eq. (6) over all layers, first to last, `sweeps` times; every image on its own.

    Args:
        junctions: arrays of siemens between adjacent free layers, a tuple of (n_post, n_pre) whose
            n_pre may count bias rows at its end, which are not read.
        starts: first free node of each layer, and the number of free nodes at the end.
        drive: amperes into the first free layer from the inputs (batch, n_1).
        constant: amperes into every free node that no voltage changes (n_free,).
        inverse: ohms, one over each free node's total conductance (n_free,), 0 for a total of 0.
        low: volts below which a node's diode does not let it fall (n_free,).
        high: volts above which it does not let it rise (n_free,).
        pull: amperes into the outputs from a nudge (batch, n_out).
        pull_inverse: as `inverse` for the outputs (n_out,), a spring's conductance included.
        clamped: the outputs stay where they are.
        volts: in and out, volts (batch, n_free).
        pushed: scratch, amperes (batch, n_free).
        sweeps: how often.
    """
    batch = volts.shape[0]
    layers = len(junctions)
    outputs = starts[layers]
    held = np.empty(BLOCK, dtype=np.float64)
    for _ in range(sweeps):
        for layer in range(layers):
            g = junctions[layer]
            first = starts[layer]
            end = starts[layer + 1]
            posts = starts[layer + 2] - end
            for b in range(batch):
                for k in range(posts):
                    pushed[b, end + k] = constant[end + k]
            for start in range(first, end, BLOCK):
                size = min(BLOCK, end - start)
                at = start - first
                current = held[:size]
                for b in range(batch):
                    below = (
                        drive[b, start : start + size]
                        if layer == 0
                        else (pushed[b, start : start + size])
                    )
                    if layer == 0:
                        for i in range(size):
                            current[i] = below[i] + constant[start + i]
                    else:
                        for i in range(size):
                            current[i] = below[i]
                    k = 0
                    while k + 2 <= posts:
                        upper = g[k, at : at + size]
                        lower = g[k + 1, at : at + size]
                        v0 = volts[b, end + k]
                        v1 = volts[b, end + k + 1]
                        for i in range(size):
                            current[i] += upper[i] * v0 + lower[i] * v1
                        k += 2
                    while k < posts:
                        upper = g[k, at : at + size]
                        v0 = volts[b, end + k]
                        for i in range(size):
                            current[i] += upper[i] * v0
                        k += 1
                    for i in range(size):
                        v = current[i] * inverse[start + i]
                        v = low[start + i] if v < low[start + i] else v
                        v = high[start + i] if v > high[start + i] else v
                        current[i] = v
                        volts[b, start + i] = v
                    k = 0
                    while k + 2 <= posts:
                        upper = g[k, at : at + size]
                        lower = g[k + 1, at : at + size]
                        s0 = 0.0
                        s1 = 0.0
                        for i in range(size):
                            s0 += upper[i] * current[i]
                            s1 += lower[i] * current[i]
                        pushed[b, end + k] += s0
                        pushed[b, end + k + 1] += s1
                        k += 2
                    while k < posts:
                        upper = g[k, at : at + size]
                        s0 = 0.0
                        for i in range(size):
                            s0 += upper[i] * current[i]
                        pushed[b, end + k] += s0
                        k += 1
        if clamped:
            continue
        for b in range(batch):
            for k in range(pull.shape[1]):
                volts[b, outputs + k] = (pushed[b, outputs + k] + pull[b, k]) * pull_inverse[k]
