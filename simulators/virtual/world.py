"""What virtual instruments are wired to: terminals that are driven and measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles, Floats
from hilep.errors import BadInputError

Kind: TypeAlias = Literal["volts", "amps", "off"]


@dataclass(frozen=True, slots=True)
class Drive:
    """What a source does to its terminal.

    Attributes:
        kind: "volts" holds a voltage, "amps" a current into the circuit, "off" is an open circuit.
        level: volts or amperes.
        limit: the largest magnitude of the other quantity, amperes or volts. A source at its limit
            becomes a source of the other kind.
        range: the source's range, for worlds in which it matters; volts or amperes.
    """

    kind: Kind = "off"
    level: float = 0.0
    limit: float = math.inf
    range: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.level) and self.limit > 0):
            raise BadInputError(
                f"drive: expected a finite level and a limit > 0, got {self.level!r} with limit "
                f"{self.limit!r}"
            )


@dataclass(frozen=True, slots=True)
class Measured:
    """What is at the terminals, before any instrument's own noise and steps.

    Attributes:
        volts: (samples, terminals).
        amps: (samples, terminals), out of the source and into the circuit; 0 where none drives.
        limited: (terminals,), whether the source there is at its limit.
    """

    volts: Floats
    amps: Floats
    limited: NDArray[np.bool_]


@runtime_checkable
class World(Protocol):
    """A circuit with named terminals; safe to share between the threads of several instruments.

    At most one source drives a terminal: a second `drive` replaces the first. A terminal that
    nothing drives floats. Voltmeters do not load the circuit.
    """

    @property
    def terminals(self) -> tuple[str, ...]:
        """The names of the terminals that instruments can be wired to."""

    def drive(self, terminal: str, drive: Drive) -> None:
        """Set what the source at `terminal` does.

        Raises:
            BadInputError: for an unknown terminal.
        """

    def settle(self) -> float:
        """Let the circuit come to rest and return the seconds which that takes."""

    def measure(
        self,
        terminals: Sequence[str],
        seconds: float,
        generator: np.random.Generator,
        samples: int = 1,
        begins: Doubles | None = None,
    ) -> Measured:
        """Return the mean of each terminal over `seconds`, that many times.

        Args:
            terminals: which.
            seconds: that each mean takes.
            generator: draws the circuit's own noise, where it has any.
            samples: how many.
            begins: seconds from now at which each mean begins (samples, terminals), for worlds
                that change with time; one after the other from now on, unless given.

        Raises:
            BadInputError: for an unknown terminal.
        """


@runtime_checkable
class SwitchedWorld(World, Protocol):
    """A world in which a relay of a switch matrix can join two terminals."""

    def join(self, first: str, second: str) -> None:
        """Close the relay between two terminals; nothing happens where it is closed."""

    def part(self, first: str, second: str) -> None:
        """Open the relay between two terminals; nothing happens where it is open."""
