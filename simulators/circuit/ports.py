"""The linear part of a circuit as its free nodes see it: everything between them eliminated."""

from __future__ import annotations

from dataclasses import dataclass

from hilep.arrays import Doubles


@dataclass(frozen=True, slots=True)
class PortNetwork:
    """Kirchhoff's current law at the free nodes, symmetric, layer by layer.

    With V_k the volts of layer k of the free nodes (k = 0 is the first hidden layer, or the
    outputs of a network without hidden layers), the current that leaves layer k is

        own[k] V_k - joined[k - 1]^T V_(k-1) - joined[k] V_(k+1) - weight (inflow + external)

    and is zero at equilibrium. Amplifiers make the law unsymmetric; `weight` is the factor by which
    the law at each node was multiplied to make it symmetric again, 1 without amplifiers. `own` and
    `joined` hold it already. "External" are currents into a node through rectifiers, nudges, bias
    sources and capacitors.

    Attributes:
        own: per layer (n_k,) where its nodes are not joined to each other, else (n_k, n_k);
            siemens.
        joined: per pair of layers (n_k, n_(k+1)), siemens, not negative.
        weight: (n_free,).
    """

    own: tuple[Doubles, ...]
    joined: tuple[Doubles, ...]
    weight: Doubles
