"""Benches of real drivers on their virtual twins are held to the laws of every crossbar.

Their tolerances are what the instruments state: the noise and the step of a reading on its range at
its NPLC, the step of a source, and the gain and offset that a voltmeter may have. None is tuned.
"""

import itertools
import math
from typing import Any

import pytest
import virtual_files

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from hilep.crossbar import Crossbar
from hilep.instruments import locks
from hilep.instruments.bench import Bench
from hilep.network import Network
from hilep.simulators.virtual import keithleydaq6510, keysightb2900
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.nidaqmx_device import VirtualDevice
from hilep.simulators.virtual.options import VirtualSection
from hilep.simulators.virtual.twin import twin
from hilep.testing import CrossbarLaws
from hilep.testing.specimen import STANDARD_ERRORS

BOLTZMANN = 1.380649e-23
NODE_GAIN, NODE_OFFSET_V = 1e-4, 1e-5
"""What the voltmeters of the nodes are out by, each with a sign of its own."""
SMU_STEP = 1 / 20_000
"""The coarsest step of a source, over its range, among the makes that are used here."""
OWED = 2.5
"""A write leaves a cell within its tolerance, and an update goes on from what was asked for: then
1.5, of the largest cell that is programmed, and 1 of the typical one add up."""
LAYERS = 2
"""A fraction by which all conductances are out moves a node by no more than that fraction of full
scale for each layer between the clamped inputs and the outputs."""


def signed(value: float, lines: list[str], start: float = 0.0) -> dict[str, float]:
    """By channel, `start` plus and minus `value` in turn."""
    return {k: start + v for k, v in zip(lines, itertools.cycle((value, -value)), strict=False)}


def worst(converter: Converter, full_scale: float, nplc: float) -> float:
    """How far one reading may be out: its noise and half a step."""
    noise = STANDARD_ERRORS * converter.sigma(full_scale, nplc)
    return noise + 0.5 * converter.resolution(full_scale, nplc)


class VirtualBench(CrossbarLaws):
    """A bench file with its twin, whose voltmeters are a little out."""

    volts = 0.2
    reads = 100
    diodes = ("split", "relu")

    @pytest.fixture(autouse=True)
    def _lab(self, tmp_path, monkeypatch):
        virtual_files.installed(tmp_path, monkeypatch)
        monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)
        self.folder, self.bench = tmp_path, None
        yield
        self.end()

    def end(self) -> None:
        """End the twin of the last device."""
        if self.bench is not None:
            self.bench.session.end()

    def tables(self, network: Network) -> dict[str, Any]:
        raise NotImplementedError

    def build(self, network: Network) -> Crossbar:
        self.end()
        given = self.tables(network)
        nodes = given["roles"]["nodes"]["channels"]
        given["virtual"] = {
            "gains": signed(NODE_GAIN, nodes, 1.0),
            "offsets": signed(NODE_OFFSET_V, nodes),
        }
        file = virtual_files.bench_file(self.folder, given)
        self.bench = Bench(file, network, twin=twin)
        return self.bench


class TestPulses(VirtualBench):
    """SMUs of three makes, a scanner, and cells pulsed through a switch matrix.

    What a cell is comes from volts and amperes that the source reads at `READ_V`, through relays.
    """

    READ_V, RANGE_V, RANGE_A, NODE_RANGE_V, CLAMP_RANGE_V, NPLC = 0.5, 2.0, 1e-4, 1.0, 2.0, 1.0

    layers = ((1, 2, 1),)
    bias_kinds = ("none",)
    siemens = 1e-5
    sigma_v = math.hypot(
        keithleydaq6510.VOLTS.sigma(NODE_RANGE_V, NPLC),
        # The smallest cell alone: Nyquist's noise in the band of an integration, 1 / (2 t).
        math.sqrt(2 * BOLTZMANN * 300.0 / (0.25 * siemens) * 50 / NPLC),
    )
    CELL = (
        worst(keysightb2900.AMPS, RANGE_A, NPLC) / (0.25 * siemens * READ_V)
        + worst(keysightb2900.VOLTS, RANGE_V, NPLC) / READ_V
        # Two relays carry the current of a whole line.
        + 2 * VirtualSection().contact_ohm * 2 * 2.0 * siemens
    )
    tolerance = (
        LAYERS * CELL
        + NODE_GAIN
        + NODE_OFFSET_V / 0.2
        + 0.5 * SMU_STEP * CLAMP_RANGE_V / 0.2
        + 0.5 * keithleydaq6510.VOLTS.resolution(NODE_RANGE_V, NPLC) / 0.2
    )
    WRITTEN = 0.05
    conductance_tolerance = OWED * WRITTEN

    def tables(self, network: Network) -> dict[str, Any]:
        given = virtual_files.tables(network)
        roles = given["roles"]
        for spare in ("smu4", "smu5"):
            del given["instruments"][spare]
        roles["clamp"] |= {"range_v": self.CLAMP_RANGE_V}
        roles["nodes"] |= {"range_v": self.NODE_RANGE_V, "nplc": self.NPLC}
        roles["nudge"] |= {"channels": ["smu3.a"], "range_a": 1e-5, "max_a": 1e-5}
        roles["program"] |= {
            "source": "smu2.1",
            "bias_sources": ["smu2.2"],
            "range_v": self.RANGE_V,
            "limit_a": self.RANGE_A,
            "read_v": self.READ_V,
            "nplc": self.NPLC,
            "tolerance": self.WRITTEN,
        }
        for direction in ("increase", "decrease"):
            steps = roles["program"][direction]
            steps["volts"] *= 6
            steps["seconds"] = [0.02 * 2**k for k in range(6)]
        return given


class TestAnalogOutputs(VirtualBench):
    """A multifunction card clamps, reads and sets every cell; SMUs nudge.

    What a cell is comes from its map, at the step to which its output goes.
    """

    CARD = VirtualDevice()
    OUTPUT_RANGE_V, INPUT_RANGE_V, MAP_SIEMENS_PER_V, RATE_HZ = 5.0, 1.0, 9.9e-6, 1e5
    OUTPUT_STEP_V = 2 * OUTPUT_RANGE_V / 2**CARD.bits
    INPUT_STEP_V = 2 * INPUT_RANGE_V / 2**CARD.bits

    layers = ((2, 3, 2),)
    bias_kinds = ("row", "none")
    siemens = 4e-6
    # A value at the edge between two codes is now the one and now the other.
    sigma_v = math.hypot(VirtualSection().ni_noise_v, 0.5 * INPUT_STEP_V)
    CELL = 0.5 * OUTPUT_STEP_V * MAP_SIEMENS_PER_V / (0.25 * siemens)
    tolerance = (
        LAYERS * CELL
        + NODE_GAIN
        + NODE_OFFSET_V / 0.2
        + 0.5 * OUTPUT_STEP_V / 0.2
        + 0.5 * INPUT_STEP_V / 0.2
    )
    conductance_tolerance = OWED * CELL

    def tables(self, network: Network) -> dict[str, Any]:
        given = virtual_files.direct(network)
        roles = given["roles"]
        roles["nodes"] |= {"range_v": self.INPUT_RANGE_V, "rate_hz": self.RATE_HZ / 10}
        roles["nudge"] |= {"range_a": 1e-5, "max_a": 1e-5}
        roles["program"]["tolerance"] = self.CELL
        return given
