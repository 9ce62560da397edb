"""The wires of virtual NI devices on a world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hilep.arrays import Doubles
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.world import Drive, World

_OUTPUT_A = 5e-3
"""What an output gives at most (PCIe/PXIe/USB-6363 Specifications, "Output current drive")."""


class WorldLines:
    """NI terminals on terminals of a world; others lead nowhere and read 0 V.

    Args:
        world: what they are wired to.
        terminals: of the world, by "Dev1/ai0".
        clock: the time that an acquisition passes.
        generator: draws the noise.
        noise_v: standard deviation of one sample.
        gains, offsets: of inputs and outputs, by "Dev1/ai0"; offsets in volts.
    """

    def __init__(
        self,
        world: World,
        terminals: Mapping[str, str],
        clock: Clock,
        generator: np.random.Generator,
        noise_v: float = 0.0,
        gains: Mapping[str, float] | None = None,
        offsets: Mapping[str, float] | None = None,
    ) -> None:
        self._world, self._terminals, self._clock = world, dict(terminals), clock
        self._generator, self._noise_v = generator, noise_v
        self._gains, self._offsets = dict(gains or {}), dict(offsets or {})
        self._took_s = 0.0

    def drive(self, channel: str, volts: float) -> None:
        """Hold the terminal of an analog output at `volts`."""
        if channel in self._terminals:
            there = volts * self._gains.get(channel, 1.0) + self._offsets.get(channel, 0.0)
            self._world.drive(self._terminals[channel], Drive("volts", there, _OUTPUT_A))

    def pass_time(self, seconds: float) -> None:
        """Let the time of an acquisition pass, before `sense` says what it brought."""
        self._clock.advance(seconds)
        self._took_s = seconds

    def sense(self, channels: Sequence[str], samples: int) -> Doubles:
        """Return volts (samples, channels) at analog inputs, noise included."""
        settling = self._world.settle()
        self._clock.advance(settling)
        wired = [k for k, channel in enumerate(channels) if channel in self._terminals]
        found = np.zeros((samples, len(channels)))
        names = [self._terminals[channels[k]] for k in wired]
        when = (
            (np.arange(samples) / samples - 1) * self._took_s if not settling else np.zeros(samples)
        )
        begins = np.tile(when[:, None], len(names))
        self._took_s = 0.0
        found[:, wired] = self._world.measure(names, 0.0, self._generator, samples, begins).volts
        found *= [self._gains.get(channel, 1.0) for channel in channels]
        found += [self._offsets.get(channel, 0.0) for channel in channels]
        return found + self._noise_v * self._generator.standard_normal(found.shape)
