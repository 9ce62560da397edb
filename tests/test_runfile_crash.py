"""Laws: every prefix of the writes opens and resumes; so does a file whose writer was killed."""

import errno
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import run_writer
from run_writer import config_of, create, is_made_at, rows_are_made, save, step

import hilep
from hilep.checkpoint import read_slot
from hilep.errors import StorageError
from hilep.runfile import RunFile, read_run

WRITER = Path(run_writer.__file__)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(hilep.__file__).parent.parent)}


class LoggedFile:
    """A file in memory that remembers each write, and can fail at one, half of it done."""

    def __init__(self, image, fails_at=None):
        self.image = bytearray(image)
        self.writes = []
        self._fails_at = fails_at

    def write_at(self, offset, data):
        data = bytes(data)
        if len(self.writes) == self._fails_at:
            data = data[: len(data) // 2]
        self.image[offset : offset + len(data)] = data
        if len(self.writes) == self._fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.writes.append((offset, data))

    def force(self):
        pass

    def close(self):
        pass


def empty_run(path, updates):
    create(path, config_of(updates)).close()
    return path.read_bytes()


def logged(image, path, fails_at=None):
    """A writer of the run at `path`, on a copy of it in memory."""
    target = LoggedFile(image, fails_at)
    return target, RunFile(path, target)


def data_extents(path):
    """Where the bytes of the datasets lie in the file."""
    extents = []
    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: (
                extents.append((item.id.get_offset(), item.id.get_storage_size()))
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return extents


def crash_images(image, writes):
    """Yield (k, cut, file) with k whole writes; and again with the next one cut in half."""
    image = bytearray(image)
    for k, (start, data) in enumerate([*writes, (0, b"")]):
        yield k, False, bytes(image)
        half = len(data) // 2
        image[start : start + half] = data[:half]
        if half:
            yield k, True, bytes(image)
        image[start : start + len(data)] = data


def test_every_prefix_of_the_writes_opens_and_resumes(tmp_path):
    config = config_of(50)
    image = empty_run(tmp_path / "empty.h5", 50)
    stream, run = logged(image, tmp_path / "empty.h5")
    done = []
    for update in range(51):
        step(run, update, lambda kind, at: done.append((len(stream.writes), kind, at)))
    run.finish("done", {"test_accuracy": 0.9, "updates": 50})
    run.close()

    path = tmp_path / "crashed.h5"
    tried = 0
    for k, cut, crashed in crash_images(image, stream.writes):
        path.write_bytes(crashed)
        saved = [at for end, kind, at in done if kind == "save" and end <= k]
        record = read_run(path)
        if record.checkpoint is None:
            assert not saved
        else:
            assert record.checkpoint.update in ((saved[-1], saved[-1] + 4) if saved else (0,))
            assert is_made_at(record.checkpoint, config)
        assert rows_are_made(record)
        assert {at for end, kind, at in done if kind == "row" and end <= k} <= set(
            record.curve.update.tolist()
        )
        if record.verdict is not None:
            assert (record.verdict, record.results["test_accuracy"]) == ("done", 0.9)

        if not cut:
            # Between two writes the flag tells as much as the checksum: plain h5py may trust it.
            with h5py.File(path, "r") as file:
                for slot in file["checkpoints"].values():
                    assert bool(slot["head"][()]["valid"]) == (read_slot(slot) is not None)

        resumed_at = -1 if record.checkpoint is None else record.checkpoint.update
        with RunFile.resume(path) as resumed:
            latest = resumed.latest()
            assert (-1 if latest is None else latest.update) == resumed_at
            if tried % 10 == 0:
                for update in range(resumed_at + 1, 51):
                    step(resumed, update)
        again = read_run(path)
        last = 50 if tried % 10 == 0 else resumed_at
        assert again.curve.update.tolist() == list(range(2, last + 1, 2))
        assert again.evaluations.update.tolist() == list(range(0, last + 1, 6))
        assert rows_are_made(again)
        assert again.verdict is None
        tried += 1
    assert tried > 400


def test_every_prefix_of_the_writes_of_a_resume_resumes(tmp_path):
    path = tmp_path / "run.h5"
    with create(path, config_of(30)) as run:
        for update in range(12):
            step(run, update)
        run.finish("interrupted at update 11", {"seconds": 1.0})
    image = path.read_bytes()
    stream, run = logged(image, path)
    run._forget()  # what `resume` does to a file once it is open
    run.close()
    assert stream.writes
    for _, _, crashed in crash_images(image, stream.writes):
        path.write_bytes(crashed)
        assert rows_are_made(read_run(path))
        RunFile.resume(path).close()
        record = read_run(path)
        assert record.curve.update.tolist() == [2, 4, 6, 8]
        assert record.evaluations.update.tolist() == [0, 6]
        assert (record.verdict, record.results) == (None, {})


def test_a_run_writes_nothing_but_the_bytes_of_datasets(tmp_path):
    image = empty_run(tmp_path / "empty.h5", 12)
    extents = data_extents(tmp_path / "empty.h5")
    assert all(offset is not None for offset, _ in extents)
    stream, run = logged(image, tmp_path / "empty.h5")
    for update in range(13):
        step(run, update)
    run.finish("done", {})
    run.close()
    for start, data in stream.writes:
        assert any(
            offset <= start and start + len(data) <= offset + size for offset, size in extents
        )
    assert len(stream.image) == len(image)


def test_a_write_that_fails_anywhere_leaves_a_run_that_resumes(tmp_path):
    image = empty_run(tmp_path / "empty.h5", 12)
    stream, run = logged(image, tmp_path / "empty.h5")
    for update in range(13):
        step(run, update)
    run.close()
    path = tmp_path / "failed.h5"
    empty = tmp_path / "empty.h5"

    def write_all(run, done):
        for update in range(13):
            step(run, update, lambda kind, at: done.append((kind, at)))

    for fails_at in range(len(stream.writes)):
        broken, run = logged(image, empty, fails_at)
        done = []
        with pytest.raises(StorageError, match="No space left on device"):
            write_all(run, done)
        saved = [-1, *(at for kind, at in done if kind == "save")]
        with pytest.raises(StorageError):
            run.record(2, 0.0, 0.0, 0.0)
        run.close()
        path.write_bytes(broken.image)
        with RunFile.resume(path) as resumed:
            latest = resumed.latest()
        assert (-1 if latest is None else latest.update) == saved[-1]


def test_killed_writers_leave_runs_that_resume(tmp_path):
    draw = random.Random(20)
    config = config_of(20000)
    with_checkpoint = 0
    for trial in range(24):
        path = tmp_path / f"{trial}.h5"
        with subprocess.Popen(
            [sys.executable, str(WRITER), "endless", str(path)],
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
        ) as writer:
            assert writer.stdout.readline().strip() == b"ready"
            if trial % 4:
                assert writer.stdout.readline().strip() == b"under way"
            time.sleep(draw.uniform(0, 0.15))
            writer.kill()
        if not path.exists():
            continue
        record = read_run(path)
        assert rows_are_made(record)
        with RunFile.resume(path) as run:
            latest = run.latest()
            if latest is None:
                continue
            with_checkpoint += 1
            assert is_made_at(latest, config)
            for update in range(latest.update + 1, latest.update + 10):
                step(run, update)
        record = read_run(path)
        assert record.curve.update.tolist() == list(range(2, latest.update + 10, 2))
        assert is_made_at(record.checkpoint, config)
    assert with_checkpoint >= 15


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file size (RLIMIT_FSIZE)")
@pytest.mark.parametrize("mode", ["full", "full-later"])
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, mode):
    path = tmp_path / "run.h5"
    limit = 60000
    create(path, config_of(40)).close()
    assert path.stat().st_size > limit
    path.unlink()
    writer = subprocess.run(
        [sys.executable, str(WRITER), mode, str(path), str(limit)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=True,
    )
    assert writer.stderr == ""
    assert writer.stdout.startswith(f"run file {path}: cannot be written: File too large")
    assert writer.stdout.count("\n") == 1
    if mode == "full":
        assert list(tmp_path.iterdir()) == []
    else:
        with RunFile.resume(path) as run:
            assert is_made_at(run.latest(), run.config)
            assert run.latest().update == 8
            save(run, 12)
            assert run.latest().update == 12
    assert "what was saved at update 8 is kept" in writer.stdout or mode == "full"


def test_a_disk_that_cannot_be_forced_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    with create(path, config_of(40)) as run:
        step(run, 0)

        def full(descriptor):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr("hilep.inplace.os.fsync", full)
        with pytest.raises(StorageError, match="what was saved at update 0 is kept"):
            save(run, 4)
        with pytest.raises(StorageError):
            run.finish("failed", {})
        with pytest.raises(StorageError, match="cannot be written"):
            create(tmp_path / "other.h5", config_of(40))
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]
    assert np.isin(read_run(path).checkpoint.update, [0, 4])
