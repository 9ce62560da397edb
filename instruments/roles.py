"""The roles of a bench as small protocols. SI floats; units stand in names or docstrings.

`hilep.instruments.bench.Bench` speaks to roles and knows no instrument. A lab that has another kind
of programmer, clamp, nudge, supply or voltmeter writes a class with these members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilep.arrays import Doubles
from hilep.instruments.acquisition import Acquisition

Rest: TypeAlias = Literal["driven", "zero", "off"]
"""What clamps and nudges do while cells are programmed: stay, go to 0, or switch off."""


class SafeReport(Protocol):
    """What `safe` did."""

    @property
    def off(self) -> bool | None:
        """Whether the outputs are off; None where that is not known."""

    @property
    def text(self) -> str:
        """The same in words."""


@runtime_checkable
class Instrument(Protocol):
    """What a bench needs of every instrument; see `hilep.instruments.instrument`."""

    name: str
    resource: str

    def start(self) -> Any:
        """Identify, switch every output off, prepare."""

    def safe(self) -> SafeReport:
        """Switch every output off, whatever happened before; never raise."""

    def shutdown(self) -> None:
        """Switch off and close; `last_report` then holds what `safe` returned."""

    def snapshot(self) -> dict[str, Any]:
        """Return identity and settings, as plain JSON values."""

    def transaction(self) -> AbstractContextManager[Any]:
        """Keep other threads and programs off meanwhile."""


@runtime_checkable
class Reader(Instrument, Protocol):
    """What a bench needs of an instrument that reads nodes."""

    def configure(self, channels: Sequence[str], range_v: float) -> None:
        """Set up for these channels and a fixed range that holds `range_v`; read it back.

        Keywords that it has besides, such as `nplc` or `rate_hz`, come from `[roles.nodes]`.
        """

    def acquire(self, samples: int, channels: Sequence[str] | None = None) -> Acquisition:
        """Read channels `samples` times each, in one query per buffer-full; change nothing."""


@runtime_checkable
class VoltageOutputs(Instrument, Protocol):
    """What a bench needs of analog outputs: volts without a current limit to set.

    Attributes:
        limits: largest magnitude of each output in use, volts; empty after `safe`.
        levels: volts of each output in use.
    """

    limits: Mapping[str, float]
    levels: Mapping[str, float]

    def configure_outputs(self, limits: Mapping[str, float]) -> None:
        """Take outputs into use, at 0 V, each with its largest magnitude in volts."""

    def apply(self, levels: Mapping[str, float]) -> Mapping[str, float] | None:
        """Set volts in one message; return those achieved, None for exactly these.

        A level beyond its limit is refused, and so is one that would become 0 V.
        """


@runtime_checkable
class Role(Protocol):
    """What all roles share."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Which instruments play the role: maker, model, serial number and firmware, by name."""

    def safe(self) -> None:
        """Switch the role's outputs off; never raise because an instrument is dead."""

    def snapshot(self) -> dict[str, Any]:
        """Return how the role is set, as plain JSON values."""


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What writing cells achieved.

    Attributes:
        siemens: conductance of each cell as verified afterwards (cells,); it may lie outside the
            network's window.
        failed: whether each cell would not go within its tolerance (cells,).
        pulses: programming pulses used in all.
    """

    siemens: Doubles
    failed: NDArray[np.bool_]
    pulses: int = 0


@runtime_checkable
class ConductanceProgrammer(Role, Protocol):
    """Writes cells. A cell that would not go is in the report, not an exception.

    Attributes:
        rest: what clamps and nudges must do meanwhile; the bench sees to that before `program`.
        volatile: whether conductances are lost once the outputs are off; the bench then writes
            every cell again before it clamps.
    """

    rest: Rest
    volatile: bool

    def connect(self) -> None:
        """Join the cells to the running network, before outputs go on; they are off meanwhile."""

    def program(self, cells: NDArray[np.int64], siemens: Doubles, tolerance: float) -> WriteReport:
        """Bring each cell to its conductance.

        The instruments are started, with this role's outputs off at first and after every `safe`.

        Args:
            cells: layer, row and column of each (cells, 3); bias rows come last in a layer.
            siemens: asked for (cells,).
            tolerance: what counts as achieved, as a fraction of `siemens`.
        """


@runtime_checkable
class ClampSource(Role, Protocol):
    """Holds the input nodes."""

    def apply(self, volts: ArrayLike) -> Doubles:
        """Set volts (n_in,); return the volts achieved."""


@runtime_checkable
class NudgeSource(Role, Protocol):
    """Injects current into the outputs."""

    def inject(self, amps: ArrayLike) -> Doubles:
        """Set amperes (n_out,), positive into the node; return the amperes achieved."""

    def release(self) -> None:
        """Let go of the outputs, in the way that the bench file names."""


@runtime_checkable
class Supply(Role, Protocol):
    """Feeds rectifiers, diodes' biases and amplifiers."""

    def apply(self, volts: ArrayLike) -> Doubles:
        """Set volts (channels,); return the volts achieved."""


@dataclass(frozen=True, slots=True)
class NodeReadings:
    """Every sample of some nodes.

    Attributes:
        volts: (samples, nodes), NaN where there is no good one.
        time_s: when each was taken, seconds on its instrument's clock.
        status: bits of `hilep.instruments.status` (samples, nodes).
    """

    volts: Doubles
    time_s: Doubles
    status: NDArray[np.uint8]


@runtime_checkable
class NodeVoltmeter(Role, Protocol):
    """Reads the free nodes."""

    def read(self, nodes: Sequence[int] | None, samples: int) -> NodeReadings:
        """Read `nodes` (None for all) `samples` times, in one query per instrument and buffer."""
