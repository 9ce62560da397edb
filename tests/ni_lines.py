"""Two outputs of an NI device on a divider, and inputs on its nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Divider:
    """ai0 is halfway between ao0 and ao1, ai1 is ao0; every read has its own noise."""

    def __init__(self, sigma_v: float = 0.0, seed: int = 1) -> None:
        self.driven: dict[str, float] = {}
        self.log: list[tuple[str, float]] = []
        self.sigma_v = sigma_v
        self.generator = np.random.default_rng(seed)

    def drive(self, channel: str, volts: float) -> None:
        self.driven[channel] = volts
        self.log.append((channel, volts))

    def sense(self, channels: Sequence[str], samples: int) -> np.ndarray:
        one, two = (self.driven.get(f"Dev1/ao{n}", 0.0) for n in (0, 1))
        nodes = {"Dev1/ai0": (one + two) / 2, "Dev1/ai1": one}
        volts = np.array([nodes.get(channel, 0.0) for channel in channels])
        return volts + self.sigma_v * self.generator.standard_normal((samples, len(channels)))
