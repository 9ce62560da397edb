"""Names of channels as a bench file writes them: "smu1.a" is channel a of instrument smu1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from hilep.errors import BadInputError
from hilep.network import Network

_FORM = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\.([A-Za-z0-9_]+)")


class Line(NamedTuple):
    """One channel of one instrument."""

    instrument: str
    channel: str

    @classmethod
    def of(cls, text: str) -> Line:
        """Return the line that `text` names.

        Raises:
            ValueError: it is not an instrument, a dot and a channel.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(
                f'expected an instrument and a channel, such as "smu1.a", got {text!r}'
            )
        return cls(*found.groups())

    def __str__(self) -> str:
        return f"{self.instrument}.{self.channel}"


def lines_of(texts: Iterable[str]) -> tuple[Line, ...]:
    """Return the lines that channels of a bench file name."""
    return tuple(Line.of(text) for text in texts)


def node_names(network: Network) -> list[str]:
    """Return what errors call each free node, in the order of reads."""
    last = len(network.layers) - 1
    names = [
        f"hidden node {node} of layer {layer}"
        for layer in range(1, last)
        for node in range(network.layers[layer])
    ]
    return names + [f"output {node}" for node in range(network.outputs)]


def channel_at(instruments: Mapping[str, Any], line: Line) -> Any:
    """Return the channel of a source-measure unit.

    Raises:
        BadInputError: the instrument has no such channel.
    """
    channels = instruments[line.instrument].channels
    try:
        return channels[line.channel]
    except KeyError:
        offered = ", ".join(channels)
        raise BadInputError(f"{line}: no such channel, expected one of {offered}") from None
