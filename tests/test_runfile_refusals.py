"""Laws of run files: damage, misuse and a second writer are one line, never wrong data."""

import errno
import os
import random
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import run_writer
from hypothesis import given, settings
from hypothesis import strategies as st
from run_writer import (
    bias_at,
    conductances_at,
    config_of,
    create,
    is_made_at,
    row_at,
    save,
    step,
    written,
)

import hilep
from hilep.errors import BadInputError, RunFileError, StorageError
from hilep.runfile import RunFile, read_run

DOCUMENT = Path(run_writer.__file__).parent.parent / "docs" / "run-files.md"


def test_damage_in_the_newest_slot_makes_resume_take_the_other(tmp_path):
    path = written(tmp_path / "run.h5")
    draw = random.Random(3)
    with h5py.File(path, "r") as file:
        slots = [file[f"checkpoints/{k}"] for k in "01"]
        newest = max(slots, key=lambda slot: slot["head"][()]["serial"])
        length = int(newest["head"][()]["state_bytes"])
        stretches = [
            (newest["conductances/0"].id.get_offset(), newest["conductances/0"].nbytes),
            (newest["conductances/1"].id.get_offset(), newest["conductances/1"].nbytes),
            (newest["bias_currents"].id.get_offset(), newest["bias_currents"].nbytes),
            (newest["state"].id.get_offset(), length),
            (newest["head"].id.get_offset(), newest["head"].nbytes),
        ]
    whole = path.read_bytes()
    assert read_run(path).checkpoint.update == 12
    for start, size in stretches:
        for _ in range(8):
            damaged = bytearray(whole)
            damaged[start + draw.randrange(size)] ^= 1 << draw.randrange(8)
            path.write_bytes(damaged)
            with RunFile.resume(path) as run:
                assert run.latest().update == 8
                assert is_made_at(run.latest(), run.config)
                save(run, 12)
                assert run.latest().update == 12


def test_damage_in_both_slots_is_one_line(tmp_path):
    path = written(tmp_path / "run.h5")
    with h5py.File(path, "r+", locking=False) as file:
        for slot in "01":
            file[f"checkpoints/{slot}/bias_currents"][0] += 1
    for use in (read_run, RunFile.resume):
        with pytest.raises(RunFileError, match="no valid checkpoint"):
            use(path)


def test_a_flipped_bit_anywhere_is_never_a_wrong_checkpoint(tmp_path):
    path = written(tmp_path / "run.h5")
    whole = path.read_bytes()
    config = config_of(30)
    draw = random.Random(5)
    refused = 0
    # The first bytes are mostly structure, the rest mostly data.
    for end in [4096] * 150 + [len(whole)] * 100:
        damaged = bytearray(whole)
        damaged[draw.randrange(end)] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            record = read_run(path)
        except RunFileError:
            refused += 1
        else:
            assert record.checkpoint.update in (8, 12)
            assert is_made_at(record.checkpoint, config)
    assert refused > 10


def test_a_file_cut_short_is_one_line(tmp_path):
    path = written(tmp_path / "run.h5")
    whole = path.read_bytes()
    draw = random.Random(7)
    for size in [0, 1, 7, 8, 48, len(whole) - 1, *draw.choices(range(len(whole)), k=30)]:
        path.write_bytes(whole[:size])
        for use in (read_run, RunFile.resume):
            with pytest.raises(RunFileError) as caught:
                use(path)
            assert "\n" not in str(caught.value)
    path.write_bytes(whole[:-1])
    with pytest.raises(RunFileError, match="truncated"):
        read_run(path)


@given(st.binary(max_size=2000), st.booleans())
@settings(max_examples=100, deadline=None)
def test_random_bytes_are_one_line(tmp_path_factory, data, signed):
    path = tmp_path_factory.mktemp("random") / "run.h5"
    path.write_bytes((b"\x89HDF\r\n\x1a\n" if signed else b"") + data)
    for use in (read_run, RunFile.resume):
        with pytest.raises(RunFileError) as caught:
            use(path)
        assert "\n" not in str(caught.value)


def test_what_is_not_a_run_file_says_what_it_is(tmp_path):
    for use in (read_run, RunFile.resume):
        with pytest.raises(RunFileError, match="no such file"):
            use(tmp_path / "none.h5")
        with pytest.raises(RunFileError, match="a folder"):
            use(tmp_path)
        other = tmp_path / "other.h5"
        with h5py.File(other, "w") as file:
            file["x"] = 1
        with pytest.raises(RunFileError, match="an HDF5 file, but not a run file"):
            use(other)
        later = written(tmp_path / f"{use.__name__}.h5")
        with h5py.File(later, "r+") as file:
            file.attrs["format_version"] = 2
        with pytest.raises(RunFileError, match=r"format 2, this hilep reads format 1"):
            use(later)
        with h5py.File(later, "r+") as file:
            file.attrs["format_version"] = 1
            del file["curve/loss"]
        with pytest.raises(RunFileError, match="damaged run file"):
            use(later)


def test_an_existing_file_is_kept_unless_told_otherwise(tmp_path):
    path = written(tmp_path / "run.h5")
    before = path.read_bytes()
    with pytest.raises(RunFileError, match="--resume"):
        create(path, config_of(30))
    assert path.read_bytes() == before
    create(path, config_of(30), overwrite=True).close()
    assert read_run(path).checkpoint is None
    with pytest.raises(RunFileError, match="folder"):
        create(tmp_path / "none" / "run.h5", config_of(30))
    with pytest.raises(RunFileError, match="folder"):
        create(tmp_path, config_of(30), overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path):
    path = tmp_path / "run.h5"
    again = (
        "import sys; from pathlib import Path; from hilep.runfile import RunFile, read_run\n"
        "from hilep.errors import RunFileError\n"
        "print(read_run(Path(sys.argv[1])).curve.update.tolist())\n"
        "try: RunFile.resume(Path(sys.argv[1]))\n"
        "except RunFileError as error: print(error)\n"
    )
    with create(path, config_of(30)) as run:
        step(run, 2)
        for attempt in (RunFile.resume, lambda p: create(p, config_of(30), overwrite=True)):
            with pytest.raises(RunFileError, match="in use by another writer"):
                attempt(path)
        other = subprocess.run(
            [sys.executable, "-c", again, str(path)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(Path(hilep.__file__).parent.parent)},
        )
        assert other.stdout.splitlines() == ["[2]", f"{path}: in use by another writer"]
        step(run, 4)
    RunFile.resume(path).close()


@pytest.mark.parametrize("setting", ["TRUE", "FALSE", "BEST_EFFORT"])
def test_the_locks_do_not_depend_on_the_setting_of_hdf5(tmp_path, monkeypatch, setting):
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", setting)
    path = tmp_path / "run.h5"
    with create(path, config_of(30)) as run:
        step(run, 4)
        assert read_run(path).checkpoint.update == 4
        with pytest.raises(RunFileError, match="in use"):
            RunFile.resume(path)


def test_what_cannot_be_stored_is_refused_before_anything_is_written(tmp_path):
    config = config_of(30)
    path = tmp_path / "run.h5"
    with create(path, config) as run:
        step(run, 0)
        before = path.read_bytes()
        good = conductances_at(4, config)
        doubles = [g.astype(np.float64) for g in good]
        for arrays, bias, state, message in (
            (good[:1], bias_at(4, config), {}, "shapes"),
            ([g.T for g in good], bias_at(4, config), {}, "shapes"),
            (doubles, bias_at(4, config), {}, "expected conductances as float32"),
            (good, np.zeros(2), {}, "bias currents of shape"),
            (good, bias_at(4, config), {"x": np.float32(1)}, "JSON"),
            (good, bias_at(4, config), {"x": "y" * 70000}, "at most 65536 bytes"),
        ):
            with pytest.raises(BadInputError, match=message):
                run.save(4, arrays, bias, state)
        with pytest.raises(BadInputError, match="no row is due at update 3"):
            run.record(3, **row_at(3))
        with pytest.raises(BadInputError, match="no row is due at update 32"):
            run.record(32, **row_at(32))
        with pytest.raises(BadInputError, match="expected test_accuracy"):
            run.finish("done", {"accuracy": 1.0})
        assert path.read_bytes() == before
    with pytest.raises(BadInputError, match="provenance"):
        RunFile.create(
            tmp_path / "other.h5",
            config=config,
            network=config.network.network(),
            dtype=np.dtype(np.float32),
            provenance={"x": object()},
        )
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("hilep.durable._Uncomplaining.__init__", refused)
    with pytest.raises(StorageError, match="Permission denied"):
        create(tmp_path / "run.h5", config_of(30))
    assert list(tmp_path.iterdir()) == []
