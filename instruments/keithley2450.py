"""Keithley 2450 SourceMeter, in its SCPI command set.

    from hilep.instruments.keithley2450 import Keithley2450

    with Keithley2450("TCPIP0::192.0.2.10::inst0::INSTR", expect="2450") as smu:
        clamp = smu.channels["a"]
        clamp.source_voltage(limit_a=1e-5, range_v=2, nplc=1)
        clamp.on()
        smu.apply({"a": 0.31})
        reads = smu.acquire(samples=16)
        print(reads.amps.mean(), reads.amps.std(ddof=1), reads.status.max())

Commands are those of the Model 2450 Interactive SourceMeter Instrument Reference Manual
(2450-901-01 Rev. B and later), section 6 "SCPI command reference": TRACe:TRIGger, TRACe:DATA?,
SENSe:COUNt, SOURce:VOLTage:ILIMit, OUTPut:<function>:SMODe; status bits are those of section 8,
bufferVar.statuses and bufferVar.sourcestatuses; ranges and steps those of SPEC-2450 Rev. A.

Off state: HIMPedance. The relay opens, so that nothing is driven; NORMal, the default, is a source
of 0 V into which other sources drive. Relays wear: use `zero` between phases.

The other quantity than the sourced one is measured; of the sourced one the readback is given.
Filters and automatic ranges are off, autozero is on, answers have full precision. The command set
must be SCPI (`*LANG SCPI`, then a restart), and the line frequency is the instrument's own finding.

A programming pulse is a level, a source delay, a reading at 0.01 power line cycles and 0 V again,
all in one message: its width is good to about 3 ms, and at least 5 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hilep.errors import BadInputError
from hilep.instruments.acquisition import Acquisition
from hilep.instruments.kept import Kept, of_range
from hilep.instruments.scpi import NODE, SingleChannelScpi
from hilep.instruments.smu import OTHER, Capability, Setup, Span
from hilep.instruments.status import COMPLIANCE, INVALID, OVERRANGE, without_sentinels
from hilep.instruments.values import number

# Bit 1 in Rev. B of the manual, bit 0 in the later ones, where bits 1 and 2 tell the converter:
# 0 in a 2450.
_QUESTIONABLE = 1 << 0 | 1 << 1
_PROTECTED, _OVER_TEMPERATURE, _LIMITED = 1 << 2, 1 << 4, 1 << 5
_BUFFER = '"defbuffer1"'
_READING_S = 2e-3
_CAPABILITY = Capability(
    spans={
        "V": (
            Span(0.02, 5e-7),
            Span(0.2, 5e-6),
            Span(2.0, 5e-5),
            Span(20.0, 5e-4),
            Span(200.0, 5e-3),
        ),
        "A": (
            Span(1e-8, 5e-13),
            *(Span(float(f"1e{n}"), float(f"5e{n - 5}")) for n in range(-7, 1)),
        ),
    },
    headroom=1.05,
    envelope=((21.0, 1.05), (210.0, 0.105)),
    least_limit=0.1,
    nplc=(0.01, 10.0),
    least_pulse_s=5e-3,
)
_LIMIT_NODE = {"V": "VOLT:ILIM", "A": "CURR:VLIM"}


class Keithley2450(SingleChannelScpi):
    """A Keithley 2450 with one channel, "a"."""

    models = ("2450",)
    largest_read = 10_000
    off_states = (":OUTP:VOLT:SMOD HIMP", ":OUTP:CURR:SMOD HIMP")

    def capability(self) -> Capability:
        """Return what this model can do."""
        return _CAPABILITY

    def check(self) -> None:
        """Refuse another command set than SCPI, which would not understand "off".

        What does not know the question has no other, and is asked in it whether it is off.
        """
        found = (self.answer_if_any("*LANG?") or "SCPI").strip('"')
        if found.upper() != "SCPI":
            raise BadInputError(
                f"{self.name}: its command set is {found}, expected SCPI: send '*LANG SCPI' "
                "and restart it, or set it in its menu"
            )

    def prepare(self) -> None:
        """Reset, then set what every configuration shares.

        Raises:
            BadInputError: the instrument finds another line frequency than `line_hz`.
        """
        # What *RST puts back to 1 shows that it came.
        for message in (":SENS:COUN 2", "*RST", *self.off_states, ":FORM:DATA ASC"):
            self.command(message)
        self.command(":FORM:ASC:PREC 16")
        answer = self.answer_if_any(":SYST:LFR?")
        if answer is None:
            self._empty_errors()
            return
        found = self.numbers_in(answer, 1, ":SYST:LFR?")[0]
        if found != self.line_hz:
            raise BadInputError(
                f"{self.name}: line_hz is {self.line_hz}, but it finds {found:g} Hz"
            )

    def setup_messages(self, channel: str, setup: Setup) -> Sequence[str]:
        """Return source function and range, the limit, how to measure, and level 0."""
        source, other = NODE[setup.quantity], NODE[OTHER[setup.quantity]]
        return (
            f":SOUR:FUNC {source}",
            f':SENS:FUNC "{other}"',
            # A fixed range would bound the limit from below.
            f":SENS:{other}:RANG:AUTO ON",
            f":SOUR:{source}:RANG {number(setup.source.full)}",
            f":SOUR:{_LIMIT_NODE[setup.quantity]} {number(setup.limit)}",
            f":SENS:{other}:RANG {number(setup.measure.full)}",
            f":SOUR:{source} {number(0.0)}",
            f":SOUR:{source}:READ:BACK ON",
            f":SOUR:{source}:DEL 0",
            f":SOUR:{source}:DEL:AUTO OFF",
            f":SENS:{other}:NPLC {number(setup.nplc)}",
            f":SENS:{other}:AZER ON",
            f":SENS:{other}:AVER OFF",
            f":SENS:{other}:RSEN {'ON' if setup.four_wire else 'OFF'}",
        )

    def kept_from_start(self) -> Sequence[Kept]:
        """Return what `prepare` sets."""
        return (
            Kept(":SENS:COUN?", 1.0),
            Kept(":OUTP:VOLT:SMOD?", "HIMP"),
            Kept(":OUTP:CURR:SMOD?", "HIMP"),
            Kept(":FORM:DATA?", "ASC"),
            Kept(":FORM:ASC:PREC?", 16.0),
        )

    def kept(self, channel: str, setup: Setup) -> Sequence[Kept]:
        """Return what a configuration sets."""
        source, other = NODE[setup.quantity], NODE[OTHER[setup.quantity]]
        return (
            Kept(":OUTP?", False),
            Kept(":SOUR:FUNC?", source),
            Kept(":SENS:FUNC?", other),
            Kept(f":SOUR:{source}:RANG:AUTO?", False),
            of_range(f":SOUR:{source}:RANG?", setup.source.full),
            Kept(f":SOUR:{_LIMIT_NODE[setup.quantity]}?", setup.limit, setup.measure.step),
            Kept(f":SENS:{other}:RANG:AUTO?", False),
            of_range(f":SENS:{other}:RANG?", setup.measure.full),
            Kept(f":SOUR:{source}?", 0.0, setup.source.step),
            Kept(f":SOUR:{source}:READ:BACK?", True),
            Kept(f":SOUR:{source}:DEL?", 0.0, 1e-6),
            Kept(f":SOUR:{source}:DEL:AUTO?", False),
            Kept(f":SENS:{other}:NPLC?", setup.nplc),
            Kept(f":SENS:{other}:AZER?", True),
            Kept(f":SENS:{other}:AVER?", False),
            Kept(f":SENS:{other}:RSEN?", setup.four_wire),
        )

    def read_samples(self, samples: int, channels: Sequence[str], start: int) -> Acquisition:
        """Bring `samples` samples in one query, behind `start` that the buffer holds."""
        setup = self._configured("a")
        clear = "" if start else f":TRAC:CLE {_BUFFER};"
        text = (
            f":SENS:COUN {samples};{clear}:TRAC:TRIG {_BUFFER};"
            f"{_data_query(start + 1, start + samples)};"
            f":SOUR:{NODE[setup.quantity]}?;:OUTP?;{self.error_query}"
        )
        # Signal, reference and zero of the measured quantity, and the readback.
        return self._acquisition(text, samples, setup, self.wait_s(samples, [setup], 6))

    def pulse_once(
        self, channel: str, setup: Setup, volts: float, seconds: float, limit_a: float
    ) -> Acquisition:
        """Give one pulse from 0 V."""
        text = (
            f":SOUR:VOLT:ILIM {number(limit_a)};:SENS:CURR:NPLC 0.01;"
            f":SOUR:VOLT:DEL {number(seconds - _READING_S)};:SENS:COUN 1;:TRAC:CLE {_BUFFER};"
            f":SOUR:VOLT {number(volts)};:TRAC:TRIG {_BUFFER};:SOUR:VOLT {number(0.0)};"
            f":SOUR:VOLT:ILIM {number(setup.limit)};:SENS:CURR:NPLC {number(setup.nplc)};"
            f":SOUR:VOLT:DEL 0;{_data_query(1, 1)};:SOUR:VOLT?;:OUTP?;{self.error_query}"
        )
        return self._acquisition(text, 1, setup, self.session.timeout_s + seconds)

    def settings(self) -> dict[str, Any]:
        """Ask for every setting that a read depends on."""
        queries = {"source_function": ":SOUR:FUNC?", "measure_function": ":SENS:FUNC?"}
        for unit, node in (("v", "VOLT"), ("a", "CURR")):
            queries |= {
                f"level_{unit}": f":SOUR:{node}?",
                f"source_range_{unit}": f":SOUR:{node}:RANG?",
                f"readback_{unit}": f":SOUR:{node}:READ:BACK?",
                f"off_state_{unit}": f":OUTP:{node}:SMOD?",
                f"measure_range_{unit}": f":SENS:{node}:RANG?",
                f"nplc_{unit}": f":SENS:{node}:NPLC?",
                f"autozero_{unit}": f":SENS:{node}:AZER?",
                f"averaging_{unit}": f":SENS:{node}:AVER?",
                f"four_wire_{unit}": f":SENS:{node}:RSEN?",
            }
        queries |= {"limit_a": ":SOUR:VOLT:ILIM?", "limit_v": ":SOUR:CURR:VLIM?"}
        return self.settings_of(queries)

    def _acquisition(self, text: str, samples: int, setup: Setup, timeout_s: float) -> Acquisition:
        reads, level, output, _ = self.query_parts(text, 4, timeout_s)
        table = self.numbers_in(reads, 5 * samples, text).reshape(-1, 5)
        measured, status = without_sentinels(table[:, 0])
        sourced, bad = without_sentinels(table[:, 1])
        word, source_word = self.words_in(table[:, 3], text), self.words_in(table[:, 4], text)
        status |= bad
        status[word & _QUESTIONABLE != 0] |= OVERRANGE
        status[source_word & (_LIMITED | _PROTECTED) != 0] |= COMPLIANCE
        status[source_word & _OVER_TEMPERATURE != 0] |= INVALID
        volts, amps = (sourced, measured) if setup.quantity == "V" else (measured, sourced)
        return Acquisition(
            ("a",),
            volts[:, None],
            amps[:, None],
            table[:, 2:3].astype(np.float64),
            status[:, None],
            {"a": float(self.numbers_in(level, 1, text)[0])},
            {"a": self.flag_in(output, text)},
        )


def _data_query(first: int, last: int) -> str:
    return f":TRAC:DATA? {first},{last},{_BUFFER},READ,SOUR,REL,STAT,SOURSTAT"
