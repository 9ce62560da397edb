"""Whether a bench file wires the network that a run asks for: counts, windows and limits."""

from __future__ import annotations

from hilep.errors import ConfigError, UnsupportedError
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.programsections import DirectProgram, PulseProgram
from hilep.instruments.wiring import Line, node_names
from hilep.network import Network


def check_network(file: BenchFile, network: Network) -> None:
    """Refuse a file that does not wire `network`; no instrument is spoken to.

    Raises:
        UnsupportedError: the network has bias currents or amplifiers.
        ConfigError: one line with file, key and what was expected.
    """
    if network.bias == "current":
        raise UnsupportedError(
            'network.bias: a bench has no bias currents; use "row" with '
            'roles.clamp.bias_channels, or "none"'
        )
    if network.amplified:
        raise UnsupportedError(
            "network.voltage_gain, current_gain: a bench has no amplifiers that it knows of; "
            "leave both at 1"
        )
    _check_clamp(file, network)
    _count(
        file, "roles.nudge.channels", file.sections.roles.nudge.channels, network.outputs, "outputs"
    )
    _check_nodes(file, network)
    _check_hidden(file, network)
    program = file.sections.roles.program
    if isinstance(program, DirectProgram):
        _check_cells(file, network, program)
    else:
        _check_matrix(file, network, program)


def _count(file: BenchFile, key: str, channels: list[str], expected: int, of: str) -> None:
    if len(channels) != expected:
        raise file.error(
            key, f"{len(channels)} channels, expected {expected}, one for each of the {of}"
        )


def _check_clamp(file: BenchFile, network: Network) -> None:
    clamp = file.sections.roles.clamp
    _count(file, "roles.clamp.channels", clamp.channels, network.inputs, "inputs")
    pairs = (network.bias_rows, network.bias_rows * len(network.shapes))
    if len(clamp.bias_channels) not in pairs:
        expected = " or ".join(str(n) for n in sorted(set(pairs)))
        raise file.error(
            "roles.clamp.bias_channels",
            f"{len(clamp.bias_channels)} channels, expected {expected} for network.bias = "
            f'"{network.bias}"',
        )
    if network.bias_rows and network.bias_v > clamp.max_v:
        raise file.error(
            "roles.clamp.max_v",
            f"{clamp.max_v:g} V, expected at least network.bias_v = {network.bias_v:g} V",
        )


def _check_nodes(file: BenchFile, network: Network) -> None:
    nodes, names = file.sections.roles.nodes.channels, node_names(network)
    if len(nodes) == len(names):
        return
    message = f"{len(nodes)} channels, expected {len(names)}: each hidden node, then each output"
    if len(nodes) < len(names):
        message += f"; {names[len(nodes)]} has no reader"
    raise file.error("roles.nodes.channels", message)


def _check_hidden(file: BenchFile, network: Network) -> None:
    rectified = bool(network.polarity.any())
    if rectified and file.sections.hidden is None:
        raise file.error(
            "hidden.nonlinearity",
            'missing, expected "precision", "junction" or "ideal" for network.diodes',
        )
    if not rectified and file.sections.hidden is not None:
        raise file.error(
            "hidden", "the network has no hidden node with a diode, expected no such section"
        )


def _check_cells(file: BenchFile, network: Network, program: DirectProgram) -> None:
    key = "roles.program.cells"
    found = [(len(array), len(row)) for array in program.cells for row in array]
    expected = [shape for shape in network.shapes for _ in range(shape[0])]
    if len(program.cells) != len(network.shapes) or found != expected:
        shapes = ", ".join(f"{rows} x {columns}" for rows, columns in network.shapes)
        raise file.error(key, f"expected a channel for each cell of the arrays {shapes}")
    low, high = min(program.map.siemens), max(program.map.siemens)
    # An end of the map has to count as achieved where the window goes beyond it.
    within = 1.0 + program.tolerance
    if network.g_min_siemens * within < low or network.g_max_siemens > high * within:
        raise file.error(
            "roles.program.map",
            f"{low:g} to {high:g} S, expected it to cover network.g_min_siemens to g_max_siemens, "
            f"{network.g_min_siemens:g} to {network.g_max_siemens:g} S",
        )


def _check_matrix(file: BenchFile, network: Network, program: PulseProgram) -> None:
    matrix = program.matrix
    for key, arrays, axis in (
        ("rows", matrix.rows, 0),
        ("columns", matrix.columns, 1),
        ("unselected_rows", matrix.unselected_rows, 0),
        ("unselected_columns", matrix.unselected_columns, 1),
    ):
        expected = [shape[axis] for shape in network.shapes]
        found = [len(paths) for paths in arrays]
        if found != expected and not (key.startswith("unselected") and not found):
            raise file.error(
                f"roles.program.matrix.{key}",
                f"{found} paths in the layers' arrays, expected {expected}",
            )
    named = {Line.of(name).instrument for name in program.channels["matrix.rows"]}
    for key in ("matrix.columns", "matrix.unselected_rows", "matrix.unselected_columns"):
        named |= {Line.of(name).instrument for name in program.channels[key]}
    if Line.of(program.source).instrument in named:
        raise ConfigError(
            f"{file.path}: roles.program.source: {program.source} is on the switch matrix, "
            "expected an SMU"
        )
