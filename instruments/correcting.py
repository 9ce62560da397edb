"""Settings of source channels for the levels that are to be there, by their gains and offsets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hilep.corrections import ChannelLine, Corrections
from hilep.errors import BadInputError
from hilep.instruments.values import nearest_step
from hilep.instruments.wiring import Line

if TYPE_CHECKING:
    from hilep.instruments.sources import SourceLine


class SourceCorrections:
    """Gains and offsets of source channels; a channel without any is set to its level.

    Args:
        lines: of the channels that have them.
    """

    def __init__(self, lines: Mapping[Line, ChannelLine]) -> None:
        self._lines = dict(lines)

    @classmethod
    def of(cls, found: Corrections | None, sources: Iterable[SourceLine]) -> SourceCorrections:
        """Return those of `sources`.

        Raises:
            BadInputError: a channel was calibrated as a source of the other quantity.
        """
        lines = {}
        for source in sources:
            line = None if found is None else found.sources.get(str(source.line))
            if line is None:
                continue
            if line.unit != source.quantity:
                raise BadInputError(
                    f"{source.line}: calibrated as a source of {line.unit}, expected "
                    f"{source.quantity}, which it sources here"
                )
            lines[source.line] = line
        return cls(lines)

    def setting(self, line: Line, level: float, most: float, instrument: Any) -> float:
        """Return the setting for which `level` is there, at the source's nearest step.

        A source refuses volts between 0 and its first step, which no one asked for here: what was
        asked for lies half a step away at most.

        Args:
            line: the channel.
            level: volts or amperes.
            most: the largest magnitude of a level.
            instrument: that it belongs to, set up.
        """
        own = self._lines.get(line)
        if own is None:
            return level
        step = source_step(instrument, line.channel)
        found = nearest_step(own.input(level), step)
        if abs(level) >= most and abs(own.output(found)) > most:
            # The nearest step may lie beyond what the bench file allows.
            found -= step if found > 0 else -step
        return found

    def level(self, line: Line, setting: float) -> float:
        """Return what is there at a setting."""
        own = self._lines.get(line)
        return setting if own is None else own.output(setting)

    def most(self, line: Line, level: float, full: float) -> float:
        """Return the largest setting for levels up to `level`, at most the range's `full`."""
        own = self._lines.get(line)
        if own is None:
            return level
        return min(full, max(abs(own.input(level)), abs(own.input(-level))))


def check_corrections(
    corrections: Corrections, sources: Sequence[SourceLine], readers: Sequence[str]
) -> None:
    """Refuse corrections that are not of this bench.

    Args:
        corrections: from a calibration file.
        sources: of the bench.
        readers: channels of its nodes.

    Raises:
        BadInputError: none of the channels is of this bench, or one was calibrated as a source of
            the other quantity.
    """
    SourceCorrections.of(corrections, sources)
    known = {str(source.line) for source in sources}
    if not (corrections.readers.keys() & set(readers) or corrections.sources.keys() & known):
        raise BadInputError(f"{corrections.path}: none of its channels is of this bench")


def source_step(instrument: Any, channel: str) -> float:
    """Return the least volts or amperes of a channel other than 0; 0 where it is not known."""
    if hasattr(instrument, "configure_outputs"):
        return float(getattr(instrument, "steps", {}).get(channel, 0.0))
    setup = instrument.channels[channel].setup
    return 0.0 if setup is None else float(setup.source.step)
