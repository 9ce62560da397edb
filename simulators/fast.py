"""The ideal network with fused kernels: one read and one write of the conductances an update."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hilep import kirchhoff
from hilep.arrays import Doubles, Floats
from hilep.network import Network
from hilep.reading import LayerUpdate, Update
from hilep.simulators.passes import input_pass, junction_pass
from hilep.simulators.pull import Drive, Pull
from hilep.simulators.relaxation import invert, relax

CACHE_LINE = 64


class FastSolver:
    """The reference solver's verbs on conductances held post node first.

    Args:
        network: layers, polarities, biases.
        dtype: precision of the conductances and of sums along the inputs; node voltages and sums
            over free nodes are float64.
    """

    name = "numba kernels"

    def __init__(self, network: Network, dtype: type[np.floating] = np.float32) -> None:
        self.network = network
        self.dtype = np.dtype(dtype)
        self._held = [aligned(shape[::-1], self.dtype) for shape in network.shapes]
        self._junctions = tuple(self._held[1:])
        self.bias_currents: Doubles = np.zeros(network.free_nodes)
        self._starts = np.cumsum((0, *network.layers[1:]))
        polarity = network.polarity
        self._root = np.sqrt(network.node_weights) if network.amplified else None
        self._low = np.where(polarity > 0, 0.0, -np.inf)
        self._high = np.where(polarity < 0, 0.0, np.inf)
        self._window = network.window(dtype)
        self._open = (self.dtype.type(-np.inf), self.dtype.type(np.inf))
        self._unchanged = [LayerUpdate.zero(shape) for shape in network.shapes]
        self._total_first = np.zeros(network.layers[1])
        self._between = [(np.zeros(pre), np.zeros(post)) for pre, post in network.shapes[1:]]
        self._inverse = np.zeros(network.free_nodes)
        self._siemens = np.zeros(network.free_nodes)
        self._constant = np.zeros(network.free_nodes)
        self._clamped: Floats = np.zeros((0, network.shapes[0][0]), self.dtype)
        self._mirrored = False
        self._drive: Doubles = np.zeros((0, network.layers[1]))

    @property
    def conductances(self) -> list[Floats]:
        """Siemens, one view (n_pre, n_post) per layer."""
        return [held.T for held in self._held]

    def load(self, conductances: list[Floats]) -> None:
        """Take over conductances in siemens, one (n_pre, n_post) per layer."""
        for own, new in zip(self._held, conductances, strict=True):
            # Clipped, because rounding to this precision may leave the window.
            np.clip(new.T.astype(self.dtype, copy=False), *self._window, out=own)
        self._clamped = self._clamped[:0]
        for layer in range(1, len(self._held)):
            self._pass_between(layer, self._unchanged[layer], clip=False)
        self._pass_inputs(self._unchanged[0], None, self._open)

    def held(self, inputs: ArrayLike) -> Drive | None:
        """Return the currents of `inputs` if the last update formed them, else None."""
        clamped = self._clamped[:, : self.network.inputs]
        if clamped.shape[0] and np.array_equal(clamped, inputs):
            return Drive(clamped, self._drive)
        return None

    def forward(self, inputs: Floats) -> Drive:
        """Form the currents of `inputs` (batch, n_in)."""
        self._pass_inputs(self._unchanged[0], inputs, self._open)
        return Drive(self._clamped[:, : self.network.inputs], self._drive)

    def glance(self, inputs: Floats) -> Drive:
        """Form the currents of `inputs` and leave those of the next update's inputs alone."""
        clamped = np.asarray(inputs, self.dtype)
        amps = np.asarray(self.network.with_bias_rows(clamped) @ self._held[0].T, np.float64)
        return Drive(clamped, amps)

    def add(self, update: Update, clip: bool, next_inputs: Floats | None) -> None:
        """Add an update in one pass, clip it where asked, and form the next inputs' currents."""
        for layer in range(1, len(self._held)):
            self._pass_between(layer, update.layers[layer], clip)
        if update.bias_currents is not None:
            self.bias_currents += update.bias_currents
        if not clip and update.layers[0].nothing:
            return
        self._pass_inputs(update.layers[0], next_inputs, self._window if clip else self._open)

    def _factors(self, update: LayerUpdate) -> tuple[Floats, Floats, Floats]:
        """Return left, right and column; a row term, or a column alone, becomes one more rank."""
        rank, nodes = update.left.shape
        if update.row is None and (rank or update.column is None):
            left = np.ascontiguousarray(update.left, self.dtype)
            right = np.ascontiguousarray(update.right, self.dtype)
        else:
            left = aligned((rank + 1, nodes), self.dtype)
            right = np.empty((rank + 1, update.right.shape[1]), self.dtype)
            left[:rank], left[rank] = update.left, 0.0 if update.row is None else update.row
            right[:rank], right[rank] = update.right, 1.0
        if update.column is None:
            return left, right, np.zeros(right.shape[1], self.dtype)
        return left, right, update.column.astype(self.dtype)

    def _pass_between(self, layer: int, update: LayerUpdate, clip: bool) -> None:
        left, right, column = self._factors(update)
        low, high = self._window if clip else self._open
        pre, post = self._between[layer - 1]
        junction_pass(self._held[layer], left, right, column, low, high, pre, post)

    def _pass_inputs(
        self, update: LayerUpdate, inputs: Floats | None, window: tuple[np.floating, np.floating]
    ) -> None:
        left, right, column = self._factors(update)
        mirrored = left.shape[0] == 4 and (
            self._mirrored if np.shares_memory(left, self._clamped) else _mirrored(left)
        )
        # A copy: the caller may reuse its array before the next call.
        held = self._clamped[:0] if inputs is None else self.network.with_bias_rows(inputs)
        self._clamped = aligned(held.shape, self.dtype)
        self._clamped[:] = held
        self._mirrored = _mirrored(self._clamped)
        self._drive = np.empty((self._clamped.shape[0], self.network.layers[1]))
        input_pass(
            self._held[0],
            left,
            right,
            column,
            mirrored,
            *window,
            self._clamped,
            self._mirrored,
            self._drive,
            self._total_first,
        )
        self._sum_nodes()

    def _sum_nodes(self) -> None:
        """Join the sums of all layers into each free node's total conductance and fixed current."""
        network = self.network
        siemens = self._siemens
        siemens[network.slices[0]] = self._total_first
        for layer, (pre, post) in enumerate(self._between, start=1):
            drawn = network.voltage_gain * network.current_gain * pre[: network.layers[layer]]
            siemens[network.slices[layer - 1]] += drawn
            siemens[network.slices[layer]] = post
        invert(siemens, self._inverse)
        np.copyto(self._constant, self.bias_currents)
        if network.bias_rows:
            for layer, held in enumerate(self._held[1:], start=1):
                rows = held[:, network.layers[layer] :].astype(np.float64)
                self._constant[network.slices[layer]] += rows @ network.bias_volts

    def output_siemens(self) -> Doubles:
        """Return each output's total conductance (n_out,)."""
        return self._siemens[self.network.output_slice]

    def relax(self, drive: Drive, volts: Doubles, pull: Pull, sweeps: int) -> None:
        """Sweep all layers; see `ReferenceSolver.relax`."""
        assert drive.amps is not None
        out = self.network.output_slice
        constant = self._constant[out]
        if not self._junctions:
            if pull.clamped is not None:
                volts[:, out] = pull.clamped
                return
            siemens = self._siemens + pull.siemens
            current = drive.amps + constant + pull.amps
            volts[:] = np.divide(current, siemens, out=np.zeros_like(current), where=siemens != 0)
            return
        inverse = self._inverse[out]
        if pull.clamped is not None:
            volts[:, out] = pull.clamped
        elif pull.siemens != 0:
            siemens = self._siemens[out] + pull.siemens
            inverse = np.divide(1.0, siemens, out=np.zeros_like(siemens), where=siemens != 0)
        amps: tuple[Doubles, ...] = (drive.amps, self._constant, pull.amps)
        ohms: tuple[Doubles, ...] = (self._inverse, inverse)
        held = volts
        if self._root is not None:
            amps, ohms, held = self._symmetric(amps, ohms, volts)
        relax(
            self._junctions,
            self._starts,
            amps[0],
            amps[1],
            ohms[0],
            self._low,
            self._high,
            amps[2],
            ohms[1],
            pull.clamped is not None,
            held,
            np.empty_like(held),
            sweeps,
        )
        if self._root is not None:
            np.divide(held, self._root, out=volts)
            if pull.clamped is not None:
                volts[:, out] = pull.clamped

    def _symmetric(
        self, amps: tuple[Doubles, ...], ohms: tuple[Doubles, ...], volts: Doubles
    ) -> tuple[tuple[Doubles, ...], tuple[Doubles, ...], Doubles]:
        """Return what `relax` takes in units in which amplifiers leave eq. (6) symmetric.

        With W the weight (B / A)**m of layer m: volts times sqrt(W), the currents into a node times
        sqrt(W / A B) and its ohms times sqrt(A B). Both directions of an array then carry the
        cells' own conductances, so that the kernel knows nothing of gains.

        Args:
            amps: from the inputs, into all free nodes, and into the outputs.
            ohms: of all free nodes, and of the outputs.
            volts: (batch, n_free).
        """
        network, root = self.network, self._root
        assert root is not None
        loop = math.sqrt(network.voltage_gain) * math.sqrt(network.current_gain)
        unit = root / loop
        drive, constant, pull = amps
        units = unit[network.slices[0]], unit[network.output_slice]
        scaled = (drive * units[0], constant * unit, pull * units[1])
        return scaled, (ohms[0] * loop, ohms[1] * loop), volts * root

    def residual(self, drive: Drive, volts: Doubles, pull: Pull) -> float:
        """Return the largest imbalance of currents, as a fraction of a node's currents."""
        assert drive.amps is not None
        network = self.network
        siemens = self._siemens.copy()
        inflow = np.tile(self._constant, (volts.shape[0], 1))
        inflow[:, network.slices[0]] += drive.amps
        magnitude = np.abs(inflow)
        for layer, held in enumerate(self._held[1:], start=1):
            inside, outside = network.slices[layer - 1], network.slices[layer]
            g = held[:, : network.layers[layer]].astype(np.float64)
            back, forth = network.current_gain * g, network.voltage_gain * g.T
            for here, there, joined in ((inside, outside, back), (outside, inside, forth)):
                inflow[:, here] += volts[:, there] @ joined
                magnitude[:, here] += np.abs(volts[:, there]) @ joined
        out = network.output_slice
        siemens[out] += pull.siemens
        inflow[:, out] += pull.amps
        off = kirchhoff.imbalance(volts, siemens, inflow, magnitude, network.polarity)
        if pull.clamped is not None:
            off[:, out] = 0.0
        return float(off.max(initial=0.0))


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Floats:
    """Return zeros whose first element begins a cache line: vector loads then never cross one."""
    size = math.prod(shape) * dtype.itemsize
    raw = np.zeros(size + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    array: Floats = raw[start : start + size].view(dtype).reshape(shape)
    return array


def _mirrored(volts: Floats) -> bool:
    """Return whether the second half of every row is the negative of the first."""
    half, odd = divmod(volts.shape[1], 2)
    return (
        not odd and volts.shape[0] > 0 and bool(np.array_equal(volts[:, :half], -volts[:, half:]))
    )
