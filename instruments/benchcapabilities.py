"""What a bench can do besides the verbs: the optional capabilities of a `Crossbar`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from hilep.arrays import Doubles, checked_count
from hilep.corrections import Corrections
from hilep.crossbar import Crossbar
from hilep.errors import BadInputError
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.benchoutputs import BenchOutputs
from hilep.instruments.benchsession import BenchSession
from hilep.instruments.cells import Cells
from hilep.instruments.comparing import BenchComparison
from hilep.instruments.correcting import check_corrections
from hilep.instruments.stations import check_kinds, driver_classes, source_lines
from hilep.pulsing import checked_pause, checked_pulses
from hilep.reading import Reading


class BenchCapabilities(Crossbar):
    """Reads soon after a step or with other settings, corrections, and cells one by one."""

    file: BenchFile
    _as_given: BenchFile
    session: BenchSession
    outputs: BenchOutputs
    _cells: Cells

    @abstractmethod
    def open(self) -> None:
        """Open every session, outputs off."""

    @abstractmethod
    def close(self) -> None:
        """Switch every output off and close every session."""

    def read_after(self, delay_s: float, samples: int = 1) -> Reading:
        """See `Crossbar.read_after`; raises as `read`.

        The delay ends when the first instrument is asked; what it needs until it begins is the same
        in `read`. Of nodes that instruments read one after the other the later ones come later.
        """
        count = checked_count(samples)
        if not (np.isfinite(delay_s) and delay_s >= 0):
            raise BadInputError(f"read_after: expected seconds >= 0, got {delay_s}")
        if not self._cells.programmed or self.outputs.volts is None:
            raise BadInputError("read_after: program the conductances and clamp the inputs first")
        with self.session.turn(self.safe) as station, self.outputs.steady():
            moved = self.outputs.wait(station, float(delay_s))
            readings = station.nodes.read(None, count, self.session.now)
            delays = station.nodes.delays_s(readings, moved)
        status = np.bitwise_or.reduce(readings.status, axis=0)
        reading = Reading.of_samples(readings.volts, time_s=self.session.time_s())
        return replace(reading, status=status if status.any() else None, delays_s=delays)

    def reading_with(self, **settings: float) -> None:
        """See `Crossbar.reading_with`: the keys are those of `[roles.nodes]`, none as in the file.

        Outputs go off and the instruments are connected anew: clamp again.

        Raises:
            ConfigError: another key, a wrong value, or a reader without that setting.
        """
        file = self.file.reading_with(settings) if settings else self._as_given
        check_kinds(file, driver_classes(file))
        self.close()
        self.file = self.session.file = file

    def apply_corrections(self, corrections: Corrections) -> None:
        """Correct every later read and set by gains and offsets.

        Connected instruments are switched off and connected anew with the next verb.

        Raises:
            BadInputError: a channel was calibrated as a source of another quantity, or none of the
                channels is of this bench.
        """
        lines = source_lines(self.file, self.network)
        check_corrections(corrections, lines, self.file.sections.roles.nodes.channels)
        self.close()
        self.session.corrections = corrections

    def leave_alone(self, siemens: Sequence[Doubles]) -> None:
        """Never write cells that are stuck; updates leave them out from the first on.

        Args:
            siemens: what they hold, NaN for the others, one (n_pre, n_post) per layer.

        Raises:
            BadInputError: for other shapes than the network's.
        """
        self._cells.leave_alone(siemens)

    def channel_comparison(self) -> BenchComparison:
        """See `Crossbar.channel_comparison`: `[roles.reference]` of the bench file."""
        return BenchComparison(self)

    def measure_conductances(self, reads: int = 1) -> list[Doubles]:
        """See `Crossbar.measure_conductances`: each cell alone, through the switch matrix."""
        count = checked_count(reads)
        with self.session.turn(self.safe) as station:
            return self.outputs.read_cells(station, count)

    def pulse_response(self, cells: ArrayLike, directions: ArrayLike) -> Doubles:
        """See `Crossbar.pulse_response`: the first pulse of each schedule, one cell at a time."""
        chosen, signs = checked_pulses(self.network.shapes, cells, directions)
        with self.session.turn(self.safe) as station:
            return self.outputs.pulse_cells(station, chosen, signs)

    def wait(self, seconds: float) -> float:
        """See `Crossbar.wait`: with every output off, because it may take days."""
        pause = checked_pause(seconds)
        self.open()
        if pause:
            self.safe()
            self.session.sleep(pause)
        return self.session.now()
