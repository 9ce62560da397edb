"""The bench file: everything wrong with it is one line with file, key and expectation."""

import bench_fakes
import pytest
from bench_cases import NETWORK, Case

pytest.importorskip("filelock", reason="needs the bench extra")

from hilep.errors import BadInputError, ConfigError, UnsupportedError
from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.drivers import known_drivers
from hilep.network import Network


@pytest.fixture
def case(tmp_path, monkeypatch):
    bench_fakes.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return Case(tmp_path)


def put(tables, key, value):
    """Set, or with None take away, what stands at a dotted key."""
    *parents, last = key.split(".")
    for parent in parents:
        tables = tables[int(parent) if isinstance(tables, list) else parent]
    if value is None:
        del tables[last]
    else:
        tables[int(last) if isinstance(tables, list) else last] = value


PULSES = {
    "kind": "pulses",
    "source": "smu2.p",
    "range_v": 2.0,
    "limit_a": 1e-3,
    "read_v": 0.1,
    "tolerance": 0.02,
    "max_pulses": 100,
    "increase": {"volts": [0.8, 1.0], "seconds": [1e-3, 1e-3]},
    "decrease": {"volts": [-0.8, -1.0], "seconds": [1e-3, 1e-3]},
    "unselected": "half",
    "bias_sources": ["smu2.o"],
    "matrix": {
        "rows": [[f"mat.{100 * k + j}" for j in range(5)] for k in (1, 2)],
        "columns": [[f"mat.{100 * k + 10 + j}" for j in range(n)] for k, n in ((1, 3), (2, 2))],
        "unselected_rows": [[f"mat.{100 * k + 20 + j}" for j in range(5)] for k in (1, 2)],
        "unselected_columns": [
            [f"mat.{100 * k + 30 + j}" for j in range(n)] for k, n in ((1, 3), (2, 2))
        ],
    },
}


def with_pulses(case):
    case.tables["roles"]["program"] = {
        key: dict(value) if isinstance(value, dict) else value for key, value in PULSES.items()
    }
    case.tables["instruments"]["mat"] = {
        "driver": "fake-matrix",
        "resource": f"fake::{case.world.key}::mat",
    }


WRONG = [
    ("roles.nudge.limit", 1.0, "roles.nudge.limit: unknown key"),
    ("surplus", {"a": 1}, "surplus: unknown key"),
    ("instruments.smu1.drivr", "x", "instruments.smu1.drivr: unknown key"),
    ("roles.nudge.limit_v", None, "roles.nudge.limit_v: missing, expected volts > 0"),
    ("roles.nudge.limit_v", 0.0, "roles.nudge.limit_v: input should be greater than 0"),
    ("roles.nudge.limit_v", -1.0, "roles.nudge.limit_v: input should be greater than 0"),
    ("roles.nudge.limit_v", "0.5", "roles.nudge.limit_v: input should be a valid number"),
    ("roles.nudge.max_a", None, "roles.nudge.max_a: missing, expected amperes > 0"),
    ("roles.clamp.limit_a", None, "roles.clamp.limit_a: missing, expected amperes > 0"),
    ("roles.clamp.limit_a", 0.0, "roles.clamp.limit_a: input should be greater than 0"),
    ("roles.clamp.max_v", None, "roles.clamp.max_v: missing, expected volts > 0"),
    ("interlock.max_node_v", None, "interlock.max_node_v: missing, expected volts > 0"),
    ("interlock", None, "interlock: missing"),
    ("settle", None, "settle: missing"),
    ("roles.nodes", None, "roles.nodes: missing"),
    ("roles.clamp.max_v", 3.0, "roles.clamp.max_v: 3 V, expected at most range_v = 2 V"),
    ("roles.nudge.max_a", 1.0, "roles.nudge.max_a: 1 A, expected at most range_a"),
    ("interlock.max_node_v", 200.0, "interlock.max_node_v: 200 V, expected at most roles.nodes"),
    ("roles.nudge.channels.1", "smu2.a", "roles.nudge.channels: smu2.a is used in roles.nudge"),
    ("roles.nudge.channels.1", "smu1.a", "smu1.a is used in roles.clamp.channels already"),
    ("roles.nodes.channels.1", "daq1.101", "daq1.101 is used in roles.nodes.channels already"),
    # The nudge of output 0 cannot read output 1.
    ("roles.nodes.channels.4", "smu2.a", "smu2.a is used in roles.nudge.channels already"),
    ("roles.nudge.channels.1", "smu9.a", "smu9.a is of no instrument, expected one of"),
    ("roles.nudge.channels.1", "smu2", "roles.nudge.channels.1: expected an instrument and a"),
    ("roles.nudge.release", "open", "roles.nudge.release: input should be"),
    ("instruments.smu1.driver", "keithly", "instruments.smu1.driver: unknown name 'keithly'"),
    ("instruments.smu1.line_hz", 55, "instruments.smu1.line_hz: input should be 50 or 60"),
    ("roles.program.kind", "magic", 'roles.program.kind: expected "direct" or "pulses"'),
    ("roles.program.kind", None, "roles.program.kind: missing"),
    ("roles.program.surplus", 1, "roles.program.surplus: unknown key"),
    ("roles.program.tolerance", 1.5, "roles.program.tolerance: input should be less than 1"),
    ("roles.program.map.siemens", [1e-3, 1e-3], "roles.program.map.siemens: expected values that"),
    ("roles.program.map.volts", [0.0, 2.0], "roles.program.map.volts: 2 V, expected at most max_v"),
    ("hidden.nonlinearity", "precise", "hidden.nonlinearity: input should be"),
    ("hidden.junction", {"ideality": 1.0}, 'hidden.junction: given, but nonlinearity is "ideal"'),
    ("hidden.supply", ["smu1.p"], "hidden.supply: smu1.p is not in roles.supply.channels"),
]


@pytest.mark.parametrize(("key", "value", "line"), WRONG, ids=lambda part: str(part)[:40])
def test_what_is_wrong_in_itself_is_one_line_before_anything_opens(case, key, value, line):
    put(case.tables, key, value)
    with pytest.raises(ConfigError) as caught:
        case.bench()
    text = str(caught.value)
    assert text.startswith(f"{case.path}: ")
    assert line in text
    assert "\n" not in text
    assert case.world.events == []


MISMATCHED = [
    ("roles.clamp.channels", ["smu1.a"], "roles.clamp.channels: 1 channels, expected 3"),
    ("roles.clamp.bias_channels", [], "roles.clamp.bias_channels: 0 channels, expected 2 or 4"),
    ("roles.nudge.channels", ["smu2.a"], "roles.nudge.channels: 1 channels, expected 2"),
    (
        "roles.nodes.channels",
        ["daq1.101", "daq1.102"],
        "expected 5: each hidden node, then each output; hidden node 2 of layer 1 has no reader",
    ),
    ("hidden", None, "hidden.nonlinearity: missing"),
    ("roles.program.cells", [[["gates.x"]]], "roles.program.cells: expected a channel for each"),
    ("roles.program.map.siemens", [1e-6, 1e-3], "roles.program.map: 1e-06 to 0.001 S, expected it"),
    ("roles.program.limit_a", 1e-3, "roles.program.limit_a: gates.g0_0_0 has no current limit"),
    ("roles.nudge.channels", ["daq1.201", "daq1.202"], "daq1.201 sources no current"),
    ("roles.nudge.channels", ["gates.x", "gates.y"], "gates.x sources no current"),
    ("roles.clamp.channels", ["daq1.1", "daq1.2", "daq1.3"], "daq1.1 sources nothing"),
    ("roles.clamp.channels", ["gates.x", "gates.y", "gates.z"], "gates.x has no current limit"),
    ("roles.nodes.channels.0", "smu1.p", "roles.nodes.channels: smu1.p: expected a scanner"),
    ("roles.nodes.nplc", None, "roles.nodes.nplc: missing, expected power line cycles > 0"),
    ("roles.nodes.rate_hz", 100.0, "roles.nodes.rate_hz: daq1.101 has no such setting"),
    ("roles.clamp.max_v", 0.5, "roles.clamp.max_v: 0.5 V, expected at least network.bias_v = 1 V"),
]


@pytest.mark.parametrize(("key", "value", "line"), MISMATCHED, ids=lambda part: str(part)[:40])
def test_what_does_not_fit_the_network_is_one_line_before_anything_opens(case, key, value, line):
    put(case.tables, key, value)
    with pytest.raises(ConfigError) as caught:
        case.bench()
    text = str(caught.value)
    assert text.startswith(f"{case.path}: ")
    assert line in text
    assert "\n" not in text
    assert case.world.events == []


WRONG_PULSES = [
    ("read_v", 0.9, "roles.program.read_v: 0.9 V, expected less than every pulse"),
    ("range_v", 0.9, "roles.program.increase.volts: 1 V, expected at most range_v"),
    ("bias_sources", [], 'bias_sources: 0 channels, expected 1 for unselected = "half"'),
    ("unselected", "float", 'bias_sources: 1 channels, expected 0 for unselected = "float"'),
    ("unselected", "fifth", "roles.program.unselected: input should be"),
    ("idle", "zero", "roles.program.matrix.run: missing"),
    ("max_pulses", 0, "roles.program.max_pulses: input should be greater than or equal to 1"),
    ("limit_a", None, "roles.program.limit_a: missing, expected amperes > 0"),
    ("increase.seconds", [1e-3], "roles.program.increase.seconds: 1 values, expected as many"),
    ("source", "smu2.a", "roles.program.source: smu2.a is used in roles.nudge.channels already"),
    ("source", "gates.a", "roles.program.source: gates.a: expected an SMU's channel"),
    ("matrix.rows", [["mat.901"]], "roles.program.matrix.rows: [1] paths in the layers' arrays"),
    ("matrix.run", ["daq1.301"], "roles.program.matrix.run: daq1.301: expected a path of a switch"),
]


@pytest.mark.parametrize(("key", "value", "line"), WRONG_PULSES, ids=lambda part: str(part)[:40])
def test_a_wrong_way_of_pulsing_is_one_line(case, key, value, line):
    with_pulses(case)
    case.tables["roles"]["program"]["matrix"] = dict(PULSES["matrix"])
    put(case.tables["roles"]["program"], key, value)
    with pytest.raises(ConfigError) as caught:
        case.bench()
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_right_way_of_pulsing_is_taken(case):
    with_pulses(case)
    with case.bench() as bench:
        case.started(bench)
        bench.read()


def test_a_network_that_no_bench_can_be_is_refused(case):
    for network, what in (
        (Network((3, 3, 2), "split", "current"), "network.bias"),
        (Network((3, 3, 2), "split", "row", voltage_gain=4.0), "voltage_gain"),
    ):
        with pytest.raises(UnsupportedError, match=what):
            Bench(case.file(), network)


def test_a_file_that_is_not_there_or_not_toml_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        BenchFile.load(tmp_path / "nowhere.toml")
    path = tmp_path / "bench.toml"
    path.write_text("[roles\n")
    with pytest.raises(ConfigError, match=r"bench\.toml: not TOML"):
        BenchFile.load(path)


REFUSED_BY_AN_INSTRUMENT = [
    ("roles.nudge.limit_v", 300.0, "roles.nudge: limit is 300.0, expected at most what there is"),
    ("roles.clamp.limit_a", 2.0, "roles.clamp: limit is 2.0, expected at most what there is"),
    ("roles.nodes.range_v", 500.0, "roles.nodes: range_v 500.0 V, its widest is 200.0 V"),
    ("instruments.smu1.options", {"baud_rate": 9600}, "smu1: no option baud_rate"),
    ("roles.clamp.channels.0", "smu1.z", "roles.clamp: smu1.z: no such channel"),
]


@pytest.mark.parametrize(("key", "value", "line"), REFUSED_BY_AN_INSTRUMENT)
def test_what_an_instrument_does_not_have_is_one_line_and_nothing_is_on(case, key, value, line):
    put(case.tables, key, value)
    with pytest.raises(BadInputError) as caught, case.bench() as bench:
        bench.clamp(case.volts())
    assert line in str(caught.value)
    assert not any("on" in event[1:2] for event in case.world.events)
    assert case.world.outputs_on() == []


def test_a_wrong_identity_is_one_line_and_nothing_is_on(case):
    case.tables["instruments"]["smu2"]["expect"] = "2602B"
    with pytest.raises(BadInputError) as caught, case.bench():
        raise AssertionError("it was entered")
    assert str(caught.value) == (f"{case.path}: instruments.smu2.expect: smu2: expected '2602B'")
    assert not any("on" in event[1:2] for event in case.world.events)


def test_the_hash_is_of_the_bytes(case):
    file = case.file()
    case.path.write_text(file.text + "\n# a remark\n")
    assert BenchFile.load(case.path).sha256 != file.sha256
    case.path.write_text(file.text)
    assert BenchFile.load(case.path).sha256 == file.sha256


def test_a_lab_s_own_driver_is_found_by_name(case):
    assert "fake-smu" in known_drivers()


def test_the_network_is_the_one_that_the_fixture_wires(case):
    assert Bench(case.file(), NETWORK).network is NETWORK
