"""The learning rule: from the voltages read in two phases to a change of every conductance.

The paper's eq. (7) and (9) carry the wrong sign as printed; eq. (4) gives descent:

    dg_ij = -(eta / 2 beta) * (dV_second^2 - dV_first^2),   dV = V_i - V_j
    db_i  = +(eta_bias / beta) * (V_second - V_first)

with beta the signed distance between the phases. The difference of squares is formed as
(second - first) * (second + first), factor by factor, because in single precision at hundreds of
volts the squares themselves round like a read noise of microvolts.

Behind an amplifier V_i is the voltage at the cell, A times that of its hidden node. Both rules
carry the layer's `Network.shares`: the weight of its energy over that of the nudge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from hilep.arrays import Doubles, Floats
from hilep.errors import BadInputError
from hilep.estimators import STATISTIC, Estimator, excess_variance
from hilep.network import Network
from hilep.reading import Contrast, LayerUpdate, Reading, Statistic, Update

Reduction: TypeAlias = Literal["sum", "mean"]


@dataclass(frozen=True)
class LearningRule:
    """Equilibrium Propagation's update of conductances and bias currents.

    Args:
        network: whose layers and biases are updated.
        beta_difference: signed distance in beta between the two phases, siemens; see
            `hilep.nudging.beta_difference`.
        eta: siemens^2 / volt^2, one per layer.
        eta_bias: siemens^2, one per layer of free nodes; used with bias currents.
        estimator: see `hilep.estimators.Estimator`.
        reduction: "sum" or "mean" over the images of a batch.
        reads: N, to refuse an estimator that needs more.

    Raises:
        BadInputError: for a wrong number of layers, an unknown word, a beta difference of 0, or
            "unbiased" with fewer than two reads.
    """

    network: Network
    beta_difference: float
    eta: Sequence[float]
    eta_bias: Sequence[float]
    estimator: Estimator = "square-of-means"
    reduction: Reduction = "sum"
    reads: int = 1

    def __post_init__(self) -> None:
        layers = len(self.network.shapes)
        if not (math.isfinite(self.beta_difference) and self.beta_difference != 0):
            raise BadInputError(
                f"beta_difference: expected finite siemens, not 0, got {self.beta_difference}"
            )
        if self.reduction not in ("sum", "mean"):
            raise BadInputError(
                f'training.reduction: expected "sum" or "mean", got {self.reduction!r}'
            )
        for name in ("eta", "eta_bias"):
            if np.ndim(getattr(self, name)) != 1:
                raise BadInputError(f"training.{name}: expected one value per layer ({layers})")
            given = len(getattr(self, name))
            if given != layers:
                raise BadInputError(
                    f"training.{name}: expected one value, or one per layer ({layers}), got {given}"
                )
        if self.estimator not in STATISTIC:
            raise BadInputError(
                f"training.estimator: expected one of {', '.join(STATISTIC)}; "
                f"got {self.estimator!r}"
            )
        if self.estimator == "unbiased" and self.reads < 2:
            raise BadInputError(
                'training.estimator: "unbiased" needs training.reads >= 2 to know the variance, '
                f"got {self.reads}"
            )

    @cached_property
    def _eta_of_nodes(self) -> Doubles:
        """eta_bias of every free node, times its layer's share (n_free,)."""
        eta = np.asarray(self.eta_bias, np.float64) * self.network.shares
        return np.repeat(eta, self.network.layers[1:])

    @property
    def statistic(self) -> Statistic:
        """What this rule asks a device to keep of N reads."""
        return STATISTIC[self.estimator]

    def blocks(self, contrast: Contrast, rate: float = 1.0) -> Iterator[Update]:
        """Yield the update as blocks to be summed; one unless samples come in blocks.

        Args:
            contrast: the reads of both phases.
            rate: the learning-rate schedule's factor.
        """
        weight = rate
        if self.reduction == "mean":
            weight /= contrast.inputs.shape[0]
        if self.estimator == "mean-of-squares":
            yield from self._sample_blocks(contrast, weight / contrast.first.count)
            return
        first, second = contrast.first, contrast.second
        excess = excess_variance(first, second) if self.estimator == "unbiased" else None
        yield self._update(
            contrast.inputs,
            (first.mean, second.mean),
            (
                None if first.clamped is None else first.clamped.mean,
                None if second.clamped is None else second.clamped.mean,
            ),
            weight,
            excess,
        )

    def _sample_blocks(self, contrast: Contrast, weight: float) -> Iterator[Update]:
        """Yield the update from every sample, block by block.

        Where inputs are known the first layer's factors of all blocks share their left side, so
        they are summed and come once, in the last block: one pass over the largest array.
        """
        shapes = self.network.shapes
        summed: LayerUpdate | None = None
        for first, second in contrast.sample_blocks():
            assert first.volts is not None
            assert second.volts is not None
            update = self._update(
                contrast.inputs,
                (_flat(first.volts), _flat(second.volts)),
                (_samples(first.clamped), _samples(second.clamped)),
                weight,
            )
            if first.clamped is None:
                layer = update.layers[0]
                assert layer.column is not None
                if summed is None:
                    summed = layer
                else:
                    assert summed.column is not None
                    summed = LayerUpdate(
                        layer.left, summed.right + layer.right, None, summed.column + layer.column
                    )
                update = Update(
                    (LayerUpdate.zero(shapes[0]), *update.layers[1:]), update.bias_currents
                )
            yield update
        if summed is not None:
            yield Update((summed, *(LayerUpdate.zero(shape) for shape in shapes[1:])))

    def _update(
        self,
        inputs: Floats,
        free_nodes: tuple[Floats, Floats],
        read_inputs: tuple[Floats | None, Floats | None],
        weight: float,
        excess: tuple[Floats | None, Floats] | None = None,
    ) -> Update:
        """Return the update from volts (batch, n_free) of both phases.

        Rows may be images, or the samples of images one after the other. `excess` is the variance
        of the mean in the second phase less that in the first, summed over rows, at the inputs
        (or None) and at the free nodes.
        """
        network = self.network
        difference = free_nodes[1] - free_nodes[0]
        total = free_nodes[1] + free_nodes[0]
        own = (difference * total).sum(axis=0)
        if excess is not None:
            own -= excess[1]
        layers = []
        for layer, eta in enumerate(self.eta):
            scale = -0.5 * eta * network.shares[layer] / self.beta_difference * weight
            post = network.slices[layer]
            column = scale * own[post]
            if layer == 0:
                update = self._input_layer(
                    inputs,
                    read_inputs,
                    difference[:, post],
                    total[:, post],
                    column,
                    scale,
                    None if excess is None else excess[0],
                )
            else:
                pre = network.slices[layer - 1]
                update = self._joined(
                    difference[:, pre],
                    total[:, pre],
                    own[pre],
                    difference[:, post],
                    total[:, post],
                    column,
                    scale,
                    network.voltage_gain,
                )
            layers.append(update)
        bias = None
        if network.bias == "current":
            bias = difference.sum(axis=0) * self._eta_of_nodes
            bias *= weight / self.beta_difference
        return Update(tuple(layers), bias)

    def _input_layer(
        self,
        inputs: Floats,
        read_inputs: tuple[Floats | None, Floats | None],
        difference: Floats,
        total: Floats,
        column: Floats,
        scale: float,
        excess: Floats | None,
    ) -> LayerUpdate:
        """Return the first layer's update, whose pre nodes are clamped and so do not move."""
        first, second = read_inputs
        if first is None or second is None:
            repeats = difference.shape[0] // inputs.shape[0]
            if repeats > 1:
                difference = difference.reshape(repeats, inputs.shape[0], -1).sum(axis=0)
            left = self.network.with_bias_rows(inputs)
            return LayerUpdate(left, (-2.0 * scale) * difference, None, column)
        moved, summed = second - first, second + first
        own = (moved * summed).sum(axis=0)
        if excess is not None:
            own -= excess
        return self._joined(moved, summed, own, difference, total, column, scale)

    def _joined(
        self,
        pre_difference: Floats,
        pre_total: Floats,
        pre_own: Floats,
        difference: Floats,
        total: Floats,
        column: Floats,
        scale: float,
        gain: float = 1.0,
    ) -> LayerUpdate:
        """Return the update of a layer whose both ends were read: rank two per row."""
        row = (scale * gain**2) * pre_own
        rows = self.network.bias_rows
        if rows:
            zeros = np.zeros((difference.shape[0], rows))
            pre_difference = np.concatenate([pre_difference, zeros], axis=1)
            volts = np.broadcast_to(2.0 * self.network.bias_volts, zeros.shape)
            pre_total = np.concatenate([pre_total, volts], axis=1)
            row = np.concatenate([row, np.zeros(rows)])
        left = np.concatenate([pre_total, pre_difference])
        if gain != 1:  # The amplifiers' between pre nodes and cells; bias rows have none.
            left[:, : left.shape[1] - rows] *= gain
        right = np.concatenate([difference, total])
        right *= -scale
        return LayerUpdate(left, right, row, column)


def _flat(volts: Floats) -> Floats:
    """Return samples (N, batch, nodes) as rows (N * batch, nodes)."""
    return volts.reshape(-1, volts.shape[-1])


def _samples(reading: Reading | None) -> Floats | None:
    """Return every read of the clamped nodes as rows, or None where they were not read."""
    if reading is None:
        return None
    assert reading.volts is not None
    return _flat(reading.volts)
