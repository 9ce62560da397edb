"""The device interface: four verbs, and their batch and low-rank forms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, Floats, checked
from hilep.capabilities import Capabilities
from hilep.interleaving import contrasted
from hilep.joining import stacked
from hilep.limits import checked_conductances, within_limit
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.reading import Contrast, ProgramReport, Reading, Statistic, Update

# Every crossbar of one's own needs the two checks beside the class.
__all__ = ["Crossbar", "checked_conductances", "within_limit"]


class Crossbar(Capabilities, ABC):
    """A crossbar that can be programmed, clamped, nudged and read, simulated or on a bench.

    Use it as a context manager: `safe` runs on every way out. The verbs after `safe` have defaults
    written in terms of the four; a backend overrides them where it can do better. What only some
    devices can do is in `hilep.capabilities`: without an override it refuses.
    """

    network: Network
    description: str = ""
    """One line for the log and the run file: which device and which way of computing it."""

    @abstractmethod
    def program(
        self, conductances: Sequence[ArrayLike], bias_currents: ArrayLike | None = None
    ) -> ProgramReport:
        """Set every conductance and, where the network has them, every bias current.

        Args:
            conductances: siemens, one array of `network.shapes[k]` per layer.
            bias_currents: amperes (n_free,); None leaves them as they are, zero at first.

        Raises:
            BadInputError: for a wrong shape or a NaN, or for bias currents other than zero where
                `network.bias` is not "current".
            LimitError: for a conductance outside the network's window.
        """

    @abstractmethod
    def conductances(self) -> list[Floats]:
        """Return the conductances as last achieved, siemens, one (n_pre, n_post) per layer.

        All lie within the network's window, so that `program` takes them again.
        The arrays may be views of the device's own memory: read them, never write them.
        """

    @abstractmethod
    def bias_currents(self) -> Floats:
        """Return the bias currents as last achieved, amperes (n_free,).

        As with `conductances`, the array may be the device's own: read it, never write it.
        """

    @abstractmethod
    def clamp(self, volts: ArrayLike) -> None:
        """Hold the input nodes at `volts` (n_in,) and release any nudge.

        Raises:
            BadInputError: for a wrong shape or a NaN.
            LimitError: beyond `network.voltage_limit_v`.
        """

    @abstractmethod
    def nudge(self, amps: ArrayLike | None) -> Doubles:
        """Inject `amps` (n_out,) into the outputs; None is the free phase.

        Returns:
            The amperes achieved (n_out,), at the source's own resolution.

        Raises:
            BadInputError: for a wrong shape or a NaN.
            LimitError: beyond `network.current_limit_a`.
        """

    @abstractmethod
    def read(self, samples: int = 1) -> Reading:
        """Let the network settle, then read every free node `samples` times.

        Returns:
            A `Reading` with volts (samples, n_free).

        Raises:
            BadInputError: for fewer than one sample, or before `program` and `clamp`.
        """

    @abstractmethod
    def safe(self) -> None:
        """Switch the outputs off. Idempotent; never raises because one instrument is dead.

        Connections stay: the device can be clamped again afterwards.
        """

    def read_batch(self, volts: ArrayLike, samples: int = 1) -> Reading:
        """Read the free phase of each image in turn; the last one stays clamped.

        Args:
            volts: input volts (batch, n_in).
            samples: reads of each node.

        Returns:
            A `Reading` with mean volts (batch, n_free).
        """
        readings = []
        for row in checked(volts, (None, self.network.inputs), "read_batch volts"):
            self.clamp(row)
            readings.append(self.read(samples))
        return stacked(readings)

    def free_and_nudged(
        self,
        volts: ArrayLike,
        targets: ArrayLike,
        nudging: Nudging,
        samples: int = 1,
        statistic: Statistic = "mean",
    ) -> Contrast:
        """Read the two phases that an update contrasts, image by image.

        The inputs stay clamped between the phases of one image: fewest settings, least drift. The
        next image's clamp releases the nudge, the last image stays clamped without one.

        Args:
            volts: input volts (batch, n_in).
            targets: output volts to aim at (batch, n_out).
            nudging: kind and strengths of the two phases.
            samples: reads of each node in each phase.
            statistic: what the rule needs; a backend may give more.
        """
        return contrasted(self, volts, targets, nudging, samples)

    def interleaved(
        self,
        volts: ArrayLike,
        targets: ArrayLike,
        nudging: Nudging,
        samples: int,
        interleave: int,
        statistic: Statistic = "mean",
    ) -> Contrast:
        """Read the two phases in portions that take turns, against drift.

        See `hilep.interleaving` for their order, and `free_and_nudged` for the rest. A nudge
        current follows the outputs in the first portion of the free phase and stays the same.

        Args:
            volts: input volts (batch, n_in).
            targets: output volts to aim at (batch, n_out).
            nudging: kind and strengths of the two phases.
            samples: N, reads of each node in each phase.
            interleave: portions of each phase, at most N; 1 is the order of `free_and_nudged`.
            statistic: what the rule needs; a backend may give more.

        Raises:
            BadInputError: for more portions than reads.
        """
        return contrasted(self, volts, targets, nudging, samples, interleave)

    def update(
        self, blocks: Iterable[Update], next_volts: ArrayLike | None = None
    ) -> ProgramReport:
        """Add the sum of `blocks` to the conductances and bias currents, then clip and program.

        Args:
            blocks: updates in factors; usually one.
            next_volts: the inputs of the next batch (batch, n_in), a hint that saves a simulator
                a pass over its memory and that others ignore.
        """
        network = self.network
        conductances = [np.array(g, dtype=np.float64) for g in self.conductances()]
        bias = np.array(self.bias_currents(), dtype=np.float64)
        for block in blocks:
            for g, layer in zip(conductances, block.layers, strict=True):
                g += layer.dense()
            if block.bias_currents is not None:
                bias += block.bias_currents
        for g in conductances:
            np.clip(g, network.g_min_siemens, network.g_max_siemens, out=g)
        return self.program(conductances, bias if network.bias == "current" else None)

    def state(self) -> dict[str, Any]:
        """Return what a bit-identical resume needs besides arrays, as plain JSON values."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the state that `state` returned; a device without one has nothing to do."""

    def snapshot(self) -> dict[str, Any]:
        """Return identity and every setting of the device, as plain JSON values."""
        return {"description": self.description}

    def __enter__(self) -> Crossbar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.safe()
