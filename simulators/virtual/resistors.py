"""A world of resistors, solved exactly with the limits of its sources."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import numpy as np

from hilep.arrays import Doubles, Floats
from hilep.errors import BadInputError, NotSettledError
from hilep.simulators.virtual.world import Drive, Measured

GROUND = "ground"
_OFF = Drive()


class ResistorWorld:
    """Any graph of resistors between terminals, inner nodes and ground, without noise of its own.

    Args:
        terminals: names of the terminals.
        resistors: (node, node, ohms) each; a node that is neither a terminal nor "ground" is an
            inner one.
        leakage_siemens: from every node to ground, as insulation has: an isolated node is at 0 V.
        contact_ohms: resistance of a closed relay.

    Raises:
        BadInputError: for a resistance that is not positive or a name given twice.
    """

    def __init__(
        self,
        terminals: Sequence[str],
        resistors: Iterable[tuple[str, str, float]] = (),
        leakage_siemens: float = 1e-12,
        contact_ohms: float = 1.0,
    ) -> None:
        resistors = list(resistors)
        if len(set(terminals)) != len(terminals) or GROUND in terminals:
            raise BadInputError(f"terminals: expected distinct names, got {list(terminals)!r}")
        for first, second, ohms in resistors:
            if not 0 < ohms < np.inf:
                raise BadInputError(f"resistor {first}-{second}: expected ohms > 0, got {ohms!r}")
        inner = {n for first, second, _ in resistors for n in (first, second)} - {GROUND}
        names = [*terminals, *sorted(inner - set(terminals))]
        self._terminals = tuple(terminals)
        self._index = {name: k for k, name in enumerate(names)}
        self._contact_siemens = 1 / contact_ohms
        self._matrix = np.eye(len(names)) * leakage_siemens
        for first, second, ohms in resistors:
            self._stamp(first, second, 1 / ohms)
        self._closed: set[frozenset[str]] = set()
        self._drives: dict[str, Drive] = {}
        self._limited_at: dict[str, int] = {}
        self._solved: tuple[Floats, Floats] | None = None
        self._lock = threading.RLock()

    @property
    def terminals(self) -> tuple[str, ...]:
        """The names of the terminals."""
        return self._terminals

    def drive(self, terminal: str, drive: Drive) -> None:
        """Set what the source at `terminal` does."""
        self._known([terminal])
        with self._lock:
            if self._drives.get(terminal, _OFF) != drive:
                self._drives[terminal] = drive
                self._solved = None

    def join(self, first: str, second: str) -> None:
        """Close the relay between two terminals."""
        self._switch(first, second, True)

    def part(self, first: str, second: str) -> None:
        """Open the relay between two terminals."""
        self._switch(first, second, False)

    def settle(self) -> float:
        """Solve the circuit; resistors take no time."""
        with self._lock:
            self._solution()
        return 0.0

    def measure(
        self,
        terminals: Sequence[str],
        seconds: float,
        generator: np.random.Generator,
        samples: int = 1,
        begins: Doubles | None = None,
    ) -> Measured:
        """Return the state of `terminals`, the same in every sample."""
        self._known(terminals)
        with self._lock:
            volts, amps = self._solution()
            chosen = [self._index[t] for t in terminals]
            limited = np.array([self._limited_at.get(t, 0) != 0 for t in terminals], dtype=bool)
            shape = (samples, len(chosen))
            return Measured(
                np.broadcast_to(volts[chosen], shape).copy(),
                np.broadcast_to(amps[chosen], shape).copy(),
                limited,
            )

    def _known(self, terminals: Sequence[str]) -> None:
        for terminal in terminals:
            if terminal not in self._terminals:
                raise BadInputError(
                    f"terminal {terminal!r}: expected one of {', '.join(self._terminals)}"
                )

    def _stamp(self, first: str, second: str, siemens: float) -> None:
        ends = [self._index[name] for name in (first, second) if name != GROUND]
        for end in ends:
            self._matrix[end, end] += siemens
        if len(ends) == 2:
            self._matrix[ends[0], ends[1]] -= siemens
            self._matrix[ends[1], ends[0]] -= siemens

    def _switch(self, first: str, second: str, close: bool) -> None:
        self._known([first, second])
        pair = frozenset((first, second))
        with self._lock:
            if first == second or (pair in self._closed) == close:
                return
            self._stamp(first, second, self._contact_siemens if close else -self._contact_siemens)
            (self._closed.add if close else self._closed.discard)(pair)
            self._solved = None

    def _solution(self) -> tuple[Floats, Floats]:
        """Return volts and source amperes of every node.

        Each source is regulating or at one of its two limits. The conductance matrix is positive
        definite, so the reduced problem has a P-matrix and one solution. Moving every violated
        source at once finds it quickly; if that comes back to a set of states already seen,
        moving only the first one is certain to end (Murty, "Note on a Bard-type scheme for
        solving the complementarity problem", 1974).
        """
        if self._solved is not None:
            return self._solved
        names = sorted(t for t, d in self._drives.items() if d.kind != "off")
        states = [0] * len(names)
        seen: set[tuple[int, ...]] = set()
        one_at_a_time = False
        for _ in range(100 + 4 ** min(len(names), 9)):
            volts, amps = self._with_states(names, states)
            wrong = [
                (k, self._next_state(name, states[k], volts, amps)) for k, name in enumerate(names)
            ]
            wrong = [(k, state) for k, state in wrong if state != states[k]]
            if not wrong:
                self._limited_at = dict(zip(names, states, strict=True))
                self._solved = (volts, amps)
                return self._solved
            one_at_a_time = one_at_a_time or tuple(states) in seen
            seen.add(tuple(states))
            for k, state in wrong[: 1 if one_at_a_time else None]:
                states[k] = state
        raise NotSettledError("the limits of the sources could not be reconciled")

    def _with_states(self, names: list[str], states: list[int]) -> tuple[Floats, Floats]:
        """Solve with every source's state given: 0 regulating, +1 or -1 at that limit."""
        size = len(self._matrix)
        injected = np.zeros(size)
        volts = np.zeros(size)
        held = np.zeros(size, dtype=bool)
        for name, state in zip(names, states, strict=True):
            drive, at = self._drives[name], self._index[name]
            value = drive.level if state == 0 else state * drive.limit
            if (drive.kind == "volts") == (state == 0):
                held[at], volts[at] = True, value
            else:
                injected[at] = value
        free = ~held
        if free.any():
            known = injected[free] - self._matrix[np.ix_(free, held)] @ volts[held]
            volts[free] = np.linalg.solve(self._matrix[np.ix_(free, free)], known)
        amps = injected
        amps[held] = self._matrix[held] @ volts
        return volts, amps

    def _next_state(self, name: str, state: int, volts: Floats, amps: Floats) -> int:
        """Return the state that the source should be in, given the solution for `state`."""
        drive, at = self._drives[name], self._index[name]
        given, other = (volts[at], amps[at]) if drive.kind == "volts" else (amps[at], volts[at])
        slack = 1e-12
        if state == 0:
            return int(np.sign(other)) if abs(other) > drive.limit * (1 + slack) else 0
        beyond = state * (given - drive.level)
        return 0 if beyond > slack * max(abs(drive.level), abs(given)) else state
