"""A bench of instruments that exist in memory only is held to the laws of every crossbar."""

from typing import ClassVar

import bench_fakes
import bench_tables
import pytest

pytest.importorskip("filelock", reason="needs the bench extra")

from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.testing import CrossbarLaws


class BenchLaws(CrossbarLaws):
    """A bench whose wiring, noise and programmer the subclasses name."""

    bias_kinds = ("none", "row")
    conductance_tolerance = 1e-9
    reads = 100
    layout: ClassVar[str] = "scanner"
    programmer: ClassVar[dict[str, object]] = {}
    release: ClassVar[str] = "zero-current"

    @pytest.fixture(autouse=True)
    def lab(self, tmp_path, monkeypatch):
        bench_fakes.install(tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        self.folder = tmp_path

    def build(self, network):
        tables = bench_tables.bench_tables(network, layout=self.layout)
        world = bench_fakes.World(
            network, bench_tables.wiring_of(tables), self.sigma_v, self.programmer
        )
        for name, section in tables["instruments"].items():
            section["resource"] = f"fake::{world.key}::{name}"
        tables["roles"]["nudge"]["release"] = self.release
        path = self.folder / "bench.toml"
        path.write_text(bench_tables.written(tables))
        return Bench(BenchFile.load(path), network, unchecked=True)


class TestScannerAndSMUs(BenchLaws):
    """Separate SMUs clamp and nudge, a scanner reads; reads are noisy."""

    sigma_v = 1e-4


class TestOutputsAndOwnReadings(BenchLaws):
    """Analog outputs clamp, SMUs read what they nudge, and cells are lost once outputs are off."""

    layout = "own"
    layers = ((6, 5, 3),)
    programmer: ClassVar = {"volatile": True}


class TestOneSMUAtRestWhileProgramming(BenchLaws):
    """One SMU clamps and nudges, and is off while cells are programmed; the nudge opens relays."""

    layout = "one"
    layers = ((4, 3, 2),)
    programmer: ClassVar = {"rest": "off"}
    release = "high-z"
