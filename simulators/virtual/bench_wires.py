"""Where the channels of a bench file go: from its roles to the terminals of a network world."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hilep.errors import ConfigError
from hilep.network import Network
from hilep.simulators.circuit.graph import node_names
from hilep.simulators.virtual.crossbar_nodes import GROUND
from hilep.simulators.virtual.options import VirtualSection

SOURCE, GUARDS = "program", ("guard rows", "guard columns")
REFERENCE = "reference"


@dataclass
class BenchWires:
    """What is wired to what; channels are written as in the bench file, "smu1.a".

    Attributes:
        terminals: of every channel that drives or reads.
        paths: the two terminals of every path of a switch matrix.
        parted: terminals with a relay of their own.
        extra: terminals besides those of the network.
        supplies: terminal and volts of each supply that rectifiers need.
        shared_bias: whether two sources feed the bias rows of all arrays.
    """

    terminals: dict[str, str] = field(default_factory=dict)
    paths: dict[str, tuple[str, str]] = field(default_factory=dict)
    parted: tuple[str, ...] = ()
    extra: list[str] = field(default_factory=list)
    supplies: tuple[tuple[str, float], ...] = ()
    shared_bias: bool = True

    def channels_of(self, instrument: str) -> dict[str, str]:
        """Return the terminals of an instrument's channels, by the channel's own name."""
        return _of(instrument, self.terminals)

    def paths_of(self, instrument: str) -> dict[str, tuple[str, str]]:
        """Return the terminals of an instrument's paths."""
        return _of(instrument, self.paths)

    def terminal(self, channel: str) -> str:
        """Return where a channel goes: nowhere, where no role has it."""
        if channel not in self.terminals:
            self.terminals[channel] = self._nowhere(channel)
        return self.terminals[channel]

    def spoil(self, options: VirtualSection) -> list[tuple[str, str]]:
        """Exchange and break the wires that `options` say; return the terminals that touch.

        Raises:
            ConfigError: a channel that no role has.
        """
        for first, second in options.swapped:
            ends = self.terminals[self._known(first)], self.terminals[self._known(second)]
            self.terminals[second], self.terminals[first] = ends
        for channel in options.opened:
            self.terminals[self._known(channel)] = self._nowhere(channel)
        return [
            (self.terminals[self._known(first)], self.terminals[self._known(second)])
            for first, second in options.shorted
        ]

    def _known(self, channel: str) -> str:
        if channel not in self.terminals:
            raise ConfigError(f"virtual: no role has channel {channel!r}")
        return channel

    def _nowhere(self, channel: str) -> str:
        name = f"open {channel}"
        if name not in self.extra:
            self.extra.append(name)
        return name


def bench_wires(roles: Any, hidden: Any, network: Network, options: VirtualSection) -> BenchWires:
    """Return the wiring of a bench.

    Args:
        roles: `[roles]` of the bench file.
        hidden: `[hidden]`, or None.
        network: what it wires.
        options: `[virtual]`.

    Raises:
        ConfigError: a number of run paths that has no meaning here.
    """
    wires = BenchWires()
    clamp = roles.clamp
    inputs = [f"x{k}" for k in range(network.inputs)]
    wires.shared_bias = len(clamp.bias_channels) <= 2
    biases = [f"b{sign}" for sign in "pn"[: len(clamp.bias_channels)]]
    if not wires.shared_bias:
        biases = [f"b{sign}{k}" for k in range(len(network.shapes)) for sign in "pn"]
    nodes = node_names(network)
    outputs = nodes[network.output_slice]
    wires.terminals |= zip(clamp.channels, inputs, strict=True)
    wires.terminals |= zip(clamp.bias_channels, biases, strict=True)
    wires.terminals |= zip(roles.nudge.channels, outputs, strict=True)
    wires.terminals |= zip(roles.nodes.channels, nodes, strict=True)
    if roles.supply is not None:
        fed = [] if hidden is None else hidden.supply
        numbered = enumerate(zip(roles.supply.channels, roles.supply.volts, strict=True))
        for k, (channel, volts) in numbered:
            name = wires.terminals[channel] = f"supply {k}"
            if channel in fed:
                wires.supplies = (*wires.supplies, (name, volts))
            else:
                wires.extra.append(name)
    if roles.reference is not None:
        wires.extra.append(REFERENCE)
        wires.terminals[roles.reference.channel] = REFERENCE
        wires.paths |= {
            path: (REFERENCE, wires.terminals[channel])
            for channel, path in roles.reference.paths.items()
        }
    program = roles.program
    if program.kind == "direct":
        for k, array in enumerate(program.cells):
            for i, row in enumerate(array):
                wires.terminals |= {cell: f"g{k}_{i}_{j}" for j, cell in enumerate(row)}
    else:
        _wire_matrix(wires, program)
        names = [*inputs, *biases, *outputs], nodes[: network.output_slice.start]
        _wire_run(wires, program.matrix.run, *names, options.run)
    return wires


def _wire_matrix(wires: BenchWires, program: Any) -> None:
    matrix = program.matrix
    wires.extra.append(SOURCE)
    wires.terminals[program.source] = SOURCE
    guards = [GUARDS[0]] * 2 if len(program.bias_sources) == 1 else list(GUARDS)
    if not program.bias_sources:
        guards = [GROUND] * 2
    for channel, guard in zip(program.bias_sources, guards, strict=False):
        wires.extra.append(guard)
        wires.terminals[channel] = guard
    for key, far, kind in (
        ("rows", SOURCE, "r"),
        ("columns", GROUND, "c"),
        ("unselected_rows", guards[0], "r"),
        ("unselected_columns", guards[1], "c"),
    ):
        for k, lines in enumerate(getattr(matrix, key)):
            wires.paths |= {path: (far, f"{kind}{k}_{n}") for n, path in enumerate(lines)}


def _wire_run(
    wires: BenchWires,
    paths: list[str],
    sources: list[str],
    hidden: list[str],
    given: list[str] | None,
) -> None:
    meanings = {len(sources): sources, len(sources) + len(hidden): [*sources, *hidden], 0: []}
    parted = meanings.get(len(paths)) if given is None else given
    if parted is None or len(parted) != len(paths):
        expected = len(paths) if given is not None else f"{len(sources)} or {len(sources + hidden)}"
        found = len(paths) if given is None else len(given)
        raise ConfigError(
            f"virtual.run: {found} relays for {len(paths)} paths of roles.program.matrix.run, "
            f"expected {expected}"
        )
    unknown = [name for name in parted if name not in {*sources, *hidden}]
    if unknown or len(set(parted)) != len(parted):
        raise ConfigError(
            f"virtual.run: expected each of {', '.join([*sources, *hidden])} at most once, got "
            f"{', '.join(parted)}"
        )
    wires.parted = tuple(parted)
    wires.paths |= {path: (name, f"{name} line") for path, name in zip(paths, parted, strict=True)}


def _of(instrument: str, table: dict[str, Any]) -> dict[str, Any]:
    pairs: Iterable[tuple[str, Any]] = table.items()
    return {
        channel.partition(".")[2]: found
        for channel, found in pairs
        if channel.partition(".")[0] == instrument
    }
