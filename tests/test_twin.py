"""The virtual twin: one circuit behind every instrument of a bench file, whatever its kind."""

import gc
import threading

import numpy as np
import pytest
import virtual_files
from virtual_bench import Client
from virtual_files import NETWORK, bench_file, direct, siemens, tables

from hilep.errors import ConfigError
from hilep.instruments import locks
from hilep.testing import equilibrium

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from hilep.instruments.stations import driver_classes
from hilep.simulators.virtual.options import VirtualSection
from hilep.simulators.virtual.twin import file_network, twin
from hilep.simulators.virtual.world import Drive

QUIET = {"noise": 0.0, "steps": False, "kelvin": 0.0, "contact_ohm": 1e-3}


@pytest.fixture(autouse=True)
def _drivers(tmp_path, monkeypatch):
    virtual_files.installed(tmp_path, monkeypatch)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)


def loaded(folder, given, **virtual):
    return bench_file(folder, {**given, "virtual": virtual})


def opened(file, resources, name):
    section = file.sections.instruments[name]
    kind = driver_classes(file)[name]
    return kind(resources[name], name, expect=section.expect, timeout_s=2.0)


def test_what_source_meters_force_the_scanner_reads(tmp_path):
    file = loaded(tmp_path, tables(), **QUIET)
    clamp, nudge = file.sections.roles.clamp, file.sections.roles.nudge
    conductances = siemens(NETWORK)
    inputs, amps = np.array([0.7, -0.4]), np.array([5e-7, -2e-7])
    with twin(file, NETWORK) as resources:
        assert set(resources) == set(file.sections.instruments)
        resources.world.write(conductances)
        drivers = {name: opened(file, resources, name) for name in resources}
        for driver in drivers.values():
            driver.start()
        levels = dict(zip(clamp.channels, inputs, strict=True))
        levels |= dict(zip(clamp.bias_channels, NETWORK.bias_volts, strict=True))
        for channel, volts in levels.items():
            name, letter = channel.split(".")
            drivers[name].channels[letter].source_voltage(1e-3, range_v=2.0)
            drivers[name].channels[letter].on()
            drivers[name].apply({letter: volts})
        for channel, current in zip(nudge.channels, amps, strict=True):
            name, letter = channel.split(".")
            drivers[name].channels[letter].source_current(1.0, range_a=1e-6)
            drivers[name].channels[letter].on()
            drivers[name].apply({letter: current})
        daq = drivers["daq1"]
        daq.cold = lambda: True
        nodes = [channel.split(".")[1] for channel in file.sections.roles.nodes.channels]
        daq.configure(nodes, range_v=1.0)
        apart = daq.acquire(1).volts[0]
        assert np.abs(apart[:3]).max() < 1e-9, "nothing is connected while the run paths are open"
        run = file.sections.roles.program.matrix.run
        daq.connect([channel.split(".")[1] for channel in run])
        found = daq.acquire(2).volts
        expected = equilibrium(NETWORK, conductances, None, inputs, amps=amps)
        np.testing.assert_allclose(found, [expected] * 2, atol=2e-6)
        for driver in drivers.values():
            driver.shutdown()


@pytest.mark.parametrize(("scanner", "expect"), [("keithleydaq6510", "DAQ6510"),
                                                 ("keysight34970a", "DAQ970A")])  # fmt: skip
def test_pulses_through_the_matrix_move_the_cell_they_are_meant_for(tmp_path, scanner, expect):
    file = loaded(tmp_path, tables(scanner=scanner, expect=expect), **QUIET)
    program = file.sections.roles.program
    source, guard = program.source.split("."), program.bias_sources[0].split(".")
    with twin(file, NETWORK) as resources:
        resources.world.write(siemens(NETWORK))
        drivers = {n: opened(file, resources, n) for n in {source[0], guard[0], "daq1"}}
        for driver in drivers.values():
            driver.start()
        drivers["daq1"].cold = lambda: True
        before = resources.world.siemens()
        matrix = program.matrix
        paths = [matrix.rows[1][2], matrix.columns[1][0], matrix.unselected_columns[1][1]]
        paths += [p for k, p in enumerate(matrix.unselected_rows[1]) if k != 2]
        drivers["daq1"].connect([path.split(".")[1] for path in paths])
        for (name, letter), volts in ((guard, 1.0), (source, 0.0)):
            channel = drivers[name].channels[letter]
            channel.source_voltage(1e-3, range_v=program.range_v)
            channel.on()
            if volts:
                drivers[name].apply({letter: volts})
        drivers[source[0]].pulse(source[1], 2.0, 0.012, 1e-3, count=4)
        moved = [
            after - kept for after, kept in zip(resources.world.siemens(), before, strict=True)
        ]
        assert moved[1][2, 0] > 0
        moved[1][2, 0] = 0
        assert not any(change.any() for change in moved)
        for driver in drivers.values():
            driver.shutdown()


def test_a_card_of_ni_sets_cells_clamps_and_reads(tmp_path):
    pytest.importorskip("nidaqmx", reason="needs the bench extra")
    file = loaded(tmp_path, direct(NETWORK), noise=0.0, kelvin=0.0)
    program = file.sections.roles.program
    inputs = np.array([0.75, -0.5])
    with twin(file, NETWORK) as resources:
        assert resources["card"] == "Dev7"
        # Before it is told to open its relay, an SMU that is off holds its node at 0 V.
        with opened(file, resources, "smu1"), opened(file, resources, "card") as card:
            clamp = file.sections.roles.clamp
            used = [*clamp.channels, *clamp.bias_channels, *program.channels["cells"]]
            card.configure_outputs({channel.split(".")[1]: 1.0 for channel in used})
            nodes = [f"ai{k}" for k in range(NETWORK.free_nodes)]
            card.configure(nodes, range_v=1.0, rate_hz=1000)
            volts = np.linspace(0.2, 0.8, len(program.channels["cells"]))
            levels = dict(zip(used[4:], volts, strict=True))
            levels |= dict(zip(used[:4], [*inputs, *NETWORK.bias_volts], strict=True))
            card.apply({channel.split(".")[1]: level for channel, level in levels.items()})
            wanted = 1e-7 + volts * (1e-5 - 1e-7)
            found = np.concatenate([g.ravel() for g in resources.world.siemens()])
            np.testing.assert_allclose(found, wanted, rtol=1e-2)
            expected = equilibrium(NETWORK, resources.world.siemens(), None, inputs)
            got = card.acquire(3)
            np.testing.assert_allclose(got.volts, [expected] * 3, atol=2e-4)


def test_gains_offsets_swaps_breaks_and_shorts_are_those_of_the_file(tmp_path):
    given = tables()
    nodes = given["roles"]["nodes"]["channels"]
    spoiled = {
        "gains": {nodes[0]: 1.5},
        "offsets": {nodes[1]: 0.25},
        "swapped": [[nodes[0], nodes[1]]],
        "opened": [nodes[2]],
        "shorted": [[nodes[3], nodes[4]]],
    }
    file = loaded(tmp_path, given, **QUIET, **spoiled)
    with twin(file, NETWORK) as resources, opened(file, resources, "daq1") as daq:
        world = resources.world
        for name, volts in (("h1_0", 0.1), ("h1_1", 0.2), ("h1_2", -0.3), ("y0", 0.4)):
            world.drive(name, Drive("volts", volts, 1.0))
        daq.configure([channel.split(".")[1] for channel in nodes], range_v=1.0)
        read = daq.acquire(1).volts[0]
        np.testing.assert_allclose(read, [0.3, 0.35, 0.0, 0.4, 0.4], atol=1e-6)


def test_a_reading_sees_every_level_that_was_sent_before_it(tmp_path):
    """Levels are answered by nothing, and go to other instruments than the one that reads."""
    file = loaded(tmp_path, tables(), **QUIET)
    with (
        twin(file, NETWORK) as resources,
        opened(file, resources, "smu3") as smu,
        opened(file, resources, "daq1") as daq,
    ):
        smu.channels["a"].source_voltage(1e-3, range_v=2.0)
        smu.channels["a"].on()
        daq.configure([file.sections.roles.nodes.channels[3].split(".")[1]], 1.0, 0.1)
        for step in range(300):
            volts = 0.01 * (1 + step % 7)
            smu.apply({"a": volts})
            assert daq.acquire(1).volts[0, 0] == pytest.approx(volts, abs=1e-6)


def test_the_same_seed_is_the_same_twin(tmp_path):
    reads = []
    for seed in (1, 1, 2):
        file = loaded(tmp_path, tables(), seed=seed)
        with twin(file, NETWORK) as resources, opened(file, resources, "daq1") as daq:
            daq.configure([c.split(".")[1] for c in file.sections.roles.nodes.channels], 1.0)
            reads.append(daq.acquire(5).volts)
    assert np.array_equal(reads[0], reads[1])
    assert not np.array_equal(reads[0], reads[2])


def test_nothing_is_left_when_the_block_ends(tmp_path):
    file = loaded(tmp_path, direct(NETWORK))
    before = threading.active_count()
    for _ in range(3):
        with twin(file, NETWORK) as resources:
            port = next(iter(resources.servers.values())).port
        with pytest.raises(OSError, match=r"."):
            Client(port, 0.5)
    gc.collect()
    assert threading.active_count() == before


def test_a_file_alone_says_which_network_it_wires(tmp_path):
    for given in (tables(), direct(NETWORK)):
        file = loaded(tmp_path, given)
        found = file_network(file)
        assert (found.layers, found.bias_rows) == (NETWORK.layers, NETWORK.bias_rows)
        assert (found.polarity == NETWORK.polarity).all()


@pytest.mark.parametrize(
    ("virtual", "complaint"),
    [
        ({"sed": 1}, "virtual.sed"),
        ({"noise": -1.0}, "virtual.noise"),
        ({"run": ["x0"]}, "virtual.run"),
        ({"run": ["z0"] * 9}, "virtual.run"),
        ({"opened": ["daq1.999"]}, "daq1.999"),
        ({"cells": {"nonlinearity_v": 1.0}}, "nonlinearity_v"),
        ({"cells": {"levels": 4}}, "virtual.cells.pulses"),
        ({"switching": {"threshold_v": 3.0}}, "switching"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_it(tmp_path, virtual, complaint):
    file = loaded(tmp_path, tables(), **virtual)
    with pytest.raises(ValueError, match=complaint) as raised, twin(file, NETWORK):
        pass
    assert "\n" not in str(raised.value)


def test_an_instrument_that_cannot_answer_as_expected_is_refused(tmp_path):
    given = tables()
    given["instruments"]["daq1"]["expect"] = "A,B,C"
    file = loaded(tmp_path, given)
    with pytest.raises(ConfigError, match=r"instruments\.daq1\.expect"), twin(file, NETWORK):
        pass


def test_the_defaults_are_a_section():
    assert VirtualSection().wiring().meter_siemens == 0
