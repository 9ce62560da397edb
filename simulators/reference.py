"""The ideal network in plain numpy, to be read beside the paper; what the fast one is tested by."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hilep import kirchhoff
from hilep.arrays import Doubles, Floats
from hilep.network import Network
from hilep.reading import Update
from hilep.simulators.pull import Drive, Pull


class ReferenceSolver:
    """Eq. (6) sweep by sweep, and the update as one dense array.

    Args:
        network: layers, polarities, biases.
        dtype: precision of the conductances.
    """

    name = "numpy reference"

    def __init__(self, network: Network, dtype: type[np.floating] = np.float64) -> None:
        self.network = network
        self.conductances: list[Floats] = [np.zeros(shape, dtype) for shape in network.shapes]
        self.bias_currents: Doubles = np.zeros(network.free_nodes)
        self._window = network.window(dtype)

    def load(self, conductances: list[Floats]) -> None:
        """Take over conductances in siemens, one (n_pre, n_post) per layer."""
        for own, new in zip(self.conductances, conductances, strict=True):
            # Clipped, because rounding to this precision may leave the window.
            np.clip(new.astype(own.dtype), *self._window, out=own)

    def relax(self, drive: Drive, volts: Doubles, pull: Pull, sweeps: int) -> None:
        """Sweep all layers, first to last: each free node takes the mean of its neighbours.

        V_i = rho((sum_j g_ij V_j + b_i + i_nudge) / sum_j g_ij), where rho is the diode: eq. (6).
        A node without any conductance stays at 0 V. Behind an amplifier V_j is A times that of the
        node before, and the next array counts B times, its conductances A B times.

        Args:
            drive: the clamped inputs.
            volts: changed in place, volts (batch, n_free).
            pull: what a nudge does to the outputs.
            sweeps: how often.
        """
        network = self.network
        inputs = drive.inputs
        last = len(network.layers) - 1
        if pull.clamped is not None:
            volts[:, network.output_slice] = pull.clamped
        for _ in range(sweeps):
            for layer in range(1, last + 1):
                here = network.slices[layer - 1]
                if layer == last and pull.clamped is not None:
                    continue
                below = inputs
                if layer > 1:
                    below = network.voltage_gain * volts[:, network.slices[layer - 2]]
                g_below = self.conductances[layer - 1].astype(np.float64)
                current = network.with_bias_rows(below.astype(np.float64)) @ g_below
                siemens = g_below.sum(axis=0)
                current += self.bias_currents[here]
                if layer < last:
                    g_above = self.conductances[layer][: network.layers[layer]].astype(np.float64)
                    g_above *= network.current_gain
                    current += volts[:, network.slices[layer]] @ g_above.T
                    siemens += network.voltage_gain * g_above.sum(axis=1)
                else:
                    current += pull.amps
                    siemens += pull.siemens
                mean = np.divide(current, siemens, out=np.zeros_like(current), where=siemens != 0)
                polarity = network.polarity[here]
                diode = np.where(polarity > 0, np.where(mean < 0, 0, mean), mean)
                volts[:, here] = np.where(polarity < 0, np.where(diode > 0, 0, diode), diode)

    def residual(self, drive: Drive, volts: Doubles, pull: Pull) -> float:
        """Return the largest of `hilep.kirchhoff.residual`."""
        off = kirchhoff.residual(
            self.network,
            self.conductances,
            self.bias_currents,
            drive.inputs,
            volts,
            amps=pull.amps if pull.siemens == 0 else None,
            spring_siemens=np.inf if pull.clamped is not None else pull.siemens,
            targets=pull.targets,
        )
        return float(off.max(initial=0.0))

    def output_siemens(self) -> Doubles:
        """Return each output's total conductance (n_out,)."""
        return np.asarray(self.conductances[-1].sum(axis=0, dtype=np.float64))

    def add(self, update: Update, clip: bool, next_inputs: Floats | None) -> None:
        """Add an update, in the conductances' precision, and clip it where asked."""
        for g, layer in zip(self.conductances, update.layers, strict=True):
            g += layer.dense().astype(g.dtype)
            if clip:
                np.clip(g, *self._window, out=g)
        if update.bias_currents is not None:
            self.bias_currents += update.bias_currents

    def held(self, inputs: ArrayLike) -> Drive | None:
        """Return None: nothing is formed ahead."""
        return None

    def forward(self, inputs: Floats) -> Drive:
        """Return the inputs as clamped; their currents are formed at every sweep."""
        return Drive(inputs.astype(self.conductances[0].dtype))

    def glance(self, inputs: Floats) -> Drive:
        """Return the inputs as clamped, for a look that is not part of training."""
        return self.forward(inputs)
