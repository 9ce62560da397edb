"""Sets a few levels of a bench, reads every node, and keeps what went wrong as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from hilep.arrays import Doubles
from hilep.instruments.bench import Bench
from hilep.instruments.errors import ComplianceError, InstrumentError
from hilep.instruments.stations import Station
from hilep.instruments.status import COMPLIANCE
from hilep.instruments.trips import InterlockError, OverRangeError
from hilep.instruments.wiring import Line


@dataclass(frozen=True, slots=True)
class Probed:
    """What one setting came to.

    Attributes:
        volts: of every free node, the median over the samples (n_free,); NaN where not used.
        spread_v: standard deviation of a sample (n_free,); 0 for a single one.
        source_volts, source_amps: of each source that reads itself, the median.
        limited: the sources that met their limit.
        trouble: what ended the read, or None.
    """

    volts: Doubles
    spread_v: Doubles
    source_volts: dict[Line, float] = field(default_factory=dict)
    source_amps: dict[Line, float] = field(default_factory=dict)
    limited: frozenset[Line] = frozenset()
    trouble: InstrumentError | None = None


class Probe:
    """One channel or a few at a level, all the others at 0, and a read.

    Args:
        bench: open, with cells programmed or read.
        ready: brings the cells back; called with the bench's outputs off, before they go on.
        samples: reads of each node.
    """

    def __init__(self, bench: Bench, ready: Callable[[Station], None], samples: int = 8) -> None:
        self.bench = bench
        self.samples = samples
        self._ready = ready
        self._on = False

    def energise(self) -> None:
        """Configure everything, limits first, and switch on at 0.

        Raises:
            ConfigError: an instrument lacks a range, limit or channel; no output is on.
        """
        with self.bench.session.turn(self.bench.safe) as station:
            self._energise(station)

    def read(self, levels: Mapping[Line, float]) -> Probed:
        """Set `levels`, volts or amperes, and everything else to 0; settle; read.

        A source at its limit, and a node beyond the interlock or the reader's range, are in the
        result. After the latter two the outputs are off, until the next read.
        """
        bench = self.bench
        missing = np.full(bench.network.free_nodes, np.nan)
        try:
            with bench.session.turn(bench.safe) as station:
                self._energise(station)
                try:
                    return self._read(station, levels)
                except ComplianceError as error:
                    found = _sources(station)
                    station.sources.send(_zeros(station))
                    limited = found[2] or frozenset()
                    return Probed(missing, missing, found[0], found[1], limited, error)
        except (InterlockError, OverRangeError) as error:
            self._on = False
            return Probed(missing, missing, trouble=error)

    def _energise(self, station: Station) -> None:
        if self._on:
            return
        self.bench.session.require_supervisor()
        self._ready(station)
        station.energise()
        self._on = True

    def _read(self, station: Station, levels: Mapping[Line, float]) -> Probed:
        station.sources.send(_zeros(station) | dict(levels))
        wait = self.bench.file.sections.settle.seconds
        if wait:
            self.bench.session.sleep(wait)
        readings = station.nodes.read(None, self.samples)
        volts, amps, _ = _sources(station)
        spread = readings.volts.std(axis=0, ddof=1) if self.samples > 1 else 0 * readings.volts[0]
        return Probed(np.median(readings.volts, axis=0), spread, volts, amps)


def _zeros(station: Station) -> dict[Line, float]:
    return {**station.nudge.zeros(), **station.clamp.zeros()}


def _sources(station: Station) -> tuple[dict[Line, float], dict[Line, float], frozenset[Line]]:
    volts, amps, limited = {}, {}, set()
    for name, acquired in station.nodes.acquired.items():
        for column, channel in enumerate(acquired.channels):
            line = Line(name, channel)
            if line not in station.sources.lines:
                continue
            volts[line] = float(np.median(acquired.volts[:, column]))
            amps[line] = float(np.median(acquired.amps[:, column]))
            if (acquired.status[:, column] & COMPLIANCE).any():
                limited.add(line)
    return volts, amps, frozenset(limited)
