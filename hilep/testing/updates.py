"""Laws of the in-place update: sum the factors, clip at the window, program."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles
from hilep.crossbar import Crossbar
from hilep.network import Network
from hilep.reading import LayerUpdate, ProgramReport, Update
from hilep.testing.programming import check_report
from hilep.testing.specimen import Specimen


class UpdateLaws(Specimen):
    """Laws of `update`."""

    def draw_update(
        self, network: Network, generator: np.random.Generator, rank: int, reach: float
    ) -> Update:
        """Return an update in factors whose entries are of the order of `reach * siemens`."""

        def normal(*shape: int) -> Doubles:
            return generator.standard_normal(shape)

        layers = []
        for layer, (pre, post) in enumerate(network.shapes):
            scale = reach * self.siemens / max(1, rank) ** 0.5
            row = scale * normal(pre) if (layer + rank) % 2 else None
            column = scale * normal(post) if rank % 3 else None
            # Unequal units on the two sides, as in the rule: volts on one, siemens per volt.
            left, right = self.volts * normal(rank, pre), scale / self.volts * normal(rank, post)
            layers.append(LayerUpdate(left, right, row, column))
        bias = None
        if network.bias == "current":
            bias = 0.1 * self.draw_amps(network.free_nodes, generator)
        return Update(tuple(layers), bias)

    def check_sum(
        self,
        network: Network,
        seed: int,
        blocks: list[Update],
        next_volts: ArrayLike | None = None,
        default: bool = False,
    ) -> None:
        """Check one update of a fresh device against the dense sum."""
        generator = np.random.default_rng(seed)
        with self.programmed(network, generator) as device:
            wanted: list[Doubles] = [np.array(g, np.float64) for g in device.conductances()]
            bias = np.array(device.bias_currents(), np.float64)
            for block in blocks:
                for total, factors in zip(wanted, block.layers, strict=True):
                    total += factors.dense()
                if block.bias_currents is not None:
                    bias += block.bias_currents
            report = _updated(device, iter(blocks), next_volts, default)
            check_report(report, device)
            achieved = device.conductances()
            for layer, (g, want) in enumerate(zip(achieved, wanted, strict=True)):
                assert g.min() >= network.g_min_siemens, f"layer {layer} below the window"
                assert g.max() <= network.g_max_siemens, f"layer {layer} above the window"
                want = np.clip(want, network.g_min_siemens, network.g_max_siemens)
                off = np.abs(g - want) > self.siemens_allowance(want)
                cells = {(layer, int(i), int(j)) for i, j in np.argwhere(off)}
                assert cells <= set(report.failed), f"layer {layer} of {network.layers}"
            if network.bias == "current":
                within = self.conductance_tolerance * self.siemens * self.volts
                assert np.abs(device.bias_currents() - bias).max() <= within
            rows = [self.draw_volts(network.inputs, generator)]
            if next_volts is not None:
                rows = [*np.asarray(next_volts), *rows]
            # The hinted inputs and others: a hint is no promise.
            for row in rows:
                device.clamp(row)
                off_by = self.off_by(self.read_mean(device), self.expected(device, row))
                assert off_by <= self.allowance(self.reads), "voltages do not follow the update"

    def test_an_update_in_factors_is_its_dense_sum_clipped(self) -> None:
        """Conductances become clip(g + dense); voltages and bias currents follow; any rank.

        A large update takes about a third of the cells to an end of the window. The default of the
        base class is held to the same.
        """
        for network in self.networks():
            generator = np.random.default_rng(11)
            for rank, reach, default in ((1, 0.05, False), (3, 1.0, False), (4, 1.0, True)):
                update = self.draw_update(network, generator, rank, reach)
                self.check_sum(network, rank, [update], default=default)

    def test_an_update_of_mirrored_inputs_is_its_dense_sum(self) -> None:
        """Inputs doubled as +x and -x, four of them: a case that simulators fuse."""
        for layers in self.layers:
            if layers[0] % 2:
                continue
            network = self.network(layers)
            generator = np.random.default_rng(12)
            half = self.draw_volts((4, layers[0] // 2), generator)
            inputs = np.concatenate([half, -half], axis=1)
            update = self.draw_update(network, generator, 4, 0.5)
            first = update.layers[0]
            left = network.with_bias_rows(inputs)
            fused = LayerUpdate(left, first.right, None, first.column)
            whole = Update((fused, *update.layers[1:]), update.bias_currents)
            following = np.concatenate([half[::-1], -half[::-1]], axis=1)
            for hint in (None, following):
                self.check_sum(network, 12, [whole], hint)

    def test_blocks_are_summed_before_they_are_clipped(self) -> None:
        """A block that leaves the window and one that brings it back are together as their sum."""
        for network in self.networks():
            generator = np.random.default_rng(13)
            large = self.draw_update(network, generator, 2, 2.0)
            small = self.draw_update(network, generator, 1, 0.05)
            back = Update(
                tuple(
                    LayerUpdate(
                        -layer.left,
                        layer.right,
                        None if layer.row is None else -layer.row,
                        None if layer.column is None else -layer.column,
                    )
                    for layer in large.layers
                )
            )
            self.check_sum(network, 13, [large, small, back])

    def test_the_next_inputs_are_only_a_hint(self) -> None:
        """With a hint of one, three or four next images an update is what it is without."""
        for network in self.networks():
            generator = np.random.default_rng(14)
            update = self.draw_update(network, generator, 2, 0.3)
            for batch in (1, 3, 4):
                hint = self.draw_volts((batch, network.inputs), generator)
                self.check_sum(network, 14, [update], hint)

    def test_an_update_of_nothing_changes_nothing(self) -> None:
        """No blocks, or a block of rank zero, leave conductances and voltages as they are."""
        network = self.network()
        generator = np.random.default_rng(15)
        with self.programmed(network, generator) as device:
            device.clamp(self.draw_volts(network.inputs, generator))
            nothing = Update(
                tuple(
                    LayerUpdate(np.zeros((0, pre)), np.zeros((0, post)))
                    for pre, post in network.shapes
                )
            )
            for blocks in ([], [nothing]):
                with self.left_unchanged(device):
                    device.update(blocks)


def _updated(
    device: Crossbar, blocks: Iterable[Update], next_volts: ArrayLike | None, default: bool
) -> ProgramReport:
    if default:
        return Crossbar.update(device, blocks, next_volts)
    return device.update(blocks, next_volts)
