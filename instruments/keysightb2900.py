"""Keysight (Agilent) B2901A, B2902A, B2911A and B2912A source-measure unit, in SCPI.

    from hilep.instruments.keysightb2900 import KeysightB2900

    with KeysightB2900("USB0::0x0957::0x8C18::MY00000000::INSTR", expect="B2912") as smu:
        for name in ("1", "2"):
            smu.channels[name].source_current(limit_v=0.5, range_a=1e-6, nplc=1)
            smu.channels[name].on()
        smu.apply({"1": 25e-9, "2": -25e-9})
        reads = smu.acquire(samples=16)
        print(reads.volts.mean(axis=0), reads.status.max(axis=0))

Commands are those of the B2900 Series SCPI Command Reference (B2910-90030, Edition 2), chapter 4
"Subsystem Commands": FETCh:ARRay?, FORMat:ELEMents:SENSe, OUTPut:OFF:MODE, OUTPut:ON:AUTO; the
status word is table 1-2 "Bit Definitions of Status Data"; pulses are those of the B2900 User's
Guide (Edition 5), chapter 6 "Pulse Output"; ranges those of its chapter 2.

Off state: HIZ. The relay opens, so that nothing is driven; NORM, the default, is a source of 0 V
into which other sources drive. Relays wear: use `zero` between phases. The automatic switching of
outputs by INITiate and READ, on by default, is off, so that a read never switches anything.

Both channels measure at the same time. Automatic ranges are off; answers have seven digits, at or
below the resolution of its converter. Pulses are the instrument's own, from 50 us, measured near
their end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.instruments.acquisition import Acquisition
from hilep.instruments.kept import Kept, of_range
from hilep.instruments.scpi import NODE, ScpiSourceMeter
from hilep.instruments.smu import OTHER, Capability, Setup, Span
from hilep.instruments.status import (
    COMPLIANCE,
    INVALID,
    OVERRANGE,
    SATURATED,
    without_sentinels,
)
from hilep.instruments.values import number

_COMPLIANCE = 0b110
_OVER_VOLTAGE, _OVER_CURRENT, _OVER_TEMPERATURE, _OVERFLOW = 1 << 3, 1 << 4, 1 << 5, 1 << 13
_ENVELOPE = ((6.0, 3.03), (21.0, 1.515), (210.0, 0.105))


def _capability(digits: int) -> Capability:
    """Return what a model does whose steps are 10**-`digits` of its ranges."""
    amps = [Span(float(f"1e{n}"), float(f"1e{n - digits}")) for n in range(-7, 1)]
    if digits == 6:
        amps.insert(0, Span(1e-8, 1e-14))
    amps += [Span(1.5, float(f"1e{-digits}")), Span(3.0, float(f"1e{1 - digits}"))]
    volts = [Span(float(f"2e{n}"), float(f"1e{n - digits}")) for n in range(-1, 3)]
    # Ranges above 1 A end at 101 %, the others at 105 %: the smaller holds for all.
    return Capability(
        {"V": tuple(volts), "A": tuple(amps)}, 1.01, _ENVELOPE, 0.01, (0.001, 100.0), 5e-5
    )


_B2901, _B2911 = _capability(5), _capability(6)


class KeysightB2900(ScpiSourceMeter):
    """A B2901A, B2902A, B2911A or B2912A with channels "1" and, where it has two, "2"."""

    models = ("B2901", "B2902", "B2911", "B2912")
    channel_names = ("1", "2")
    largest_read = 10_000

    def capability(self) -> Capability:
        """Return what this model can do."""
        return _B2911 if "B291" in self.identity.model else _B2901

    def off_messages(self) -> Sequence[str]:
        """Abort, output off, high impedance, output off, of each channel alone."""
        names = self._names
        return (
            f":ABOR (@{','.join(names)})",
            *(f":OUTP{name} OFF" for name in names),
            *(f":OUTP{name}:OFF:MODE HIZ" for name in names),
            *(f":OUTP{name} OFF" for name in names),
        )

    def read_outputs(self) -> dict[str, bool]:
        """Ask whether each output is on."""
        text = ";".join(f":OUTP{name}?" for name in self._names)
        states = self.numbers_in(self.query(text).replace(";", ","), len(self._names), text)
        return {name: bool(state) for name, state in zip(self._names, states, strict=True)}

    def prepare(self) -> None:
        """Reset, then set what every configuration shares."""
        # What *RST puts back to 1 shows that it came.
        for message in (":TRIG1:ACQ:COUN 2", "*RST", f":SYST:LFR {self.line_hz}", ":FORM:DATA ASC"):
            self.command(message)
        self.command(":FORM:ELEM:SENS VOLT,CURR,TIME,STAT")
        for name in self._names:
            for message in (
                f":OUTP{name}:OFF:MODE HIZ",
                f":OUTP{name}:ON:AUTO OFF",
                f":OUTP{name}:OFF:AUTO OFF",
                f":TRIG{name}:ACQ:SOUR AINT",
            ):
                self.command(message)
        if "2" not in self._names:
            self.channels.pop("2", None)

    def setup_messages(self, channel: str, setup: Setup) -> Sequence[str]:
        """Return source function and range, the limit, how to measure, and level 0."""
        source, other = NODE[setup.quantity], NODE[OTHER[setup.quantity]]
        return (
            f":SOUR{channel}:FUNC:MODE {source}",
            f":SOUR{channel}:FUNC:SHAP DC",
            f":SOUR{channel}:{source}:MODE FIX",
            f":SOUR{channel}:{source}:RANG:AUTO OFF",
            f":SOUR{channel}:{source}:RANG {number(setup.source.full)}",
            f":SENS{channel}:{other}:PROT {number(setup.limit)}",
            f":SOUR{channel}:{source} {number(0.0)}",
            f':SENS{channel}:FUNC "VOLT","CURR"',
            f":SENS{channel}:{other}:RANG:AUTO OFF",
            f":SENS{channel}:{other}:RANG {number(setup.measure.full)}",
            f":SENS{channel}:{other}:NPLC {number(setup.nplc)}",
            f":SENS{channel}:REM {'ON' if setup.four_wire else 'OFF'}",
        )

    def kept_from_start(self) -> Sequence[Kept]:
        """Return what `prepare` sets."""
        kept = [
            Kept(":TRIG1:ACQ:COUN?", 1.0),
            Kept(":SYST:LFR?", float(self.line_hz)),
            Kept(":FORM:DATA?", "ASC"),
            Kept(":FORM:ELEM:SENS?", "VOLT,CURR,TIME,STAT"),
        ]
        for name in self._names:
            kept += [
                Kept(f":OUTP{name}:OFF:MODE?", "HIZ"),
                Kept(f":OUTP{name}:ON:AUTO?", False),
                Kept(f":OUTP{name}:OFF:AUTO?", False),
                Kept(f":TRIG{name}:ACQ:SOUR?", "AINT"),
            ]
        return kept

    def kept(self, channel: str, setup: Setup) -> Sequence[Kept]:
        """Return what a configuration sets."""
        source, other = NODE[setup.quantity], NODE[OTHER[setup.quantity]]
        of, at = f":SOUR{channel}", f":SENS{channel}"
        return (
            Kept(f":OUTP{channel}?", False),
            Kept(f"{of}:FUNC:MODE?", source),
            Kept(f"{of}:FUNC:SHAP?", "DC"),
            Kept(f"{of}:{source}:MODE?", "FIX"),
            Kept(f"{of}:{source}:RANG:AUTO?", False),
            of_range(f"{of}:{source}:RANG?", setup.source.full),
            Kept(f"{at}:{other}:PROT?", setup.limit, setup.measure.step),
            Kept(f"{of}:{source}?", 0.0, setup.source.step),
            Kept(f"{at}:FUNC?", "VOLT,CURR", more=True),
            Kept(f"{at}:{other}:RANG:AUTO?", False),
            of_range(f"{at}:{other}:RANG?", setup.measure.full),
            Kept(f"{at}:{other}:NPLC?", setup.nplc),
            Kept(f"{at}:REM?", setup.four_wire),
        )

    def output_message(self, channel: str, on: bool) -> str:
        """Return the message that switches the output."""
        return f":OUTP{channel} {'ON' if on else 'OFF'}"

    def level_message(self, levels: Mapping[str, float]) -> str:
        """Return the one message that sets these levels."""
        return ";".join(
            f":SOUR{name}:{NODE[self._setups[name].quantity]} {number(level)}"
            for name, level in levels.items()
        )

    def read_samples(self, samples: int, channels: Sequence[str], start: int) -> Acquisition:
        """Bring `samples` samples of each channel in one query."""
        # Only the acquire side is triggered: a transient would move the source.
        names = sorted(channels)
        listed = f"(@{','.join(names)})"
        text = (
            ";".join(f":TRIG{name}:ACQ:COUN {samples}" for name in names)
            + f";:INIT:ACQ {listed};*WAI;:FETC:ARR? {listed};{self._states(names)}"
        )
        setups = [self._setups[name] for name in names]
        got = self._acquisition(text, samples, names, self.wait_s(samples, setups, 2))
        if tuple(channels) == got.channels:
            return got
        order = [names.index(name) for name in channels]
        return Acquisition(
            tuple(channels),
            got.volts[:, order],
            got.amps[:, order],
            got.time_s[:, order],
            got.status[:, order],
            got.levels,
            got.outputs,
        )

    def pulse_once(
        self, channel: str, setup: Setup, volts: float, seconds: float, limit_a: float
    ) -> Acquisition:
        """Give one pulse from 0 V, measured in its last half."""
        aperture_s = min(setup.nplc / self.line_hz, seconds / 4)
        c = channel
        text = (
            f":SENS{c}:CURR:PROT {number(limit_a)};:SENS{c}:CURR:APER {number(aperture_s)};"
            f":SOUR{c}:FUNC:SHAP PULS;:SOUR{c}:VOLT:TRIG {number(volts)};"
            f":SOUR{c}:PULS:DEL 0;:SOUR{c}:PULS:WIDT {number(seconds)};"
            f":TRIG{c}:ACQ:DEL {number(seconds / 2)};:TRIG{c}:TRAN:COUN 1;:TRIG{c}:ACQ:COUN 1;"
            f":INIT (@{c});*WAI;:FETC:ARR? (@{c});"
            f":SOUR{c}:FUNC:SHAP DC;:SOUR{c}:VOLT {number(0.0)};:TRIG{c}:ACQ:DEL 0;"
            f":SENS{c}:CURR:NPLC {number(setup.nplc)};:SENS{c}:CURR:PROT {number(setup.limit)};"
            f"{self._states([c])}"
        )
        return self._acquisition(text, 1, [c], self.session.timeout_s + 2 * seconds)

    def settings(self) -> dict[str, Any]:
        """Ask for every setting that a read depends on."""
        queries = {"line_hz": ":SYST:LFR?"}
        for c in self._names:
            queries |= {
                f"{c}.source_function": f":SOUR{c}:FUNC:MODE?",
                f"{c}.level_v": f":SOUR{c}:VOLT?",
                f"{c}.level_a": f":SOUR{c}:CURR?",
                f"{c}.source_range_v": f":SOUR{c}:VOLT:RANG?",
                f"{c}.source_range_a": f":SOUR{c}:CURR:RANG?",
                f"{c}.limit_v": f":SENS{c}:VOLT:PROT?",
                f"{c}.limit_a": f":SENS{c}:CURR:PROT?",
                f"{c}.measure_range_v": f":SENS{c}:VOLT:RANG?",
                f"{c}.measure_range_a": f":SENS{c}:CURR:RANG?",
                f"{c}.nplc": f":SENS{c}:CURR:NPLC?",
                f"{c}.four_wire": f":SENS{c}:REM?",
                f"{c}.off_state": f":OUTP{c}:OFF:MODE?",
                f"{c}.output_filter": f":OUTP{c}:FILT?",
            }
        return self.settings_of(queries)

    @property
    def _names(self) -> tuple[str, ...]:
        one = any(model in self.identity.model for model in ("B2901", "B2911"))
        return ("1",) if one else ("1", "2")

    def _states(self, names: Sequence[str]) -> str:
        levels = (f":SOUR{name}:{NODE[self._setups[name].quantity]}?" for name in names)
        outputs = (f":OUTP{name}?" for name in names)
        return ";".join((*levels, *outputs, self.error_query))

    def _acquisition(
        self, text: str, samples: int, names: Sequence[str], timeout_s: float
    ) -> Acquisition:
        n = len(names)
        answer, *states, _ = self.query_parts(text, 2 + 2 * n, timeout_s)
        table = self.numbers_in(answer, 4 * n * samples, text).reshape(samples, n, 4)
        reads, bad = without_sentinels(table[..., :2])
        found = self.numbers_in(",".join(states), 2 * n, text)
        return Acquisition(
            tuple(names),
            reads[..., 0],
            reads[..., 1],
            table[..., 2],
            bad[..., 0] | bad[..., 1] | _status(self.words_in(table[..., 3], text)),
            dict(zip(names, map(float, found[:n]), strict=True)),
            dict(zip(names, map(bool, found[n:]), strict=True)),
        )


def _status(word: NDArray[np.int64]) -> NDArray[np.uint8]:
    status = np.zeros(word.shape, np.uint8)
    if not word.any():
        return status
    status[word & (_COMPLIANCE | _OVER_VOLTAGE | _OVER_CURRENT) != 0] |= COMPLIANCE
    status[word & _OVERFLOW != 0] |= OVERRANGE | SATURATED
    status[word & _OVER_TEMPERATURE != 0] |= INVALID
    return status
