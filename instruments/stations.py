"""From a bench file to its roles: which source does what, checked before anything is connected."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from hilep.corrections import Corrections
from hilep.errors import BadInputError
from hilep.instruments import drivers
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.clamping import VoltageClamp
from hilep.instruments.correcting import SourceCorrections
from hilep.instruments.nudging import CurrentNudge
from hilep.instruments.programsections import DirectProgram
from hilep.instruments.sources import SourceLine, Sources, is_analog_output
from hilep.instruments.supplying import VoltageSupply
from hilep.instruments.voltmeters import BenchVoltmeter
from hilep.instruments.wiring import Line, lines_of, node_names
from hilep.network import Network


def driver_classes(file: BenchFile) -> dict[str, Any]:
    """Return the driver of each instrument, by the instrument's name.

    Raises:
        BadInputError: a driver cannot be loaded, or lacks what every driver has.
    """
    found = {}
    for name, section in file.sections.instruments.items():
        key = f"{file.path}: instruments.{name}.driver"
        found[name] = drivers.loaded(drivers.GROUP, section.driver, key)
        missing = [member for member in drivers.MEMBERS if not hasattr(found[name], member)]
        if missing:
            raise BadInputError(
                f"{key}: {section.driver!r} has no {', '.join(missing)}, expected a driver with "
                "the members of hilep.instruments.roles.Instrument"
            )
    return found


def check_kinds(file: BenchFile, classes: Mapping[str, Any]) -> None:
    """Refuse a role on an instrument that cannot play it, and a limit that would be ignored.

    Raises:
        ConfigError: one line with file, key and what was expected.
    """
    roles = file.sections.roles
    for line in lines_of(roles.nudge.channels):
        if not _sources_amps(classes[line.instrument]):
            raise file.error(
                "roles.nudge.channels", f"{line} sources no current, expected an SMU's channel"
            )
    for line in lines_of([*roles.clamp.channels, *roles.clamp.bias_channels]):
        _check_volts(file, "clamp", line, classes[line.instrument], roles.clamp.limit_a)
    if roles.supply is not None:
        for line in lines_of(roles.supply.channels):
            _check_volts(file, "supply", line, classes[line.instrument], roles.supply.limit_a)
    _check_readers(file, classes)
    _check_programmer(file, classes)


def _check_readers(file: BenchFile, classes: Mapping[str, Any]) -> None:
    nodes, own = file.sections.roles.nodes, file.sections.roles.nudge.channels
    for line in lines_of(channel for channel in nodes.channels if channel not in own):
        driver = classes[line.instrument]
        if not hasattr(driver, "acquire"):
            raise file.error("roles.nodes.channels", f"{line} reads nothing, expected a reader")
        taken = inspect.signature(getattr(driver, "configure", lambda: None)).parameters
        if "range_v" not in taken:
            raise file.error(
                "roles.nodes.channels",
                f"{line}: expected a scanner, an analog input, or the channel that nudges the "
                "same output",
            )
        for option in nodes.options:
            if option not in taken:
                raise file.error(
                    f"roles.nodes.{option}", f"{line} has no such setting, expected it not given"
                )
        if "rate_hz" not in taken and nodes.nplc is None:
            raise file.error("roles.nodes.nplc", "missing, expected power line cycles > 0")


def _check_programmer(file: BenchFile, classes: Mapping[str, Any]) -> None:
    program = file.sections.roles.program
    if isinstance(program, DirectProgram):
        for line in lines_of(program.channels["cells"]):
            _check_volts(file, "program", line, classes[line.instrument], program.limit_a)
        return
    for key in ("source", "bias_sources"):
        for line in lines_of(program.channels[key]):
            if not _sources_amps(classes[line.instrument]):
                raise file.error(f"roles.program.{key}", f"{line}: expected an SMU's channel")
    for key, channels in program.channels.items():
        for line in lines_of(channels):
            if key.startswith("matrix") and not hasattr(classes[line.instrument], "connect"):
                raise file.error(
                    f"roles.program.{key}", f"{line}: expected a path of a switch matrix"
                )
    clamp = file.sections.roles.clamp
    for line in lines_of([*clamp.channels, *clamp.bias_channels]):
        if program.idle == "off" and is_analog_output(classes[line.instrument]):
            raise file.error(
                "roles.program.idle",
                f'"off" leaves {line} driven at 0 V, as an analog output always is; expected '
                '"zero" with matrix.run',
            )


def _check_volts(
    file: BenchFile, role: str, line: Line, driver: Any, limit_a: float | None
) -> None:
    if is_analog_output(driver):
        if limit_a is not None:
            raise file.error(
                f"roles.{role}.limit_a",
                f"{line} has no current limit to set, expected none to be given",
            )
    elif not _sources_amps(driver):
        raise file.error(
            f"roles.{role}", f"{line} sources nothing, expected an SMU or an analog output"
        )
    elif limit_a is None:
        raise file.error(f"roles.{role}.limit_a", "missing, expected amperes > 0")


def source_lines(file: BenchFile, network: Network) -> list[SourceLine]:
    """Return every source of clamp, nudge and supply, in the order of switching on."""
    roles, found = file.sections.roles, []
    nodes, supply, clamp, nudge = roles.nodes, roles.supply, roles.clamp, roles.nudge
    if supply is not None:
        for line in lines_of(supply.channels):
            found.append(
                SourceLine(
                    line,
                    "supply",
                    "roles.supply",
                    "V",
                    supply.range_v,
                    supply.range_v,
                    supply.limit_a,
                    None,
                    supply.nplc,
                    supply.four_wire,
                )
            )
    inputs = [f"input {number}" for number in range(network.inputs)]
    rows = [f"bias row {number}" for number in range(len(clamp.bias_channels))]
    channels = lines_of([*clamp.channels, *clamp.bias_channels])
    for line, name in zip(channels, inputs + rows, strict=True):
        found.append(
            SourceLine(
                line,
                name,
                "roles.clamp",
                "V",
                clamp.max_v,
                clamp.range_v,
                clamp.limit_a,
                None,
                clamp.nplc,
                clamp.four_wire,
            )
        )
    for number, line in enumerate(lines_of(nudge.channels)):
        reads = str(line) in nodes.channels
        nplc = nodes.nplc if reads and nodes.nplc is not None else nudge.nplc
        found.append(
            SourceLine(
                line,
                f"output {number}",
                "roles.nudge",
                "A",
                nudge.max_a,
                nudge.range_a,
                nudge.limit_v,
                nodes.range_v if reads else None,
                nplc,
                nudge.four_wire,
            )
        )
    return found


class Station:
    """The roles of a bench on its started instruments.

    Args:
        file: the bench file.
        network: what it wires.
        instruments: started, by name.
        corrections: gains and offsets of channels; none unless given.
    """

    def __init__(
        self,
        file: BenchFile,
        network: Network,
        instruments: Mapping[str, Any],
        corrections: Corrections | None = None,
    ) -> None:
        roles = file.sections.roles
        self.file = file
        lines = source_lines(file, network)
        found = SourceCorrections.of(corrections, lines)
        self.sources = Sources(lines, instruments, found)
        bias_volts = network.bias_volts if network.bias_rows else [0.0]
        self.clamp = VoltageClamp(
            self.sources,
            lines_of(roles.clamp.channels),
            lines_of(roles.clamp.bias_channels),
            bias_volts,
        )
        self.nudge = CurrentNudge(self.sources, lines_of(roles.nudge.channels), roles.nudge.release)
        self.supply: VoltageSupply | None = None
        if roles.supply is not None:
            self.supply = VoltageSupply(self.sources, lines_of(roles.supply.channels))
        self.nodes = BenchVoltmeter(
            self.sources,
            lines_of(roles.nodes.channels),
            node_names(network),
            roles.nodes.range_v,
            file.sections.interlock.max_node_v,
            None if corrections is None else corrections.readers,
        )
        program = roles.program
        self.programmer = drivers.loaded(
            drivers.PROGRAMMERS, program.kind, f"{file.path}: roles.program.kind"
        )(file, instruments)

    def energise(self) -> None:
        """Configure readers and sources, switch on at 0, and bring the supplies to their volts.

        Raises: as `configure`.
        """
        self._configure_readers()
        self.sources.energise(self._named)
        if self.supply is not None and self.file.sections.roles.supply is not None:
            self.supply.apply(self.file.sections.roles.supply.volts)

    def configure(self) -> None:
        """Configure readers and sources without switching on.

        Raises:
            ConfigError: an instrument lacks a range, limit or channel that the file asks for; no
                output is on.
        """
        self._configure_readers()
        self.sources.configure(self._named)

    def snapshot(self) -> dict[str, Any]:
        """Return what each role is set to, as plain JSON values."""
        roles = {
            "clamp": self.clamp,
            "nudge": self.nudge,
            "nodes": self.nodes,
            "program": self.programmer,
            "supply": self.supply,
        }
        return {name: role.snapshot() for name, role in roles.items() if role is not None}

    def _configure_readers(self) -> None:
        try:
            self.nodes.configure(self.file.sections.roles.nodes.options)
        except BadInputError as error:
            raise self._named("roles.nodes", error) from error

    def _named(self, key: str, error: BadInputError) -> BadInputError:
        return self.file.error(key, str(error))


def _sources_amps(driver: Any) -> bool:
    return hasattr(driver, "apply") and not is_analog_output(driver)
