"""Linear systems of a layered network, a batch at once, eliminated layer by layer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.simulators.circuit.ports import PortNetwork

Mask = NDArray[np.bool_]

SINGULAR = 64 * float(np.finfo(np.float64).eps)
"""A pivot below this fraction of its node's conductance is rounding."""


class IndefiniteError(Exception):
    """A system is singular or indefinite; how a solver learns which node and image it is."""

    def __init__(self, image: int, node: int) -> None:
        super().__init__(f"node {node} of image {image}")
        self.image, self.node = image, node


class Blocks:
    """The matrix Y of a `PortNetwork` with extra conductances on its diagonal.

    A first layer whose nodes are not joined to each other is eliminated elementwise, so that a
    network with one hidden layer costs one small solve with the outputs' Schur complement.

    Args:
        ports: the network.
        siemens: added to each node, times its weight already (n_free,).

    Attributes:
        diagonal: of Y (n_free,), siemens.
    """

    def __init__(self, ports: PortNetwork, siemens: Doubles) -> None:
        ends = np.cumsum([0, *(block.shape[0] for block in ports.own)]).tolist()
        self.slices = [slice(a, b) for a, b in pairwise(ends)]
        self.nodes = int(ends[-1])
        self.joined = ports.joined
        self.own: list[Doubles] = []
        for block, s in zip(ports.own, self.slices, strict=True):
            self.own.append(_with_diagonal(block, siemens[s]))
        self.diagonal: Doubles = np.concatenate(
            [block if block.ndim == 1 else block.diagonal() for block in self.own]
        )
        self._absolute = [np.abs(block) for block in self.own]

    def times(self, volts: Doubles) -> Doubles:
        """Return Y V (batch, n_free)."""
        return self._product(self.own, volts, -1.0)

    def magnitude(self, volts: Doubles) -> Doubles:
        """Return |Y| |V| (batch, n_free), what the rounding of `times` is measured by."""
        return self._product(self._absolute, np.abs(volts), 1.0)

    def solve(self, extra: Doubles, fixed: Mask, right: Doubles, *, check: bool = False) -> Doubles:
        """Return d with (Y + diag(extra)) d = right at all nodes that are not fixed, else d = 0.

        Args:
            extra: siemens (batch, n_free).
            fixed: nodes that do not move (batch, n_free).
            right: amperes (batch, n_free).
            check: whether to make sure that the system is positive definite.

        Raises:
            IndefiniteError: where `check` finds that it is not, or a pivot is 0.
        """
        free = ~fixed
        right = np.where(fixed, 0.0, right)
        if check:
            _require_positive(self.diagonal + extra, free)
        parts = [right[:, s] for s in self.slices]
        steps: list[tuple[Doubles, Doubles]] = []
        schur: Doubles | None = None
        for k, s in enumerate(self.slices):
            last = k == len(self.slices) - 1
            if schur is None and self.own[k].ndim == 1:
                # A fixed node is one with infinite conductance.
                total = self.own[k] + extra[:, s]
                inverse = np.divide(1.0, total, out=np.zeros(total.shape), where=free[:, s])
                own = inverse * parts[k]
                if last:
                    steps.append((own, own))
                    break
                onward = inverse[:, :, None] * self.joined[k]
            else:
                block = self._block(k, schur, extra[:, s], free[:, s])
                if check:
                    scale = self.diagonal[s] + extra[:, s]
                    _require_definite(block, scale, free[:, s], s.start)
                both = parts[k][:, :, None]
                if not last:
                    joined = free[:, s, None] * self.joined[k]
                    both = np.concatenate([joined, both], axis=2)
                solved = _solved(block, both, s.start)
                own = solved[:, :, -1]
                if last:
                    steps.append((own, own))
                    break
                onward = solved[:, :, :-1]
            schur = self.joined[k].T @ onward
            parts[k + 1] = parts[k + 1] + free[:, self.slices[k + 1]] * (own @ self.joined[k])
            steps.append((own, onward))
        return self._substituted(steps)

    def _substituted(self, steps: list[tuple[Doubles, Doubles]]) -> Doubles:
        above = steps[-1][0]
        found = np.empty((above.shape[0], self.nodes))
        found[:, self.slices[-1]] = above
        for s, (own, onward) in zip(self.slices[-2::-1], steps[-2::-1], strict=True):
            above = own + (onward @ above[:, :, None])[:, :, 0]
            found[:, s] = above
        return found

    def _block(self, k: int, schur: Doubles | None, extra: Doubles, free: Mask) -> Doubles:
        own = self.own[k]
        n = own.shape[0]
        block = np.zeros((extra.shape[0], n, n))
        at = np.arange(n)
        if own.ndim == 1:
            block[:, at, at] = own + extra
        else:
            block += own
            block[:, at, at] += extra
        if schur is not None:
            block -= schur
        if not free.all():
            scale = self.diagonal[self.slices[k]] + extra
            block *= free[:, :, None] & free[:, None, :]
            block[:, at, at] += np.where(free, 0.0, np.where(scale > 0, scale, 1.0))
        return block

    def _product(self, own: list[Doubles], volts: Doubles, sign: float) -> Doubles:
        out = np.empty_like(volts)
        for k, s in enumerate(self.slices):
            here = volts[:, s]
            total = here * own[k] if own[k].ndim == 1 else here @ own[k]
            if k > 0:
                total += sign * (volts[:, self.slices[k - 1]] @ self.joined[k - 1])
            if k < len(self.joined):
                total += sign * (volts[:, self.slices[k + 1]] @ self.joined[k].T)
            out[:, s] = total
        return out


def _with_diagonal(block: Doubles, siemens: Doubles) -> Doubles:
    if block.ndim == 1:
        return np.asarray(block + siemens)
    return np.asarray(block + np.diag(siemens))


def _solved(block: Doubles, right: Doubles, first: int) -> Doubles:
    try:
        return np.asarray(np.linalg.solve(block, right), np.float64)
    except np.linalg.LinAlgError:
        image = next(i for i, one in enumerate(block) if not _solvable(one))
        _require_definite(block[image:], _absolute_diagonal(block[image:]), None, first, image)
        raise IndefiniteError(image, first) from None


def _solvable(block: Doubles) -> bool:
    try:
        np.linalg.solve(block, block[:, :1])
    except np.linalg.LinAlgError:
        return False
    return True


def _absolute_diagonal(block: Doubles) -> Doubles:
    return np.abs(np.diagonal(block, axis1=1, axis2=2))


def _require_positive(diagonal: Doubles, free: Mask) -> None:
    wrong = free & ~(diagonal > 0)
    if wrong.any():
        image, node = np.argwhere(wrong)[0]
        raise IndefiniteError(int(image), int(node))


def _require_definite(
    block: Doubles, scale: Doubles, free: Mask | None, first: int, image: int = 0
) -> None:
    """Raise unless every `block`, each node by its own conductance, is positive definite."""
    root = np.sqrt(np.where(scale > 0, scale, 1.0))
    scaled = block / (root[:, :, None] * root[:, None, :])
    n = scaled.shape[1]
    scaled[:, np.arange(n), np.arange(n)] -= SINGULAR
    try:
        np.linalg.cholesky(scaled)
        return
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(scaled)
    if (values[:, 0] > 0).all():
        return
    worst = int(np.argmax(values[:, 0] <= 0))
    share: NDArray[Any] = np.abs(vectors[worst, :, 0])
    if free is not None:
        share = share * free[worst]
    raise IndefiniteError(image + worst, first + int(np.argmax(share)))
