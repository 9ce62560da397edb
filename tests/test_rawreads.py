"""Laws of raw reads: what is kept is read, and of what a resume repeats the later reads count."""

import errno
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from run_writer import config_of, create

from hilep.errors import BadInputError, RunFileError, StorageError
from hilep.rawreads import RawReads, read_raw_reads, reads_folder
from hilep.reading import Contrast, Reading

NETWORK = config_of().network.network()


def contrast(seed, reads=5, batch=2, moments=False, clamped=False):
    draw = np.random.default_rng(seed)

    def phase():
        inputs = draw.normal(size=(reads, batch, NETWORK.inputs)) if clamped else None
        volts = draw.normal(size=(reads, batch, NETWORK.free_nodes)).astype(np.float32)
        reading = Reading.of_samples(volts, inputs, time_s=1e9 + seed)
        if not moments:
            return reading
        return Reading(
            reading.mean, reads, None, reading.variance, None, reading.time_s,
            np.full((batch, NETWORK.free_nodes), 3, dtype=np.uint8),
        )  # fmt: skip

    return Contrast(
        draw.normal(size=(batch, NETWORK.inputs)),
        phase(),
        phase(),
        draw.normal(size=(batch, NETWORK.outputs)),
        None if moments else draw.normal(size=(batch, NETWORK.outputs)),
    )


def same(a, b):
    """Whether two values, arrays or readings hold the same."""
    if isinstance(a, (Reading, Contrast)):
        names = [name for name in a.__slots__ if name != "blocks"]
        return all(same(getattr(a, name), getattr(b, name)) for name in names)
    if a is None or b is None:
        return a is b
    return np.asarray(a).dtype == np.asarray(b).dtype and np.array_equal(a, b)


@pytest.fixture
def run_path(tmp_path):
    path = tmp_path / "run.h5"
    create(path, config_of(100)).close()
    return path


def test_what_is_kept_is_read(run_path):
    forms = [
        {},
        {"clamped": True},
        {"moments": True},
        {"moments": True, "reads": 1},
        {"batch": 1},
        {"reads": 1},
    ]
    made = [contrast(k, **forms[k // 4]) for k in range(4 * len(forms))]
    writer = RawReads(run_path, NETWORK, segment_bytes=1500)
    for update, one in enumerate(made):
        writer.append(update, one)
    writer.close()
    writer.close()
    back = list(read_raw_reads(run_path))
    assert [update for update, _ in back] == list(range(len(made)))
    assert all(same(have, want) for (_, have), want in zip(back, made, strict=True))
    names = sorted(p.name for p in reads_folder(run_path).iterdir())
    assert len(names) > len(forms)
    assert names == [f"{k:06d}.h5" for k in range(len(names))]


def test_reads_are_copied_when_they_are_kept(run_path):
    one = contrast(0)
    writer = RawReads(run_path, NETWORK)
    writer.append(0, one)
    one.first.volts[...] = 0
    writer.close()
    ((_, back),) = read_raw_reads(run_path)
    assert same(back.first, contrast(0).first)


def test_a_file_without_samples_says_so(run_path):
    writer = RawReads(run_path, NETWORK)
    writer.append(0, contrast(0))
    writer.append(1, contrast(1, moments=True))
    writer.close()
    for number, holds in enumerate(("every sample", "mean and variance only")):
        with h5py.File(reads_folder(run_path) / f"{number:06d}.h5", "r") as file:
            assert file["first"].attrs["holds"] == holds
            assert file["inputs"].attrs["unit"] == "V"


def test_a_resumed_run_supersedes_what_it_repeats(run_path):
    before = RawReads(run_path, NETWORK, segment_bytes=1)
    for update in range(8):
        before.append(update, contrast(update))
    # Killed here; the checkpoint was at 4, and the resumed run is killed again after 6.
    after = RawReads(run_path, NETWORK)
    for update in range(4, 6):
        after.append(update, contrast(100 + update))
    after.flush()
    after.append(6, contrast(106))  # waits in memory, so it is lost
    back = dict(read_raw_reads(run_path))
    assert list(back) == list(range(6))
    for update, one in back.items():
        assert same(one, contrast(update if update < 4 else 100 + update))


def test_a_killed_writer_leaves_no_half_segment(run_path, monkeypatch):
    writer = RawReads(run_path, NETWORK, segment_bytes=1)
    writer.append(0, contrast(0))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("hilep.durable.os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device; earlier segments are kept"):
        writer.append(1, contrast(1))
    monkeypatch.undo()
    assert [p.name for p in reads_folder(run_path).iterdir()] == ["000000.h5"]
    assert [update for update, _ in read_raw_reads(run_path)] == [0]
    (reads_folder(run_path) / ".000001.h5.1.abcd.part").write_bytes(b"half")
    again = RawReads(run_path, NETWORK)
    again.append(1, contrast(1))
    again.close()
    assert [update for update, _ in read_raw_reads(run_path)] == [0, 1]


def test_reads_of_another_run_are_not_mixed_in(run_path):
    writer = RawReads(run_path, NETWORK)
    writer.append(0, contrast(0))
    writer.close()
    create(run_path, config_of(100), overwrite=True).close()
    with pytest.raises(RunFileError, match="another run"):
        RawReads(run_path, NETWORK)
    with pytest.raises(RunFileError, match="another run"):
        list(read_raw_reads(run_path))


def test_damage_and_misuse_are_one_line(run_path):
    assert list(read_raw_reads(run_path)) == []
    writer = RawReads(run_path, NETWORK, segment_bytes=1)
    writer.append(3, contrast(3))
    with pytest.raises(BadInputError, match="update 3 after update 3"):
        writer.append(3, contrast(3))
    other = config_of(layers=(3, 5, 2)).network.network()
    with pytest.raises(BadInputError, match="expected 3 inputs and 7 free nodes"):
        RawReads(run_path, other).append(4, contrast(4))
    segment = reads_folder(run_path) / "000000.h5"
    whole = segment.read_bytes()
    for data in (b"", b"noise", whole[: len(whole) // 2]):
        segment.write_bytes(data)
        with pytest.raises(RunFileError):
            list(read_raw_reads(run_path))
    with pytest.raises(RunFileError, match="no such file"):
        RawReads(Path("none.h5"), NETWORK)
