"""A bench without instruments: drivers in memory, all joined to one network that is solved here."""

import contextlib
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from hilep.errors import BadInputError
from hilep.instruments.acquisition import Acquisition
from hilep.instruments.errors import IdentityError, NotAnswering, RangeLimitError
from hilep.instruments.status import COMPLIANCE, INVALID, OVERRANGE, SATURATED
from hilep.instruments.wiring import Line
from hilep.testing import equilibrium

WORLDS = {}


@dataclass
class World:
    """The network behind the instruments, and what was done to them, in order."""

    network: object
    wiring: dict
    sigma_v: float = 0.0
    programmer: dict = field(default_factory=dict)

    def __post_init__(self):
        self.key = f"{os.getpid()}-{len(WORLDS)}"
        WORLDS[self.key] = self
        self.siemens = [np.zeros(shape) for shape in self.network.shapes]
        self.levels, self.on = {}, set()
        self.events, self.faults, self.instruments = [], {}, {}
        self.stuck = {}
        self.generator = np.random.default_rng(7)
        self.largest_read = 1000
        self.range_v = 200.0
        self._solved = None

    def changed(self, *event):
        self.events.append(event)
        self._solved = None

    def level(self, line):
        line = Line.of(line)
        return self.levels.get(line, 0.0) if line in self.on else 0.0

    def nodes(self):
        """Volts of every node channel."""
        if self._solved is None:
            inputs = [self.level(line) for line in self.wiring["clamp"]]
            amps = [self.level(line) for line in self.wiring["nudge"]]
            volts = equilibrium(self.network, self.siemens, None, inputs, amps=amps)
            self._solved = dict(zip(self.wiring["nodes"], volts, strict=True))
        return self._solved

    def outputs_on(self):
        return sorted(str(line) for line in self.on)


class Fake:
    """What all the drivers here share. The resource is "fake::WORLD::NAME"."""

    kind = "fake"

    def __init__(self, resource, name=None, *, expect=None, timeout_s=5.0, line_hz=50, **options):
        if options:
            raise BadInputError(f"instruments.{name}: no option {next(iter(options))}")
        self.world = WORLDS[resource.split("::")[1]]
        self.resource, self.name, self.expect = resource, name, expect
        self.messages = Counter()
        self.lock = threading.RLock()
        self.world.instruments[name] = self

    def fails(self, fault):
        return fault in self.world.faults.get(self.name, ())

    def answer(self, kind, *event):
        if self.fails("dead"):
            raise NotAnswering("no answer", instrument=self.name)
        self.messages[kind] += 1
        self.world.changed(self.name, *event)

    def start(self):
        with self.transaction():
            self.answer("start", "identify")
            if self.expect is not None and self.expect not in "Fakes,F1,0001,1.0":
                raise IdentityError(f"expected {self.expect!r}", instrument=self.name)
            self.safe()
        return self

    def safe(self):
        self.world.changed(self.name, "safe")
        if self.fails("dead"):
            return SimpleNamespace(off=None, text=f"{self.name}: no answer")
        if self.fails("slow"):
            time.sleep(0.3)
        if self.fails("explodes"):
            raise RuntimeError("safe itself failed")
        for line in [line for line in self.world.on if line.instrument == self.name]:
            self.world.on.discard(line)
            self.world.levels.pop(line, None)
        self.world._solved = None
        return SimpleNamespace(off=True, text=f"{self.name}: off")

    def shutdown(self):
        self.last_report = self.safe()
        self.world.changed(self.name, "close")

    @contextlib.contextmanager
    def transaction(self):
        if not self.lock.acquire(timeout=5):
            raise NotAnswering("in use by another thread", instrument=self.name)
        try:
            yield self
        finally:
            self.lock.release()

    @property
    def identity(self):
        return SimpleNamespace(maker="Fakes", model="F1", serial="0001", firmware="1.0")

    def snapshot(self):
        return {"driver": type(self).__name__, "serial": "0001", "range_v": self.world.range_v}


class Channel:
    def __init__(self, parent, name):
        self.parent, self.line = parent, Line(parent.name, name)

    def configured(self, quantity, limit, source_range):
        world = self.parent.world
        if not 0 < limit <= {"A": 1.0, "V": 200.0}[{"V": "A", "A": "V"}[quantity]]:
            raise RangeLimitError(f"limit is {limit}, expected at most what there is")
        world.on.discard(self.line)
        world.levels[self.line] = 0.0
        for what in ("limit", "level"):
            self.parent.answer("configure", what, self.line.channel)
        self.parent.ranges[self.line.channel] = source_range

    def source_voltage(self, limit_a, *, range_v, measure_range_a, nplc, four_wire):
        self.configured("V", limit_a, range_v)

    def source_current(self, limit_v, *, range_a, measure_range_v, nplc, four_wire):
        self.configured("A", limit_v, range_a)

    def on(self):
        self.parent.answer("switch", "on", self.line.channel)
        self.parent.world.on.add(self.line)

    def off(self):
        self.parent.answer("switch", "off", self.line.channel)
        self.parent.world.on.discard(self.line)


class FakeSMU(Fake):
    """Sixteen channels of volts or amperes, which read the node that they are at."""

    def configure(self, channel, quantity, limit):
        raise AssertionError("the business of its channels")

    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.channels = {c: Channel(self, c) for c in "abcdefghijklmnop"}
        self.ranges = {}

    def apply(self, levels):
        for channel, level in levels.items():
            if abs(level) > self.ranges[channel] or self.fails(f"refuses {channel}"):
                raise RangeLimitError(f"{self.name} {channel}: {level} is beyond its range")
        self.answer("write", "apply", dict(levels))
        step = self.world.faults.get("step", {}).get(self.name)
        done = {c: round(v / step) * step if step else v for c, v in levels.items()}
        for channel, level in done.items():
            self.world.levels[Line(self.name, channel)] = level
        return done

    def acquire(self, samples, channels=None):
        chosen = tuple(channels)
        for channel in chosen:
            if Line(self.name, channel) not in self.world.on:
                raise BadInputError(f"{self.name} {channel}: its output is off")
        nodes, levels = self.world.nodes(), self.world.levels
        true = [nodes.get(f"{self.name}.{c}", levels.get(Line(self.name, c), 0.0)) for c in chosen]
        return measured(self, samples, chosen, true, dict.fromkeys(chosen, True))


class FakeScanner(Fake):
    """Reads channels by number; drives nothing."""

    def configure(self, channels, range_v, nplc=1.0, *, delay_s=1e-3, autozero=True):
        if range_v > self.world.range_v:
            raise RangeLimitError(f"range_v {range_v} V, its widest is {self.world.range_v} V")
        self.answer("configure", "scan", tuple(channels))
        self.scanned = tuple(channels)

    def acquire(self, samples, channels=None):
        chosen = tuple(channels or self.scanned)
        nodes = self.world.nodes()
        return measured(self, samples, chosen, [nodes[f"{self.name}.{c}"] for c in chosen], {})


class FakeOutputs(Fake):
    """Analog outputs: always driven, without a current limit."""

    limits = None

    @property
    def levels(self):
        return {c: self.world.levels[Line(self.name, c)] for c in self.limits or {}}

    def safe(self):
        self.limits = {}
        return super().safe()

    def configure_outputs(self, limits):
        if max(limits.values()) > 10:
            raise RangeLimitError("limit is beyond its range of 10 V")
        self.limits = dict(limits)
        self.answer("configure", "limit", tuple(limits))
        for channel in limits:
            self.world.levels[Line(self.name, channel)] = 0.0
            self.world.on.add(Line(self.name, channel))

    def apply(self, levels):
        for channel, level in levels.items():
            if abs(level) > self.limits[channel]:
                raise RangeLimitError(f"{self.name} {channel}: beyond its limit")
        self.answer("write", "apply", dict(levels))
        for channel, level in levels.items():
            self.world.levels[Line(self.name, channel)] = level

    def acquire(self, samples, channels=None):
        raise AssertionError("nothing to read")


class FakeMatrix(Fake):
    """A switch matrix that only exists."""

    def connect(self, paths, *, hot=False):
        self.answer("write", "connect", tuple(paths))


def measured(instrument, samples, chosen, true, outputs):
    """Bring noisy samples of `true`, in as many queries as buffers are needed."""
    world, parts = instrument.world, []
    for begun in range(0, samples, world.largest_read):
        count = min(world.largest_read, samples - begun)
        instrument.answer("query", "acquire", count)
        shape = (count, len(chosen))
        volts = np.array(true) + world.sigma_v * world.generator.standard_normal(shape)
        status = np.zeros(shape, np.uint8)
        if instrument.fails("compliance"):
            status[0, 0] = COMPLIANCE
        if instrument.fails("overrange"):
            volts[0, -1], status[0, -1] = np.nan, OVERRANGE | SATURATED
        if instrument.fails("invalid"):
            volts[-1, 0], status[-1, 0] = np.nan, INVALID
        if instrument.fails("found off"):
            outputs = dict.fromkeys(chosen, False)
        levels = {c: world.levels.get(Line(instrument.name, c), 0.0) for c in outputs}
        times = np.arange(count * len(chosen), dtype=float).reshape(shape)
        parts.append(Acquisition(chosen, volts, volts, times, status, levels, outputs))
    return Acquisition.joined(parts)


ENTRY_POINTS = """\
[hilep.drivers]
fake-smu = bench_fakes:FakeSMU
fake-scanner = bench_fakes:FakeScanner
fake-outputs = bench_fakes:FakeOutputs
fake-matrix = bench_fakes:FakeMatrix

[hilep.programmers]
direct = bench_programmer:Programmer
pulses = bench_programmer:Programmer
"""


def install(folder, entry_points=ENTRY_POINTS):
    """Make drivers known by name to whoever has `folder` on its path."""
    metadata = folder / "benchfakes-0.1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: benchfakes\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text(entry_points)
