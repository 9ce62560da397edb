"""Which nodes' reads can carry a sigma, and what is the matter with the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles
from hilep.errors import BadInputError
from hilep.reading import SATURATED

NodeState: TypeAlias = Literal[
    "good",
    "quantised",
    "unresolved",
    "constant",
    "saturated",
    "flagged",
    "not finite",
    "too few reads",
]
USABLE: tuple[NodeState, ...] = ("good", "quantised")

_MEANING: dict[NodeState, str] = {
    "good": "can be used",
    "quantised": "sigma is below the converter's step; it includes the step's own share",
    "unresolved": "sigma is below half the converter's step: use a smaller range or add dither",
    "constant": "all reads are equal: sigma is below what the converter shows, or the node is dead",
    "saturated": "reads at an end of the reader's range",
    "flagged": "the reader flagged these reads",
    "not finite": "NaN or infinite reads",
    "too few reads": "fewer than two reads",
}


def table(volts: ArrayLike, what: str) -> Doubles:
    """Return reads as float64 (reads, nodes); NaN is allowed and judged later.

    Raises:
        BadInputError: unless they are numbers in two dimensions with at least one node.
    """
    try:
        values = np.asarray(volts, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"{what}: expected volts (reads, nodes), got {volts!r:.60}") from error
    if values.ndim != 2 or values.shape[1] == 0:
        raise BadInputError(
            f"{what}: expected volts (reads, nodes) with at least one node, got {values.shape}"
        )
    return values


def screened(
    volts: Doubles,
    status: NDArray[np.uint8] | None = None,
    range_v: tuple[float, float] | None = None,
) -> list[NodeState]:
    """Return the state of each node as far as it needs no sigma.

    Args:
        volts: reads (n, nodes).
        status: bits of `hilep.reading.Reading.status`, (nodes,) or (n, nodes).
        range_v: the reader's lowest and highest voltage; a read at or beyond either is saturated.

    Raises:
        BadInputError: for a status of another shape.
    """
    reads, nodes = volts.shape
    bits: NDArray[np.uint8] = np.zeros(nodes, np.uint8)
    if status is not None:
        status = np.asarray(status, dtype=np.uint8)
        if status.shape not in ((nodes,), (reads, nodes)):
            raise BadInputError(
                f"status: expected shape {(nodes,)} or {(reads, nodes)}, got {status.shape}"
            )
        bits = np.bitwise_or.reduce(np.atleast_2d(status), axis=0)
    saturated: NDArray[np.bool_] = np.not_equal(bits & SATURATED, 0)
    if range_v is not None:
        saturated |= np.asarray((volts <= range_v[0]) | (volts >= range_v[1])).any(axis=0)
    flagged: NDArray[np.bool_] = np.not_equal(bits & ~np.uint8(SATURATED), 0)
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(volts).all(axis=0))
    states: list[NodeState] = ["good"] * nodes
    for node in range(nodes):
        if reads < 2:
            states[node] = "too few reads"
        elif saturated[node]:
            states[node] = "saturated"
        elif not finite[node]:
            states[node] = "not finite"
        elif flagged[node]:
            states[node] = "flagged"
        elif (volts[:, node] == volts[0, node]).all():
            states[node] = "constant"
    return states


def worse(first: Sequence[NodeState], second: Sequence[NodeState]) -> list[NodeState]:
    """Return the states of nodes that were read in two phases: what is wrong in either."""
    return [b if a == "good" else a for a, b in zip(first, second, strict=True)]


def described(states: Sequence[NodeState]) -> tuple[str, ...]:
    """Return one line for each state that is not good, naming its nodes (the first ten)."""
    lines = []
    for state, meaning in _MEANING.items():
        nodes = [node for node, found in enumerate(states) if found == state]
        if state == "good" or not nodes:
            continue
        named = ", ".join(map(str, nodes[:10])) + (", ..." if len(nodes) > 10 else "")
        lines.append(
            f"{len(nodes)} of {len(states)} nodes {state} ({meaning}): node{'s' * (len(nodes) > 1)}"
            f" {named}"
        )
    return tuple(lines)
