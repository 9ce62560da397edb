"""`hilep bench serve`: the twin of a bench in a process of its own, until it is told to stop."""

import json
import os
import signal

import pytest
import virtual_files
from command_line import ENVIRONMENT, start
from virtual_bench import Client
from virtual_files import direct, written

from hilep.cli import run

pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

SERVE = "\n[hilep.commands]\nbench.serve = hilep.simulators.virtual.commands:serve\n"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    virtual_files.installed(tmp_path, monkeypatch, SERVE)
    path = tmp_path / "bench.toml"
    path.write_text(written(direct(virtual_files.NETWORK)))
    return path


@pytest.mark.skipif(os.name != "posix", reason="sends Ctrl-C as POSIX does")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("as_json", [False, True])
def test_it_serves_until_it_is_stopped(bench, tmp_path, monkeypatch, ending, as_json):
    found = f"{tmp_path / 'drivers'}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", found)
    words = ["bench", "serve", str(bench), *(["--json"] if as_json else [])]
    with start(words, tmp_path) as process:
        try:
            if as_json:
                resources = json.loads(process.stdout.readline())["resources"]
            else:
                lines = [process.stdout.readline().split(maxsplit=1) for _ in range(2)]
                resources = {name: text.strip() for name, text in lines}
            port = int(resources["smu1"].split("::")[2])
            with Client(port) as client:
                assert "2602B" in client.query("*IDN?")
            assert resources["card"] is None if as_json else "no socket" in resources["card"]
            process.send_signal(ending)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
        assert (process.returncode, out) == (0, "")
        assert "Traceback" not in err


def test_a_bad_file_is_one_line(bench, capsys):
    bench.write_text(bench.read_text().replace("max_node_v", "max_node"))
    assert run(["bench", "serve", str(bench)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "interlock" in err
