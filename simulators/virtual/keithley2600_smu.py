"""smua and smub of the Keithley 2600B: source, measure, limits and ranges.

After "Series 2600B System SourceMeter Instrument Reference Manual", 2600BS-901-01 Rev. F, section
"TSP command reference" (smuX.source.*, smuX.measure.*), and the 2602B's specifications.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.keithley2600_buffer import COMPLIANCE, Buffer, Record
from hilep.simulators.virtual.parameters import NOT_A_NUMBER
from hilep.simulators.virtual.source_channel import SourceChannel
from hilep.simulators.virtual.tsp_node import Node, TspError, bounded
from hilep.simulators.virtual.world import Drive

VOLTS = Converter(ranges=(0.1, 1.0, 6.0, 40.0), over=1.01)
AMPS = Converter(ranges=(1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 3.0), over=1.01)
_AUTORANGED_MEASURE, _AUTORANGED_SOURCE, _FOUR_WIRES, _FILTERED = 4, 8, 16, 128
_DCAMPS, _DCVOLTS = 0.0, 1.0
_OFF, _ON, _HIGH_Z = 0.0, 1.0, 2.0
_ZERO = 1.0
AREAS = ((6.06, 3.03), (40.4, 1.01))
_OVERHEAD_S = 2e-4
_CAPACITY = 60_000


class Smu(Node):
    """A source-measure unit as a TSP table.

    Args:
        name: "smua" or "smub".
        channel: its source and converters.
        note: puts an error into the instrument's queue.
        areas: (volts, amperes) of which one has to hold level and limit.
    """

    def __init__(
        self,
        name: str,
        channel: SourceChannel,
        note: Callable[[int, str], None],
        areas: tuple[tuple[float, float], ...] = AREAS,
    ) -> None:
        super().__init__(name, sense=0.0)
        self._areas = areas
        self.channel, self._note = channel, note
        self._made = 0
        self.source = Node(f"{name}.source")
        self.measure = Node(f"{name}.measure")
        self.filter = Node(f"{name}.measure.filter")
        self.buffers = {f"nvbuffer{k}": Buffer(f"{name}.nvbuffer{k}", _CAPACITY) for k in (1, 2)}
        self.constants.update(
            OUTPUT_DCAMPS=_DCAMPS, OUTPUT_DCVOLTS=_DCVOLTS, OUTPUT_OFF=_OFF, OUTPUT_ON=_ON,
            OUTPUT_HIGH_Z=_HIGH_Z, OUTPUT_NORMAL=0.0, OUTPUT_ZERO=_ZERO, AUTORANGE_OFF=0.0,
            AUTORANGE_ON=1.0, SENSE_LOCAL=0.0, SENSE_REMOTE=1.0, AUTOZERO_OFF=0.0,
            AUTOZERO_ONCE=1.0, AUTOZERO_AUTO=2.0, DELAY_OFF=0.0, DELAY_AUTO=-1.0, DISABLE=0.0,
            ENABLE=1.0, FILTER_MOVING_AVG=0.0, FILTER_REPEAT_AVG=1.0, FILTER_MEDIAN=2.0,
            SETTLE_SMOOTH=0.0, SETTLE_FAST_RANGE=1.0, SETTLE_FAST_POLARITY=2.0,
        )  # fmt: skip
        self.constants.update(self.buffers)
        self.constants.update(source=self.source, measure=self.measure)
        self.constants.update(reset=self.reset, makebuffer=self._make_buffer, abort=_nothing)
        self._source_attributes()
        self._measure_attributes()

    def reset(self, *given: Any) -> None:
        """Output off, and every attribute as smuX.reset() leaves it; buffers are kept."""
        volts, amps = self.channel.volts.ranges, self.channel.amps.ranges
        ranges = {
            "rangev": volts[0], "rangei": amps[0], "autorangev": 1.0, "autorangei": 1.0,
            "lowrangev": volts[0], "lowrangei": amps[0],
        }  # fmt: skip
        self.values["sense"] = 0.0
        self.source.values.update(
            ranges, func=_DCVOLTS, output=_OFF, levelv=0.0, leveli=0.0, limitv=volts[-1],
            limiti=1.0, offmode=0.0, offfunc=_DCVOLTS, offlimiti=1e-3, offlimitv=volts[-1],
            delay=0.0, settling=0.0, highc=0.0, sink=0.0, outputenableaction=0.0,
        )  # fmt: skip
        self.measure.values.update(
            ranges, nplc=1.0, count=1.0, interval=0.0, delay=-1.0, delayfactor=1.0, autozero=2.0
        )
        self.filter.values.update(enable=0.0, count=1.0, type=1.0)
        self._apply("reset")

    def _converter(self, quantity: str) -> Converter:
        return self.channel.volts if quantity == "v" else self.channel.amps

    def _top(self, quantity: str) -> float:
        converter = self._converter(quantity)
        return converter.ranges[-1] * converter.over

    def _source_attributes(self) -> None:
        checks = self.source.checks
        for quantity in ("v", "i"):
            checks[f"level{quantity}"] = self._level_check(quantity)
            checks[f"limit{quantity}"] = self._limit_check(quantity)
            checks[f"range{quantity}"] = self._range_check(quantity)
            checks[f"autorange{quantity}"] = bounded(0, 2)
        checks["func"] = bounded(0, 1)
        checks["output"] = bounded(0, 2)
        checks["offmode"] = bounded(0, 2)
        checks["offlimiti"] = bounded(1e-9, self._top("i"))
        self.source.computed["compliance"] = self._compliance
        self.source.changed = self._apply

    def _measure_attributes(self) -> None:
        checks = self.measure.checks
        checks["nplc"] = bounded(0.001, 25)
        checks["count"] = bounded(1, _CAPACITY)
        checks["interval"] = bounded(0, 1)
        for quantity in ("v", "i"):
            checks[f"range{quantity}"] = self._range_check(quantity)
            checks[f"autorange{quantity}"] = bounded(0, 2)
        self.measure.changed = self._measure_changed
        self.filter.checks["count"] = self._filter_count
        for name in ("v", "i", "r", "p", "iv"):
            self.measure.constants[name] = self._measurer(name)
            self.measure.constants[f"overlapped{name}"] = self._measurer(name)
        self.measure.constants["filter"] = self.filter

    def _level_check(self, quantity: str) -> Callable[[float], float]:
        bounds = bounded(-self._top(quantity), self._top(quantity))

        def check(value: float) -> float:
            value = bounds(value)
            values = self.source.values
            top = values[f"range{quantity}"] * self._converter(quantity).over * (1 + 1e-9)
            if not values[f"autorange{quantity}"] and abs(value) > top:
                raise TspError(5005, "Value too big for range")
            limit = values["limiti" if quantity == "v" else "limitv"]
            active = _DCVOLTS if quantity == "v" else _DCAMPS
            if values["func"] == active:
                self._check_area(*((abs(value), limit) if quantity == "v" else (limit, abs(value))))
            return value

        return check

    def _limit_check(self, quantity: str) -> Callable[[float], float]:
        bounds = bounded(0.01 if quantity == "v" else 1e-8, self._top(quantity))

        def check(value: float) -> float:
            value = bounds(abs(value))
            values = self.source.values
            active = _DCAMPS if quantity == "v" else _DCVOLTS
            if values["func"] == active:
                level = abs(values["leveli" if quantity == "v" else "levelv"])
                self._check_area(*((value, level) if quantity == "v" else (level, value)))
            return value

        return check

    def _check_area(self, volts: float, amps: float) -> None:
        """Refuse what no quadrant holds (specifications, "Maximum output power")."""
        if not any(volts <= v * (1 + 1e-9) and amps <= a * (1 + 1e-9) for v, a in self._areas):
            raise TspError(5007, "Operation would exceed safe operating area of the instrument")

    def _range_check(self, quantity: str) -> Callable[[float], float]:
        def check(value: float) -> float:
            held = self._converter(quantity).holding(value)
            if held is None:
                raise TspError(1101, "Parameter too big")
            return held

        return check

    def _filter_count(self, value: float) -> float:
        if value > 1 and self.measure.values["count"] > 1:
            raise TspError(5025, "Cannot set filter.count > 1 when measure.count > 1")
        return bounded(1, 100)(value)

    def _measure_changed(self, key: str) -> None:
        if key in ("rangev", "rangei"):
            self.measure.values[f"auto{key}"] = 0.0
        self._apply("")

    def _source_range(self) -> float:
        values = self.source.values
        quantity = "v" if values["func"] == _DCVOLTS else "i"
        converter = self._converter(quantity)
        if values[f"autorange{quantity}"]:
            return converter.holding(values[f"level{quantity}"]) or converter.ranges[-1]
        return float(values[f"range{quantity}"])

    def _apply(self, key: str) -> None:
        """Make the source do what the attributes say."""
        values = self.source.values
        if key in ("rangev", "rangei"):
            values[f"auto{key}"] = 0.0
            top = values[key] * self._converter(key[-1]).over
            level = values[f"level{key[-1]}"]
            values[f"level{key[-1]}"] = math.copysign(min(abs(level), top), level)
        of_volts = values["func"] == _DCVOLTS
        limit = values["limiti"] if of_volts else values["limitv"]
        if values["output"] == _ON:
            level = values["levelv"] if of_volts else values["leveli"]
            kind: Any = "volts" if of_volts else "amps"
            drive = Drive(kind, level, limit, self._source_range())
        elif _HIGH_Z in (values["output"], values["offmode"]):
            drive = Drive()
        elif values["offmode"] == _ZERO:
            drive = Drive("volts", 0.0, values["limiti"])
        elif values["offfunc"] == _DCVOLTS:
            drive = Drive("volts", 0.0, values["offlimiti"])
        else:
            drive = Drive("amps", 0.0, values["offlimitv"])
        self.channel.drive(drive)

    def _compliance(self) -> bool:
        channel = self.channel
        now = channel.world.measure([channel.terminal], 0.0, channel.generator)
        return bool(now.limited[0]) and self.source.values["output"] == _ON

    def _make_buffer(self, size: float, *given: Any) -> Buffer:
        if not 1 <= size <= _CAPACITY * 10:
            raise TspError(-286, "buffer size")
        self._made += 1
        return Buffer(f"{self.name}.buffer{self._made}", int(size))

    def _measurer(self, name: str) -> Callable[..., Any]:
        def measure(*buffers: Any) -> Any:
            for buffer in buffers:
                if buffer is not None and not isinstance(buffer, Buffer):
                    raise TspError(-286, "expected a reading buffer")
            columns = self._sample(name)
            for letter, records in columns.items():
                position = list(columns).index(letter)
                if position < len(buffers) and buffers[position] is not None:
                    self._store(buffers[position], records)
            return tuple(records[-1].reading for records in columns.values())

        return measure

    def _store(self, buffer: Buffer, records: list[Record]) -> None:
        if not buffer.store(records):
            self._note(4901, f"The maximum index for this buffer is {buffer.capacity}")

    def _sample(self, name: str) -> dict[str, list[Record]]:
        """Take `count` readings; return them by quantity, for "iv" the current first."""
        source, measure = self.source.values, self.measure.values
        of_volts = source["func"] == _DCVOLTS
        spans: dict[str, float | None] = {
            q: None if measure[f"autorange{q}"] else measure[f"range{q}"] for q in ("v", "i")
        }
        spans["v" if of_volts else "i"] = self._source_range()
        nplc = measure["nplc"]
        delay = max(source["delay"], 0.0) + max(measure["delay"], 0.0) + _OVERHEAD_S
        extra = max(delay, measure["interval"] - nplc / self.channel.line_hz)
        samples = self.channel.sample(int(measure["count"]), nplc, spans["v"], spans["i"], extra)
        status = COMPLIANCE if samples.limited and source["output"] == _ON else 0
        status |= _FOUR_WIRES if self.values["sense"] == 1.0 else 0
        status |= _FILTERED if self.filter.values["enable"] else 0
        status |= _AUTORANGED_SOURCE if source["autorangev" if of_volts else "autorangei"] else 0
        level = source["levelv"] if of_volts else source["leveli"]
        columns: dict[str, list[Record]] = {letter: [] for letter in name}
        for volts, amps, time_s in zip(samples.volts, samples.amps, samples.times, strict=True):
            got = {"v": float(volts), "i": float(amps), "p": float(volts * amps)}
            got["r"] = float(volts / amps) if amps else math.nan
            for letter, records in columns.items():
                value = NOT_A_NUMBER if math.isnan(got[letter]) else got[letter]
                ranged = letter in "vi" and measure[f"autorange{letter}"]
                word = status | (_AUTORANGED_MEASURE if ranged else 0)
                span = samples.volts_range if letter == "v" else samples.amps_range
                records.append(Record(value, float(time_s), word, level, span))
        return columns


def _nothing(*given: Any) -> None:
    """Do nothing."""
