"""The network that a bench file wires, where no run says what it is."""

from __future__ import annotations

from hilep.errors import BadInputError
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.programsections import DirectProgram
from hilep.network import Network

WINDOW_SIEMENS = (1e-7, 1e-5)
"""Of pulsed cells, whose window a bench file does not know, unless `[virtual]` gives another."""


def wired_network(file: BenchFile) -> Network:
    """Return the network whose layers are those of a bench file's wires.

    A bench file does not know the polarity of its rectifiers: that of the network means something
    to a virtual twin only.

    Raises:
        ConfigError: `[virtual]` gives no polarity or window.
    """
    roles, virtual = file.sections.roles, file.sections.virtual
    program = roles.program
    if isinstance(program, DirectProgram):
        widths = [len(array[0]) for array in program.cells]
        low, high = min(program.map.siemens), max(program.map.siemens)
    else:
        widths = [len(columns) for columns in program.matrix.columns]
        low = virtual.get("g_min_siemens", WINDOW_SIEMENS[0])
        high = virtual.get("g_max_siemens", WINDOW_SIEMENS[1])
    diodes = "none" if file.sections.hidden is None else virtual.get("diodes", "split")
    try:
        return Network(
            (len(roles.clamp.channels), *widths),
            diodes,
            "row" if roles.clamp.bias_channels else "none",
            bias_v=roles.clamp.max_v,
            g_min_siemens=low,
            g_max_siemens=high,
        )
    except (BadInputError, TypeError) as error:
        raise file.error("virtual", str(error)) from error
