"""Sigma of a file and of one voltmeter: known answers, and one line for what is wrong."""

import json
import math

import h5py
import numpy as np
import pytest
import virtual_bench

from hilep.calibration.sigma_of_file import sigma_of_file
from hilep.calibration.sigma_of_voltmeter import sigma_of_voltmeter
from hilep.cli.script import script
from hilep.instruments import locks
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.keithleydaq6510 import VOLTS
from hilep.simulators.virtual.resistors import ResistorWorld
from hilep.simulators.virtual.server import InstrumentServer


def of_file(*words):
    return script("sigma_of_file", sigma_of_file, [str(word) for word in words])


def said(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def table(path, text):
    path.write_text(text)
    return path


# Files --------------------------------------------------------------------------------------------


def test_sigma_of_five_reads_is_that_of_the_tables(tmp_path, capsys):
    """s^2 = 2.5e-6, c4 = 0.93999 and chi-square quantiles 0.48442 and 11.1433, of 4 degrees."""
    path = table(tmp_path / "a.csv", "h0,y0\n" + "".join(f"{k}e-3,{-k}e-3\n" for k in range(1, 6)))
    assert of_file(path, "--json") == 0
    found = said(capsys)
    assert [node["name"] for node in found["nodes"]] == ["h0", "y0"]
    for node in found["nodes"]:
        assert node["sigma_v"] == pytest.approx(math.sqrt(2.5e-6) / 0.9399856, rel=1e-6)
        low, high = node["sigma_v_ci95"]
        assert low == pytest.approx(math.sqrt(4 * 2.5e-6 / 11.143287), rel=1e-6)
        assert high == pytest.approx(math.sqrt(4 * 2.5e-6 / 0.4844186), rel=1e-6)
        assert node["state"] == "good"
    assert found["independent"] == "cannot tell"
    assert found["max_useful_reads"] is None
    assert found["of"] == "reads"


def test_pairs_cancel_what_both_phases_share(tmp_path, capsys):
    generator = np.random.default_rng(1)
    free = 1e-3 * generator.standard_normal((400, 3))
    nudged = 1e-3 * generator.standard_normal((400, 3)) + 0.2
    shared = np.cumsum(generator.standard_normal(400))[:, None]
    turns = np.empty((800, 3))
    turns[0::2], turns[1::2] = free + shared, nudged + shared
    np.save(tmp_path / "turns.npy", turns)
    np.save(tmp_path / "free.npy", free + shared)
    with h5py.File(tmp_path / "both.h5", "w") as file:
        file["a/free"], file["a/nudged"] = free + shared, nudged + shared
    assert of_file(tmp_path / "turns.npy", "--pairs", "--critical", 1e-4, "--json") == 0
    first = said(capsys)
    assert first["of"] == "pairs"
    low, high = first["sigma_v_ci95"]
    assert low < 1e-3 < high
    assert first["independent"] == "cannot tell"
    assert first["reads_needed"] == math.ceil((high / 1e-4) ** 2)
    assert any("N = " in line for line in first["problems"])
    both = tmp_path / "both.h5"
    assert of_file(f"{both}::a/free", "--nudged", f"{both}::/a/nudged", "--json") == 0
    assert said(capsys)["sigma_v"] == first["sigma_v"]
    assert of_file(tmp_path / "free.npy", "--json") == 0
    alone = said(capsys)
    assert alone["sigma_v"] > 1000 * first["sigma_v"]
    assert alone["independent"] is False


def test_white_reads_are_independent_and_mains_are_found(tmp_path, capsys):
    generator = np.random.default_rng(2)
    white = 1e-5 * generator.standard_normal((2048, 2))
    np.save(tmp_path / "white.npy", white)
    assert of_file(tmp_path / "white.npy", "--critical", 3e-6, "--json") == 0
    found = said(capsys)
    assert found["independent"] is True
    assert found["max_useful_reads"] == 32
    assert 11 <= found["reads_needed"] <= 13
    assert found["problems"] == []
    hum = 1e-5 * np.sin(2 * np.pi * 50 * 0.003 * np.arange(2048))
    np.save(tmp_path / "hum.npy", white + hum[:, None])
    assert of_file(tmp_path / "hum.npy", "--interval", 0.003, "--json") == 0
    found = said(capsys)
    assert found["independent"] is False
    assert any("50 Hz mains" in line for line in found["problems"])


def test_a_node_that_carries_no_sigma_is_named(tmp_path, capsys):
    generator = np.random.default_rng(3)
    volts = 1e-5 * generator.standard_normal((30, 4))
    volts[:, 1] = 0.25
    volts[7, 2] = np.nan
    np.savetxt(tmp_path / "a.txt", volts, delimiter="\t")
    assert of_file(tmp_path / "a.txt", "--json") == 0
    found = said(capsys)
    assert [n["state"] for n in found["nodes"]] == ["good", "constant", "not finite", "good"]
    assert found["nodes"][2]["sigma_v"] is None
    assert any("constant" in line and "node 1" in line for line in found["problems"])
    assert any("NaN" in line and "node 2" in line for line in found["problems"])
    low, high = found["sigma_v_ci95"]
    assert low < 1e-5 < high


@pytest.mark.parametrize("text", ["1e-3,2e-3\n", "0.1,0.2\n0.1,0.2\n", "nan,1\nnan,1\n"])
def test_reads_that_carry_no_sigma_at_all_are_refused_a_verdict(text, tmp_path, capsys):
    path = table(tmp_path / "a.csv", text)
    assert of_file(path, "--critical", 1e-6, "--json") == 1
    found = said(capsys)
    assert found["sigma_v"] is None
    assert found["reads_needed"] is None
    assert any("no node's reads can carry a sigma" in line for line in found["problems"])


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "1,2\n3,4\n5\n", "line 3: 1 columns, expected 2"),
        ("a.csv", "1,2\n3,4,5\n", "line 2: 3 columns, expected 2"),
        ("a.csv", "v\n1\n\nx\n", "line 4, column 1: expected volts, got 'x'"),
        ("a.csv", "1,2\n3,\n", "line 2, column 2: expected volts, got ''"),
        ("a.csv", "0,5;0,6\n", "column 1: expected volts, got '0,5'"),
        ("a.csv", "v,w\n", "no reads in it"),
        ("a.csv", "", "no reads in it"),
        ("a.csv", "1_0,2\n", "column 1: expected volts, got '1_0'"),
        ("a.npy", "no numpy file", "cannot be read"),
        ("a.h5", "no HDF5 file", "not an HDF5 file"),
        ("a.dat", "1\n2\n", "expected a name that ends in"),
    ],
)
def test_a_bad_table_is_one_line(name, text, expected, tmp_path, capsys):
    assert of_file(table(tmp_path / name, text)) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert expected in line


def test_wrong_words_are_one_line(tmp_path, capsys):
    path = table(tmp_path / "a.csv", "1\n2\n3\n")
    other = table(tmp_path / "b.csv", "1\n2\n")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["one"], file["two"] = np.zeros((3, 2)), np.zeros((3, 2))
    for words in (
        [tmp_path / "none.csv"], [path, "--pairs"], [path, "--nudged", other],
        [path, "--nudged", other, "--pairs"], [path, "--critical", "0"],
        [path, "--critical", "nan"], [path, "--interval", "-1"], [tmp_path / "a.h5"],
        [f"{tmp_path / 'a.h5'}::three"], [f"{path}::one"], [path, "--what"], [],
    ):  # fmt: skip
        assert of_file(*words) == (2 if words else 0)
        if words:
            assert len(capsys.readouterr().err.splitlines()) == 1


# One voltmeter ------------------------------------------------------------------------------------


@pytest.fixture
def scanner(tmp_path, monkeypatch):
    """A virtual scanner on loopback whose converter has a noise of 3e-4 V at one cycle."""
    pytest.importorskip("pymeasure", reason="needs the bench extra")
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)
    world = ResistorWorld(["a", "b", "c"], [("a", "ground", 1e4), ("b", "ground", 1e4)])
    noisy = {"volts": Converter(VOLTS.ranges, noise=3e-4, floor=0.0, step=0.0)}
    with InstrumentServer(virtual_bench.built("DAQ6510", world, converters=noisy)) as server:
        yield server


def of_meter(server, *words):
    return script(
        "sigma_of_voltmeter",
        sigma_of_voltmeter,
        [server.resource, "--driver", "keithleydaq6510", *map(str, words)],
    )


def test_a_sigma_set_in_a_voltmeter_comes_back_through_the_wire(scanner, tmp_path, capsys):
    out = tmp_path / "reads.csv"
    words = ["--channels", "101,102", "--range", 1, "--nplc", 1, "--reads", 300]
    assert of_meter(scanner, *words, "--out", out, "--critical", 1e-4, "--json") == 0
    found = said(capsys)
    low, high = found["sigma_v_ci95"]
    assert low < 3e-4 < high
    assert high / low < 1.2
    assert [node["name"] for node in found["nodes"]] == ["101", "102"]
    assert found["interval_s"] > 0.04
    assert found["reads_needed"] == math.ceil((high / 1e-4) ** 2)
    assert of_file(out, "--json") == 0
    assert said(capsys)["sigma_v"] == found["sigma_v"]


@pytest.mark.parametrize(
    "words",
    [
        ["--channels", "101", "--range", "1", "--rate-hz", "100"],
        ["--channels", "101,101", "--range", "1"],
        ["--channels", "999", "--range", "1"],
        ["--channels", "101", "--range", "1e6"],
        ["--channels", "101", "--range", "1", "--reads", "1"],
        ["--channels", "101", "--range", "1", "--expect", "another"],
        ["--channels", "101"],
    ],
)
def test_a_setting_that_the_voltmeter_does_not_have_is_one_line(words, scanner, capsys):
    assert of_meter(scanner, *words) in (1, 2)
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


@pytest.mark.parametrize("driver", ["none", "keithley2400"])
def test_what_does_not_read_channels_is_refused_by_name(driver, capsys):
    words = ["GPIB0::1::INSTR", "--driver", driver, "--channels", "a", "--range", "1"]
    assert script("sigma_of_voltmeter", sigma_of_voltmeter, words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert repr(driver) in line
