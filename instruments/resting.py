"""Proof that clamps and nudges rest before cells are programmed: asked of their instruments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hilep.instruments.errors import InstrumentError
from hilep.instruments.roles import Rest
from hilep.instruments.sources import is_analog_output
from hilep.instruments.wiring import Line


def require_rest(instruments: Mapping[str, Any], lines: Iterable[Line], rest: Rest) -> None:
    """Read back whether sources rest: one query of the outputs of each instrument, one of levels.

    An analog output has nothing to ask: it is driven always, and the bench sets it to 0 V.

    Args:
        instruments: started, by name.
        lines: the sources.
        rest: "off", "zero", or "driven", which asks for nothing.

    Raises:
        InstrumentError: one is on, or at another level than 0.
    """
    if rest == "driven":
        return
    by_name: dict[str, list[str]] = {}
    for line in lines:
        by_name.setdefault(line.instrument, []).append(line.channel)
    for name, channels in by_name.items():
        instrument = instruments[name]
        if is_analog_output(instrument):
            continue
        outputs = instrument.read_outputs()
        on = [channel for channel in channels if outputs.get(channel)]
        if on and rest == "off":
            raise InstrumentError(
                f"channel {', '.join(on)} is on, expected off before cells are programmed",
                instrument=name,
            )
        levels = instrument.acquire(1, on).levels if on else {}
        driven = [channel for channel in on if levels.get(channel) != 0]
        if driven:
            raise InstrumentError(
                f"channel {driven[0]} is at {levels.get(driven[0])}, expected 0 before cells are "
                "programmed",
                instrument=name,
            )
