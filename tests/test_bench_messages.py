"""Per image and turn of a phase each instrument gets one write and one query per buffer-full."""

import math

import numpy as np
import pytest
import virtual_files

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from hilep.instruments import locks
from hilep.instruments.bench import Bench
from hilep.instruments.keithleydaq6510 import KeithleyDAQ6510
from hilep.interleaving import turns
from hilep.network import Network
from hilep.nudging import Nudging
from hilep.simulators.virtual.twin import twin

IMAGES = 3
CAPACITY = 20
"""Readings that the scanner holds here, so that a buffer fills."""
LAYERS = [(2, 2), (2, 3, 2), (2, 17, 2)]


@pytest.fixture(autouse=True)
def _drivers(tmp_path, monkeypatch):
    virtual_files.installed(tmp_path, monkeypatch)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)
    monkeypatch.setattr(KeithleyDAQ6510, "capacity", CAPACITY)


def counted(bench):
    instruments = bench.session.connections.instruments
    return {
        name: np.array([one.messages.writes, one.messages.queries])
        for name, one in instruments.items()
    }


@pytest.mark.parametrize("samples", [1, 2, 11])
@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_one_write_and_one_query_per_buffer_full(tmp_path, layers, samples):
    network = Network(
        layers,
        "split" if len(layers) > 2 else "none",
        "none",
        g_min_siemens=1e-7,
        g_max_siemens=1e-5,
    )
    given = virtual_files.tables(network)
    given["roles"]["nodes"]["nplc"] = 0.01
    if len(layers) == 2:
        del given["hidden"]
    generator = np.random.default_rng(3)
    images = generator.uniform(-0.4, 0.4, (IMAGES, network.inputs))
    targets = generator.uniform(-0.1, 0.1, (IMAGES, network.outputs))
    with Bench(virtual_files.bench_file(tmp_path, given), network, twin=twin) as bench:
        # New cells are at the lower end of their window: nothing has to be pulsed.
        bench.program([np.full(shape, network.g_min_siemens) for shape in network.shapes])
        nudging = Nudging("current", (0.0, 1e-7))
        bench.free_and_nudged(images[:1], targets[:1], nudging, samples)
        for strengths in ((0.0, 1e-7), (-1e-7, 1e-7)):
            for interleave in sorted({1, min(2, samples), min(5, samples)}):
                order = [size for _, size in turns(samples, interleave)]
                if strengths[0]:
                    order = [samples, *order]
                before = counted(bench)
                nudging = Nudging("current", strengths)
                pair = bench.interleaved(images, targets, nudging, samples, interleave)
                assert pair.first.volts.shape[0] == pair.second.volts.shape[0] == samples
                for name, after in counted(bench).items():
                    writes, queries = after - before[name]
                    fulls = len(order)
                    if name == "daq1":
                        held = CAPACITY // network.free_nodes
                        fulls = sum(math.ceil(size / held) for size in order)
                    # One release ends the batch.
                    assert writes <= len(order) * IMAGES + 1, name
                    assert queries <= fulls * IMAGES, name
        bench.session.end()
