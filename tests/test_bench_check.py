"""`hilep bench check` arms what is sound, `hilep bench safe` switches off; over sockets."""

import re
from pathlib import Path

import numpy as np
import pytest
import typer
from virtual_files import NETWORK, bench_file, direct

from hilep.cli import application, run
from hilep.instruments import arming
from hilep.network import Network

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from bench_checking import answer, everything_is_off, failures, install, served

from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.benchprobe import Probe
from hilep.instruments.stations import driver_classes

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)


def test_a_sound_bench_passes_and_is_armed(tmp_path, capsys):
    with served(tmp_path) as (file, resources):
        before = resources.world.siemens()
        assert arming.armed(file) is None
        status, found, _ = answer(capsys, ["bench", "check", str(file.path)])
        assert (status, found["passed"], found["armed"], found["outputs_off"]) == (0, *[True] * 3)
        assert failures(found) == []
        assert everything_is_off(resources.world)
        # Cells that tell the lines apart are left alone.
        for kept, now in zip(before, resources.world.siemens(), strict=True):
            np.testing.assert_array_equal(kept, now)
    assert arming.armed(BenchFile.load(file.path))["result"]["sha256"] == file.sha256
    tested = [one["test"] for one in found["findings"]]
    assert tested.count("identity") == len(file.sections.instruments)
    channels = {
        one["subject"].split(", ")[1] for one in found["findings"] if one["test"] == "channel"
    }
    roles = file.sections.roles
    assert channels == {
        *roles.clamp.channels,
        *roles.clamp.bias_channels,
        *roles.nudge.channels,
        *roles.nodes.channels,
    }
    polarities = [one["polarity"] for one in found["findings"] if one["test"] == "knee"]
    np.testing.assert_array_equal(polarities, NETWORK.polarity[: NETWORK.layers[1]])


def test_one_byte_more_is_not_armed(tmp_path, capsys):
    with served(tmp_path) as (file, _):
        assert run(["bench", "check", str(file.path)]) == 0
        file.path.write_text(file.path.read_text() + "\n")
        assert arming.armed(BenchFile.load(file.path)) is None


def test_new_cells_are_written_unless_they_are_to_be_kept(tmp_path, capsys):
    with served(tmp_path, written=False) as (file, resources):
        before = resources.world.siemens()
        status, found, _ = answer(capsys, ["bench", "check", str(file.path), "--keep"])
        cells = next(one for one in found["findings"] if one["test"] == "cells")
        assert cells["pulses"] == 0
        for kept, now in zip(before, resources.world.siemens(), strict=True):
            np.testing.assert_array_equal(kept, now)
        assert any("does not show" in one["text"] for one in found["findings"])
        status, found, _ = answer(capsys, ["bench", "check", str(file.path)])
        cells = next(one for one in found["findings"] if one["test"] == "cells")
        assert status == 0
        assert cells["pulses"] > 0


def test_a_network_without_hidden_nodes_is_checked(tmp_path, capsys):
    network = Network((2, 2), "none", "none", g_min_siemens=1e-7, g_max_siemens=1e-5)
    given = direct(network)
    del given["hidden"]
    file = bench_file(tmp_path, given)
    status, found, _ = answer(capsys, ["bench", "check", str(file.path), "--virtual"])
    assert (status, failures(found)) == (0, [])
    assert not [one for one in found["findings"] if one["test"] == "knee"]


def test_the_check_of_a_twin_arms_nothing(tmp_path, capsys):
    file = bench_file(tmp_path, direct(NETWORK))
    status, found, err = answer(capsys, ["bench", "check", str(file.path), "--virtual"])
    assert (status, found["passed"], found["armed"]) == (0, True, False)
    assert "arms nothing" in err
    assert arming.armed(file) is None


def test_another_instrument_is_bad_input_and_gets_nothing_but_questions(tmp_path, capsys):
    with served(tmp_path) as (file, resources):
        arming.arm(file, {})
        file.path.write_text(file.path.read_text().replace("2636B", "serial 9999"))
        status, found, err = answer(capsys, ["bench", "check", str(file.path)])
        assert (status, found) == (2, None)
        assert err.count("\n") == 1
        assert "instruments.smu1.expect" in err
        assert "serial 9999" in err
        assert everything_is_off(resources.world)
    assert arming.armed(BenchFile.load(file.path)) is None


def test_a_check_beside_a_run_leaves_it_armed(tmp_path, capsys):
    with served(tmp_path) as (file, _):
        file = BenchFile.load(file.path)
        arming.arm(file, {})
        with Bench(file, NETWORK):
            status, found, err = answer(capsys, ["bench", "check", str(file.path)])
        assert (status, found) == (1, None)
        assert "another run has" in err
        assert arming.armed(file) is not None


@pytest.mark.parametrize("ending", [RuntimeError("a bug"), KeyboardInterrupt()])
def test_outputs_are_off_however_the_check_ends(tmp_path, capsys, monkeypatch, ending):
    reads, reading = [], Probe.read

    def interrupted(probe, levels):
        found = reading(probe, levels)
        reads.append(levels)
        if len(reads) == 7:
            raise ending
        return found

    monkeypatch.setattr(Probe, "read", interrupted)
    with served(tmp_path) as (file, resources):
        arming.arm(file, {})
        if isinstance(ending, KeyboardInterrupt):
            assert run(["bench", "check", str(file.path)]) == 1
        else:
            with pytest.raises(RuntimeError, match="a bug"):
                run(["bench", "check", str(file.path)])
        assert everything_is_off(resources.world)
    assert arming.armed(file) is None


def test_safe_switches_off_what_answers_and_names_what_does_not(tmp_path, capsys):
    with served(tmp_path) as (file, resources):
        section = file.sections.instruments["smu1"]
        smu = driver_classes(file)["smu1"](resources["smu1"], "smu1", expect=section.expect)
        smu.start()
        smu.channels["a"].source_voltage(1e-3, range_v=2.0)
        smu.channels["a"].on()
        smu.apply({"a": 0.3})
        smu.session.close()
        assert not everything_is_off(resources.world)
        status, found, err = answer(capsys, ["bench", "safe", str(file.path)])
        assert (status, found["all_off"]) == (0, True)
        assert set(found["off"]) == set(file.sections.instruments)
        assert everything_is_off(resources.world)
        resources.servers["smu3"].close()
        status, found, err = answer(capsys, ["bench", "safe", str(file.path)])
        assert (status, found["all_off"]) == (1, False)
        assert found["off"] == {name: name != "smu3" or None for name in found["off"]}
        lines = err.splitlines()
        assert len(lines) == len(file.sections.instruments)
        assert next(line for line in lines if "NOT KNOWN" in line).startswith("smu3 ")


@pytest.mark.parametrize("command", ["check", "safe"])
def test_a_bad_file_is_one_line(tmp_path, capsys, command):
    file = bench_file(tmp_path, direct(NETWORK))
    file.path.write_text(file.path.read_text().replace("max_node_v", "max_node"))
    assert run(["bench", command, str(file.path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "interlock" in err


def test_the_page_names_every_option_and_key(tmp_path, capsys):
    page = (DOCS / "command-line.md").read_text(encoding="utf-8")
    file = bench_file(tmp_path, direct(NETWORK))
    commands = typer.main.get_command(application()).commands["bench"].commands
    answers = {
        "check": answer(capsys, ["bench", "check", str(file.path), "--virtual"])[1],
        "safe": {"all_off": None, "off": None},
    }
    for name, keys in answers.items():
        text = page.partition(f"### `hilep bench {name}`\n")[2].partition("\n#")[0]
        rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
        options = {re.split(r"[` ]", row.strip(" `"))[0] for row in rows}
        expected = {"--help", "BENCH"} | {
            word
            for one in commands[name].params
            if one.param_type_name == "option"
            for word in one.opts
        }
        assert options == expected | set(keys)


def test_the_bench_file_on_the_page_passes_on_its_twin(tmp_path, capsys):
    page = (DOCS / "bench.md").read_text(encoding="utf-8")
    file = tmp_path / "bench.toml"
    file.write_text(page.partition("```toml\n")[2].partition("```")[0])
    status, found, _ = answer(capsys, ["bench", "check", str(file), "--virtual"])
    assert (status, failures(found)) == (0, [])


@pytest.mark.parametrize("name", ["xor", "iris"])
def test_the_example_passes_on_its_twin(capsys, name):
    file = DOCS / "examples" / f"bench-{name}-bench.toml"
    status, found, _ = answer(capsys, ["bench", "check", str(file), "--virtual"])
    assert (status, failures(found)) == (0, [])
