"""Laws of run files: what is written is read, by hilep and by plain h5py."""

import re
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
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
    rows_are_made,
    state_at,
    step,
    written,
)

from hilep.config import Config
from hilep.runfile import RunFile, read_run

DOCUMENT = Path(run_writer.__file__).parent.parent / "docs" / "run-files.md"


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "run.h5"
    with create(path, config_of(31)) as run:
        assert run.latest() is None
        for update in range(32):
            step(run, update)
        run.record(31, **row_at(31))
        run.record_evaluation(31, 0.5, 0.25, 0.125, 7)
        run.finish("done", {"test_accuracy": 0.875, "seconds": 1.5})
        while_live = read_run(path)
    record = read_run(path)
    assert record.config == while_live.config == config_of(31)
    assert record.provenance == {"device": {"description": "made up"}, "python": "3"}
    assert record.curve.update.tolist() == [*range(2, 31, 2), 31]
    assert record.evaluations.update.tolist() == [0, 6, 12, 18, 24, 30, 31]
    assert record.evaluations.classes.tolist()[-1] == 7
    assert record.verdict == "done"
    assert record.results == {"test_accuracy": 0.875, "seconds": 1.5}
    assert record.checkpoint.update == while_live.checkpoint.update == 28
    assert is_made_at(record.checkpoint, record.config)


def test_a_configuration_with_infinite_limits_comes_back(tmp_path):
    config = config_of(10)
    assert config.network.g_max_siemens == float("inf")
    create(tmp_path / "run.h5", config).close()
    assert read_run(tmp_path / "run.h5").config == config


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.integers(-(2**200), 2**200) | st.floats(allow_nan=False) | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=4),
            max_leaves=10,
        ),
        max_size=5,
    )
)
@settings(max_examples=30, deadline=None)
def test_state_comes_back_exactly(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("state") / "run.h5"
    config = config_of(30)
    with create(path, config) as run:
        run.save(0, conductances_at(0, config), bias_at(0, config), state)
        assert run.latest().state == state


def test_conductances_of_every_memory_order_and_type_come_back(tmp_path):
    config = config_of(4)
    shapes = config.network.network().shapes
    for dtype in (np.float32, np.float64):
        with RunFile.create(
            tmp_path / f"{np.dtype(dtype).name}.h5",
            config=config,
            network=config.network.network(),
            dtype=np.dtype(dtype),
            provenance={},
        ) as run:
            for order in "CF":
                arrays = [
                    np.array(np.arange(a * b).reshape(a, b) / 7, dtype=dtype, order=order)
                    for a, b in shapes
                ]
                run.save(0, arrays, np.zeros(6), {})
                for have, want in zip(run.latest().conductances, arrays, strict=True):
                    assert have.dtype == want.dtype
                    assert np.array_equal(have, want)


def test_resume_drops_what_is_later_than_its_checkpoint(tmp_path):
    path = written(tmp_path / "run.h5", last=11)
    with RunFile.resume(path) as run:
        assert run.latest().update == 8
        run.finish("interrupted at update 8", {})
    record = read_run(path)
    assert record.curve.update.tolist() == [2, 4, 6, 8]
    assert record.evaluations.update.tolist() == [0, 6]
    assert record.verdict == "interrupted at update 8"
    RunFile.resume(path).close()
    assert read_run(path).verdict is None


def test_resume_of_a_complete_run_keeps_its_verdict(tmp_path):
    path = tmp_path / "run.h5"
    with create(path, config_of(8)) as run:
        for update in range(9):
            step(run, update)
        run.finish("done", {"updates": 8})
    RunFile.resume(path).close()
    record = read_run(path)
    assert (record.verdict, record.results) == ("done", {"updates": 8})
    assert record.evaluations.update.tolist() == [0, 6]


def test_a_verdict_that_is_too_long_says_so(tmp_path):
    path = tmp_path / "run.h5"
    with create(path, config_of(8)) as run:
        run.finish("é" * 600, {})
    verdict = read_run(path).verdict
    assert verdict.endswith("é…")
    assert 508 < len(verdict.encode()) <= 512


def test_a_checkpoint_needs_little_memory(tmp_path):
    config = Config.model_validate({"network": {"layers": [1570, 1024]}})
    (shape,) = config.network.network().shapes
    conductances = [np.ones(shape, dtype=np.float32, order="F")]
    bias = np.zeros(1024)
    with create(tmp_path / "run.h5", config) as run:
        tracemalloc.start()
        run.save(0, conductances, bias, {})
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 0.1 * conductances[0].nbytes


def test_plain_h5py_reads_what_the_document_names(tmp_path):
    path = written(tmp_path / "run.h5")
    text = DOCUMENT.read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `/([\w/]+)`", text, flags=re.MULTILINE))
    with h5py.File(path, "r") as file:
        there = set()
        file.visititems(
            lambda name, item: there.add(name) if isinstance(item, h5py.Dataset) else None
        )
        assert {re.sub(r"checkpoints/\d", "checkpoints/0", name) for name in there} == named | {
            "checkpoints/0/conductances/1"
        }
        for name in there:
            dataset = file[name]
            assert dataset.chunks is None
            plan = dataset.id.get_create_plist()
            assert plan.get_alloc_time() == h5py.h5d.ALLOC_TIME_EARLY
            assert plan.get_fill_time() == h5py.h5d.FILL_TIME_ALLOC
        assert file["checkpoints/0/conductances/0"].attrs["unit"] == "S"
        assert file["curve/loss"].attrs["unit"] == "V^2"
        assert file.attrs["format"] == "hilep run"


def test_the_programs_in_the_document_run(tmp_path, monkeypatch, capsys):
    written(tmp_path / "run.h5")
    monkeypatch.chdir(tmp_path)
    programs = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert programs
    names = {}
    for program in programs:
        exec(program, names)
    assert names["update"] == 12
    assert np.array_equal(names["conductances"], conductances_at(12, config_of(30))[0])
    assert names["state"] == state_at(12)
    assert rows_are_made(read_run(tmp_path / "run.h5"))
    assert capsys.readouterr().out
