"""Conductances set by a voltage for each cell: transistors in their ohmic range, potentiometers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import BadInputError
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.correcting import source_step
from hilep.instruments.directmap import CellMaps, ConductanceMap
from hilep.instruments.errors import RangeLimitError
from hilep.instruments.programsections import DirectProgram
from hilep.instruments.roles import Rest, WriteReport
from hilep.instruments.sourcerole import identities
from hilep.instruments.sources import is_analog_output, take_outputs
from hilep.instruments.status import COMPLIANCE
from hilep.instruments.values import nearest_step
from hilep.instruments.wiring import Line, channel_at


class DirectProgrammer:
    """The role of a conductance programmer, played by SMUs or analog outputs, one channel a cell.

    Nothing verifies a conductance: what is achieved is what the map says of the voltage that the
    source achieved. A source at its current limit is a cell that failed.

    Args:
        section: `[roles.program]`.
        instruments: started, by name.
        maps: of each cell; the section's own map for all where None.
        shared: channels and limits in volts of other roles' analog outputs on the same instruments,
            which take all their channels into use at once.
        where: what errors call the section.

    Attributes:
        lines: the channel of each cell, as [layer][row][column].
    """

    rest: Rest = "driven"
    volatile = True

    def __init__(
        self,
        section: DirectProgram,
        instruments: Mapping[str, Any],
        maps: CellMaps | None = None,
        shared: Mapping[Line, float] | None = None,
        where: str = "roles.program",
    ) -> None:
        self.section = section
        self.instruments = instruments
        self.maps = maps or CellMaps(ConductanceMap(section.map.volts, section.map.siemens))
        self.shared = dict(shared or {})
        self._where = where
        self.lines = [[[Line.of(cell) for cell in row] for row in array] for array in section.cells]
        self._all = [line for array in self.lines for row in array for line in row]
        self._names = list(dict.fromkeys(line.instrument for line in self._all))
        self._ready: dict[Line, Any] = {}

    @property
    def identity(self) -> Mapping[str, str]:
        """Which instruments play the role."""
        return identities(self.instruments, self._all)

    @property
    def limits(self) -> dict[Line, float]:
        """The largest magnitude of each channel, volts."""
        return dict.fromkeys(self._all, self.section.max_v)

    def connect(self) -> None:
        """Nothing: no relay stands between these sources and the cells."""

    def program(self, cells: NDArray[np.int64], siemens: Doubles, tolerance: float) -> WriteReport:
        """Set the voltage of each cell, in one message for each instrument.

        Raises:
            RangeLimitError: a conductance further beyond the map than `tolerance`; nothing was
                sent.
        """
        lines = [self.lines[layer][row][column] for layer, row, column in cells.tolist()]
        volts = self.maps.volts_at(cells, siemens, tolerance)
        beyond = np.flatnonzero(np.abs(volts) > self.section.max_v)
        if beyond.size:
            place = int(beyond[0])
            raise RangeLimitError(
                f"{self._where}: {lines[place]}: {volts[place]:.6g} V, expected at most max_v = "
                f"{self.section.max_v:g} V"
            )
        self._switch_on()
        volts = self._stepped(cells, lines, volts)
        achieved = self._apply(lines, volts)
        found = self.maps.siemens_at(cells, achieved)
        failed = np.abs(found - siemens) > tolerance * np.abs(siemens)
        failed |= self._limited(lines)
        return WriteReport(found, failed)

    def safe(self) -> None:
        """Switch off every instrument that plays the role."""
        self._ready.clear()
        for name in self._names:
            with contextlib.suppress(Exception):
                self.instruments[name].safe()

    def snapshot(self) -> dict[str, Any]:
        """Return the section."""
        return self.section.model_dump(mode="json")

    def _switch_on(self) -> None:
        """Take the channels into use that are not, at 0 V: all are configured before any is on.

        Raises:
            BadInputError: a source lacks a channel, range or limit; no SMU was switched on.
        """
        try:
            fresh = self._configured()
        except BadInputError as error:
            raise BadInputError(f"{self._where}: {error}") from error
        for line, one in fresh.items():
            one.on()
            self._ready[line] = one.setup

    def _configured(self) -> dict[Line, Any]:
        """Configure what is not in use; return the SMU channels that are to be switched on."""
        fresh: dict[Line, Any] = {}
        for name in self._names:
            instrument = self.instruments[name]
            channels = [line.channel for line in self._all if line.instrument == name]
            if is_analog_output(instrument):
                others = {k.channel: v for k, v in self.shared.items() if k.instrument == name}
                take_outputs(instrument, others | dict.fromkeys(channels, self.section.max_v))
                continue
            for channel in channels:
                line = Line(name, channel)
                one = channel_at(self.instruments, line)
                # Whatever switched it off took this configuration from it.
                if one.setup is None or one.setup is not self._ready.get(line):
                    one.source_voltage(self.section.limit_a, range_v=self.section.range_v)
                    fresh[line] = one
        return fresh

    def _stepped(self, cells: NDArray[np.int64], lines: Sequence[Line], volts: Doubles) -> Doubles:
        """Return the nearest steps of the sources that the maps know: sources refuse some others.

        A conductance goes to the nearest step, also where that is 0 V or, at the end of its map,
        the last step before it.
        """
        found = volts.copy()
        for place, (cell, line) in enumerate(zip(cells.tolist(), lines, strict=True)):
            step = source_step(self.instruments[line.instrument], line.channel)
            if step <= 0:
                continue
            ends = self.maps.of(*cell).volts
            low = max(float(ends[0]), -self.section.max_v)
            high = min(float(ends[-1]), self.section.max_v)
            level = nearest_step(float(volts[place]), step)
            if level > high:
                level = nearest_step(level - step, step)
            elif level < low:
                level = nearest_step(level + step, step)
            if low <= level <= high:
                found[place] = level
        return found

    def _apply(self, lines: Sequence[Line], volts: Doubles) -> Doubles:
        achieved = np.array(volts, np.float64)
        for name in dict.fromkeys(line.instrument for line in lines):
            places = [place for place, line in enumerate(lines) if line.instrument == name]
            levels = {lines[place].channel: float(volts[place]) for place in places}
            reported = self.instruments[name].apply(levels)
            if reported is not None:
                achieved[places] = [reported[lines[place].channel] for place in places]
        return achieved

    def _limited(self, lines: Iterable[Line]) -> NDArray[np.bool_]:
        """Return which of `lines` are at their current limit; an analog output cannot say."""
        wanted = list(lines)
        found = np.zeros(len(wanted), np.bool_)
        for name in dict.fromkeys(line.instrument for line in wanted):
            instrument = self.instruments[name]
            if is_analog_output(instrument):
                continue
            places = [place for place, line in enumerate(wanted) if line.instrument == name]
            acquired = instrument.acquire(1, [wanted[place].channel for place in places])
            found[places] = (acquired.status[0] & COMPLIANCE) != 0
        return found


def direct_programmer(file: BenchFile, instruments: Mapping[str, Any]) -> DirectProgrammer:
    """Return the programmer that a bench file asks for with `kind = "direct"`."""
    section = file.sections.roles.program
    if not isinstance(section, DirectProgram):
        raise file.error("roles.program.kind", f'{section.kind!r}, expected "direct"')
    try:
        return DirectProgrammer(section, instruments, where=f"{file.path}: roles.program")
    except BadInputError as error:
        raise file.error("roles.program.map", str(error)) from error
