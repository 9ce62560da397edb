"""What a device states about itself, and the seeded circuits that the laws are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, product
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats
from hilep.crossbar import Crossbar
from hilep.network import Bias, Diodes, Network
from hilep.testing.equilibrium import equilibrium

FALSE_ALARM = 1e-6
"""Probability with which a law about noise may fail a sound device."""
STANDARD_ERRORS = 6.5
"""A normal mean lies this far out with probability 8e-11: 1e-6 over ten thousand comparisons."""


class Specimen:
    """The device under test: override `build`, and the attributes where they differ.

    Attributes:
        volts: full-scale input volts. The device must stand twice that.
        siemens: typical conductance. Cells must take 0.25 to 2 times that.
        sigma_v: largest standard deviation of a read, volts; 0 for a noiseless device.
        tolerance: accuracy of a settled voltage as a fraction of `volts`, and of a nudge current
            as a fraction of `siemens * volts`. A converter's step counts.
        conductance_tolerance: accuracy of programming, as a fraction of the conductance or of
            `siemens`, whichever is larger; for bias currents of `siemens * volts`. The resolution
            of writing counts.
        layers: sizes of networks that the device can realise.
        diodes: kinds of diodes that it can realise; see `hilep.network.diode_polarities`.
        bias_kinds: kinds of bias that it can realise.
        gains: voltage and current gains of amplifiers between layers that it can realise.
        reads: reads of each node where a law is about means or noise, at least 100.
        small_step: fraction of `siemens * volts` within which a circuit answers in proportion as
            long as no diode switches; below 1 for diodes or cells that are nonlinear in between.
    """

    volts: float = 1.0
    siemens: float = 1e-6
    sigma_v: float = 0.0
    tolerance: float = 1e-9
    conductance_tolerance: float = 1e-9
    layers: ClassVar[tuple[tuple[int, ...], ...]] = ((6, 5, 3), (4, 3), (6, 5, 4, 2))
    diodes: ClassVar[tuple[Diodes, ...]] = ("split", "relu", "none")
    bias_kinds: ClassVar[tuple[Bias, ...]] = ("current", "row", "none")
    gains: ClassVar[tuple[tuple[float, float], ...]] = ((1.0, 1.0),)
    reads: int = 400
    small_step: float = 1.0

    def build(self, network: Network) -> Crossbar:
        """Return a fresh device, not yet programmed, that realises `network`.

        At most one is in use at a time, and `safe` has been called on the one before.
        """
        raise NotImplementedError("override build(network)")

    # Circuits -------------------------------------------------------------------------------------

    def networks(self) -> Iterator[Network]:
        """Yield every size with every kind of bias, going round the diodes and the gains."""
        turns = count()
        for layers, bias in product(self.layers, self.bias_kinds):
            turn = next(turns)
            gains = self.gains[turn % len(self.gains)]
            yield self.network(layers, self.diodes[turn % len(self.diodes)], bias, gains)

    def network(
        self,
        layers: tuple[int, ...] | None = None,
        diodes: Diodes | None = None,
        bias: Bias | None = None,
        gains: tuple[float, float] | None = None,
    ) -> Network:
        """Return a network with window and limits; the first of each kind unless told."""
        return Network(
            layers=self.layers[0] if layers is None else layers,
            diodes=self.diodes[0] if diodes is None else diodes,
            bias=self.bias_kinds[0] if bias is None else bias,
            bias_v=self.volts,
            g_min_siemens=0.25 * self.siemens,
            g_max_siemens=2.0 * self.siemens,
            voltage_limit_v=2.0 * self.volts,
            current_limit_a=4.0 * self.siemens * self.volts,
            voltage_gain=(gains or self.gains[0])[0],
            current_gain=(gains or self.gains[0])[1],
        )

    @contextmanager
    def programmed(self, network: Network, generator: np.random.Generator) -> Iterator[Crossbar]:
        """Build a device, program random conductances and bias currents, and make it safe after."""
        with self.build(network) as device:
            device.program(
                self.draw_siemens(network, generator), self.draw_bias(network, generator)
            )
            yield device

    def draw_siemens(self, network: Network, generator: np.random.Generator) -> list[Doubles]:
        """Return conductances between 0.5 and 1.5 times `siemens`."""
        return [self.siemens * generator.uniform(0.5, 1.5, shape) for shape in network.shapes]

    def draw_bias(self, network: Network, generator: np.random.Generator) -> Doubles | None:
        """Return bias currents up to half of `siemens * volts`, or None without such biases."""
        if network.bias != "current":
            return None
        return self.draw_amps(network.free_nodes, generator) * 0.5

    def draw_volts(self, shape: int | tuple[int, ...], generator: np.random.Generator) -> Doubles:
        """Return volts up to full scale."""
        return self.volts * generator.uniform(-1.0, 1.0, shape)

    def draw_amps(self, shape: int | tuple[int, ...], generator: np.random.Generator) -> Doubles:
        """Return currents up to `siemens * volts`."""
        return self.siemens * self.volts * generator.uniform(-1.0, 1.0, shape)

    # Comparisons ----------------------------------------------------------------------------------

    def expected(
        self,
        device: Crossbar,
        inputs: ArrayLike,
        *,
        amps: ArrayLike | None = None,
        spring_siemens: float = 0.0,
        targets: ArrayLike | None = None,
    ) -> Doubles:
        """Return the volts (n_free,) at which `device`, as it is programmed, has to settle."""
        return equilibrium(
            device.network,
            device.conductances(),
            device.bias_currents() if device.network.bias == "current" else None,
            inputs,
            amps=amps,
            spring_siemens=spring_siemens,
            targets=targets,
        )

    def allowance(self, reads: int) -> float:
        """Return how far, in volts, the mean of `reads` reads may lie from the true voltage."""
        return self.tolerance * self.volts + STANDARD_ERRORS * self.sigma_v / float(np.sqrt(reads))

    def off_by(self, measured: ArrayLike, true: ArrayLike) -> float:
        """Return the largest distance between two arrays, volts; NaN where one is not finite."""
        return float(np.abs(np.asarray(measured) - np.asarray(true)).max())

    def read_mean(self, device: Crossbar) -> Floats:
        """Return the mean of `reads` reads, volts (n_free,)."""
        return device.read(self.reads).mean

    @contextmanager
    def left_unchanged(self, device: Crossbar) -> Iterator[None]:
        """Check that what happens inside changes neither conductances, biases nor voltages."""
        siemens = [g.copy() for g in device.conductances()]
        bias = device.bias_currents().copy()
        volts = self.read_mean(device).copy()
        yield
        for layer, (before, after) in enumerate(zip(siemens, device.conductances(), strict=True)):
            assert np.array_equal(before, after), f"conductances of layer {layer} have changed"
        assert np.array_equal(bias, device.bias_currents()), "bias currents have changed"
        moved = self.off_by(self.read_mean(device), volts)
        assert moved <= 2 * self.allowance(self.reads), f"voltages have moved by {moved} V"

    def siemens_allowance(self, siemens: ArrayLike) -> Doubles:
        """Return how far from `siemens` a programmed conductance may lie."""
        larger = np.maximum(np.asarray(siemens, np.float64), self.siemens)
        return np.asarray(self.conductance_tolerance * larger)
