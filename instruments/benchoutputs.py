"""What the outputs of a bench are at: off, on, clamped, nudged, or at rest for programming."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.arrays import Doubles
from hilep.errors import UnsupportedError
from hilep.instruments.benchsession import BenchSession
from hilep.instruments.cells import Cells
from hilep.instruments.errors import StateUnknownError
from hilep.instruments.roles import WriteReport
from hilep.instruments.stations import Station
from hilep.reading import ProgramReport


class BenchOutputs:
    """Switches on when it is first needed, and brings back what programming had to stop.

    Every verb is for the holder of the session's turn.

    Args:
        session: the bench's connections.

    Attributes:
        cells: what each cell should be and is.
        on: whether clamps, nudges and supplies are configured and on.
        volts: what the inputs are clamped at (n_in,), or None.
        snapshot: every setting as read back when the outputs last went on.
    """

    def __init__(self, session: BenchSession) -> None:
        program = session.file.sections.roles.program
        self.session = session
        self.cells = Cells(session.network, program.tolerance, program.deadband_siemens)
        self.on = False
        self.volts: Doubles | None = None
        self.snapshot: dict[str, Any] = {}
        self._amps = np.zeros(session.network.outputs)
        self._settle_s = session.file.sections.settle.seconds
        self._settled = math.nan
        self._change = (math.nan, 0.0)
        self._rested = False
        self._configured = False
        self._lost = False
        self._times_off = 0

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Refuse what happens inside if the outputs were switched off meanwhile, by any thread.

        Raises:
            StateUnknownError: they were; nothing is clamped any more.
        """
        before = self._times_off
        yield
        if self._times_off != before:
            self.on, self.volts = False, None
            raise StateUnknownError("the outputs were switched off by safe() meanwhile")

    def clamp(self, station: Station, volts: Doubles) -> None:
        """Release the nudge and hold the inputs at `volts`: one write where both share one."""
        with self.steady():
            self._power(station)
            self._wake(station)
            station.sources.send({**station.nudge.zeros(), **station.clamp.levels(volts)})
            station.nudge.open()
            self._amps = np.zeros_like(self._amps)
            self.volts = volts

    def nudge(self, station: Station, amps: Doubles) -> Doubles:
        """Inject `amps`; return the amperes achieved."""
        with self.steady():
            self._power(station)
            self._restore(station)
            achieved = station.nudge.inject(amps)
            self._amps = amps
            return achieved

    def idle(self, station: Station) -> None:
        """Be on with every clamp and nudge at a setting of 0, so that nothing is clamped."""
        self._power(station)
        self._wake(station)
        station.sources.rest([*station.nudge.zeros(), *station.clamp.zeros()])
        self._amps = np.zeros_like(self._amps)
        self.volts = None

    def release(self, station: Station) -> None:
        """Let go of the outputs."""
        self._amps = np.zeros_like(self._amps)
        station.nudge.release()

    def settle(self, station: Station) -> None:
        """Be ready for a read: everything is on, and the network has had its time."""
        self._power(station)
        self._restore(station)
        moved = station.sources.moved
        if moved != self._settled:
            # What a twin's clock has passed meanwhile is not on ours.
            gone = 0.0 if self.session.virtual else time.monotonic() - moved
            if gone < self._settle_s:
                self.session.sleep(self._settle_s - gone)
            self._settled = moved

    def wait(self, station: Station, seconds: float) -> float:
        """Be ready for a read that long after the last change, settled or not.

        Returns:
            When that change was, on the clock of the session.
        """
        self._power(station)
        self._restore(station)
        now, moved = self.session.now(), station.sources.moved
        if self.session.virtual:
            # A twin's clock does not go on while levels are set.
            if moved != self._change[0]:
                self._change = (moved, now)
            moved = self._change[1]
        if now < moved + seconds:
            self.session.sleep(moved + seconds - now)
        return moved

    def write(self, station: Station) -> ProgramReport:
        """Write the cells that are due."""
        programmer = station.programmer
        if self._lost and programmer.volatile:
            self.cells.doubt()
        self._lost = False
        cells, siemens = self.cells.due()
        if not len(cells):
            return ProgramReport(0)
        self._rest_for(station)
        self.cells.doubt(cells)
        report = programmer.program(cells, siemens, self.cells.tolerance)
        self.cells.record(cells, report)
        station.sources.moved = time.monotonic()
        failed = tuple((int(k), int(i), int(j)) for k, i, j in cells[report.failed])
        return ProgramReport(len(cells), failed, int(report.pulses))

    def read_cells(self, station: Station, reads: int) -> list[Doubles]:
        """Read every cell alone; return siemens (reads, n_pre, n_post) per layer.

        Raises:
            UnsupportedError: the programmer reads no cells.
        """
        if not hasattr(station.programmer, "read_cells"):
            raise UnsupportedError("roles.program: nothing reads a single cell here")
        self._rest_for(station)
        shapes = self.session.network.shapes
        cells = np.concatenate(
            [np.insert(np.argwhere(np.ones(s)), 0, layer, axis=1) for layer, s in enumerate(shapes)]
        )
        found = station.programmer.read_cells(cells, reads)
        station.sources.moved = time.monotonic()
        return [found[:, cells[:, 0] == layer].reshape(reads, *s) for layer, s in enumerate(shapes)]

    def pulse_cells(
        self, station: Station, cells: NDArray[np.int64], directions: NDArray[np.int64]
    ) -> Doubles:
        """Give single pulses to cells; return siemens (pulses + 1, cells).

        Raises:
            UnsupportedError: the programmer gives no single pulses.
        """
        programmer, network = station.programmer, self.session.network
        if not hasattr(programmer, "pulse_cells"):
            raise UnsupportedError("roles.program: nothing gives single pulses here")
        self._rest_for(station)
        self.cells.doubt(cells)
        window = network.g_min_siemens, network.g_max_siemens
        found: Doubles = programmer.pulse_cells(cells, directions, window)
        known = np.isfinite(found[-1])
        report = WriteReport(found[-1, known], np.zeros(int(known.sum()), np.bool_))
        self.cells.record(cells[known], report)
        station.sources.moved = time.monotonic()
        return found

    def _rest_for(self, station: Station) -> None:
        """Let clamps and nudges rest as the programmer asks."""
        self.session.require_supervisor()
        if not self.on and not self._configured:
            # A range or limit that an instrument lacks is met before programming drives anything.
            station.configure()
            self._configured = True
        if self.on and station.programmer.rest != "driven":
            self._rest(station, station.programmer.rest == "off")

    def forget(self) -> None:
        """Take note that everything is being switched off."""
        self._times_off += 1
        self.on = self._rested = self._configured = False
        self._lost = True
        self.volts = None
        self._amps = np.zeros_like(self._amps)

    def _power(self, station: Station) -> None:
        self.session.require_supervisor()
        if self.on:
            return
        if self._lost and self.cells.wanted:
            self.write(station)
        # Switching off opened the relays between the sources and the array.
        station.programmer.connect()
        station.energise()
        self.on = True
        self.snapshot = {"taken_s": time.time(), **self.session.snapshots()}

    def _rest(self, station: Station, off: bool) -> None:
        """Release the nudge and take the clamps to 0 V, before cells are programmed."""
        self._rested = True
        sources = station.sources
        # A setting of exactly 0 is what programming asks instruments for, whatever their offsets.
        sources.rest([*station.nudge.zeros(), *station.clamp.zeros()])
        if off:
            sources.switch_off([*station.nudge.lines, *station.clamp.lines, *station.clamp.bias])

    def _wake(self, station: Station) -> None:
        """Switch what rested on again, at 0."""
        if self._rested:
            lines = [*station.clamp.lines, *station.clamp.bias, *station.nudge.lines]
            station.sources.switch_on(lines)
            self._rested = False

    def _restore(self, station: Station) -> None:
        if self._rested:
            self._wake(station)
            if self.volts is not None:
                station.sources.send(station.clamp.levels(self.volts))
            if self._amps.any():
                station.nudge.inject(self._amps)
            else:
                station.nudge.release()
