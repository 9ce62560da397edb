"""Write-verify with the real drivers, over loopback: an array of resistors behind a matrix."""

import numpy as np
import pytest
from pulse_bench import all_cells
from virtual_bench import built

pytest.importorskip("pymeasure", reason="needs the bench extra")

from hilep.instruments.errors import InstrumentError
from hilep.instruments.keithleydaq6510 import KeithleyDAQ6510
from hilep.instruments.keysightb2900 import KeysightB2900
from hilep.instruments.programming import PulseProgrammer
from hilep.instruments.programsections import PulseProgram
from hilep.instruments.wiring import Line
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.keithleydaq6510 import KeithleyDAQ6510 as VirtualDAQ
from hilep.simulators.virtual.resistors import ResistorWorld
from hilep.simulators.virtual.server import InstrumentServer

OHMS = np.array([[1e5, 2.2e4], [4.7e4, 1.5e5]])
RELAYS = {
    201: ("a", "r0"), 202: ("a", "r1"), 211: ("low", "c0"), 212: ("low", "c1"),
    203: ("b", "r0"), 204: ("b", "r1"), 213: ("b", "c0"), 214: ("b", "c1"),
}  # fmt: skip
PULSES = {"volts": [0.8, 0.9], "seconds": [1e-3, 1e-3]}
SECTION = PulseProgram.model_validate(
    {
        "kind": "pulses",
        "source": "smu.1",
        "range_v": 2.0,
        "limit_a": 1e-4,
        "read_v": 0.1,
        "tolerance": 0.02,
        "max_pulses": 3,
        "increase": PULSES,
        "decrease": PULSES | {"volts": [-0.8, -0.9]},
        "unselected": "half",
        "bias_sources": ["smu.2"],
        "matrix": {
            "rows": [["mat.201", "mat.202"]],
            "columns": [["mat.211", "mat.212"]],
            "unselected_rows": [["mat.203", "mat.204"]],
            "unselected_columns": [["mat.213", "mat.214"]],
        },
    }
)


@pytest.fixture
def instruments(tmp_path, monkeypatch):
    from hilep.instruments import locks

    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)
    nodes = ["r0", "r1", "c0", "c1"]
    cells = [(f"r{i}", f"c{j}", OHMS[i, j]) for i in range(2) for j in range(2)]
    world = ResistorWorld(["a", "b", "low", *nodes], [*cells, ("low", "ground", 1e-3)])
    virtual = VirtualDAQ(world, {101: "a"}, Clock(False), np.random.default_rng(1), matrix=RELAYS)
    with (
        InstrumentServer(built("B2900", world)) as first,
        InstrumentServer(virtual) as second,
        KeysightB2900(first.resource, "smu") as smu,
        KeithleyDAQ6510(second.resource, "mat") as matrix,
    ):
        yield {"smu": smu, "mat": matrix}


def test_the_drivers_read_each_cell_alone_and_report_those_that_do_not_move(instruments):
    programmer = PulseProgrammer(SECTION, instruments)
    cells = all_cells([(2, 2)])
    siemens = (1 / OHMS).ravel()
    report = programmer.program(cells, siemens, 0.02)
    assert report.pulses == 0
    assert not report.failed.any()
    np.testing.assert_allclose(report.siemens, siemens, rtol=5e-3)
    report = programmer.program(cells[:2], np.array([2e-5, siemens[1]]), 0.02)
    np.testing.assert_array_equal(report.failed, [True, False])
    assert report.pulses == 3
    assert instruments["smu"].read_outputs() == {"1": False, "2": False}
    assert instruments["mat"].closed == ()
    assert instruments["mat"].closures["211"] >= 1
    assert "Keysight" in programmer.identity["smu"]


def test_a_source_that_is_on_keeps_relays_and_pulses_away(instruments):
    others = [Line.of("smu.1")]
    channel = instruments["smu"].channels["1"]
    channel.source_voltage(1e-3, range_v=2.0)
    channel.on()
    programmer = PulseProgrammer(SECTION, instruments, others)
    with pytest.raises(InstrumentError, match="channel 1 is on"):
        programmer.program(all_cells([(2, 2)]), (1 / OHMS).ravel(), 0.02)
    assert not instruments["mat"].closures
