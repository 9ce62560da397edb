"""Keithley 2600, 2600A and 2600B System SourceMeter, in TSP.

    from hilep.instruments.keithley2600 import Keithley2600

    with Keithley2600("TCPIP0::192.0.2.10::5025::SOCKET", expect="2602B", line_hz=50) as smu:
        for name in ("a", "b"):
            smu.channels[name].source_current(limit_v=0.5, range_a=1e-6, nplc=1)
            smu.channels[name].on()
        smu.apply({"a": 25e-9, "b": -25e-9})
        reads = smu.acquire(samples=16)
        print(reads.volts.mean(axis=0), reads.status.max(axis=0))

Commands are those of the Series 2600B System SourceMeter Instrument Reference Manual
(2600BS-901-01 Rev. C), section 7 "TSP command reference" (section 9 of Rev. F): smuX.source.*,
smuX.measure.overlappediv, bufferVar.statuses and errorqueue.next; ranges are those of section 2
"Range", where a source reaches 1.01 times its range.

A few functions are defined at the start, a line each; after that an acquisition and a pulse are one
call each. Both channels measure at the same time. Every answer begins with the number of its
question, so that a late one cannot pass for another.

Off state: OUTPUT_HIGH_Z. The relay opens, so that nothing is driven; OUTPUT_NORMAL, the default, is
a source of 0 V into which other sources drive. Relays wear: use `zero` between phases.

Filters and automatic ranges are off, autozero is on (AUTOZERO_AUTO). A pulse is timed by the
script, lasts at least 0.5 ms, is good to about 0.2 ms, and is not measured: only whether it met its
limit. A raw socket takes one client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilep.instruments.acquisition import Acquisition
from hilep.instruments.kept import Kept, of_range
from hilep.instruments.smu import Capability, Setup, Span, acquisition_seconds
from hilep.instruments.sourcemeter import SourceMeter
from hilep.instruments.status import COMPLIANCE, INVALID, without_sentinels
from hilep.instruments.tspfunctions import FUNCTIONS, NAMES
from hilep.instruments.values import number

_OVER_TEMPERATURE, _COMPLIANCE = 0x02, 0x40
_LOW = tuple(Span(float(f"1e{n}"), float(f"2e{n - 5}")) for n in range(-7, 1))
_AMPS_2600 = (*_LOW, Span(3.0, 2e-4))
_AMPS_2610 = (*_LOW, Span(1.5, 5e-5))
_AMPS_2630 = (Span(1e-9, 2e-14), Span(1e-8, 2e-13), *_AMPS_2610)
_VOLTS_2600 = (Span(0.1, 5e-6), Span(1.0, 5e-5), Span(6.0, 5e-5), Span(40.0, 5e-4))
_VOLTS_2610 = (Span(0.2, 5e-6), Span(2.0, 5e-5), Span(20.0, 5e-4), Span(200.0, 5e-3))
_ENVELOPE_2600 = ((6.06, 3.03), (40.4, 1.01))
_ENVELOPE_2610 = ((20.2, 1.515), (202.0, 0.101))


class Keithley2600(SourceMeter):
    """A Keithley 2601 to 2636, A or B, with channels "a" and, where it has two, "b"."""

    models = ("2601", "2602", "2604", "2611", "2612", "2614", "2634", "2635", "2636")
    channel_names = ("a", "b")
    error_query = "print(errorqueue.next())"

    _token = 0

    def capability(self) -> Capability:
        """Return what this model can do."""
        family = next(model for model in self.models if model in self.identity.model)[:3]
        amps, volts, envelope = {
            "260": (_AMPS_2600, _VOLTS_2600, _ENVELOPE_2600),
            "261": (_AMPS_2610, _VOLTS_2610, _ENVELOPE_2610),
            "263": (_AMPS_2630, _VOLTS_2610, _ENVELOPE_2610),
        }[family]
        return Capability({"V": volts, "A": amps}, 1.01, envelope, 0.1, (0.001, 25.0), 5e-4)

    def off_messages(self) -> Sequence[str]:
        """Abort a script, every output off, high impedance, off."""
        off = tuple(f"smu{name}.source.output = 0" for name in self._names)
        mode = tuple(f"smu{name}.source.offmode = 2" for name in self._names)
        return ("abort", *off, *mode, *off)

    def read_outputs(self) -> dict[str, bool]:
        """Ask whether each output is on."""
        asked = ", ".join(f"smu{name}.source.output" for name in self._names)
        text = f"print({asked})"
        parts = self.query(text).replace(",", " ").split()
        states = self.numbers_in(",".join(parts), len(self._names), text)
        return {name: bool(state) for name, state in zip(self._names, states, strict=True)}

    def next_entry(self) -> tuple[int, str]:
        """Ask for the oldest entry: code, message, severity and node, separated by tabs."""
        answer = self.query(self.error_query)
        mark = "\t" if "\t" in answer else ","
        code, _, rest = answer.partition(mark)
        return self.entry_in(f"{code},{rest.partition(mark)[0]}")

    def prepare(self) -> None:
        """Reset, define the functions, and set what every configuration shares."""
        for message in (
            "localnode.prompts = 0",
            "localnode.showerrors = 0",
            # What reset() puts back to 1 shows that it came.
            "smua.measure.count = 2",
            "reset()",
            # No function of an earlier session may stand in for one that was lost.
            f"{', '.join(NAMES)} = nil",
        ):
            self.command(message)
        if "b" not in self._names:
            self.channels.pop("b", None)
        for line in (
            "format.data = 1",
            "format.asciiprecision = 16",
            f"localnode.linefreq = {self.line_hz}",
            *FUNCTIONS,
        ):
            self.command(line)
        for name in self.channels:
            self.command(f"smu{name}.source.offmode = 2")

    def setup_messages(self, channel: str, setup: Setup) -> Sequence[str]:
        """Return source function and range, the limit, how to measure, and level 0."""
        smu = f"smu{channel}"
        source, other = ("v", "i") if setup.quantity == "V" else ("i", "v")
        return (
            f"{smu}.source.func = {1 if setup.quantity == 'V' else 0}",
            f"{smu}.source.autorange{source} = 0",
            f"{smu}.source.range{source} = {number(setup.source.full)}",
            f"{smu}.source.limit{other} = {number(setup.limit)}",
            f"{smu}.source.level{source} = 0",
            f"{smu}.sense = {1 if setup.four_wire else 0}",
            f"{smu}.measure.autorange{other} = 0",
            f"{smu}.measure.range{other} = {number(setup.measure.full)}",
            f"{smu}.measure.nplc = {number(setup.nplc)}",
            f"{smu}.measure.filter.enable = 0",
            f"{smu}.measure.autozero = 2",
            f"{smu}.source.offmode = 2",
        )

    def kept_from_start(self) -> Sequence[Kept]:
        """Return what `prepare` sets."""
        return (
            Kept("smua.measure.count", 1.0),
            Kept("localnode.prompts", False),
            Kept("localnode.showerrors", False),
            Kept("format.data", 1.0),
            Kept("format.asciiprecision", 16.0),
            Kept("localnode.linefreq", float(self.line_hz)),
            *(Kept(f"smu{name}.source.offmode", 2.0) for name in self._names),
            *(Kept(f"type({name})", "FUNCTION") for name in NAMES),
        )

    def kept(self, channel: str, setup: Setup) -> Sequence[Kept]:
        """Return what a configuration sets."""
        of, at = f"smu{channel}.source", f"smu{channel}.measure"
        source, other = ("v", "i") if setup.quantity == "V" else ("i", "v")
        return (
            Kept(f"{of}.output", False),
            Kept(f"{of}.func", 1.0 if setup.quantity == "V" else 0.0),
            Kept(f"{of}.autorange{source}", False),
            of_range(f"{of}.range{source}", setup.source.full),
            Kept(f"{of}.limit{other}", setup.limit, setup.measure.step),
            Kept(f"{of}.level{source}", 0.0, setup.source.step),
            Kept(f"smu{channel}.sense", setup.four_wire),
            Kept(f"{at}.autorange{other}", False),
            of_range(f"{at}.range{other}", setup.measure.full),
            Kept(f"{at}.nplc", setup.nplc),
            Kept(f"{at}.filter.enable", False),
            Kept(f"{at}.autozero", 2.0),
            Kept(f"{of}.offmode", 2.0),
        )

    def answers_to(self, queries: Sequence[str]) -> list[str]:
        """Ask settings in one message and return one answer each."""
        text = f"print({', '.join(queries)})"
        answers = self.query(text).replace(",", " ").split()
        if len(answers) != len(queries):
            raise self.garbled(text, f"expected {len(queries)} answers, got {len(answers)}")
        return answers

    def output_message(self, channel: str, on: bool) -> str:
        """Return the message that switches the output."""
        return f"smu{channel}.source.output = {1 if on else 0}"

    def level_message(self, levels: Mapping[str, float]) -> str:
        """Return the one chunk that sets these levels."""
        return " ".join(
            f"smu{name}.source.level{'v' if self._setups[name].quantity == 'V' else 'i'} = "
            f"{number(level)}"
            for name, level in levels.items()
        )

    def read_samples(self, samples: int, channels: Sequence[str], start: int) -> Acquisition:
        """Bring `samples` samples of each channel in one query."""
        smus = ", ".join(f"smu{name}" for name in channels)
        first = "false" if start else "true"
        slowest = max(self._setups[name].nplc for name in channels)
        # Signal, reference and zero; volts and amperes are converted at the same time.
        wait_s = acquisition_seconds(samples, 3, slowest, self.line_hz, 5e-3)
        text, fields, levels, outputs = self._call(
            f"hilep_acquire({{token}}, {first}, {samples}, {{{{{smus}}}}})", channels, wait_s
        )
        width = 1 + 5 * samples
        table = self.numbers_in(",".join(fields), width * len(channels), text)
        table = table.reshape(len(channels), width)
        if (table[:, 0] != samples).any():
            raise self.garbled(text, f"expected {samples} samples, got {table[:, 0].tolist()}")
        reads = table[:, 1:].reshape(len(channels), samples, 5).transpose(2, 1, 0)
        volts, bad_volts = without_sentinels(reads[0])
        amps, bad_amps = without_sentinels(reads[1])
        words = self.words_in(reads[3:], text)
        status = bad_volts | bad_amps | _status(words[0] | words[1])
        return Acquisition(tuple(channels), volts, amps, reads[2].copy(), status, levels, outputs)

    def pulse_once(
        self, channel: str, setup: Setup, volts: float, seconds: float, limit_a: float
    ) -> Acquisition:
        """Give one pulse from 0 V; its volts are the level, its amperes NaN."""
        text, fields, levels, outputs = self._call(
            f"hilep_pulse({{token}}, smu{channel}, {number(volts)}, {number(seconds)}, "
            f"{number(limit_a)})",
            [channel],
            seconds,
        )
        met = bool(self.numbers_in(",".join(fields), 1, text)[0])
        status = np.full((1, 1), COMPLIANCE if met else 0, np.uint8)
        nothing = np.full((1, 1), np.nan)
        height = np.full((1, 1), volts)
        return Acquisition((channel,), height, nothing, nothing, status, levels, outputs)

    def settings(self) -> dict[str, Any]:
        """Ask for every setting that a read depends on."""
        found: dict[str, Any] = {"line_hz": self.query("print(localnode.linefreq)").strip()}
        for name in self.channels:
            for item in (
                "source.func", "source.levelv", "source.leveli", "source.limitv", "source.limiti",
                "source.rangev", "source.rangei", "source.offmode", "measure.rangev",
                "measure.rangei", "measure.nplc", "measure.autozero", "measure.filter.enable",
                "sense",
            ):  # fmt: skip
                found[f"{name}.{item}"] = self.query(f"print(smu{name}.{item})").strip()
        return found

    @property
    def _names(self) -> tuple[str, ...]:
        one = any(model in self.identity.model for model in ("2601", "2611", "2635"))
        return ("a",) if one else ("a", "b")

    def _call(
        self, call: str, channels: Sequence[str], wait_s: float
    ) -> tuple[str, list[str], dict[str, float], dict[str, bool]]:
        """Call the script; return the text, the fields, levels and outputs, its token checked."""
        with self.transaction():
            self._token = self._token % 1_000_000 + 1
            text = call.format(token=self._token)
            answer = self.query(text, self.session.timeout_s + wait_s).strip()
            body, found, entry = answer.partition(";")
            fields = body.split(",")
            if not found or fields[0] != str(self._token):
                raise self.garbled(text, f"expected answer {self._token}, got {body[:40]!r}")
            queued = self.entry_in(entry)
            if queued[0]:
                self.raise_entry(queued, text)
            ends = 2 * len(channels)
            states = self.numbers_in(",".join(fields[1:][-ends:]), ends, text)
            levels = dict(zip(channels, map(float, states[::2]), strict=True))
            outputs = dict(zip(channels, map(bool, states[1::2]), strict=True))
            return text, fields[1:-ends], levels, outputs


def _status(bits: NDArray[np.int64]) -> NDArray[np.uint8]:
    status = np.zeros(bits.shape, np.uint8)
    if not bits.any():
        return status
    status[bits & _COMPLIANCE != 0] |= COMPLIANCE
    status[bits & _OVER_TEMPERATURE != 0] |= INVALID
    return status
