"""Keithley 2400 series SourceMeter, in SCPI.

    from hilep.instruments.keithley2400 import Keithley2400

    with Keithley2400("GPIB0::24::INSTR", expect="2400", line_hz=50) as smu:
        nudge = smu.channels["a"]
        nudge.source_current(limit_v=0.5, range_a=1e-6, nplc=1)
        nudge.on()
        smu.apply({"a": 25e-9})
        reads = smu.acquire(samples=16)
        print(reads.volts.mean(), reads.status.max())
        smu.zero()

Commands and status bits are those of the Series 2400 SourceMeter User's Manual (2400S-900-01 Rev.
K), section 18 "SCPI Command Reference": FORMat:ELEMents and its status word, OUTPut:SMODe,
SOURce:CLEar:AUTO, TRIGger; ranges and steps are those of its appendix A "Specifications".

Off state: HIMPedance. The relay opens, so that nothing is driven; NORMal, the default, is a source
of 0 V into which other sources drive. The manual warns of wear where it switches often (section
18, OUTPut:SMODe): switch off at the end of work and use `zero` between phases.

Answers have seven digits, which is the resolution of its converter. Averaging and automatic ranges
are off and autozero is on. The instrument must be set to SCPI, not 488.1, at its front panel.

A programming pulse is a level, a delay, a reading at 0.01 power line cycles and 0 V again, all in
one message: its width is good to about 3 ms, and at least 5 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.instruments.acquisition import Acquisition
from hilep.instruments.kept import Kept, of_range
from hilep.instruments.scpi import NODE, SingleChannelScpi
from hilep.instruments.smu import OTHER, Capability, Quantity, Setup, Span
from hilep.instruments.status import COMPLIANCE, OVERRANGE, SATURATED, without_sentinels
from hilep.instruments.values import number

_OVERFLOW, _COMPLIANCE, _PROTECTION, _RANGE_COMPLIANCE = 1 << 0, 1 << 3, 1 << 4, 1 << 16
_READING_S = 2e-3
_CAPABILITY = Capability(
    spans={
        "V": (Span(0.2, 5e-6), Span(2.0, 5e-5), Span(20.0, 5e-4), Span(200.0, 5e-3)),
        "A": tuple(Span(float(f"1e{n}"), float(f"5e{n - 5}")) for n in range(-6, 1)),
    },
    headroom=1.05,
    envelope=((21.0, 1.05), (210.0, 0.105)),
    least_limit=1e-3,
    nplc=(0.01, 10.0),
    least_pulse_s=5e-3,
)


class Keithley2400(SingleChannelScpi):
    """A Keithley 2400, 2401 or 2400-C with one channel, "a"."""

    models = ("2400", "2401")
    largest_read = 2500

    def capability(self) -> Capability:
        """Return what this model can do; a 2401 lacks the 200 V range."""
        if "2401" not in self.identity.model:
            return _CAPABILITY
        low: dict[Quantity, tuple[Span, ...]] = dict(_CAPABILITY.spans)
        low["V"] = low["V"][:3]
        return replace(_CAPABILITY, spans=low, envelope=_CAPABILITY.envelope[:1])

    def prepare(self) -> None:
        """Reset, then set what every configuration shares."""
        for message in (
            # What *RST puts back to 1 shows that it came.
            ":TRIG:COUN 2",
            "*RST",
            *self.off_states,
            ":SOUR:CLE:AUTO OFF",
            f":SYST:LFR {self.line_hz}",
            ":SYST:AZER ON",
            ":SENS:AVER OFF",
            ":SENS:FUNC:CONC ON",
            ":SENS:FUNC 'VOLT','CURR'",
            ":FORM:DATA ASC",
            ":FORM:ELEM VOLT,CURR,TIME,STAT",
        ):
            self.command(message)

    def setup_messages(self, channel: str, setup: Setup) -> Sequence[str]:
        """Return source function and range, the limit, how to measure, and level 0."""
        source, other = NODE[setup.quantity], NODE[OTHER[setup.quantity]]
        return (
            f":SOUR:FUNC {source}",
            f":SOUR:{source}:MODE FIX",
            # A limit below a thousandth of the last fixed range would be refused (error 822).
            f":SENS:{other}:RANG:AUTO ON",
            f":SENS:{other}:PROT {number(setup.limit)}",
            f":SENS:{other}:RANG {number(setup.measure.full)}",
            f":SOUR:{source}:RANG {number(setup.source.full)}",
            f":SOUR:{source} {number(0.0)}",
            f":SENS:{other}:NPLC {number(setup.nplc)}",
            f":SYST:RSEN {'ON' if setup.four_wire else 'OFF'}",
            ":SOUR:DEL 0",
            ":SOUR:DEL:AUTO OFF",
        )

    def kept_from_start(self) -> Sequence[Kept]:
        """Return what `prepare` sets."""
        return (
            Kept(":TRIG:COUN?", 1.0),
            Kept(":OUTP:SMOD?", "HIMP"),
            Kept(":SOUR:CLE:AUTO?", False),
            Kept(":SYST:LFR?", float(self.line_hz)),
            Kept(":SYST:AZER?", True),
            Kept(":SENS:AVER?", False),
            Kept(":SENS:FUNC:CONC?", True),
            Kept(":SENS:FUNC?", "VOLT,CURR", more=True),
            Kept(":FORM:DATA?", "ASC"),
            Kept(":FORM:ELEM?", "VOLT,CURR,TIME,STAT"),
        )

    def kept(self, channel: str, setup: Setup) -> Sequence[Kept]:
        """Return what a configuration sets."""
        source, other = NODE[setup.quantity], NODE[OTHER[setup.quantity]]
        return (
            Kept(":OUTP?", False),
            Kept(":SOUR:FUNC?", source),
            Kept(f":SOUR:{source}:MODE?", "FIX"),
            Kept(f":SOUR:{source}:RANG:AUTO?", False),
            of_range(f":SOUR:{source}:RANG?", setup.source.full),
            Kept(f":SENS:{other}:PROT?", setup.limit, setup.measure.step),
            Kept(f":SENS:{other}:RANG:AUTO?", False),
            of_range(f":SENS:{other}:RANG?", setup.measure.full),
            Kept(f":SOUR:{source}?", 0.0, setup.source.step),
            Kept(f":SENS:{other}:NPLC?", setup.nplc),
            Kept(":SYST:RSEN?", setup.four_wire),
            Kept(":SOUR:DEL?", 0.0, 1e-6),
            Kept(":SOUR:DEL:AUTO?", False),
        )

    def read_samples(self, samples: int, channels: Sequence[str], start: int) -> Acquisition:
        """Bring `samples` samples in one query."""
        setup = self._configured("a")
        text = (
            f":TRIG:COUN {samples};:READ?;:SOUR:{NODE[setup.quantity]}?;:OUTP?;{self.error_query}"
        )
        # Two quantities, each with its signal, reference and zero.
        return self._acquisition(text, samples, self.wait_s(samples, [setup], 6))

    def pulse_once(
        self, channel: str, setup: Setup, volts: float, seconds: float, limit_a: float
    ) -> Acquisition:
        """Give one pulse from 0 V."""
        text = (
            f":SENS:CURR:PROT {number(limit_a)};:SENS:CURR:NPLC 0.01;"
            f":SOUR:DEL {number(seconds - _READING_S)};:TRIG:COUN 1;"
            f":SOUR:VOLT {number(volts)};:READ?;:SOUR:VOLT {number(0.0)};"
            f":SENS:CURR:PROT {number(setup.limit)};:SENS:CURR:NPLC {number(setup.nplc)};"
            f":SOUR:DEL 0;:SOUR:VOLT?;:OUTP?;{self.error_query}"
        )
        return self._acquisition(text, 1, self.session.timeout_s + seconds)

    def settings(self) -> dict[str, Any]:
        """Ask for every setting that a read depends on."""
        return self.settings_of(
            {
                "source_function": ":SOUR:FUNC?",
                "source_range_v": ":SOUR:VOLT:RANG?",
                "source_range_a": ":SOUR:CURR:RANG?",
                "level_v": ":SOUR:VOLT?",
                "level_a": ":SOUR:CURR?",
                "limit_v": ":SENS:VOLT:PROT?",
                "limit_a": ":SENS:CURR:PROT?",
                "measure_range_v": ":SENS:VOLT:RANG?",
                "measure_range_a": ":SENS:CURR:RANG?",
                "nplc": ":SENS:CURR:NPLC?",
                "autozero": ":SYST:AZER?",
                "averaging": ":SENS:AVER?",
                "four_wire": ":SYST:RSEN?",
                "off_state": ":OUTP:SMOD?",
                "line_hz": ":SYST:LFR?",
            }
        )

    def _acquisition(self, text: str, samples: int, timeout_s: float) -> Acquisition:
        reads, level, output, _ = self.query_parts(text, 4, timeout_s)
        volts, amps, time_s, word = self.numbers_in(reads, 4 * samples, text).reshape(-1, 4).T
        volts, bad_volts = without_sentinels(volts)
        amps, bad_amps = without_sentinels(amps)
        status = bad_volts | bad_amps | _status(self.words_in(word, text))
        return Acquisition(
            ("a",),
            volts[:, None],
            amps[:, None],
            time_s[:, None],
            status[:, None],
            {"a": float(self.numbers_in(level, 1, text)[0])},
            {"a": self.flag_in(output, text)},
        )


def _status(word: NDArray[np.int64]) -> NDArray[np.uint8]:
    status = np.zeros(word.shape, np.uint8)
    status[word & (_COMPLIANCE | _PROTECTION | _RANGE_COMPLIANCE) != 0] |= COMPLIANCE
    status[word & _OVERFLOW != 0] |= OVERRANGE | SATURATED
    return status
