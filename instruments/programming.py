"""Conductances programmed by pulses: an SMU, a switch matrix, and a read after each pulse.

Pulses harm, so the order is fixed. That clamps and nudges are off, or at 0 as the bench file says,
is asked of their instruments. The paths of the running network open, which parts sources and
readers from the array. For each cell its paths close, everything at 0 V, and are proven by the
wiring map. Then come reads and pulses, each from 0 V and back. After the last cell the sources are
switched off before the paths of the running network close again.

A pulse that was not answered may have been given or not. It is counted and not repeated: the
source is recovered, set to 0 V and configured anew, and the cell is read again first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import BadInputError
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.errors import RangeLimitError
from hilep.instruments.isolation import BIASING, complaint
from hilep.instruments.matrixpaths import MatrixPaths
from hilep.instruments.programsections import PulseProgram
from hilep.instruments.pulsedcell import PulsedCell, PulseStatistics
from hilep.instruments.pulseschedule import Schedule
from hilep.instruments.pulsewidths import ArrayResponse, CellResponse
from hilep.instruments.resting import require_rest
from hilep.instruments.roles import Rest, WriteReport
from hilep.instruments.singlepulses import single_pulses
from hilep.instruments.sourcerole import identities
from hilep.instruments.wiring import Line, lines_of
from hilep.instruments.writeverify import write_verify


class PulseProgrammer:
    """The role of a conductance programmer, played by an SMU and a switch matrix.

    Args:
        section: `[roles.program]`.
        instruments: started, by name.
        others: clamps and nudges, which have to rest meanwhile.
        where: what errors call the section.

    Raises:
        BadInputError: the biasing of unselected lines does not isolate the cells.

    Attributes:
        statistics: over all calls.
    """

    volatile = False

    def __init__(
        self,
        section: PulseProgram,
        instruments: Mapping[str, Any],
        others: Iterable[Line] = (),
        where: str = "roles.program",
    ) -> None:
        self.section = section
        self.instruments = instruments
        self.others = tuple(others)
        self._where = where
        self.rest: Rest = section.idle
        self.statistics = PulseStatistics()
        self.increase = Schedule.of(section.increase.volts, section.increase.seconds)
        self.decrease = Schedule.of(section.decrease.volts, section.decrease.seconds)
        self.biasing = BIASING[section.unselected]
        self._paths = MatrixPaths(section.matrix, instruments, self._is_cold)
        wrong = complaint(
            self.biasing, self._paths.shapes, [*section.increase.volts, *section.decrease.volts]
        )
        if wrong is not None:
            raise BadInputError(f"unselected: {wrong}")
        self._sources = (Line.of(section.source), *lines_of(section.bias_sources))
        self._resting = False
        self._response = ArrayResponse() if section.widths == "predicted" else None
        self._cell = PulsedCell(section, self.biasing, instruments, self.statistics)

    @property
    def identity(self) -> Mapping[str, str]:
        """Which instruments play the role."""
        return identities(self.instruments, [*self._sources, *sorted(self._paths.lines)])

    @property
    def trace(self) -> Doubles:
        """The cell written last: its conductance as found, then after each pulse, siemens."""
        return np.array([one.siemens for one in self._cell.trace], np.float64)

    def connect(self) -> None:
        """Close the paths of the running network, everything cold. Nothing where there are none."""
        if self._paths.run:
            with self._others_at_rest():
                self._paths.connect_run()

    def program(self, cells: NDArray[np.int64], siemens: Doubles, tolerance: float) -> WriteReport:
        """Bring each cell to its conductance; see `ConductanceProgrammer.program`.

        Raises:
            BadInputError: a cell as asked would be read beyond the current limit, or a source lacks
                a channel, range or limit that the section asks for; no output was switched on.
            InstrumentError: a source that should rest does not, a relay did not follow, a bias
                source met its limit, or an instrument does not answer. The outputs are off then,
                and cells may be anything.
        """
        most = self.section.limit_a / self.section.read_v
        if np.any(siemens > most):
            raise RangeLimitError(
                f"{self._where}.limit_a: {self.section.limit_a:g} A at read_v = "
                f"{self.section.read_v:g} V reads up to {most:g} S, asked for {np.max(siemens):g} S"
            )
        achieved = np.full(len(cells), np.nan)
        failed = np.zeros(len(cells), np.bool_)
        before = self.statistics.pulses
        with self._switched_on():
            for place, (cell, target) in enumerate(zip(cells, siemens, strict=True)):
                layer, row, column = (int(part) for part in cell)
                self._paths.select(layer, row, column)
                response = None
                if self._response is not None:
                    response = self._response.of_cell((layer, row, column))
                achieved[place], failed[place] = self._write(float(target), tolerance, response)
        return WriteReport(achieved, failed, self.statistics.pulses - before)

    def read_cells(self, cells: NDArray[np.int64], reads: int) -> Doubles:
        """Read each cell without a pulse; instruments are as for `program`, and raise as there.

        Args:
            cells: layer, row and column of each (cells, 3).
            reads: of each cell, one after the other.

        Returns:
            Siemens (reads, cells); NaN where the reader was at its limit.
        """
        found = np.full((reads, len(cells)), np.nan)
        with self._switched_on():
            for place, cell in enumerate(cells):
                layer, row, column = (int(part) for part in cell)
                self._paths.select(layer, row, column)
                self._cell.begin()
                for k in range(reads):
                    one = self._cell.read()
                    found[k, place] = one.siemens if one.good else np.nan
        return found

    def pulse_cells(
        self,
        cells: NDArray[np.int64],
        directions: NDArray[np.int64],
        window: tuple[float, float],
    ) -> Doubles:
        """Give single pulses to each cell in turn; see `single_pulses`, and `program` for errors.

        Args:
            cells: layer, row and column of each (cells, 3).
            directions: +1 or -1 for each pulse.
            window: siemens beyond which no pulse drives a cell.

        Returns:
            Siemens (pulses + 1, cells).

        Raises:
            BadInputError: more pulses than `max_pulses`; no output was switched on.
        """
        if len(directions) > self.section.max_pulses:
            raise BadInputError(
                f"{self._where}.max_pulses: {self.section.max_pulses}, asked for "
                f"{len(directions)} pulses of each cell"
            )
        found = np.full((len(directions) + 1, len(cells)), np.nan)
        if not len(cells):
            return found
        with self._switched_on():
            for place, cell in enumerate(cells):
                layer, row, column = (int(part) for part in cell)
                self._paths.select(layer, row, column)
                self._cell.begin()
                found[:, place] = single_pulses(
                    self._cell,
                    directions.tolist(),
                    self.increase,
                    self.decrease,
                    window,
                    lambda: self.statistics.unanswered,
                )
        return found

    def safe(self) -> None:
        """Switch off every instrument that plays the role, sources first."""
        sources = {line.instrument for line in self._sources}
        cards = {line.instrument for line in self._paths.lines} - sources
        for name in [*sorted(sources), *sorted(cards)]:
            with contextlib.suppress(Exception):
                self.instruments[name].safe()

    def snapshot(self) -> dict[str, Any]:
        """Return the section, what it means for unselected cells, and the statistics."""
        shapes = self._paths.shapes
        heights = [abs(volts) for volts in (*self.increase.volts, *self.decrease.volts)]
        stress = max(self.biasing.stress(*shape) for shape in shapes)
        return {
            **self.section.model_dump(mode="json"),
            "largest_unselected_v": max(stress * max(heights), self.section.read_v),
            "statistics": asdict(self.statistics),
        }

    @contextlib.contextmanager
    def _switched_on(self) -> Iterator[None]:
        """Have the sources on, and in the end off, with the running network joined again."""
        try:
            with self._others_at_rest():
                try:
                    self._cell.switch_on()
                except BadInputError as error:
                    raise BadInputError(f"{self._where}: {error}") from error
                yield
                self._cell.switch_off()
                self._paths.connect_run()
        except BaseException:
            # What went wrong first is what has to be told.
            with contextlib.suppress(Exception):
                self._cell.switch_off()
            raise

    @contextlib.contextmanager
    def _others_at_rest(self) -> Iterator[None]:
        """Prove that nobody else drives the lines, and let relays switch until the end."""
        require_rest(self.instruments, self.others, self.rest)
        self._resting = True
        try:
            yield
        finally:
            self._resting = False

    def _is_cold(self) -> bool:
        return self._resting and not self._cell.driving

    def _write(
        self, siemens: float, tolerance: float, response: CellResponse | None
    ) -> tuple[float, bool]:
        self._cell.begin()
        write = write_verify(
            self._cell,
            siemens,
            tolerance * siemens,
            self.increase,
            self.decrease,
            self.section.max_pulses,
            response,
        )
        statistics = self.statistics
        statistics.cells += 1
        statistics.failed += write.failed
        statistics.reversals += write.reversals
        return write.siemens, write.failed


def pulse_programmer(file: BenchFile, instruments: Mapping[str, Any]) -> PulseProgrammer:
    """Return the programmer that a bench file asks for with `kind = "pulses"`.

    Raises:
        ConfigError: unselected lines are not biased so that cells can be told apart, or readers
            stay on the array on a range below the pulses.
    """
    roles = file.sections.roles
    section = roles.program
    if not isinstance(section, PulseProgram):
        raise file.error("roles.program.kind", f'{section.kind!r}, expected "pulses"')
    highest = max(abs(volts) for volts in (*section.increase.volts, *section.decrease.volts))
    if not section.matrix.run and roles.nodes.range_v < highest:
        raise file.error(
            "roles.nodes.range_v",
            f"{roles.nodes.range_v:g} V, expected at least the largest pulse, {highest:g} V, "
            "because without matrix.run the readers stay on the array",
        )
    clamp = roles.clamp
    others = lines_of([*clamp.channels, *clamp.bias_channels, *roles.nudge.channels])
    try:
        return PulseProgrammer(section, instruments, others, f"{file.path}: roles.program")
    except BadInputError as error:
        raise file.error("roles.program", str(error)) from error
