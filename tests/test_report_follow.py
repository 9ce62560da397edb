"""Laws of the report that follows a run: up to date, read-only, on loopback alone."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hilep.config import load
from hilep.errors import BadInputError, RunFileError
from hilep.experiment import prepare
from hilep.report_server import FollowedReport

XOR = (
    "data.name=xor",
    "network.layers=[4,4,2]",
    "device.solver=reference",
    "training.updates=20",
    "training.log_every=5",
    "training.evaluate_every=10",
)


@pytest.fixture
def live(tmp_path):
    prepared = prepare(load(None, XOR), tmp_path / "live.h5")
    yield prepared
    prepared.run.close()


def asked(url: str, path: str = "/", method: str = "GET", body: bytes | None = None):
    host, port = re.fullmatch(r"http://([0-9.]+):([0-9]+)/", url).groups()
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


def test_the_page_changes_with_the_file_and_asks_to_be_loaded_again(live):
    with FollowedReport(live.run.path, 2.5) as served:
        status, before, headers = asked(served.url)
        assert status == 200
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert '<meta http-equiv="refresh" content="3">' in before
        assert "No row has been written yet." in before
        live.run.record(5, 0.25, 0.5, 1.0)
        assert served.look()
        after = asked(served.url)[1]
        assert "No row has been written yet." not in after
        assert "5 of 20 updates so far" in after
        assert not served.look()


def test_the_end_of_the_run_is_shown_and_still_served(live):
    with FollowedReport(live.run.path, 1) as served:
        outcome = live.execute()
        assert served.look()
        assert f'<p class="verdict">{outcome.verdict}</p>' in asked(served.url)[1]
        assert not served.look()
        assert asked(served.url)[0] == 200


def test_nothing_else_is_there(live):
    with FollowedReport(live.run.path, 1) as served:
        for path in ("/index.html", "/live.h5", "/../live.h5", "/?a=1", "http://other/"):
            assert asked(served.url, path)[0] == 404
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
            assert asked(served.url, method=method)[0] == 404
        status, text, headers = asked(served.url, method="HEAD")
        assert (status, text) == (200, "")
        assert int(headers["Content-Length"]) == len(asked(served.url)[1].encode())


def test_it_listens_on_loopback_alone(live):
    with FollowedReport(live.run.path, 1) as served:
        assert served.url.startswith("http://127.0.0.1:")
        assert served._server.socket.getsockname()[0] == "127.0.0.1"


def test_a_file_that_cannot_be_read_for_a_while_ends_nothing(live, capsys):
    path = live.run.path
    live.run.record(5, 0.25, 0.5, 1.0)
    live.run.close()
    content = path.read_bytes()
    with FollowedReport(path, 1) as served:
        path.write_bytes(content[: len(content) // 2])
        assert served.look()
        older = asked(served.url)[1]
        assert "cannot be read at the moment" in older
        assert "5 of 20 updates so far" in older
        assert len(capsys.readouterr().err.splitlines()) == 1
        path.unlink()
        served.look()
        path.write_bytes(content)
        assert served.look()
        assert "cannot be read at the moment" not in asked(served.url)[1]


def test_the_run_file_is_only_read(live):
    path = live.run.path
    live.run.close()
    before, time = path.read_bytes(), path.stat().st_mtime_ns
    with FollowedReport(path, 1) as served:
        asked(served.url)
        served.look()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, time)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_cannot_be_followed_is_refused(live, tmp_path):
    with pytest.raises(RunFileError):
        FollowedReport(tmp_path / "absent.h5", 1)
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(BadInputError):
            FollowedReport(live.run.path, seconds)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInputError, match="--port"):
            FollowedReport(live.run.path, 1, taken.getsockname()[1])


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C reaches a whole console on Windows")
def test_the_command_serves_until_interrupted(live):
    path = Path(live.run.path)
    live.run.close()
    code = "import sys; from hilep.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "report", str(path), "--follow", "0.2", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        # A test that hangs is ended, and then fails for want of an address.
        guard = threading.Timer(60, process.kill)
        guard.start()
        try:
            line = next(line for line in process.stderr if "report at" in line)
            url = re.search(r"http://[0-9.:]+/", line)[0]
            assert asked(url)[0] == 200
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate()
        finally:
            guard.cancel()
            process.kill()
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["report"] == url
