"""Laws of the report: it says what the run file says, whole, escaped, and loads nothing."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import tomllib
import warnings
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest

from hilep.callbacks import Callback
from hilep.checkpoint import Checkpoint
from hilep.cli import run as hilep
from hilep.config import Config, load
from hilep.experiment import prepare
from hilep.report import default_path, page
from hilep.report_conductances import block_means, cells_text
from hilep.report_facts import facts
from hilep.report_text import abbreviated, prefixed, quantity, sections
from hilep.runrecord import Evaluations, RunRecord, TrainingCurve, read_run

IRIS = (
    "data.name=iris",
    "network.layers=[8,6,3]",
    "device.solver=reference",
    "device.sigma_v=1e-4",
    "device.seed=3",
    "training.updates=60",
    "training.seed=7",
    "training.log_every=5",
    "training.evaluate_every=20",
)


class Page(HTMLParser):
    """What a page holds: its tags, ids, visible text, and its figures as text."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._hidden = 0
        source = content.decode("utf-8")
        self.figures = re.findall(r"<svg.*?</svg>", source, re.DOTALL)
        self.feed(source)
        self.close()
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden += tag == "style"
        if tag == "dd":
            self.words.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def trained(path: Path, *settings: str, callbacks: tuple[Callback, ...] = ()) -> Path:
    prepare(load(None, [*IRIS, *settings]), path).execute(callbacks)
    return path


class StopsAt(Callback):
    def __init__(self, update: int) -> None:
        self.update = update

    def on_update(self, trainer) -> None:
        if trainer.update == self.update:
            trainer.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="module")
def iris(folder) -> Path:
    return trained(folder / "iris.h5")


@pytest.fixture(scope="module")
def digits(folder) -> Path:
    return trained(
        folder / "digits.h5", "data.name=digits", "network.layers=[128,20,10]",
        "training.updates=20",
    )  # fmt: skip


def report(path: Path) -> Page:
    return Page(page(read_run(path)))


def with_config(record: RunRecord, *settings: str) -> RunRecord:
    tables = json.loads(record.config.to_json())
    for setting in settings:
        key, _, value = setting.partition("=")
        section, _, name = key.partition(".")
        tables[section][name] = tomllib.loads(f"value = {value}")["value"]
    return dataclasses.replace(record, config=Config.model_validate(tables))


# One self-contained page --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_the_page_loads_nothing(name, request):
    found = report(request.getfixturevalue(name))
    assert not {tag for tag, _ in found.tags} & {"script", "iframe", "object", "embed", "base"}
    for tag, attributes in found.tags:
        for key, value in attributes.items():
            if key in ("src", "href", "xlink:href", "action", "data", "srcset", "poster"):
                assert value.startswith(("#", "data:")), (tag, key, value[:60])
            assert key == "xmlns" or "://" not in (value or ""), (tag, key)
            assert not key.startswith("on"), (tag, key)


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_each_figure_is_xml_with_a_label_and_its_references_are_there(name, request):
    found = report(request.getfixturevalue(name))
    assert len(found.figures) == sum(tag == "svg" for tag, _ in found.tags)
    for figure in found.figures:
        root = ElementTree.fromstring(figure)
        assert root.get("role") == "img"
        assert len(root.get("aria-label")) > 10
        ids = {element.get("id") for element in root.iter()}
        wanted = set(re.findall(r"url\(#([^)]+)\)", figure))
        wanted |= set(re.findall(r'href="#([^"]+)"', figure))
        assert wanted
        assert wanted <= ids


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_no_id_is_there_twice(name, request):
    found = report(request.getfixturevalue(name))
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 0


def test_figures_take_their_colours_from_the_page(digits):
    for figure in report(digits).figures:
        colours = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]+)", figure))
        assert "var(--ink)" in figure
        # White is the inside of a clip path at most; it is never painted.
        assert not colours & {"#000000", "#ffffff"}


def test_the_same_run_file_gives_the_same_bytes(iris, tmp_path):
    copy = tmp_path / "iris.h5"
    copy.write_bytes(iris.read_bytes())
    assert page(read_run(iris)) == page(read_run(copy))


def test_settings_of_the_user_do_not_reach_the_figures(iris):
    import matplotlib

    before = page(read_run(iris))
    with matplotlib.rc_context({"svg.fonttype": "path", "font.size": 30, "axes.grid": False}):
        assert page(read_run(iris)) == before
        assert matplotlib.rcParams["font.size"] == 30


def test_a_page_of_a_large_network_stays_small():
    shape = (1568, 1024)
    config = load(None, ["data.name=mnist", "network.layers=[1568,1024,10]"])
    generator = np.random.default_rng(0)
    rows = np.arange(1, 20001)
    noise = generator.random(rows.size)
    record = RunRecord(
        Path("large.h5"), "0" * 32, "0", config, {"device": {"sigma_v": noise[:1034].tolist()}},
        TrainingCurve(rows, noise, noise, noise),
        Evaluations(rows, noise, noise, noise, rows % 10),
        Checkpoint(
            20000, [generator.random(s).astype(np.float32) for s in (shape, (1024, 10))],
            generator.normal(size=1034), {},
        ),
        "done", {"test_accuracy": 0.9805, "updates": 20000.0},
    )  # fmt: skip
    content = page(record)
    assert len(content) < 3e6
    text = Page(content).text
    assert "each pixel the mean of 7 x 4" in text
    assert "Each point is the mean of 25 rows." in text
    assert "98.05 ± 0.14 %" in text
    low, high = float(noise[:1034].min()), float(noise[:1034].max())
    assert f"device.sigma_v 1034 values, {low!r} .. {high!r}" in text
    assert "16 of 1024 hidden nodes" in text


# What it says -------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_file(iris):
    with h5py.File(iris, "r") as file:
        accuracy = float(file["result/test_accuracy"][()])
        loss = float(file["result/test_loss"][()])
        first = file["checkpoints/0/conductances/0"][...]
    text = report(iris).text
    error = math.sqrt(accuracy * (1 - accuracy) / 30)
    assert f"{100 * accuracy:.2f} ± {100 * error:.2f} %" in text
    assert "binomial standard error, 30 test samples" in text
    assert "binomial standard error, 12 validation samples" in text
    assert f"Test loss {loss:.6g} V²" in text
    assert "8-6-3" in text
    assert "Read noise sigma 100 µV" in text
    assert "data 0, training 7, device 3" in text
    assert "Trials 1 (this run)" in text
    assert "60 of 60, batch 4" in text
    zeros = (first == 0).sum()
    assert f"{zeros} of 48 cells ({100 * zeros / 48:.2f} %) at g_min (0 S)" in text
    assert f"Sigma over full-scale input {1e-4 / 50:.4g} " in text
    assert f"Sigma over target {1e-4:.4g} " in text


def test_reads_divide_sigma_by_their_square_root(iris):
    record = with_config(read_run(iris), "training.reads=16")
    assert f"mean of N reads over full-scale input {1e-4 / 50 / 4:.4g} " in Page(page(record)).text


def test_a_converter_gives_ratios_to_its_range_and_step(iris):
    record = with_config(read_run(iris), "device.adc_bits=12", "device.adc_range_v=2.0")
    text = Page(page(record)).text
    assert f"Sigma over read range (-2 to +2 V) {1e-4 / 4:.4g} " in text
    assert f"Sigma over converter step (12 bits) {1e-4 / 4 * 4096:.4g} " in text


def test_an_accuracy_of_other_data_gets_no_error(iris):
    record = read_run(iris)
    other = {**record.provenance, "device": {"data_sha256": "of something else"}}
    known = facts(dataclasses.replace(record, provenance=other))
    assert known.test_accuracy is not None
    assert known.standard_error is None
    content = page(dataclasses.replace(record, provenance=other))
    assert "No standard error: the number of test samples is not" in Page(content).text


def test_every_key_of_the_configuration_comes_back_from_its_text(iris):
    config = read_run(iris).config
    texts = sections(config)
    back = tomllib.loads("\n".join(texts.values()))
    for name, text in texts.items():
        there = getattr(config, name).model_dump(mode="python")
        assert back[name] == {key: value for key, value in there.items() if value is not None}
        for key in there:
            assert re.search(rf"^(# )?{key}\b", text, re.MULTILINE)
    shown = report(iris)
    assert "".join(shown.words).count(texts["training"]) == 1


def test_a_long_list_says_how_many_values_and_their_range():
    assert abbreviated([2.0] * 1000 + [1.5, 3.0]) == "1002 values, 1.5 .. 3.0"
    assert abbreviated([1, 2]) == "[1, 2]"
    config = Config.model_validate({"device": {"sigma_v": [1e-5] * 40}})
    assert "# sigma_v: 40 values, 1e-05 .. 1e-05" in sections(config)["device"]


@pytest.mark.parametrize("exponent", range(-15, 10))
def test_a_prefix_scales_and_loses_nothing(exponent):
    value = 1.25 * 10.0**exponent
    scale, _ = prefixed(value)
    assert 1 <= value / scale < 1000
    assert math.isclose(float(quantity(value, "V").split("\N{NO-BREAK SPACE}")[0]) * scale, value)


def test_text_from_the_file_is_escaped(iris):
    evil = "<script>alert('&')</script>"
    record = with_config(read_run(iris), f"device.note={json.dumps(evil)}")
    provenance = {**record.provenance, evil: evil, "command": ["hilep", evil, "\udcff"]}
    provenance["device"] = {"description": evil, "settings": [evil] * 30}
    record = dataclasses.replace(
        record, provenance=provenance, run_id=evil, verdict=f"failed {evil}", path=Path(evil)
    )
    content = page(record, note=evil)
    assert b"<script" not in content
    found = Page(content)
    assert "script" not in {tag for tag, _ in found.tags}
    assert found.text.count(evil) >= 8


def test_means_of_blocks_keep_the_mean():
    values = np.random.default_rng(0).random((37, 5)).astype(np.float32)
    means, block = block_means(values, 10)
    assert block == (4, 1)
    assert means.shape == (10, 5)
    np.testing.assert_allclose(means[0], values[:4].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(means[-1], values[36:].mean(axis=0), rtol=1e-6)


def test_cells_at_the_window_count_as_the_device_holds_them():
    window = {"g_min_siemens": 1e-6, "g_max_siemens": 1e-4}
    network = Config.model_validate({"network": {"layers": [2, 2], **window}}).network.network()
    cells = np.array([[1e-6, 1e-4], [5e-5, np.nan]], dtype=np.float32)
    text = cells_text(cells, network).replace("\N{NO-BREAK SPACE}", " ")
    assert "1 of 3 cells (33.33 %) at g_min (1 µS)" in text
    assert "1 of 3 cells (33.33 %) at g_max (100 µS)" in text
    assert "1 cells are not finite" in text


def test_pictures_are_shown_only_of_data_that_are_pictures(iris, digits):
    assert "Receptive fields" not in report(iris).text
    assert "Receptive fields. 16 of 20 hidden nodes" in report(digits).text


# Runs that are not done ---------------------------------------------------------------------------


def test_a_run_without_a_row_says_so(folder):
    prepared = prepare(load(None, [*IRIS]), folder / "fresh.h5")
    try:
        text = report(folder / "fresh.h5").text
    finally:
        prepared.run.close()
    assert "not finished" in text
    assert "0 of 60 updates" in text
    assert "No row has been written yet." in text
    assert "No checkpoint yet" in text
    assert "No test accuracy" in text


def test_a_live_run_with_one_row_is_shown(folder):
    prepared = prepare(load(None, [*IRIS]), folder / "live.h5")
    with prepared.run as run:
        run.record(5, 0.25, 0.5, 1.0)
        run.record_evaluation(20, 1.0, 0.1, 0.0, 3)
        found = report(folder / "live.h5")
    assert "20 of 60 updates so far" in found.text
    assert len(found.figures) == 6


def test_an_interrupted_run_says_where(folder):
    path = trained(folder / "stopped.h5", callbacks=(StopsAt(33),))
    text = report(path).text
    assert "interrupted at update 33" in text
    assert "after 33 of 60 updates" in text
    assert "Conductances after 33 updates" in text


def test_a_diverged_run_shows_what_came_before(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        path = trained(folder / "diverged.h5", "training.eta=1e200", "training.log_every=1")
    text = report(path).text
    assert read_run(path).verdict.startswith("diverged at update")
    assert read_run(path).verdict in text
    assert "No test accuracy" in text
    assert "No checkpoint: the run ended before" in text


@pytest.mark.parametrize(
    "settings",
    [
        ("network.layers=[8,3]", "network.g_min_siemens=1e-2"),
        ("network.layers=[8,5,4,3]", "network.bias=row"),
        ("network.bias=none", "data.doubled=false", "network.layers=[4,6,3]"),
        ("data.name=xor", "network.layers=[4,4,2]", "training.updates=1"),
        ("training.variant=chl", "training.nudging=clamp"),
        ("data.validation_fraction=0.0",),
    ],
)
def test_every_kind_of_network_has_a_page(settings, tmp_path):
    path = trained(tmp_path / "kind.h5", *settings)
    found = report(path)
    assert read_run(path).verdict in found.text
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


# The command --------------------------------------------------------------------------------------


def test_the_command_writes_beside_the_run_and_says_where(iris, capsys):
    assert hilep(["report", str(iris), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    record = read_run(iris)
    assert said["report"] == str(iris.with_name("iris.report.html"))
    assert said["verdict"] == record.verdict
    assert said["test_accuracy"] == record.results["test_accuracy"]
    assert said["updates"] == 60
    assert Path(said["report"]).read_bytes() == page(record)


def test_a_report_replaces_an_older_one_and_leaves_nothing_else(iris, tmp_path):
    out = tmp_path / "page.html"
    out.write_text("older")
    before = iris.read_bytes()
    assert hilep(["report", str(iris), "-o", str(out)]) == 0
    assert out.read_bytes() == page(read_run(iris))
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert iris.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "expected"), [("a.h5", "a"), ("a.b.HDF5", "a.b"), ("run.1", "run.1"), ("run", "run")]
)
def test_two_runs_do_not_share_a_report(name, expected):
    assert default_path(Path("x") / name) == Path("x") / f"{expected}.report.html"


def test_nothing_but_a_report_is_replaced(iris, digits, tmp_path, capsys):
    for out in (iris, digits, tmp_path):
        before = out.read_bytes() if out.is_file() else None
        assert hilep(["report", str(iris), "-o", str(out)]) == 2
        assert out.is_dir() if before is None else out.read_bytes() == before
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_is_one_line(iris, tmp_path, capsys):
    assert hilep(["report", str(iris), "-o", str(tmp_path / "none" / "a.html")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_bad_run_file_is_one_line(tmp_path, capsys):
    text = tmp_path / "text.h5"
    text.write_text("no run")
    for path in (text, tmp_path / "absent.h5", tmp_path):
        assert hilep(["report", str(path)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["text.h5"]


def test_options_that_contradict_each_other_are_refused(iris, capsys):
    for options in (["--port", "0"], ["--follow", "5", "-o", "a.html"], ["--follow", "0"],
                    ["--follow", "nan"], ["--follow", "5", "--port", "70000"]):  # fmt: skip
        assert hilep(["report", str(iris), *options]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
