"""Keithley DAQ6510 with its multiplexer and matrix cards (7700 to 7710), in SCPI.

Commands are those of the Model DAQ6510 Data Acquisition and Multimeter System Reference Manual
(DAQ6510-901-01), chapter "SCPI command reference", sections "ROUTe subsystem", "SENSe1 subsystem",
"TRACe subsystem" and "FORMat subsystem". Its language must be SCPI, not TSP; let one client at a
time hold its raw socket.

Choices, and why:

* ASCII with 16 digits, because the binary formats carry neither status nor channel
  (section "TRACe subsystem", :TRACe:DATA?).
* Automatic input impedance: above 10 GOhm up to the 10 V range, where the default of 10 MOhm would
  load the nodes of a crossbar.
* A scan opens only the channels of its own list (:ROUTe:SCAN:MODE USED); the default opens every
  path of the cards first.
* The buffer fills once, so that nothing can be overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hilep.instruments.daq import Scan, ScanReader
from hilep.instruments.errors import InstrumentError, RangeLimitError
from hilep.instruments.kept import Kept, channels_in
from hilep.instruments.relays import listed
from hilep.instruments.status import INVALID
from hilep.instruments.values import number

_QUESTIONABLE = 1
"""Bit of a reading's status word: section "TRACe subsystem", "Buffer status bits"."""

_BUFFER = '"defbuffer1"'


class KeithleyDAQ6510(ScanReader):
    """A DAQ6510; the arguments are those of `BenchInstrument`."""

    models = ("DAQ6510",)
    channel_form = re.compile(r"[12]\d\d")
    ranges_v: ClassVar[tuple[float, ...]] = (0.1, 1.0, 10.0, 100.0, 1000.0)
    fields: ClassVar[tuple[str, ...]] = ("volts", "time", "status", "channel")
    capacity = 100_000
    max_sweeps = 100_000

    def check(self) -> None:
        """Refuse an instrument that listens to TSP; one without the question has no choice."""
        language = (self.answer_if_any("*LANG?") or "SCPI").strip('"')
        if language.upper() != "SCPI":
            raise InstrumentError(
                f"its language is {language}: send *LANG SCPI and switch it off and on",
                instrument=self.name,
            )

    def off_messages(self) -> Sequence[str]:
        """End the scan and open every channel."""
        return (":ABOR", ":ROUT:OPEN:ALL")

    def prepare(self) -> None:
        """Full precision, and a buffer that fills once."""
        self.command(":FORM:DATA ASC")
        self.command(":FORM:ASC:PREC 16")
        self.command(f":TRAC:FILL:MODE ONCE,{_BUFFER}")

    def checked_nplc(self, nplc: float) -> float:
        """Return `nplc`: 0.0005 to 12 at 50 Hz, to 15 at 60 Hz (:SENSe1:<function>:NPLCycles)."""
        top = 12 if self.line_hz == 50 else 15
        if not 0.0005 <= nplc <= top:
            raise RangeLimitError(f"{self.name}: nplc is {nplc}, expected 0.0005 to {top}")
        return float(nplc)

    def scan_messages(self, scan: Scan) -> Sequence[str]:
        """Return the messages that set the scan up."""
        channels = listed(scan.channels)
        # The function comes first: it puts every other setting of a channel to its default.
        return (
            f':SENS:FUNC "VOLT:DC",{channels}',
            f":SENS:VOLT:RANG {number(scan.range_v)},{channels}",
            f":SENS:VOLT:NPLC {number(scan.nplc)},{channels}",
            f":SENS:VOLT:AZER {'ON' if scan.autozero else 'OFF'},{channels}",
            f":SENS:VOLT:AVER OFF,{channels}",
            f":SENS:VOLT:REL:STAT OFF,{channels}",
            f":SENS:VOLT:INP AUTO,{channels}",
            f":ROUT:CHAN:DEL {number(scan.delay_s)},{channels}",
            f":TRAC:POIN {self.capacity},{_BUFFER}",
            f":ROUT:SCAN:CRE {channels}",
            f":ROUT:SCAN:BUFF {_BUFFER}",
            ":ROUT:SCAN:MODE USED",
            ":ROUT:SCAN:INT 0",
        )

    def scan_query(self, sweeps: int, channels: int) -> str:
        """Return the query of a scan into the cleared buffer."""
        return (
            f":TRAC:CLE {_BUFFER};:ROUT:SCAN:COUN:SCAN {sweeps};:INIT;*WAI;"
            f":TRAC:DATA? 1,{sweeps * channels},{_BUFFER},READ,REL,STAT,CHAN"
        )

    def status_of(self, words: NDArray[np.float64]) -> NDArray[np.uint8]:
        """A reading that the instrument calls questionable is INVALID."""
        questionable = np.nan_to_num(words).astype(np.int64) & _QUESTIONABLE
        return np.where(questionable != 0, INVALID, 0).astype(np.uint8)

    def kept_from_start(self) -> Sequence[Kept]:
        """Return what `prepare` and the start set."""
        return (
            Kept(":ROUT:MULT:CLOS?", "(@)"),
            Kept(":FORM:DATA?", "ASC"),
            Kept(":FORM:ASC:PREC?", 16.0),
            Kept(f":TRAC:FILL:MODE? {_BUFFER}", "ONCE"),
        )

    def kept(self, scan: Scan) -> Sequence[Kept]:
        """Return what a configuration sets once; with too few points a read is an error."""
        return (
            Kept(":ROUT:SCAN:BUFF?", _BUFFER),
            Kept(":ROUT:SCAN:MODE?", "USED"),
            Kept(":ROUT:SCAN:INT?", 0.0, 1e-6),
            Kept(":ROUT:SCAN:CRE?", listed(scan.channels)),
        )

    def kept_of_channels(self, scan: Scan) -> Sequence[Kept]:
        """Return what a configuration sets for each channel."""
        return (
            Kept(":SENS:FUNC?", "VOLT"),
            Kept(":SENS:VOLT:RANG:AUTO?", False),
            Kept(":SENS:VOLT:RANG?", scan.range_v),
            Kept(":SENS:VOLT:NPLC?", scan.nplc),
            Kept(":SENS:VOLT:AZER?", scan.autozero),
            Kept(":SENS:VOLT:AVER?", False),
            Kept(":SENS:VOLT:REL:STAT?", False),
            Kept(":SENS:VOLT:INP?", "AUTO"),
            Kept(":ROUT:CHAN:DEL?", scan.delay_s, 1e-6),
        )

    def read_back(self, channels: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Ask for the ranges and apertures of `channels`."""
        queries = {"range_v": ":SENS:VOLT:RANG?", "nplc": ":SENS:VOLT:NPLC?"}
        return {
            name: self._each(f"{query} {listed(channels)}", len(channels))
            for name, query in queries.items()
        }

    def settings(self) -> dict[str, Any]:
        """Ask for the scan and for how its channels are read."""
        found: dict[str, Any] = {"terminals": self.query(":ROUT:TERM?").strip()}
        if self._scan is None:
            return found
        channels = self._scan.channels
        found |= {name: values.tolist() for name, values in self.read_back(channels).items()}
        found |= {"scan": self.query(":ROUT:SCAN:CRE?").strip(), "delay_s": self._scan.delay_s}
        found["scan_mode"] = self.query(":ROUT:SCAN:MODE?").strip()
        for name, query in (
            ("autozero", ":SENS:VOLT:AZER?"),
            ("filter", ":SENS:VOLT:AVER?"),
            ("input_impedance", ":SENS:VOLT:INP?"),
        ):
            found[name] = re.split("[;,]", self.query(f"{query} {listed(channels)}").strip())
        return found

    def switching(self, opened: Sequence[str], made: Sequence[str]) -> str:
        """Return the message that opens, then closes; other channels stay as they are."""
        parts = [f":ROUT:MULT:OPEN {listed(opened)}"] if opened else []
        return ";".join([*parts, f":ROUT:MULT:CLOS {listed(made)}"] if made else parts)

    def closed_query(self, channels: Sequence[str]) -> str:
        """Return the query of every closed channel."""
        del channels
        return ":ROUT:MULT:CLOS?"

    def closed_in(self, answer: str, channels: Sequence[str]) -> set[str]:
        """Return those of `channels` in a channel list such as (@101,105:107)."""
        return channels_in(answer) & set(channels)

    def cycles_query(self, channels: Sequence[str]) -> str:
        """Return the query of the cards' counters."""
        return f":ROUT:CLOS:COUN? {listed(channels)}"

    def _each(self, query: str, count: int) -> NDArray[np.float64]:
        # One value per channel, whichever of the two separators a firmware puts between them.
        return self.numbers_in(self.query(query).replace(";", ","), count, query)
