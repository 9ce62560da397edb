"""`hilep bench check` finds and names what is wrong with a bench."""

import contextlib

import pytest
from virtual_files import NETWORK, bench_file, direct, tables

from hilep.cli import run
from hilep.instruments import arming
from hilep.network import Network

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from bench_checking import answer, everything_is_off, failures, install, served

from hilep.instruments.benchnetwork import wired_network
from hilep.instruments.trips import InterlockError
from hilep.instruments.voltmeters import BenchVoltmeter
from hilep.simulators.virtual.twin import twin

UNREACHED = {"nonlinearity": "junction"}
BIASED = {"nonlinearity": "junction", "junction": {"bias_v": 0.45}}


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)


PLANTED = [
    ({"swapped": [["smu1.a", "smu1.b"]]}, ["input 0 (smu1.a) and input 1 (smu1.b) are swapped"]),
    ({"opened": ["smu1.b"]}, ["input 1 (smu1.b) is open"]),
    ({"opened": ["smu3.a"]}, ["output 0 (smu3.a) is open"]),
    ({"shorted": [["smu1.a", "smu1.b"]]}, ["input 0 (smu1.a) and input 1 (smu1.b) are shorted"]),
    (
        {"shorted": [["smu1.a", "smu3.a"]]},
        ["input 0 (smu1.a) and output 0 (smu3.a, daq1.104) are shorted"],
    ),
    ({"opened": ["daq1.102"]}, ["hidden node 1 of layer 1 (daq1.102) is open"]),
]


@pytest.mark.parametrize(("virtual", "expected"), PLANTED)
def test_a_planted_fault_is_named_and_nothing_is_armed(tmp_path, capsys, virtual, expected):
    with served(tmp_path, **virtual) as (file, resources):
        arming.arm(file, {"earlier": "check"})
        status, found, err = answer(capsys, ["bench", "check", str(file.path)])
        assert (status, found["passed"], found["armed"]) == (1, False, False)
        named = failures(found, "wiring")
        assert len(named) == len(expected)
        for text, start in zip(named, expected, strict=True):
            assert text.startswith(start)
        assert "not armed" in err
        assert everything_is_off(resources.world)
    assert arming.armed(file) is None


CARDS = [
    ({"swapped": [["card.ai0", "card.ai2"]]}, {"card.ai0", "card.ai2"}, "swapped"),
    ({"swapped": [["card.ai0", "card.ai1"]]}, {"card.ai0", "card.ai1"}, "swapped"),
    ({"swapped": [["card.ai3", "card.ai4"]]}, {"card.ai3", "card.ai4"}, "swapped"),
    ({"swapped": [["card.ao1", "card.ao3"]]}, {"card.ao1", "card.ao3"}, "swapped"),
    ({"swapped": [["smu1.a", "smu1.b"]]}, {"smu1.a", "smu1.b"}, "swapped"),
    ({"opened": ["card.ao2"]}, {"card.ao2"}, "open"),
    ({"opened": ["card.ai4"]}, {"card.ai4"}, "open"),
    ({"shorted": [["card.ai0", "card.ai1"]]}, {"card.ai0", "card.ai1"}, "shorted"),
    ({"shorted": [["card.ao0", "card.ao1"]]}, {"card.ao0", "card.ao1"}, "shorted"),
    ({"shorted": [["card.ao0", "card.ai1"]]}, {"card.ao0", "card.ai1"}, "shorted"),
]


@pytest.mark.parametrize(("virtual", "channels", "word"), CARDS)
def test_a_fault_at_a_card_without_current_limits_is_named(
    tmp_path, capsys, virtual, channels, word
):
    file = bench_file(tmp_path, {**direct(NETWORK), "virtual": virtual})
    status, found, _ = answer(capsys, ["bench", "check", str(file.path), "--virtual"])
    [fault] = [one for one in found["findings"] if one["test"] == "wiring"]
    assert status == 1
    assert set(fault["channels"]) == channels
    assert word in fault["text"]


def test_two_faults_are_both_named(tmp_path, capsys):
    virtual = {"swapped": [["card.ai0", "card.ai1"]], "opened": ["card.ao1"]}
    file = bench_file(tmp_path, {**direct(NETWORK), "virtual": virtual})
    _, found, _ = answer(capsys, ["bench", "check", str(file.path), "--virtual"])
    named = sorted(failures(found, "wiring"))
    assert len(named) == 2
    assert "swapped" in named[0]
    assert "input 1 (card.ao1) is open" in named[1]


def test_faults_in_two_layers_are_both_named(tmp_path, capsys):
    network = Network((2, 3, 3, 2), "split", "row", g_min_siemens=1e-7, g_max_siemens=1e-5)
    virtual = {"swapped": [["card.ai2", "card.ai4"]], "shorted": [["card.ai0", "card.ai6"]]}
    file = bench_file(tmp_path, {**direct(network), "virtual": virtual})
    _, found, _ = answer(capsys, ["bench", "check", str(file.path), "--virtual"])
    faults = [one for one in found["findings"] if one["test"] == "wiring"]
    assert [set(one["channels"]) for one in faults] == [
        {"card.ai2", "card.ai4"},
        {"card.ai0", "smu1.a", "card.ai6"},
    ]


def test_a_dead_node_is_named(tmp_path, capsys, monkeypatch):
    """A node that touches ground, although its reader is there."""
    file = bench_file(tmp_path, direct(NETWORK))

    @contextlib.contextmanager
    def spoiled(file, network):
        with twin(file, network) as resources:
            resources.world.join("h1_1", "ground")
            yield resources

    monkeypatch.setattr("hilep.simulators.virtual.twin.twin", spoiled)
    status, found, _ = answer(capsys, ["bench", "check", str(file.path), "--virtual"])
    assert status == 1
    [text] = failures(found, "wiring")
    assert text == "hidden node 1 of layer 1 (card.ai1) is shorted to ground"


@pytest.mark.parametrize(("hidden", "sound"), [(UNREACHED, False), (BIASED, True)])
def test_a_knee_that_the_inputs_do_not_reach_is_named(tmp_path, capsys, hidden, sound):
    file = bench_file(tmp_path, {**direct(NETWORK), "hidden": hidden})
    status, found, _ = answer(capsys, ["bench", "check", str(file.path), "--virtual"])
    missed = failures(found)
    if sound:
        assert (status, missed) == (0, [])
        for one in found["findings"]:
            if one["test"] == "knee":
                low, high = one["reach_v"]
                assert low <= one["knee_v"] <= high
                assert 0.01 < abs(one["knee_v"]) < 0.4
    else:
        assert status == 1
        assert missed
        assert all("no nonlinearity within reach" in text for text in missed)


def test_wires_are_told_apart_behind_rectifiers_that_conduct_at_rest(tmp_path, capsys):
    virtual = {"swapped": [["card.ao0", "card.ao1"]]}
    file = bench_file(tmp_path, {**direct(NETWORK), "hidden": BIASED, "virtual": virtual})
    _, found, _ = answer(capsys, ["bench", "check", str(file.path), "--virtual"])
    assert failures(found, "wiring") == [
        "input 0 (card.ao0) and input 1 (card.ao1) are swapped",
    ]


def test_rectifiers_of_the_wrong_polarity_are_named(tmp_path, capsys):
    file = bench_file(tmp_path, direct(NETWORK))
    config = tmp_path / "run.toml"
    config.write_text(
        '[network]\nlayers = [2, 3, 2]\ndiodes = "relu"\nbias = "row"\nbias_v = 0.5\n'
        "g_min_siemens = 1e-7\ng_max_siemens = 1e-5\n"
    )
    words = ["bench", "check", str(file.path), "--config", str(config)]
    # The twin has the polarities of the run.
    assert run([*words, "--virtual"]) == 0
    capsys.readouterr()
    given = direct(NETWORK)
    assert wired_network(bench_file(tmp_path, given)).diodes == "split"
    with served(tmp_path) as (sound, _):
        words[2] = str(sound.path)
        status, found, _ = answer(capsys, words)
    assert status == 1
    [text] = failures(found, "knee")
    assert "holds at or below" in text
    assert "expected one that holds at or above" in text


@pytest.mark.parametrize("given", [direct, tables])
def test_a_trip_of_the_interlock_is_named_and_the_check_goes_on(
    tmp_path, capsys, monkeypatch, given
):
    reads, reading = [], BenchVoltmeter.read

    def read(voltmeter, nodes, samples):
        reads.append(samples)
        if len(reads) == 6:
            raise InterlockError("a node", 1.0, 2.0)
        return reading(voltmeter, nodes, samples)

    monkeypatch.setattr(BenchVoltmeter, "read", read)
    file = bench_file(tmp_path, given(NETWORK))
    status, found, _ = answer(capsys, ["bench", "check", str(file.path), "--virtual"])
    [text] = failures(found, "wiring")
    assert status == 1
    assert "beyond interlock.max_node_v" in text
    assert len(reads) > 12
