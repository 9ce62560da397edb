"""A passive array of simulated cells behind relays and source-measure units, all in memory.

The array is solved as a circuit: what a source measures holds every sneak path, and a pulse reaches
every cell with the voltage that the circuit gives it.
"""

from collections import defaultdict
from types import SimpleNamespace

import numpy as np

from hilep.instruments.acquisition import Acquisition
from hilep.instruments.errors import NotAnswering
from hilep.instruments.programming import PulseProgrammer
from hilep.instruments.programsections import PulseProgram
from hilep.instruments.status import COMPLIANCE
from hilep.instruments.wiring import Line

THRESHOLD_V = 0.7
"""A cell that takes less than this does not change."""
PER_PULSE_V = 0.1
"""Each such step above the threshold counts as one more pulse of the cell's model."""
LEAK_S = 1e-15


class Rig:
    """The arrays, what is closed and driven, and everything that happened in order."""

    def __init__(self, cells, section, noise=0.0, seed=0):
        self.cells = cells
        self.section = section
        self.noise = noise
        self.generator = np.random.default_rng(seed)
        self.closed = set()
        self.levels = defaultdict(float)
        self.on = set()
        self.events = []
        self.largest_unselected_v = 0.0
        self.faults = []
        matrix = section.matrix
        bias = [Line.of(line) for line in section.bias_sources]
        held = [*bias, *bias][:2] if bias else ["ground", "ground"]
        self.source = Line.of(section.source)
        self.ends = {}
        for layer, shape in enumerate(cells.shapes):
            for axis, driven, other, holder in (
                (0, matrix.rows, matrix.unselected_rows, held[0]),
                (1, matrix.columns, matrix.unselected_columns, held[-1]),
            ):
                for k in range(shape[axis]):
                    end = self.source if axis == 0 else "ground"
                    self.ends[Line.of(driven[layer][k])] = (layer, axis, k, end)
                    if other:
                        self.ends[Line.of(other[layer][k])] = (layer, axis, k, holder)

    def volts(self, layer):
        """Volts of rows and columns, one after the other; and which of them are held by whom."""
        rows, columns = self.cells.shapes[layer]
        held, by = {}, {}
        for path in self.closed:
            if path in self.ends and self.ends[path][0] == layer:
                _, axis, k, end = self.ends[path]
                node = k if axis == 0 else rows + k
                assert node not in held, "two sources on one line"
                held[node] = 0.0 if end == "ground" else self.levels[end]
                by[node] = end
        g = self.cells.siemens(layer)
        matrix = np.zeros((rows + columns, rows + columns))
        matrix[:rows, rows:] = -g
        matrix[rows:, :rows] = -g.T
        matrix += np.diag(-matrix.sum(axis=1) + LEAK_S)
        fixed = sorted(held)
        free = [n for n in range(rows + columns) if n not in held]
        volts = np.zeros(rows + columns)
        volts[fixed] = [held[n] for n in fixed]
        if free:
            right = -matrix[np.ix_(free, fixed)] @ volts[fixed]
            volts[free] = np.linalg.solve(matrix[np.ix_(free, free)], right)
        return volts, matrix @ volts, by

    def measured(self, line):
        """Amperes out of a source, the limit's own included."""
        return sum(
            sum(amps[node] for node, end in by.items() if end == line)
            for amps, by in (self.volts(layer)[1:] for layer in range(len(self.cells.shapes)))
        )

    def stress(self, pulsed):
        """Let every cell take the volts across it; note what those that are not selected take."""
        for layer, (rows, columns) in enumerate(self.cells.shapes):
            volts, _, by = self.volts(layer)
            across = volts[:rows, None] - volts[rows:]
            chosen = np.zeros((rows, columns), bool)
            for node, end in by.items():
                if end == self.source:
                    low = [n - rows for n, e in by.items() if e == "ground" and n >= rows]
                    if self.section.unselected != "ground":
                        chosen[node, low] = True
            if (~chosen).any():
                worst = float(np.abs(across[~chosen]).max())
                self.largest_unselected_v = max(self.largest_unselected_v, worst)
            counts = np.floor((np.abs(across) - THRESHOLD_V) / PER_PULSE_V + 1e-9).astype(int) + 1
            counts = np.where(np.abs(across) >= THRESHOLD_V, counts, 0) * np.sign(across)
            if pulsed and counts.any():
                self.cells.pulse(layer, counts.astype(np.int64))


class FakeChannel:
    def __init__(self, unit, name):
        self.unit, self.line, self.setup = unit, Line(unit.name, name), None

    def source_voltage(self, limit_a, *, range_v, nplc=1.0):
        self.unit.check()
        self.setup = SimpleNamespace(limit=limit_a)
        self.unit.rig.on.discard(self.line)
        self.unit.rig.levels[self.line] = 0.0
        self.unit.note("limit", self.line.channel, limit_a)

    def on(self):
        self.unit.check()
        assert self.setup is not None
        self.unit.rig.on.add(self.line)
        self.unit.note("on", self.line.channel)

    def off(self):
        self.unit.check()
        self.unit.rig.on.discard(self.line)
        self.unit.rig.levels[self.line] = 0.0
        self.unit.note("off", self.line.channel)


class FakeSMU:
    """A source-measure unit of two channels."""

    def __init__(self, rig, name):
        self.rig, self.name, self.poisoned = rig, name, False
        self.channels = {channel: FakeChannel(self, channel) for channel in "ab"}
        self.identity = SimpleNamespace(maker="m", model="smu", serial=name, firmware="1")

    def note(self, *event):
        self.rig.events.append((self.name, *event))

    def check(self):
        if self.poisoned:
            raise NotAnswering("poisoned", instrument=self.name)

    def apply(self, levels):
        self.check()
        self.note("apply", dict(levels))
        for channel, level in levels.items():
            self.rig.levels[Line(self.name, channel)] = level
        self.rig.stress(pulsed=True)
        return dict(levels)

    def acquire(self, samples, channels=None):
        self.check()
        self.note("read", tuple(channels))
        rig, lines = self.rig, [Line(self.name, channel) for channel in channels]
        assert set(lines) <= rig.on
        true = np.array([rig.measured(line) for line in lines])
        noise = 1 + rig.noise * rig.generator.standard_normal((samples, len(lines)))
        limits = np.array([self.channels[c].setup.limit for c in channels])
        status = np.where(np.abs(true) >= limits, COMPLIANCE, 0).astype(np.uint8)
        amps = np.clip(true, -limits, limits) * noise
        volts = np.broadcast_to([rig.levels[line] for line in lines], amps.shape)
        return Acquisition(
            tuple(channels), volts, amps, np.zeros(amps.shape),
            np.broadcast_to(status, amps.shape),
            {c: rig.levels[Line(self.name, c)] for c in channels},
            {c: Line(self.name, c) in rig.on for c in channels},
        )  # fmt: skip

    def pulse(self, channel, volts, seconds, limit_a, count=1):
        self.check()
        line = Line(self.name, channel)
        assert count == 1
        assert line in self.rig.on
        assert self.rig.levels[line] == 0
        fault = self.rig.faults.pop(0) if self.rig.faults else None
        self.note("pulse", volts)
        if fault != "lost":
            self.rig.levels[line] = volts
            self.rig.stress(pulsed=True)
            if fault != "stays":
                self.rig.levels[line] = 0.0
        if fault is not None:
            self.poisoned = True
            raise NotAnswering("no answer within 5 s", instrument=self.name)
        return Acquisition(
            (channel,), np.full((1, 1), volts), np.full((1, 1), np.nan), np.zeros((1, 1)),
            np.zeros((1, 1), np.uint8),
        )  # fmt: skip

    def recover(self):
        self.poisoned = False
        self.note("recover")
        return self.read_outputs()

    def read_outputs(self):
        self.check()
        self.note("outputs?")
        return {c: Line(self.name, c) in self.rig.on for c in self.channels}

    def safe(self):
        self.note("safe")
        for channel in self.channels.values():
            channel.setup = None
            self.rig.on.discard(channel.line)
            self.rig.levels[channel.line] = 0.0


class FakeMatrix:
    """Relays that refuse to switch hot, as the drivers' do."""

    def __init__(self, rig, name):
        self.rig, self.name, self.cold = rig, name, None
        self.identity = SimpleNamespace(maker="m", model="matrix", serial=name, firmware="1")
        self.stuck = set()

    @property
    def closed(self):
        return tuple(
            sorted(line.channel for line in self.rig.closed if line.instrument == self.name)
        )

    def connect(self, paths, *, hot=False):
        wanted = {Line(self.name, path) for path in paths}
        if wanted == {line for line in self.rig.closed if line.instrument == self.name}:
            return
        assert self.cold()
        assert not any(self.rig.levels.values()), "a hot switch"
        self.rig.events.append((self.name, "connect", tuple(sorted(paths))))
        self.rig.closed = {line for line in self.rig.closed if line.instrument != self.name}
        self.rig.closed |= {line for line in wanted if line.channel not in self.stuck}

    def open(self, paths, *, hot=False):
        self.connect([path for path in self.closed if path not in paths])

    def open_all(self, *, hot=False):
        self.connect([])

    def safe(self):
        self.rig.events.append((self.name, "safe"))
        self.rig.closed = {line for line in self.rig.closed if line.instrument != self.name}


def section_for(shapes, unselected="half", **changes):
    """`[roles.program]` of arrays behind the matrix "mat"."""
    number = iter(range(1000, 9999))

    def paths(axis):
        return [[f"mat.{next(number)}" for _ in range(shape[axis])] for shape in shapes]

    held = unselected != "float"
    tables = {
        "kind": "pulses",
        "source": "smu.a",
        "range_v": 2.0,
        "limit_a": 1e-3,
        "read_v": 0.1,
        "tolerance": 0.02,
        "max_pulses": 60,
        "increase": {"volts": [0.8, 0.9, 1.0, 1.1, 1.2], "seconds": [1e-3] * 5},
        "decrease": {"volts": [-0.8, -0.9, -1.0, -1.1, -1.2], "seconds": [1e-3] * 5},
        "unselected": unselected,
        "bias_sources": {"half": ["smu.b"], "third": ["smu.b", "other.a"]}.get(unselected, []),
        "matrix": {
            "rows": paths(0),
            "columns": paths(1),
            "unselected_rows": paths(0) if held else [],
            "unselected_columns": paths(1) if held else [],
            "run": ["mat.1", "mat.2"],
        },
    }
    return PulseProgram.model_validate(tables | changes)


def rig_for(cells, unselected="half", noise=0.0, seed=0, others=(), **changes):
    """A rig of these cells with its programmer."""
    section = section_for(cells.shapes, unselected, **changes)
    rig = Rig(cells, section, noise, seed)
    names = ("smu", "other", "clamp")
    instruments = {name: FakeSMU(rig, name) for name in names} | {"mat": FakeMatrix(rig, "mat")}
    rig.instruments = instruments
    return rig, PulseProgrammer(section, instruments, [Line.of(line) for line in others])


def all_cells(shapes):
    """Layer, row and column of every cell."""
    return np.concatenate(
        [
            np.insert(np.argwhere(np.ones(shape, bool)), 0, layer, axis=1)
            for layer, shape in enumerate(shapes)
        ]
    )
