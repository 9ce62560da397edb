"""A run that dies, however it dies, leaves the outputs off: over sockets, with real processes."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import bench_fakes
import pytest

pytest.importorskip("pymeasure", reason="needs the bench extra")

import bench_loopback

from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.errors import InstrumentError
from hilep.instruments.supervisor import Supervisor

HERE = Path(__file__).parent


@pytest.fixture
def boxes():
    three = [bench_loopback.Box() for _ in range(3)]
    yield three
    for box in three:
        box.close()


@contextlib.contextmanager
def started(folder, boxes, *program):
    """A process that runs a bench of `boxes`."""
    bench_fakes.install(folder, bench_loopback.ENTRY_POINTS)
    path = folder / "bench.toml"
    path.write_text(bench_loopback.bench_text(*boxes))
    folders = (folder, HERE, HERE.parent, os.environ.get("PYTHONPATH", ""))
    process = subprocess.Popen(
        [sys.executable, *program, str(path)],
        # Elsewhere than in a checkout, whose own entry points would be found before these.
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def running(tmp_path, boxes):
    """A process that has the outputs on, and reads."""
    with started(tmp_path, boxes, str(HERE / "bench_loopback.py")) as process:
        assert process.stdout.readline().strip() == "outputs on", process.stderr.read()
        yield process


def off_after(boxes, seconds=60.0):
    """Wait until no output of any box is on."""
    end = time.monotonic() + seconds
    while any(box.on for box in boxes) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(box.on for box in boxes)


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_a_killed_run_leaves_every_output_off(running, boxes, how):
    source, nudge, _ = boxes
    assert source.on == {"a", "b"}
    assert nudge.on == {"a", "b"}
    before = [len(box.said) for box in boxes]
    getattr(running, how)()
    running.wait()
    assert off_after(boxes)
    # It was another process that did it: it connected and asked who is there before it sent off.
    for box, seen in zip(boxes[:2], before, strict=False):
        assert box.connections == 2
        said = box.said[seen:]
        assert said.index("*IDN?") < said.index("OFF")


def test_another_process_is_refused_while_a_run_is_on(running, boxes, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = BenchFile.load(tmp_path / "bench.toml")
    with (
        pytest.raises(InstrumentError, match="another run has"),
        Bench(file, bench_loopback.NETWORK, unchecked=True),
    ):
        raise AssertionError("it was entered")
    assert [box.connections for box in boxes] == [1, 1, 1]
    assert boxes[0].on == {"a", "b"}


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal's signals are another thing there")
def test_ctrl_c_is_the_run_s_own_business(running, boxes):
    import signal

    running.send_signal(signal.SIGINT)
    _, complaints = running.communicate(timeout=60)
    assert "KeyboardInterrupt" in complaints
    # The run itself did it, and said goodbye.
    assert "hilep supervisor:" not in complaints
    assert not any(box.on for box in boxes)


FORKING = """
import os, sys, time, bench_loopback, hilep.instruments.bench
read, forked = hilep.instruments.bench.Bench.read, []
def forking(self, samples=1):
    if not forked:
        forked.append(os.fork())
        if forked == [0]:
            time.sleep(120)
            os._exit(0)
        print(forked[0], flush=True)
    return read(self, samples)
hilep.instruments.bench.Bench.read = forking
bench_loopback.run(sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_forked_child_that_holds_the_pipe_does_not_keep_the_outputs_on(tmp_path):
    # The child holds the sockets as well, so the boxes do not see the run's end.
    boxes = [bench_loopback.Box(crowded=True) for _ in range(3)]
    with started(tmp_path, boxes, "-c", FORKING) as process:
        said = process.stdout.readline()
        assert said, process.stderr.read()
        child = int(said)
        try:
            assert process.stdout.readline().strip() == "outputs on"
            process.kill()
            process.wait()
            assert off_after(boxes)
        finally:
            os.kill(child, 9)
            for box in boxes:
                box.close()


def test_a_run_that_ends_before_the_supervisor_is_ready_leaves_no_traceback(capfd):
    early = Supervisor([])
    early.dismiss(goodbye=True)
    assert early._process.returncode == 0
    assert capfd.readouterr().err == ""
