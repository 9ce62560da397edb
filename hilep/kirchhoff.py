"""Kirchhoff's current law and the diode conditions: a test of equilibrium without a reference.

With c = V_i * sum_j g_ij - sum_j g_ij V_j - b_i - i_nudge, the current that would have to leave
node i: an output has c = 0; a hidden node held at or above 0 V has V >= 0, c >= 0 and one of them
zero (signs reversed for the other polarity), because its diode only ever supplies current.
Behind a bidirectional amplifier V_j is A times that of the node before, and what the lines of the
next array draw from node i counts B times.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles, Floats
from hilep.network import Network


def residual(
    network: Network,
    conductances: Sequence[ArrayLike],
    bias_currents: ArrayLike | None,
    inputs: ArrayLike,
    volts: ArrayLike,
    *,
    amps: ArrayLike | None = None,
    spring_siemens: float = 0.0,
    targets: ArrayLike | None = None,
) -> Doubles:
    """Return how far each free node is from equilibrium, as a fraction of its currents.

    Args:
        network: layers and diode polarities.
        conductances: siemens, one (n_pre, n_post) per layer.
        bias_currents: amperes (n_free,) or None.
        inputs: clamped volts (batch, n_in).
        volts: free nodes' volts (batch, n_free).
        amps: nudge current into the outputs (batch, n_out).
        spring_siemens: conductance that joins each output to its target; infinite where the
            outputs are clamped, whose residual is then 0.
        targets: volts of the spring's other end (batch, n_out).

    Returns:
        (batch, n_free), dimensionless: 0 at equilibrium, of order 1 far from it.
    """
    v = np.atleast_2d(np.asarray(volts, dtype=np.float64))
    layers: list[Floats] = [np.atleast_2d(np.asarray(inputs, dtype=np.float64))]
    layers += [v[:, s] for s in network.slices]
    siemens = np.zeros(network.free_nodes)
    inflow = np.zeros_like(v)
    magnitude = np.zeros_like(v)
    if bias_currents is not None:
        bias = np.asarray(bias_currents, dtype=np.float64)
        inflow += bias
        magnitude += np.abs(bias)
    for k, values in enumerate(conductances):
        g = np.asarray(values, dtype=np.float64)
        gain = network.pre_gain(k)
        pre, post = network.with_bias_rows(gain * layers[k]), network.slices[k]
        siemens[post] += g.sum(axis=0)
        inflow[:, post] += pre @ g
        magnitude[:, post] += np.abs(pre) @ g
        if k > 0:
            inside = network.slices[k - 1]
            joined = network.current_gain * g[: network.layers[k]]
            siemens[inside] += gain * joined.sum(axis=1)
            inflow[:, inside] += layers[k + 1] @ joined.T
            magnitude[:, inside] += np.abs(layers[k + 1]) @ joined.T
    out = network.output_slice
    if amps is not None:
        nudge = np.asarray(amps, dtype=np.float64)
        inflow[:, out] += nudge
        magnitude[:, out] += np.abs(nudge)
    if spring_siemens and np.isfinite(spring_siemens):
        pulled = spring_siemens * np.asarray(targets, dtype=np.float64)
        siemens[out] += spring_siemens
        inflow[:, out] += pulled
        magnitude[:, out] += np.abs(pulled)
    off = imbalance(v, siemens, inflow, magnitude, network.polarity)
    if np.isinf(spring_siemens):
        off[:, out] = 0.0
    return off


def imbalance(
    volts: Doubles,
    siemens: Doubles,
    inflow: Doubles,
    magnitude: Doubles,
    polarity: NDArray[np.int8],
) -> Doubles:
    """Return each node's distance from equilibrium, as a fraction of its currents.

    Args:
        volts: (batch, n).
        siemens: total conductance of each node (n,).
        inflow: amperes that flow in at 0 V (batch, n).
        magnitude: sum of the absolute currents in `inflow` (batch, n).
        polarity: of each node's diode (n,).

    Returns:
        (batch, n), dimensionless; 0 for a node without any current, and for one that no
        conductance joins to anything, whose voltage no current law decides.
    """
    # A node that ran away has an imbalance that is not a number, which is what the caller tests.
    with np.errstate(over="ignore", invalid="ignore"):
        through = volts * siemens
        scale = magnitude + np.abs(through)
        current = through - inflow
    sign = polarity.astype(np.float64)
    held = np.minimum(np.abs(through), np.abs(current))
    held = np.maximum(held, np.maximum(-sign * through, -sign * current))
    off = np.where(polarity == 0, np.abs(current), held)
    return np.divide(off, scale, out=np.zeros_like(off), where=(scale > 0) & (siemens != 0))
