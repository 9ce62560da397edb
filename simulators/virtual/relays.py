"""The relays of switch cards: multiplexer channels and crosspoints of a matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from hilep.errors import BadInputError
from hilep.simulators.virtual.parameters import channel_list
from hilep.simulators.virtual.scpi_errors import ScpiError
from hilep.simulators.virtual.world import SwitchedWorld, World


class Relays:
    """Which relays there are, which are closed, and how often each was.

    A closed multiplexer channel connects its terminal to the voltmeter, which does not load it. A
    closed crosspoint joins two terminals.

    Args:
        world: what they are wired to.
        channels: terminal of each multiplexer channel; a number that is not there does not exist.
        matrix: the two terminals of each crosspoint.

    Raises:
        BadInputError: for an unknown terminal, a number used twice, or a matrix in a world that
            cannot be switched.
    """

    def __init__(
        self,
        world: World,
        channels: Mapping[int, str],
        matrix: Mapping[int, tuple[str, str]] | None = None,
    ) -> None:
        self.world, self.channels, self.matrix = world, dict(channels), dict(matrix or {})
        used = [*self.channels.values(), *(t for pair in self.matrix.values() for t in pair)]
        for terminal in used:
            if terminal not in world.terminals:
                raise BadInputError(
                    f"terminal {terminal!r}: expected one of {', '.join(world.terminals)}"
                )
        if twice := sorted(self.channels.keys() & self.matrix.keys()):
            raise BadInputError(f"channel {twice[0]}: expected in the multiplexer or the matrix")
        if self.matrix and not isinstance(world, SwitchedWorld):
            raise BadInputError("matrix: expected a world whose terminals can be joined")
        self.closed: set[int] = set()
        self.closures: Counter[int] = Counter()

    def close(self, numbers: Iterable[int]) -> None:
        """Close relays."""
        for number in numbers:
            if number not in self.closed:
                self.closed.add(number)
                self.closures[number] += 1
                if number in self.matrix and isinstance(self.world, SwitchedWorld):
                    self.world.join(*self.matrix[number])

    def open(self, numbers: Iterable[int]) -> None:
        """Open relays."""
        for number in list(numbers):
            if number in self.closed:
                self.closed.discard(number)
                self._part(number)

    def scanned(self, numbers: Iterable[int], times: int) -> None:
        """Count the closures of a scan, after which every channel of it is open."""
        for number in numbers:
            self.closures[number] += times
            self.closed.discard(number)

    def listed(self, text: str, unknown: ScpiError, multiplexer: bool = False) -> list[int]:
        """Return the numbers of a channel list such as "(@101:110,201)".

        Inside a range numbers that do not exist are left out.

        Args:
            text: the list.
            unknown: raised for a number that does not exist.
            multiplexer: whether crosspoints do not count.
        """
        there = sorted(self.channels if multiplexer else {**self.channels, **self.matrix})
        numbers: list[int] = []
        for first, last in channel_list(text):
            if first not in there or last not in there:
                raise unknown
            low, high = min(first, last), max(first, last)
            span = [n for n in there if low <= n <= high]
            numbers += span if first <= last else span[::-1]
        return numbers

    def _part(self, number: int) -> None:
        """Open a crosspoint, unless another closed one joins the same terminals."""
        if number not in self.matrix or not isinstance(self.world, SwitchedWorld):
            return
        pair = set(self.matrix[number])
        if not any(set(self.matrix[n]) == pair for n in self.closed if n in self.matrix):
            self.world.part(*self.matrix[number])
