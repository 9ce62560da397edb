"""A small bench in memory, as fixtures share it."""

import bench_fakes
import bench_tables
import numpy as np

from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.network import Network
from hilep.reading import LayerUpdate, Update

NETWORK = Network(
    (3, 3, 2),
    "split",
    "row",
    g_min_siemens=1e-7,
    g_max_siemens=1e-5,
    voltage_limit_v=2.0,
    current_limit_a=1e-5,
)


class Case:
    """A bench file that a test may spoil, its world, and a bench of the two."""

    def __init__(self, folder, network=NETWORK, layout="scanner", **world):
        self.network = network
        self.tables = bench_tables.bench_tables(network, layout=layout)
        wiring = bench_tables.wiring_of(self.tables)
        self.world = bench_fakes.World(network, wiring, **world)
        for name, section in self.tables["instruments"].items():
            section["resource"] = f"fake::{self.world.key}::{name}"
        self.path = folder / "bench.toml"

    def file(self):
        self.path.write_text(bench_tables.written(self.tables))
        return BenchFile.load(self.path)

    def bench(self, **keywords):
        return Bench(self.file(), self.network, **{"unchecked": True} | keywords)

    def siemens(self, seed=0):
        generator = np.random.default_rng(seed)
        return [generator.uniform(1e-6, 2e-6, shape) for shape in self.network.shapes]

    def volts(self, images=None, seed=1):
        shape = (self.network.inputs,) if images is None else (images, self.network.inputs)
        return np.random.default_rng(seed).uniform(-1, 1, shape)

    def started(self, bench):
        """Program and clamp, so that a read may follow."""
        bench.program(self.siemens())
        bench.clamp(self.volts())

    def happened(self, *names):
        """The events of some instruments since the last call."""
        events = [event for event in self.world.events if not names or event[0] in names]
        self.world.events.clear()
        return events


def nothing_but(network, layer, row, column, siemens):
    """An update of one cell."""
    layers = [LayerUpdate.zero(shape) for shape in network.shapes]
    pre, post = network.shapes[layer]
    left, right = np.zeros((1, pre)), np.zeros((1, post))
    left[0, row], right[0, column] = 1.0, siemens
    layers[layer] = LayerUpdate(left, right)
    return Update(tuple(layers))
