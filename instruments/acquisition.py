"""What one acquisition of an instrument brings back: every sample, with time and status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hilep.instruments.status import without_sentinels


@dataclass(frozen=True, slots=True)
class Acquisition:
    """N samples of each channel of one instrument.

    Attributes:
        channels: names of the channels, in the order of the second axis.
        volts: (samples, channels) float64, NaN where it was not measured or is no good.
        amps: the same, amperes.
        time_s: when each sample was taken, seconds on the instrument's clock from any zero.
        status: (samples, channels) uint8, bits of `hilep.instruments.status`; 0 is good.
        levels: the source level of each channel as read back, volts or amperes.
        outputs: whether the output of each channel is on, as read back.
    """

    channels: tuple[str, ...]
    volts: NDArray[np.float64]
    amps: NDArray[np.float64]
    time_s: NDArray[np.float64]
    status: NDArray[np.uint8]
    levels: Mapping[str, float] = field(default_factory=dict)
    outputs: Mapping[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (self.volts.shape[0], len(self.channels))
        for name in ("volts", "amps", "time_s", "status"):
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"Acquisition.{name} has shape {found}, expected {shape}")

    @classmethod
    def of_volts(
        cls, channels: Sequence[str], volts: NDArray[np.float64], time_s: NDArray[np.float64]
    ) -> Acquisition:
        """Return what a voltmeter read: sentinels become NaN with their status, amperes are NaN.

        Args:
            channels: names, in the order of the second axis.
            volts: (samples, channels) as the instrument sent them.
            time_s: (samples, channels).
        """
        good, status = without_sentinels(volts)
        return cls(tuple(channels), good, np.full(volts.shape, np.nan), time_s, status)

    @property
    def samples(self) -> int:
        """N, the number of samples of each channel."""
        return int(self.volts.shape[0])

    @classmethod
    def joined(cls, parts: Sequence[Acquisition]) -> Acquisition:
        """Return the buffers of one acquisition as one; levels and outputs are the last ones."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            parts[0].channels,
            np.concatenate([part.volts for part in parts]),
            np.concatenate([part.amps for part in parts]),
            np.concatenate([part.time_s for part in parts]),
            np.concatenate([part.status for part in parts]),
            parts[-1].levels,
            parts[-1].outputs,
        )
