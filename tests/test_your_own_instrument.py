"""The example in docs/your-own-instrument.md: conforms, is found by name, and reads nodes."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from hilep.cli import run
from hilep.errors import BadInputError, ConfigError
from hilep.instruments import drivers, locks
from hilep.testing import equilibrium

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.benchnetwork import wired_network
from hilep.instruments.recording import RecordedBench
from hilep.instruments.replaying import ReplayedBench
from hilep.instruments.stations import driver_classes
from hilep.simulators.virtual.twin import twin
from hilep.simulators.virtual.virtual_drivers import GROUP

PAGE = Path(__file__).parent.parent / "docs" / "your-own-instrument.md"


def shown(language):
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def installed(folder, entries):
    """Let a package be found as if it were installed."""
    metadata = folder / "labinstruments-0.1.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: labinstruments\nVersion: 0.1\n"
    )
    lines = []
    for group, points in entries.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    importlib.invalidate_caches()


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder that holds the example as an installed package would be found."""
    for block in shown("python"):
        name = re.match(r"# (\w+\.py)\n", block)[1]
        (tmp_path / name).write_text(block, encoding="utf-8")
    package, bench = shown("toml")
    (tmp_path / "lab.toml").write_text(bench, encoding="utf-8")
    installed(tmp_path, tomllib.loads(package)["project"]["entry-points"])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)
    yield tmp_path
    for name in ("labinstruments", "virtuallab"):
        sys.modules.pop(name, None)


def test_the_page_names_the_groups_that_there_are():
    text = PAGE.read_text(encoding="utf-8")
    for group in (drivers.GROUP, drivers.PROGRAMMERS, drivers.TWINS, GROUP):
        assert f"| `{group}` |" in text


@pytest.mark.slow
def test_the_example_passes_its_tests_as_a_lab_would_run_them(lab):
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "test_labinstruments.py"], cwd=lab, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # One law is about springs, which a bench of current sources has not.
    assert re.search(r"^\d+ passed, 1 skipped in", done.stdout, re.M), done.stdout


def test_the_bench_of_the_example_passes_its_check(lab, capsys):
    assert run(["bench", "check", str(lab / "lab.toml"), "--virtual", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    identities = {one["subject"]: one["text"] for one in found["findings"][:3]}
    assert "LV8" in identities["meter"]


def test_the_drivers_read_the_nodes_of_a_bench_and_are_recorded(lab):
    file = BenchFile.load(lab / "lab.toml")
    network = wired_network(file)
    conductances = [np.full(shape, 3e-6) for shape in network.shapes]
    conductances[0][0] = 6e-6
    volts, amps = np.array([0.4, -0.2]), np.array([1e-6, -1e-6])

    def phases(bench):
        with bench:
            bench.program(conductances)
            bench.clamp(volts)
            free = bench.read(4)
            bench.nudge(amps)
            return free, bench.read(4), bench.conductances()

    recording = lab / "session.hilep"
    free, nudged, achieved = phases(RecordedBench(file, network, recording, twin=twin))
    for reading, current in ((free, np.zeros(2)), (nudged, amps)):
        expected = equilibrium(network, achieved, None, volts, amps=current)
        np.testing.assert_allclose(reading.mean, expected, atol=5e-4)
    assert np.abs(nudged.mean - free.mean)[-2:].min() > 1e-2
    again, _, _ = phases(ReplayedBench.load(recording, network))
    np.testing.assert_array_equal(again.volts, free.volts)


def test_what_is_no_driver_or_has_no_virtual_instrument_is_one_line(lab):
    file = BenchFile.load(lab / "lab.toml")
    entries = {drivers.GROUP: {"lab-voltmeter": "fractions:Fraction"}}
    installed(
        lab, {drivers.GROUP: {**entries[drivers.GROUP], "lab-source": "labinstruments:LabSource"}}
    )
    with pytest.raises(
        BadInputError, match=r"instruments\.meter\.driver: 'lab-voltmeter' has no start"
    ):
        driver_classes(file)
    lab_drivers = {"lab-voltmeter": "labinstruments:LabVoltmeter"}
    lab_drivers["lab-source"] = "labinstruments:LabSource"
    installed(lab, {drivers.GROUP: lab_drivers})
    with pytest.raises(ConfigError, match=r"instruments\.source\.driver: no virtual instrument"):
        Bench(file, wired_network(file), twin=twin).open()
