"""The virtual twin of a bench: every instrument of a bench file, on loopback, wired to one circuit.

    with twin(BenchFile.load("bench.toml"), network) as resources:
        ...

The same bench file then runs with `resources` in place of its own. NI devices have no socket: their
driver is replaced in this process while the twin lives. They keep their resource, unless another
twin of this process has it: then a number follows the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from pydantic import ValidationError

from hilep.config import first_error
from hilep.errors import ConfigError
from hilep.network import Network
from hilep.simulators.cells.options import CellOptions, build
from hilep.simulators.circuit.rectifiers import (
    IdealDiode,
    JunctionDiode,
    PrecisionRectifier,
    Rectifier,
)
from hilep.simulators.virtual.bench_wires import BenchWires, bench_wires
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.network_world import NetworkWorld, Surroundings
from hilep.simulators.virtual.options import VirtualSection
from hilep.simulators.virtual.server import InstrumentServer
from hilep.simulators.virtual.turns import Turns
from hilep.simulators.virtual.virtual_drivers import CHANNELS, NI_DRIVER, Bench, built

_PULSES = 200.0
"""Across a cell's window, where `[virtual.cells]` is not given."""


class Resources(dict[str, str]):
    """The resource of every instrument of a twin, by its name in the bench file.

    Attributes:
        world: the circuit.
        clock: its time.
        instruments: the virtual instruments, by name; without NI devices.
        servers: what serves them.
    """

    def __init__(self, world: NetworkWorld, clock: Clock) -> None:
        super().__init__()
        self.world, self.clock = world, clock
        self.instruments: dict[str, Any] = {}
        self.servers: dict[str, InstrumentServer] = {}

    def now(self) -> float:
        """Return the seconds on the instruments' clock, once they have done what was sent."""
        self.world.before_measuring()
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        """Let time pass, once the instruments have done what was sent to them."""
        self.world.before_measuring()
        self.clock.advance(seconds)


@contextmanager
def twin(file: Any, network: Network) -> Iterator[Resources]:
    """Serve the twin of a bench until the block ends.

    Args:
        file: a `hilep.instruments.benchfile.BenchFile`, checked against `network`.
        network: what the bench wires.

    Raises:
        ConfigError: `[virtual]` is wrong, or an instrument has no virtual one.
    """
    options = virtual_section(file)
    sections = file.sections
    wires = bench_wires(sections.roles, sections.hidden, network, options)
    clock = Clock(options.real_time)
    for name, section in sections.instruments.items():
        for letter in CHANNELS.get(section.driver, ""):
            wires.terminal(f"{name}.{letter}")
    touching = wires.spoil(options)
    world = _world(sections, network, options, wires, clock)
    for first, second in touching:
        world.join(first, second)
    resources = Resources(world, clock)
    servers: list[InstrumentServer] = []
    world.before_measuring = Turns(servers).wait
    bench = Bench(world, clock, wires, options)
    with ExitStack() as running:
        cards = {}
        for number, (name, section) in enumerate(sections.instruments.items()):
            generator = _generator(options.seed, number)
            if section.driver == NI_DRIVER:
                cards[name] = resources[name] = section.resource
                continue
            instrument = built(
                bench, name, section.driver, section.expect, section.line_hz, generator
            )
            server = running.enter_context(InstrumentServer(instrument))
            servers.append(server)
            resources.instruments[name], resources.servers[name] = instrument, server
            resources[name] = server.resource
        if cards:
            resources.update(running.enter_context(_cards(bench, cards, sections)))
        yield resources


def virtual_section(file: Any) -> VirtualSection:
    """Return `[virtual]` of a bench file.

    Raises:
        ConfigError: one line with file, key and what was expected.
    """
    given = getattr(file.sections, "virtual", None) or {}
    if isinstance(given, VirtualSection):
        return given
    try:
        return VirtualSection.model_validate(given)
    except ValidationError as error:
        raise ConfigError(f"{file.path}: virtual.{first_error(error)}") from error


def file_network(file: Any) -> Network:
    """Return the network that a bench file wires, where no run says what it is.

    Layers are those of its wires; diodes and window those of `[virtual]`.
    """
    options, roles = virtual_section(file), file.sections.roles
    program = roles.program
    if program.kind == "direct":
        widths = [len(array[0]) for array in program.cells]
        low, high = min(program.map.siemens), max(program.map.siemens)
    else:
        widths = [len(columns) for columns in program.matrix.columns]
        low, high = options.g_min_siemens, options.g_max_siemens
    return Network(
        (len(roles.clamp.channels), *widths),
        "none" if file.sections.hidden is None else options.diodes,
        "row" if roles.clamp.bias_channels else "none",
        bias_v=roles.clamp.max_v,
        g_min_siemens=low,
        g_max_siemens=high,
    )


def _world(
    sections: Any, network: Network, options: VirtualSection, wires: BenchWires, clock: Clock
) -> NetworkWorld:
    program = sections.roles.program
    pulsed = program.kind == "pulses"
    kind = options.cells
    if kind is None:
        kind = CellOptions(pulses=_PULSES) if pulsed else CellOptions()
    if kind.nonlinearity_v is not None:
        raise ConfigError("virtual.cells.nonlinearity_v: not here, expected linear cells")
    if pulsed and kind.pulses is None:
        raise ConfigError("virtual.cells.pulses: missing, expected pulses across the window")
    return NetworkWorld(
        network,
        build(network, kind, options.seed),
        clock,
        Surroundings(
            options.wiring(),
            _rectifier(sections.hidden),
            options.contact_ohm,
            options.leakage_siemens,
            options.kelvin,
            wires.shared_bias,
            wires.parted,
            tuple(wires.extra),
            wires.supplies,
            source_farads=options.source_farads,
            transients=options.transients,
        ),
        switching=options.switching.law() if pulsed else None,
        control=None if pulsed else _control(program.map),
    )


def _control(calibrated: Any) -> Callable[[float], float]:
    def siemens(volts: float) -> float:
        return float(np.interp(volts, calibrated.volts, calibrated.siemens))

    return siemens


def _rectifier(hidden: Any) -> Rectifier:
    if hidden is None or hidden.nonlinearity == "ideal":
        return IdealDiode()
    if hidden.nonlinearity == "junction":
        return JunctionDiode(**(hidden.junction.model_dump() if hidden.junction else {}))
    return PrecisionRectifier(**(hidden.precision.model_dump() if hidden.precision else {}))


def _generator(seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0xBE7C, number)))


@contextmanager
def _cards(bench: Bench, cards: dict[str, str], sections: Any) -> Iterator[dict[str, str]]:
    """Put virtual NI devices beneath the driver's package; give their resources, by name."""
    from hilep.simulators.virtual.nidaqmx_device import VirtualDevice
    from hilep.simulators.virtual.nidaqmx_installed import free_name, installed
    from hilep.simulators.virtual.nidaqmx_interpreter import VirtualInterpreter
    from hilep.simulators.virtual.nidaqmx_lines import WorldLines

    terminals, gains, offsets, devices = {}, {}, {}, []
    cards = {name: free_name(resource) for name, resource in cards.items()}
    for name, resource in cards.items():
        used = bench.wires.channels_of(name)
        for channel, terminal in used.items():
            terminals[f"{resource}/{channel}"] = terminal
            line = f"{name}.{channel}"
            given = bench.options.gains, bench.options.offsets
            if channel.startswith("ao"):
                given = bench.options.source_gains, bench.options.source_offsets
            gains[f"{resource}/{channel}"] = given[0].get(line, 1.0)
            offsets[f"{resource}/{channel}"] = given[1].get(line, 0.0)
        most = {"ai": 32, "ao": 4}
        for channel in used:
            kind, number = channel.rstrip("0123456789"), channel.lstrip("aio")
            most[kind] = max(most.get(kind, 0), int(number or 0) + 1)
        expect = sections.instruments[name].expect
        product = expect if expect is not None and "-" in expect else "PCIe-6363"
        devices.append(VirtualDevice(resource, product, inputs=most["ai"], outputs=most["ao"]))
    lines = WorldLines(
        bench.world,
        terminals,
        bench.clock,
        _generator(bench.options.seed, len(sections.instruments)),
        bench.options.ni_noise_v * bench.options.noise,
        gains,
        offsets,
    )
    for channel in terminals:
        if channel.rpartition("/")[2].startswith("ao"):
            lines.drive(channel, 0.0)
    interpreter = VirtualInterpreter(lines, devices, lines.pass_time)
    with installed(interpreter):
        yield cards
