"""The equilibrium of a network, slowly and directly: what a device's voltages are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.errors import NotSettledError
from hilep.network import Network

MOST_PIVOTS = 100_000
ROUNDING = 1e-13
"""Voltages and currents below this fraction of the largest count as zero."""


def equilibrium(
    network: Network,
    conductances: Sequence[ArrayLike],
    bias_currents: ArrayLike | None,
    inputs: ArrayLike,
    *,
    amps: ArrayLike | None = None,
    spring_siemens: float = 0.0,
    targets: ArrayLike | None = None,
) -> Doubles:
    """Return the volts of the free nodes (n_free,) for one image.

    The whole network is one matrix of conductances. Which diodes hold their node at 0 V is found by
    least-index pivoting: flip the first node that violates its condition, solve again. This ends
    for every matrix whose principal minors are positive (Murty, "Note on a Bard-type scheme for
    solving the complementarity problem", 1974), as those of a positive definite one are, and the
    answer meets every condition by construction. Amplifiers make the matrix unsymmetric; its rows
    times `Network.node_weights` are positive definite again, which leaves the minors' signs alone.

    Args:
        network: layers, diode polarities and bias rows.
        conductances: siemens, one (n_pre, n_post) per layer.
        bias_currents: amperes (n_free,) or None.
        inputs: clamped volts (n_in,).
        amps: nudge current into the outputs (n_out,).
        spring_siemens: joins each output to its target; infinity clamps the outputs there.
        targets: volts (n_out,).

    Raises:
        NotSettledError: where the pivots do not end.
    """
    n_in, n_free, rows = network.inputs, network.free_nodes, network.bias_rows
    fixed_volts = np.concatenate([np.asarray(inputs, np.float64), network.bias_volts])
    fixed = np.arange(n_in + rows)
    free = n_in + rows + np.arange(n_free)
    bias_nodes = fixed[n_in:]
    layer_nodes = [fixed[:n_in], *(free[s] for s in network.slices)]
    joined = np.zeros((n_in + rows + n_free, n_in + rows + n_free))
    for g, (pre, post) in zip(conductances, pairwise(layer_nodes), strict=True):
        here = np.ix_(np.concatenate([pre, bias_nodes]), post)
        joined[here] = np.asarray(g, np.float64)
    hidden = free[: network.output_slice.start]
    volts_gain, amps_gain = np.ones((2, fixed.size + n_free))
    volts_gain[hidden], amps_gain[hidden] = network.voltage_gain, network.current_gain
    drawn = amps_gain[:, None] * (np.diag(volts_gain * joined.sum(axis=1)) - joined)
    siemens = np.diag(joined.sum(axis=0)) - joined.T * volts_gain + drawn
    inflow = np.zeros(n_free)
    if bias_currents is not None:
        inflow += np.asarray(bias_currents, np.float64)
    inflow -= siemens[np.ix_(free, fixed)] @ fixed_volts
    floating = siemens[np.ix_(free, free)]
    out = np.arange(n_free)[network.output_slice]
    if amps is not None:
        inflow[out] += np.asarray(amps, np.float64)
    known = np.zeros(n_free, dtype=bool)
    volts = np.zeros(n_free)
    if np.isinf(spring_siemens):
        known[out] = True
        volts[out] = targets
    elif spring_siemens:
        floating[out, out] += spring_siemens
        inflow[out] += spring_siemens * np.asarray(targets, np.float64)
    return _pivoted(floating, inflow, network.polarity.astype(np.float64), known, volts)


def _pivoted(
    siemens: Doubles, inflow: Doubles, polarity: Doubles, known: np.ndarray, volts: Doubles
) -> Doubles:
    """Return the volts that meet Kirchhoff's law and every diode's conditions."""
    held = np.zeros(known.shape, dtype=bool)
    for _ in range(MOST_PIVOTS):
        solved = ~(held | known)
        volts[held] = 0.0
        rest = inflow[solved] - siemens[np.ix_(solved, known)] @ volts[known]
        volts[solved] = np.linalg.solve(siemens[np.ix_(solved, solved)], rest)
        leaving = siemens @ volts - inflow
        wrong_volts = solved & (polarity * volts < -ROUNDING * np.abs(volts).max())
        wrong_amps = held & (polarity * leaving < -ROUNDING * np.abs(inflow).max())
        violated = np.flatnonzero(wrong_volts | wrong_amps)
        if not violated.size:
            return volts
        held[violated[0]] ^= True
    raise NotSettledError(f"equilibrium: no set of conducting diodes in {MOST_PIVOTS} pivots")
