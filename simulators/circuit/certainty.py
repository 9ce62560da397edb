"""How many digits of a circuit's voltages the conductances in float64 decide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hilep.arrays import Doubles
from hilep.errors import NotSettledError
from hilep.network import Network
from hilep.simulators.circuit.blocks import Blocks, IndefiniteError
from hilep.simulators.circuit.ports import PortNetwork
from hilep.simulators.circuit.rectifiers import IdealDiode, Rectifier

UNCERTAIN = 1e-9
"""Largest part of the largest voltage that rounding may decide."""


def admittance(network: Network, ports: PortNetwork) -> Doubles:
    """Return the admittance (n_free, n_free) of the linear part, times `ports.weight`."""
    matrix = np.zeros((network.free_nodes, network.free_nodes))
    for here, own in zip(network.slices, ports.own, strict=True):
        matrix[here, here] = np.diag(own) if own.ndim == 1 else own
    for before, here, joined in zip(network.slices, network.slices[1:], ports.joined, strict=False):
        matrix[before, here] = -joined
        matrix[here, before] = -joined.T
    return matrix


def sensitivity(matrix: Doubles) -> Doubles:
    """Return by how much each voltage (n,) moves where every conductance is off by one part.

    With A = D - N, D the diagonal and N not negative, errors of D and N up to a part e of them move
    V by at most 2 e inv(A) D 1 max|V|, because inv(A) has no negative entry (Skeel, "Scaling for
    numerical stability in Gaussian elimination", 1979). Infinite where A is singular.
    """
    diagonal = np.diagonal(matrix)
    scale = np.sqrt(diagonal)
    try:
        moved = np.linalg.solve(matrix / np.outer(scale, scale), scale) / scale
    except np.linalg.LinAlgError:
        return np.full(diagonal.shape, np.inf)
    # Rounding alone makes an inverse negative: then nothing is certain.
    return np.where(np.isfinite(moved) & (moved >= 0), moved, np.inf)


def certain(ports: PortNetwork) -> bool:
    """Return whether all voltages are certain, even where no rectifier or clamp holds a node."""
    blocks = Blocks(ports, np.zeros(ports.weight.shape))
    diagonal = blocks.diagonal[None]
    nothing = np.zeros(diagonal.shape)
    try:
        with np.errstate(all="ignore"):
            moved = blocks.solve(nothing, nothing.astype(np.bool_), diagonal, check=True)
    except IndefiniteError:
        return False
    return bool(np.all((moved >= 0) & (2 * np.finfo(np.float64).eps * moved <= UNCERTAIN)))


def check_certain(
    network: Network,
    ports: PortNetwork,
    rectifier: Rectifier,
    volts: Doubles,
    besides: Doubles,
    clamped: bool,
    names: Sequence[str],
) -> None:
    """Refuse operating points that rounding decides.

    Args:
        network: layers and polarities.
        ports: the linear part of the circuit.
        rectifier: at every hidden node that has a polarity.
        volts: operating points (batch, n_free).
        besides: conductance to ground besides `ports`, without weight (n_free,).
        clamped: whether the outputs are held.
        names: of the free nodes.

    Raises:
        NotSettledError: naming the node.
    """
    linear = admittance(network, ports)
    linear[np.diag_indices_from(linear)] += ports.weight * besides
    polarity = network.polarity.astype(np.float64)
    for image, v in enumerate(volts):
        matrix, u = linear.copy(), polarity * v
        held = np.zeros(v.shape, dtype=np.bool_)
        held[network.output_slice] = clamped
        if isinstance(rectifier, IdealDiode):
            held |= (polarity != 0) & (u <= rectifier.bias_v)
        else:
            slope = np.where(polarity != 0, rectifier.current(u)[1], 0.0)
            matrix[np.diag_indices_from(matrix)] += ports.weight * slope
        floating = np.flatnonzero(~held & (np.diagonal(matrix) > 0))
        if not floating.size:
            continue
        moved = 2 * np.finfo(np.float64).eps * sensitivity(matrix[np.ix_(floating, floating)])
        worst = int(np.argmax(moved))
        if moved[worst] > UNCERTAIN:
            raise NotSettledError(
                f"circuit: rounding of the conductances decides {moved[worst]:.1g} of the voltage "
                f"of {names[floating[worst]]} (image {image}), expected <= {UNCERTAIN:g}: almost "
                "nothing joins it, or the nodes it is joined to, to a source or ground"
            )
