"""Read noise: eq. (8) at every free node, and at the clamped ones where asked, and a converter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats, checked
from hilep.errors import BadInputError
from hilep.joining import pooled
from hilep.network import Network
from hilep.reading import SATURATED, Reading, Statistic

STREAMS = ("first", "second", "free", "evaluation")
"""Independent noise streams: the two phases of an update, the free outputs a centred nudge needs,
and reads outside of training, which therefore do not change what training draws."""

Disturbance: TypeAlias = Callable[[int, np.random.Generator], Doubles]
"""Draws volts (N, ..., n_free) that are added to the true ones of N reads, such as thermal noise
that the nodes share."""


@dataclass(frozen=True, slots=True)
class Converter:
    """An analog-to-digital converter over -`range_v` to +`range_v` with 2**`bits` codes.

    A read is rounded to the nearest code, a mid-tread characteristic with 0 V a code; beyond the
    range it stays at the last code and its status says so.

    Raises:
        BadInputError: for bits outside 1 to 32 or a range that is not positive and finite.
    """

    bits: int
    range_v: float

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 32:
            raise BadInputError(f"device.adc_bits: expected 1 to 32, got {self.bits}")
        if not (np.isfinite(self.range_v) and self.range_v > 0):
            raise BadInputError(f"device.adc_range_v: expected volts > 0, got {self.range_v}")

    @property
    def step_v(self) -> float:
        """Volts between adjacent codes."""
        return 2.0 * self.range_v / 2.0**self.bits

    def convert(self, volts: Doubles) -> tuple[Doubles, np.ndarray[Any, np.dtype[np.bool_]]]:
        """Return the converted volts and where the converter saturated."""
        lowest, highest = -(2.0 ** (self.bits - 1)), 2.0 ** (self.bits - 1) - 1
        codes = np.rint(volts / self.step_v)
        beyond = (codes < lowest) | (codes > highest)
        return np.clip(codes, lowest, highest) * self.step_v, beyond


class ReadNoise:
    """Draws reads of known voltages.

    Args:
        network: whose nodes are read.
        sigma_v: standard deviation of one read in volts, for all free nodes or one each.
        generator: seeded; spawned into the independent `STREAMS`.
        clamped_sigma_v: the same for the input nodes; 0 means that they are known and not read.
        converter: applied to every single read of a free node, or None.

    Raises:
        BadInputError: for a negative or non-finite sigma, or another number of nodes.
    """

    def __init__(
        self,
        network: Network,
        sigma_v: ArrayLike,
        generator: np.random.Generator,
        clamped_sigma_v: float = 0.0,
        converter: Converter | None = None,
    ) -> None:
        sigma = np.asarray(sigma_v, dtype=np.float64)
        shape = (network.free_nodes,) if sigma.ndim else ()
        sigma = checked(sigma, shape, "device.sigma_v").astype(np.float64)
        if (sigma < 0).any():
            raise BadInputError(f"device.sigma_v: expected volts >= 0, got {float(sigma.min())}")
        if not (np.isfinite(clamped_sigma_v) and clamped_sigma_v >= 0):
            raise BadInputError(f"device.clamped_sigma_v: expected >= 0, got {clamped_sigma_v}")
        self.network = network
        self.sigma_v = sigma
        self.clamped_sigma_v = clamped_sigma_v
        self.converter = converter
        self.streams = dict(zip(STREAMS, generator.spawn(len(STREAMS)), strict=True))

    def state(self) -> dict[str, Any]:
        """Return the state of every stream, as plain JSON values."""
        return {name: stream.bit_generator.state for name, stream in self.streams.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Set every stream to a state that `state` returned."""
        for name, stream in self.streams.items():
            stream.bit_generator.state = state[name]

    def repeating(self, state: dict[str, Any]) -> ReadNoise:
        """Return the same noise with streams of its own that begin at `state`."""
        again = copy(self)
        again.streams = {
            name: np.random.Generator(type(stream.bit_generator)())
            for name, stream in self.streams.items()
        }
        again.restore(state)
        return again

    def samples(
        self,
        volts: Floats,
        count: int,
        stream: str,
        inputs: Floats | None,
        disturb: Disturbance | None = None,
    ) -> Reading:
        """Return `count` single reads of `volts` (..., n_free).

        Args:
            volts: the true volts.
            count: reads of each node.
            stream: one of `STREAMS`.
            inputs: true volts of the clamped nodes, read too where they have noise.
            disturb: noise of the circuit itself, besides that of the reader.
        """
        generator = self.streams[stream]
        if not self.sigma_v.any():
            reads = np.broadcast_to(volts, (count, *volts.shape))
        else:
            reads = generator.standard_normal((count, *volts.shape))
            reads *= self.sigma_v
            reads += volts
        if disturb is not None:
            reads = reads + disturb(count, generator)
        clamped = None
        if self.clamped_sigma_v and inputs is not None:
            clamped = generator.standard_normal((count, *inputs.shape))
            clamped *= self.clamped_sigma_v
            clamped += inputs
        if self.converter is None:
            return Reading.of_samples(reads, clamped)
        reads, beyond = self.converter.convert(np.asarray(reads, dtype=np.float64))
        reading = Reading.of_samples(reads, clamped)
        if not beyond.any():
            return reading
        status = np.where(beyond.any(axis=0), SATURATED, 0).astype(np.uint8)
        return Reading(
            reading.mean, count, reads, reading.variance, reading.clamped, reading.time_s, status
        )

    def moments(
        self, volts: Floats, count: int, stream: str, inputs: Floats | None, statistic: Statistic
    ) -> Reading:
        """Return mean and, if asked, variance of `count` reads, drawn from their own distributions.

        The mean of N normal reads is normal with sigma / sqrt(N), and their sample variance is
        sigma^2 chi^2(N - 1) / (N - 1), independent of it: the same law as N reads at the cost of
        one. Only without a converter.
        """
        mean, variance = self._moments(volts, self.sigma_v, count, stream, statistic)
        clamped = None
        if self.clamped_sigma_v and inputs is not None:
            sigma = np.asarray(self.clamped_sigma_v)
            read, spread = self._moments(inputs, sigma, count, stream, statistic)
            clamped = Reading(read, count, variance=spread)
        return Reading(mean, count, variance=variance, clamped=clamped)

    def _moments(
        self, volts: Floats, sigma: Doubles, count: int, stream: str, statistic: Statistic
    ) -> tuple[Floats, Doubles | None]:
        generator = self.streams[stream]
        mean: Floats = volts
        if sigma.any():
            drawn = generator.standard_normal(volts.shape)
            drawn *= sigma / np.sqrt(count)
            drawn += volts
            mean = drawn
        if statistic == "mean" or count < 2:
            return mean, None
        freedom = count - 1
        return mean, sigma**2 * (generator.chisquare(freedom, volts.shape) / freedom)

    def blocks(
        self,
        volts: Floats,
        count: int,
        stream: str,
        inputs: Floats | None,
        size: int,
        disturb: Disturbance | None = None,
    ) -> Iterator[Reading]:
        """Yield `count` single reads in blocks of at most `size`."""
        for done in range(0, count, size):
            yield self.samples(volts, min(size, count - done), stream, inputs, disturb)

    def accumulated(
        self,
        volts: Floats,
        count: int,
        stream: str,
        inputs: Floats | None,
        size: int,
        disturb: Disturbance | None = None,
    ) -> Reading:
        """Return mean and variance of `count` single reads drawn in blocks."""
        joined: Reading | None = None
        for block in self.blocks(volts, count, stream, inputs, size, disturb):
            joined = block if joined is None else pooled(joined, block)
        assert joined is not None
        return Reading(
            joined.mean, count, None, joined.variance, joined.clamped, joined.time_s, joined.status
        )
