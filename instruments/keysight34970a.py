"""Keysight (Agilent, HP) 34970A, 34972A and DAQ970A with multiplexer and matrix modules, in SCPI.

Commands are those of the 34970A/34972A Command Reference and of the DAQ970A/DAQ973A Programming
Guide, chapter "SCPI Programming", subsystems ROUTe, SENSe, FORMat, DATA, DIAGnostic, and
"Scanning Overview" of the 34970A User's Guide, chapter 5. The 34970A has GPIB and RS-232 only; the
others also LAN and USB.

Choices, and why:

* INITiate and FETCh?, not READ?, which on a 34970A holds the scan up whenever its output buffer is
  full and so lets the bus into the timing.
* Neither CONFigure nor MEASure, which put other settings back to their defaults.
* Automatic input impedance: above 10 GOhm up to the 10 V range, where the default of 10 MOhm would
  load the nodes of a crossbar.
* A sweep goes round the channels in rising order, whatever the order of the list; each reading
  brings its channel along, and the columns are put into the order asked for.
* SYSTem:CPON ALL opens every relay; it also puts the outputs of a multifunction module to 0 V.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hilep.instruments.daq import Scan, ScanReader
from hilep.instruments.errors import RangeLimitError
from hilep.instruments.kept import Kept
from hilep.instruments.relays import listed
from hilep.instruments.values import number


class Keysight34970A(ScanReader):
    """A 34970A, 34972A or DAQ970A; the arguments are those of `BenchInstrument`."""

    models = ("34970A", "34972A", "DAQ970A", "DAQ973A")
    channel_form = re.compile(r"[1-3]\d\d")
    ranges_v: ClassVar[tuple[float, ...]] = (0.1, 1.0, 10.0, 100.0, 300.0)
    fields: ClassVar[tuple[str, ...]] = ("volts", "time", "channel")
    apertures: ClassVar[tuple[float, ...]] = (0.02, 0.2, 1.0, 2.0, 10.0, 20.0, 100.0, 200.0)
    """NPLC that every model has ([SENSe:]VOLTage[:DC]:NPLCycles)."""
    capacity = 50_000
    max_sweeps = 50_000

    _zero = "SENS:ZERO:AUTO"
    _impedance = "INP:IMP:AUTO"

    def check(self) -> None:
        """Note what newer models have otherwise: twice the memory, two commands elsewhere."""
        if "DAQ97" in self.identity.model:
            self.capacity = self.max_sweeps = 100_000
            self._zero, self._impedance = "SENS:VOLT:DC:ZERO:AUTO", "SENS:VOLT:DC:IMP:AUTO"

    def off_messages(self) -> Sequence[str]:
        """End the scan and put every module to its state at power-on: relays open.

        Twice, because relays that an earlier session closed cannot be asked for.
        """
        return (":ABOR", ":SYST:CPON ALL", ":SYST:CPON ALL")

    def prepare(self) -> None:
        """Readings with their time since the scan began, and their channel."""
        for message in (
            ":FORM:READ:ALAR OFF",
            ":FORM:READ:UNIT OFF",
            ":FORM:READ:CHAN ON",
            ":FORM:READ:TIME ON",
            ":FORM:READ:TIME:TYPE REL",
        ):
            self.command(message)

    def checked_nplc(self, nplc: float) -> float:
        """Return `nplc`, one of `apertures`."""
        if nplc not in self.apertures:
            values = ", ".join(f"{value:g}" for value in self.apertures)
            raise RangeLimitError(f"{self.name}: nplc is {nplc}, expected one of {values}")
        return float(nplc)

    def scan_messages(self, scan: Scan) -> Sequence[str]:
        """Return the messages that set the scan up."""
        channels = listed(scan.channels)
        # Autozero comes after the aperture, which sets it as well.
        return (
            ":ROUT:MON:STAT OFF",
            f':SENS:FUNC "VOLT:DC",{channels}',
            f":SENS:VOLT:DC:RANG {number(scan.range_v)},{channels}",
            f":SENS:VOLT:DC:NPLC {number(scan.nplc)},{channels}",
            f":{self._zero} {'ON' if scan.autozero else 'OFF'},{channels}",
            f":{self._impedance} ON,{channels}",
            f":CALC:SCAL:STAT OFF,{channels}",
            f":ROUT:SCAN {channels}",
            f":ROUT:CHAN:DEL {number(scan.delay_s)},{channels}",
            ":TRIG:SOUR IMM",
        )

    def scan_query(self, sweeps: int, channels: int) -> str:
        """Return the query of a scan; a new scan clears the memory."""
        del channels
        return f":TRIG:COUN {sweeps};:INIT;*WAI;:FETC?"

    def kept_from_start(self) -> Sequence[Kept]:
        """Return what `prepare` sets."""
        return (
            Kept(":FORM:READ:ALAR?", False),
            Kept(":FORM:READ:UNIT?", False),
            Kept(":FORM:READ:CHAN?", True),
            Kept(":FORM:READ:TIME?", True),
            Kept(":FORM:READ:TIME:TYPE?", "REL"),
        )

    def kept(self, scan: Scan) -> Sequence[Kept]:
        """Return what a configuration sets once."""
        return (
            Kept(":TRIG:SOUR?", "IMM"),
            Kept(":ROUT:SCAN?", listed(scan.channels)),
        )

    def kept_of_channels(self, scan: Scan) -> Sequence[Kept]:
        """Return what a configuration sets for each channel."""
        return (
            Kept(":SENS:FUNC?", "VOLT"),
            Kept(":SENS:VOLT:DC:RANG:AUTO?", False),
            Kept(":SENS:VOLT:DC:RANG?", scan.range_v),
            Kept(":SENS:VOLT:DC:NPLC?", scan.nplc),
            Kept(f":{self._zero}?", scan.autozero),
            Kept(f":{self._impedance}?", True),
            Kept(":CALC:SCAL:STAT?", False),
            Kept(":ROUT:CHAN:DEL:AUTO?", False),
            Kept(":ROUT:CHAN:DEL?", scan.delay_s, 1e-6),
        )

    def read_back(self, channels: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Ask for the ranges and apertures of `channels`."""
        queries = {"range_v": ":SENS:VOLT:DC:RANG?", "nplc": ":SENS:VOLT:DC:NPLC?"}
        asked = {name: f"{query} {listed(channels)}" for name, query in queries.items()}
        return {
            name: self.numbers_in(self.query(query), len(channels), query)
            for name, query in asked.items()
        }

    def settings(self) -> dict[str, Any]:
        """Ask for the scan and for how its channels are read."""
        if self._scan is None:
            return {}
        channels = listed(self._scan.channels)
        back = self.read_back(self._scan.channels)
        found: dict[str, Any] = {name: values.tolist() for name, values in back.items()}
        found["scan"] = list(self._scan.channels)
        for name, query in (
            ("autozero", f":{self._zero}?"),
            ("high_impedance", f":{self._impedance}?"),
            ("delay_s", ":ROUT:CHAN:DEL?"),
        ):
            text = f"{query} {channels}"
            count = len(self._scan.channels)
            found[name] = self.numbers_in(self.query(text), count, text).tolist()
        return found

    def switching(self, opened: Sequence[str], made: Sequence[str]) -> str:
        """Return the message that opens, then closes; other channels stay as they are."""
        parts = [f":ROUT:OPEN {listed(opened)}"] if opened else []
        return ";".join([*parts, f":ROUT:CLOS {listed(made)}"] if made else parts)

    def closed_query(self, channels: Sequence[str]) -> str:
        """Return the query of 1 (closed) or 0 for each of `channels`."""
        return f":ROUT:CLOS? {listed(channels)}"

    def closed_in(self, answer: str, channels: Sequence[str]) -> set[str]:
        """Return those of `channels` whose answer is 1."""
        states = self.numbers_in(answer, len(channels), self.closed_query(channels))
        return {channel for channel, state in zip(channels, states, strict=True) if state}

    def cycles_query(self, channels: Sequence[str]) -> str:
        """Return the query of the modules' counters."""
        return f":DIAG:REL:CYCL? {listed(channels)}"
