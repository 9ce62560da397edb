"""Every message of a bench is in its recording before it goes out, whatever happens then."""

import gc
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import bench_fakes
import bench_loopback
import numpy as np
import pytest
from bench_cases import Case
from bench_loopback import NETWORK, Box
from recorded_sessions import messages

from hilep.errors import ConfigError, StorageError

pytest.importorskip("pymeasure", reason="needs the bench extra")

from hilep.instruments import locks, taps
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.errors import InstrumentError, NotAnswering
from hilep.instruments.recordfile import Message, RecordingError
from hilep.instruments.recording import RecordedBench
from hilep.instruments.recordreader import RecordReader
from hilep.instruments.replaying import ReplayedBench

SHORT = 'timeout_s = 0.3\ndriver = "loop-reader"'


class Boxes:
    """A source, a nudge and a reader on loopback, and their bench file."""

    def __init__(self, folder):
        self.all = {"src": Box(), "nud": Box(), "daq": Box()}
        text = bench_loopback.bench_text(*self.all.values())
        self.path = folder / "bench.toml"
        self.path.write_text(text.replace('driver = "loop-reader"', SHORT))
        self.recording = folder / "session.hilep"

    def bench(self):
        file = BenchFile.load(self.path)
        return RecordedBench(file, NETWORK, self.recording, unchecked=True)


@pytest.fixture
def boxes(tmp_path, monkeypatch):
    bench_fakes.install(tmp_path, bench_loopback.ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path / "locks")
    made = Boxes(tmp_path)
    text = made.path.read_text().replace("[interlock]", "[interlock]\nsupervisor = false")
    made.path.write_text(text)
    yield made
    for box in made.all.values():
        box.close()


def used(bench, reads=2):
    """What a short session brings."""
    with bench:
        bench.program([np.full((2, 2), 1e-6)])
        bench.clamp([0.5, -0.5])
        return [bench.read().mean.tolist() for _ in range(reads)]


def test_the_recording_holds_what_each_instrument_was_told_and_said(boxes):
    used(boxes.bench())
    for name, box in boxes.all.items():
        found = messages(boxes.recording, name)
        assert [m.content.decode() for m in found if m.did == "write"] == box.said
        assert (found[0].did, found[-1].did) == ("open", "close")
        assert b"Makers,LOOP1,0007,1.0" in [m.content for m in found if m.did == "read"]
        times = [m.time_s for m in found]
        assert times == sorted(times)
    head = json.loads(boxes.recording.read_text().splitlines()[0])
    assert head["text"] == boxes.path.read_text()
    assert head["sha256"] == BenchFile.load(boxes.path).sha256


def test_every_prefix_of_a_recording_can_be_read(boxes, tmp_path):
    used(boxes.bench(), reads=1)
    content = boxes.recording.read_bytes()
    whole = {name: messages(boxes.recording, name) for name in boxes.all}
    head = content.index(b"\n") + 1
    path = tmp_path / "prefix.hilep"
    generator = np.random.default_rng(0)
    cuts = {0, 1, head - 1, head, head + 1, len(content), *generator.integers(0, len(content), 60)}
    for cut in sorted(map(int, cuts)):
        path.write_bytes(content[:cut])
        if cut < head:
            with pytest.raises(RecordingError, match=r"no recording"):
                RecordReader(path)
            continue
        found = {name: messages(path, name) for name in boxes.all}
        for name, some in found.items():
            assert some == whole[name][: len(some)]
        assert sum(map(len, found.values())) == content[head:cut].count(b"\n")


def test_instruments_may_read_a_recording_each_in_its_own_thread(boxes):
    used(boxes.bench(), reads=40)
    found = {}

    def collect(reader, name):
        found[name] = []
        while (message := reader.next(name)) is not None:
            found[name].append(message)

    with RecordReader(boxes.recording) as reader:
        threads = [threading.Thread(target=collect, args=(reader, name)) for name in boxes.all]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {name: messages(boxes.recording, name) for name in boxes.all}


def test_a_line_that_was_changed_or_is_missing_is_told(boxes):
    used(boxes.bench(), reads=1)
    lines = boxes.recording.read_bytes().splitlines(keepends=True)
    boxes.recording.write_bytes(b"".join([*lines[:5], b"{nonsense\n", *lines[6:]]))
    with pytest.raises(RecordingError, match=r"session\.hilep: line 6: is damaged"):
        messages(boxes.recording)
    boxes.recording.write_bytes(b"".join([*lines[:5], *lines[6:]]))
    with pytest.raises(RecordingError, match="expected message"):
        messages(boxes.recording)


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of POSIX")
def test_after_kill_9_the_recording_holds_all_that_was_sent(boxes):
    here = Path(__file__).parent
    paths = [str(boxes.path.parent), str(here), str(here.parent), *sys.path]
    process = subprocess.Popen(
        [sys.executable, str(here / "recorded_loop.py"), str(boxes.path), str(boxes.recording)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(part for part in paths if part)},
    )
    with process:
        assert process.stdout.readline() == "reading\n"
        time.sleep(0.2)
        process.kill()
    for name, box in boxes.all.items():
        recorded = [m.content.decode() for m in messages(boxes.recording, name) if m.did == "write"]
        assert box.said == recorded[: len(box.said)]
        assert len(recorded) - len(box.said) in (0, 1)
    assert len(boxes.all["daq"].said) > 5
    # The next run goes on behind it, even where the last line was cut.
    content = boxes.recording.read_bytes()
    boxes.recording.write_bytes(content[:-4])
    again = used(boxes.bench())
    messages(boxes.recording)
    assert used(ReplayedBench.load(boxes.recording, NETWORK, part=2)) == again
    with pytest.raises(RecordingError, match="expected part 3, it has 2"):
        RecordReader(boxes.recording, part=3)


@pytest.mark.parametrize("fault", ["silent", "gone", "binary", "foreign"])
def test_what_fails_fails_again_in_a_replay(boxes, fault):
    daq = boxes.all["daq"]
    obey, asked = daq.obey, []

    def failing(text):
        answer = obey(text)
        if text.startswith("READ?"):
            asked.append(text)
            if len(asked) == 2:
                if fault == "gone":
                    raise OSError("cable pulled")
                return {"silent": None, "binary": "\x00,\x01", "foreign": "0,é"}[fault]
        return answer

    daq.obey = failing
    with pytest.raises(InstrumentError) as recorded:
        used(boxes.bench(), reads=4)
    assert (recorded.type is NotAnswering) == (fault in ("silent", "gone"))
    daq.close()
    with pytest.raises(recorded.type) as replayed:
        used(ReplayedBench.load(boxes.recording, NETWORK), reads=4)
    assert re.sub(r"REPLAY[-\d]+::", "", str(replayed.value)) == str(recorded.value)
    failures = [m.fields["kind"] for m in messages(boxes.recording, "daq") if m.did == "failed"]
    assert failures[:1] == {"binary": ["visa"], "foreign": ["not text"]}.get(fault, failures[:1])
    assert failures


def test_a_disk_that_is_full_ends_the_run_with_its_outputs_off(boxes):
    bench = boxes.bench()
    bench.program([np.full((2, 2), 1e-6)])
    bench.clamp([0.5, -0.5])
    bench.read()
    assert boxes.all["src"].on

    class Full:
        def write(self, line):
            raise OSError("no space left on device")

        def close(self):
            pass

    bench.writer.close()
    bench.writer._file = Full()
    bench.read()
    with bench, pytest.raises(StorageError, match=r"session\.hilep: cannot be recorded to: no"):
        bench.clamp([0.1, 0.1])
    assert not any(box.on for box in boxes.all.values())


def test_nothing_is_tapped_once_the_bench_is_gone(boxes):
    bench = boxes.bench()
    used(bench)
    resource = boxes.all["src"].resource
    assert taps.tap_of(resource) is not None
    del bench
    gc.collect()
    assert taps.tap_of(resource) is None


def test_another_file_is_not_written_to(boxes):
    boxes.recording.write_text("my thesis")
    with pytest.raises(RecordingError, match="is no recording"):
        boxes.bench()
    assert boxes.recording.read_text() == "my thesis"
    with pytest.raises(StorageError, match="cannot be recorded to"):
        RecordedBench(BenchFile.load(boxes.path), NETWORK, boxes.path.parent, unchecked=True)


def test_a_driver_with_a_connection_of_its_own_is_refused(tmp_path, monkeypatch):
    bench_fakes.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    case = Case(tmp_path)
    with pytest.raises(ConfigError, match=r"instruments\.\w+\.driver: 'fake-\w+' has a connection"):
        RecordedBench(case.file(), case.network, tmp_path / "session.hilep", unchecked=True)
    assert not (tmp_path / "session.hilep").exists()


@pytest.mark.parametrize("content", [b"", b"plain \t text", b"\x00\xff\n#0", b'"\\', b"\n"])
def test_any_bytes_come_back(content):
    message = Message("smu1", 3, "read", content, {}, 1.5)
    line = message.line()
    assert line.count(b"\n") == 1
    assert Message.of(json.loads(line)) == message
