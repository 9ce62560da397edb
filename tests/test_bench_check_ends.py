"""`hilep bench check` where instruments are dead, and where it is stopped, over sockets."""

import os
import signal
import socket
import time

import pytest
from virtual_files import NETWORK, bench_file, direct, siemens, tables

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from bench_checking import answer, everything_is_off, failures, install, served
from command_line import ENVIRONMENT, start

from hilep.cli import run
from hilep.errors import BadInputError
from hilep.instruments import arming
from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.simulators.virtual.network_world import NetworkWorld
from hilep.simulators.virtual.twin import twin

STATE = """
import os
import signal
from pathlib import Path
from hilep.instruments import arming, locks
signal.signal(signal.SIGINT, signal.default_int_handler)
arming.records = lambda: Path(os.environ["HILEP_TEST_FOLDER"]) / "armed"
locks.lock_folder = lambda: Path(os.environ["HILEP_TEST_FOLDER"])
from hilep.cli import main
main()
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)


def short_of(given, name):
    """Wait less for what never answers."""
    given["instruments"][name]["timeout_s"] = 0.2
    return given


def test_every_instrument_has_its_line_where_some_cannot_be_opened(tmp_path, capsys):
    given = short_of(short_of(tables(), "smu2"), "smu4")
    with served(tmp_path, given) as (file, resources):
        arming.arm(file, {"earlier": "check"})
        driven = set()
        drive = resources.world.drive

        def seen(terminal, one):
            driven.add(0.0 if one.kind == "off" else one.level)
            drive(terminal, one)

        resources.world.drive = seen
        resources.servers["smu2"].close()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            given["instruments"]["smu4"]["resource"] = f"TCPIP0::127.0.0.1::{port}::SOCKET"
            text = file.path.read_text()
            text = text.replace(resources["smu4"], given["instruments"]["smu4"]["resource"])
            file.path.write_text(text)
            arming.arm(BenchFile.load(file.path), {"earlier": "check"})
            status, found, err = answer(capsys, ["bench", "check", str(file.path)])
        assert status == 1
        assert (found["passed"], found["armed"], found["outputs_off"]) == (False, False, False)
        lines = {one["subject"]: one for one in found["findings"] if one["test"] == "identity"}
        assert list(lines) == list(file.sections.instruments)
        assert {n for n, one in lines.items() if one["verdict"] == "failed"} == {"smu2", "smu4"}
        assert "MODEL 2400" in lines["smu3"]["identity"]
        assert {one["test"] for one in found["findings"]} <= {"identity", "outputs"}
        assert all(any(name in line for line in err.splitlines()) for name in lines)
        assert "not armed; outputs MAY BE ON" in err
        # A 2400 that is reset is a source of 0 V until its off state is set.
        assert driven <= {0.0}
        assert everything_is_off(resources.world)
    assert arming.armed(BenchFile.load(file.path)) is None


def test_a_dead_instrument_beside_a_wrong_one_leaves_both_named(tmp_path, capsys):
    with served(tmp_path, short_of(tables(), "smu2")) as (file, resources):
        resources.servers["smu2"].close()
        file.path.write_text(file.path.read_text().replace("2636B", "serial 9999"))
        status, found, _ = answer(capsys, ["bench", "check", str(file.path)])
        assert status == 1
        wrong = failures(found, "identity")
        assert len(wrong) == 2
        assert "serial 9999" in wrong[0]
        assert everything_is_off(resources.world)


def test_a_file_that_no_instrument_can_obey_is_still_one_line(tmp_path, capsys):
    with served(tmp_path) as (file, _):
        file.path.write_text(file.path.read_text().replace("2636B", "serial 9999"))
        assert run(["bench", "check", str(file.path)]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)


def started(file, folder, monkeypatch):
    found = f"{folder / 'drivers'}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", found)
    monkeypatch.setitem(ENVIRONMENT, "HILEP_TEST_FOLDER", str(folder))
    return start(["bench", "check", str(file.path)], folder, STATE)


@pytest.mark.skipif(os.name != "posix", reason="sends Ctrl-C and termination as POSIX does")
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_check_that_is_stopped_leaves_every_output_off(tmp_path, monkeypatch, ending):
    """The check runs in a process of its own; the instruments are in this one."""
    with served(tmp_path) as (file, resources):
        arming.arm(file, {"earlier": "check"})
        with started(file, tmp_path, monkeypatch) as process:
            try:
                patience = time.monotonic() + 60
                while everything_is_off(resources.world):
                    assert time.monotonic() < patience
                    time.sleep(0.01)
                process.send_signal(getattr(signal, ending))
                out, err = process.communicate(timeout=60)
            except BaseException:
                process.kill()
                raise
        assert (process.returncode, out) == (1, "")
        assert err.splitlines()[-1] == f"hilep: {file.path}: stopped; not armed; outputs off"
        assert "Traceback" not in err
        assert everything_is_off(resources.world)
    assert arming.armed(file) is None


@pytest.mark.parametrize("section", ["clamp", "nudge", "nodes", "program"])
@pytest.mark.parametrize("kind", [tables, lambda: direct(NETWORK)], ids=["pulses", "direct"])
def test_what_an_instrument_lacks_is_refused_before_any_output_is_on(
    tmp_path, capsys, monkeypatch, kind, section
):
    """Also before cells are programmed, whose sources are others."""
    given, driven = kind(), []
    role = given["roles"][section]
    role |= {"range_a": 1e3, "max_a": 1e-6} if section == "nudge" else {"range_v": 1e4}
    if kind is not tables and section in ("clamp", "program"):
        role["max_v"] = 1e4  # An analog output has no other range.
    drive = NetworkWorld.drive

    def noted(self, terminal, what):
        # Analog outputs are driven always, at 0 V.
        if what.kind == "amps" or what.level:
            driven.append((terminal, what))
        drive(self, terminal, what)

    monkeypatch.setattr(NetworkWorld, "drive", noted)
    file = bench_file(tmp_path, given)
    assert run(["bench", "check", str(file.path), "--virtual"]) == 2
    with Bench(file, NETWORK, twin=twin) as bench, pytest.raises(BadInputError):
        bench.program(siemens(NETWORK, low=1e-6, high=6e-6))
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"hilep: {file.path}: roles.{section}")
    assert driven == []
