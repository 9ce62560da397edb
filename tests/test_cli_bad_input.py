"""Law: what a user gets wrong is one line, exit status 2, and no file."""

import sys
from types import ModuleType
from urllib.error import URLError

import h5py
import numpy as np
import pytest
from command_line import ROOT, SMALL, ended, settings, toml

from hilep.cli import run

NEGATIVE_SPRING = {
    "training.variant": '"negative"',
    "training.nudging": '"spring"',
    "training.loss": '"half-sum"',
    "training.beta_siemens": "1e6",
}


def sets(**values):
    return {key.replace("__", "."): value for key, value in values.items()}


# What is set, and words that the one line has to have.
WRONG = [
    # Keys
    (sets(foo__x="1"), "foo"),
    (sets(training__foo="1"), "training.foo: unknown key"),
    ({"training.updates.foo": "1"}, "training.updates"),
    ({"device.cells.foo": "1"}, "device.cells.foo: unknown key"),
    ({"device.cells.levels": "1"}, "device.cells.levels: input should be greater than"),
    ({"device.cells..levels": "4"}, "expected section.key=value"),
    ({"training.log-every": "1"}, "training.log-every: unknown key"),
    (sets(device__foo="1"), "device.foo: unknown key"),
    # Types
    (sets(training__updates='"many"'), "training.updates"),
    (sets(training__updates="many"), "training.updates"),
    (sets(training__updates="1.5"), "training.updates"),
    (sets(training__updates="true"), "training.updates"),
    (sets(training__updates=""), "training.updates"),
    (sets(training__updates="3\nfoo = 5"), "training.updates"),
    (sets(training__updates="2020-01-01"), "training.updates"),
    (sets(training__updates="{a = 1}"), "training.updates"),
    (sets(training__beta_siemens="true"), "training.beta_siemens"),
    (sets(training__beta_siemens='"1"'), "training.beta_siemens"),
    (sets(training__keep_reads="1"), "training.keep_reads"),
    (sets(data__doubled="0"), "data.doubled"),
    (sets(data__gamma_v="true"), "data.gamma_v"),
    (sets(network__layers='"4-6-2"'), "network.layers"),
    (sets(network__layers="[4, 6.5, 2]"), "network.layers.1"),
    (sets(network__diodes="true"), "network.diodes:"),
    (sets(network__diodes="[1.5]"), "network.diodes:"),
    (sets(device__backend="1"), "device.backend"),
    (sets(device__sigma_v='"loud"'), "device.sigma_v"),
    (sets(device__sigma_v="true"), "device.sigma_v"),
    (sets(device__seed="1.5"), "device.seed"),
    (sets(device__clamped_noise="1"), "device.clamped_noise"),
    # Numbers
    *(
        ({key: value}, key)
        for key in (
            "training.beta_siemens",
            "training.eta",
            "training.eta_bias",
            "training.schedule_end",
            "training.checkpoint_seconds",
            "data.gamma_v",
            "data.target_v",
            "data.target_off_v",
            "network.bias_v",
            "network.g_min_siemens",
            "network.initial_scale_siemens",
            "device.sigma_v",
        )
        for value in ("nan", "inf")
    ),
    (sets(network__g_max_siemens="nan"), "network.g_max_siemens"),
    (sets(network__voltage_limit_v="nan"), "network.voltage_limit_v"),
    (sets(network__current_limit_a="nan"), "network.current_limit_a"),
    *(
        ({key: value}, key)
        for key in (
            "training.beta_siemens",
            "training.reads",
            "training.updates",
            "training.batch_size",
            "training.relaxation_sweeps",
            "training.relaxation_tolerance",
            "training.evaluation_reads",
            "training.log_every",
            "training.evaluate_every",
            "network.bias_v",
            "network.g_max_siemens",
            "network.voltage_limit_v",
            "network.current_limit_a",
            "network.initial_scale_siemens",
            "data.gamma_v",
            "data.target_v",
            "data.downsample",
        )
        for value in ("0", "-1")
    ),
    (sets(training__eta="-1"), "training.eta.0"),
    (sets(training__eta="[0.1, -1]"), "training.eta.1"),
    (sets(training__seed="-1"), "training.seed"),
    (sets(training__updates="99999999999999999999"), "training.updates"),
    (sets(training__batch_size="99999999999999999999"), "training.batch_size"),
    (sets(training__reads="99999999999999999999"), "training.reads"),
    (sets(training__log_every="99999999999999999999"), "training.log_every"),
    (sets(network__layers="[4, 99999999999999999999, 2]"), "network.layers.1"),
    (sets(data__gamma_v="1e300"), "data.gamma_v"),
    (sets(data__target_off_v="1"), "data.target_v, target_off_v"),
    (sets(data__validation_fraction="1"), "data.validation_fraction"),
    (sets(data__test_fraction="0"), "data.test_fraction"),
    (sets(training__schedule_steps="[2]"), "training.schedule_steps.0"),
    (sets(training__checkpoint_seconds="-1"), "training.checkpoint_seconds"),
    (sets(network__g_min_siemens="2", network__g_max_siemens="1"), "network.g_min_siemens"),
    (sets(network__g_min_siemens="1", network__g_max_siemens="1"), "network.g_min_siemens"),
    (sets(network__initial_scale_siemens="1e308"), "network.initial_scale_siemens: expected"),
    (sets(device__sigma_v="-1e-6"), "device.sigma_v"),
    # Lengths
    (sets(device__sigma_v="[0.1, 0.2]"), "device.sigma_v: expected shape (8,)"),
    (sets(device__sigma_v="[]"), "device.sigma_v"),
    (sets(network__layers="[4]"), "network.layers"),
    (sets(network__layers="[]"), "network.layers"),
    (sets(network__layers="[4, 0, 2]"), "network.layers.1"),
    (sets(network__layers="[2, 6, 2]"), "has 4 inputs and 2 outputs"),
    (sets(network__layers="[4, 6, 10]"), "has 4 inputs and 2 outputs"),
    (sets(network__diodes='["relu", "relu"]'), "network.diodes"),
    (sets(network__diodes="[[1, -1]]"), "network.diodes[0]: expected 6 entries"),
    (sets(network__diodes="[[1, 2, 1, 1, 1, 1]]"), "network.diodes[0]"),
    (sets(training__eta="[0.1, 0.1, 0.1]"), "training.eta: expected one value, or one per layer"),
    (sets(training__eta="[]"), "training.eta"),
    (sets(training__eta_bias="[0.1, 0.1, 0.1]"), "training.eta_bias"),
    # Words
    (sets(device__backend="foo"), "unknown backend 'foo'; known: "),
    (sets(data__name="foo"), "data.name: expected one of digits, "),
    (sets(network__diodes="foo"), '"relu", "split", "none"'),
    (sets(network__bias="foo"), "'none', 'current' or 'row'"),
    (sets(network__initial="foo"), "'clipped-uniform' or 'absolute-uniform'"),
    (sets(training__variant="foo"), "'positive', 'negative', 'centered' or 'chl'"),
    (sets(training__nudging="foo"), "'current', 'spring' or 'clamp'"),
    (sets(training__loss="foo"), "'half-sum' or 'mean'"),
    (sets(training__reduction="foo"), "'sum' or 'mean'"),
    (sets(training__schedule="foo"), "'constant', 'linear', 'cosine' or 'step'"),
    (sets(training__estimator="foo"), "'square-of-means', 'mean-of-squares' or 'unbiased'"),
    (sets(device__solver="foo"), "'auto', 'fast' or 'reference'"),
    (sets(device__precision="foo"), "'float32' or 'float64'"),
    # What contradicts each other
    (sets(training__variant="chl"), '"clamp"'),
    (sets(training__nudging="clamp"), '"clamp"'),
    (sets(training__estimator="unbiased"), "training.reads >= 2"),
    (
        sets(training__relaxation_sweeps="3", training__relaxation_tolerance="0.1"),
        "relaxation_sweeps or relaxation_tolerance, not both",
    ),
    (sets(device__adc_bits="8"), "adc_bits and adc_range_v"),
    (sets(device__adc_range_v="8"), "adc_bits and adc_range_v"),
    (sets(device__adc_bits="33", device__adc_range_v="8"), "device.adc_bits"),
    (sets(device__clamped_noise="true", device__sigma_v="[0.1]"), "clamped_noise"),
    (sets(data__name="file"), "data.file"),
    (sets(data__name="file", data__file="nowhere.npz"), "nowhere.npz cannot be read"),
    (sets(data__file="x.npz"), "data.file"),
    (sets(data__downsample="2"), "data.downsample"),
    # Limits that only data, conductances or voltages show
    (sets(network__voltage_limit_v="49.9"), "asks for 50 V, the limit is 49.9 V; see data.gamma_v"),
    (sets(network__current_limit_a="1e-9"), "the limit is 1e-09 A"),
    (NEGATIVE_SPRING, "a spring of -1e+06 S"),
]


def refused(words, capsys, folder):
    """Return the one line with which `words` are refused."""
    there = sorted(folder.iterdir())
    status = run(words)
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("hilep: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert sorted(folder.iterdir()) == there
    return err


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[str(values) for values, _ in WRONG])
def test_a_wrong_setting(values, words, capsys, folder):
    assert words in refused(["train", *settings(values)], capsys, folder)


FILES = {
    "syntax": ("[data\n", "not TOML"),
    "twice": ("[data]\nname = 'xor'\nname = 'iris'\n", "not TOML"),
    "deep": ("a = " + 5000 * "[", "not TOML"),
    "digits": ("[training]\nupdates = " + 5000 * "9", "not TOML"),
    "section": ("training = 3\n", "training: expected a section, got 3"),
    "device section": ("device = 3\n", "device: expected a section, got 3"),
    "array of tables": ("[[training]]\nupdates = 3\n", "training: expected a section"),
    "no section": ("updates = 3\n", "updates: unknown key"),
    "unknown section": ("[foo]\n", "foo: unknown key"),
    "unknown key": ("[network]\nlayer = [1, 2]\n", "network.layer: unknown key"),
    "large": ("[training]\nbeta_siemens = 1" + 400 * "0", "training.beta_siemens"),
    "byte order mark": ("\N{ZERO WIDTH NO-BREAK SPACE}[data]\nfoo = 1\n", "data.foo: unknown key"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file_is_named(name, capsys, folder):
    text, words = FILES[name]
    (folder / "run.toml").write_text(text, encoding="utf-8")
    line = refused(["train", "run.toml"], capsys, folder)
    assert "run.toml: " in line
    assert words in line


def test_a_wrong_override_of_a_file_is_told_from_the_file(capsys, folder):
    (folder / "run.toml").write_text(toml(SMALL))
    line = refused(["train", "run.toml", "--set", "training.updates=0"], capsys, folder)
    assert line.startswith("hilep: run.toml with --set: training.updates: ")


def test_a_file_that_cannot_be_read(capsys, folder):
    (folder / "latin.toml").write_bytes(b"[data]\nname = '\xe9'\n")
    (folder / "folder.toml").mkdir()
    assert "latin.toml: not TOML: 'utf-8'" in refused(["train", "latin.toml"], capsys, folder)
    for name in ("folder.toml", "nowhere.toml"):
        line = refused(["train", name], capsys, folder)
        assert line.startswith(f"hilep: {name}: cannot be read: ")


@pytest.mark.parametrize(
    "text",
    ["", "foo", "training", "training=3", "training.updates", "=3", ".updates=3", "training.=3"],
)
def test_a_malformed_override(text, capsys, folder):
    line = refused(["train", "--set", text], capsys, folder)
    assert line.endswith("expected section.key=value\n")


def test_an_override_inside_what_is_no_section(capsys, folder):
    (folder / "run.toml").write_text("training = 3\n")
    line = refused(["train", "run.toml", "--set", "training.updates=3"], capsys, folder)
    assert "training is not a section" in line


def test_words_that_are_no_command_line(capsys, folder):
    for words in (
        ["trian"],
        ["--foo"],
        ["train", "--foo"],
        ["train", "--out"],
        ["train", "--set"],
        ["train", "--resume"],
        ["train", "a.toml", "b.toml"],
        ["train", "a\0b"],
        ["report"],
    ):
        refused(words, capsys, folder)


def test_where_a_run_file_cannot_be_created(capsys, folder):
    (folder / "there.h5").write_bytes(b"mine")
    (folder / "folder.h5").mkdir()
    for out, words in (
        ("there.h5", "already there"),
        ("folder.h5", "a folder"),
        ("nowhere/run.h5", "the folder nowhere is not there"),
        ("there.h5/run.h5", "is not there"),
        ("", "a folder"),
    ):
        assert words in refused(["train", *settings(), "--out", out], capsys, folder)
    assert (folder / "there.h5").read_bytes() == b"mine"


def test_a_refusal_overwrites_nothing(capsys, folder):
    (folder / "there.h5").write_bytes(b"mine")
    for values in (
        {"network.current_limit_a": "1e-9"},
        {"network.voltage_limit_v": "1"},
        NEGATIVE_SPRING,
        {"training.estimator": '"unbiased"'},
    ):
        words = ["train", *settings(values), "--out", "there.h5", "--overwrite"]
        refused(words, capsys, folder)
    assert (folder / "there.h5").read_bytes() == b"mine"


def test_reads_of_another_run_are_not_mixed(capsys, folder):
    words = ["train", *settings({"training.keep_reads": "true"}), "--out", "run.h5"]
    assert run(words) == 0
    capsys.readouterr()
    before = (folder / "run.h5").read_bytes()
    assert "run.reads" in refused([*words, "--overwrite"], capsys, folder)
    assert (folder / "run.h5").read_bytes() == before
    (folder / "run.h5").unlink()
    assert "run.reads" in refused(words, capsys, folder)


@pytest.fixture
def finished(folder, capsys):
    """A run file, and the bytes of it."""
    assert run(["train", *settings(), "--out", "run.h5"]) == 0
    capsys.readouterr()
    return (folder / "run.h5").read_bytes()


def test_what_is_no_run_file_is_not_resumed(finished, capsys, folder):
    generator = np.random.default_rng(3)
    damaged = bytearray(finished)
    damaged[100:4000] = generator.bytes(3900)
    for name, data in {
        "random.h5": generator.bytes(5000),
        "empty.h5": b"",
        "text.h5": b"hello\n",
        "begun.h5": finished[:8],
        "half.h5": finished[: len(finished) // 2],
        "cut.h5": finished[:-1],
        "damaged.h5": bytes(damaged),
        "version.h5": finished,
    }.items():
        (folder / name).write_bytes(data)
    (folder / "folder.h5").mkdir()
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = 1
    with h5py.File(folder / "version.h5", "r+") as file:
        file.attrs["format_version"] = 99
    for path in [*folder.glob("*.h5"), folder / "nowhere.h5"]:
        if path.name == "run.h5":
            continue
        before = path.read_bytes() if path.is_file() else None
        line = refused(["train", "--resume", path.name], capsys, folder)
        assert line.startswith(f"hilep: {path.name}: ")
        assert (path.read_bytes() if path.is_file() else None) == before


def test_a_run_is_resumed_as_it_was_begun(finished, capsys, folder):
    for words in (["--set", "training.updates=3"], ["--out", "other.h5"], ["--overwrite"]):
        line = refused(["train", "--resume", "run.h5", *words], capsys, folder)
        assert f"{words[0]}: not with --resume" in line
    for key, value in {"training.updates": "13", "device.sigma_v": "0.1", "data.seed": "1"}.items():
        (folder / "other.toml").write_text(toml({**SMALL, key: value}))
        line = refused(["train", "other.toml", "--resume", "run.h5"], capsys, folder)
        assert f"run.h5: belongs to another configuration: {key} is " in line
    assert (folder / "run.h5").read_bytes() == finished


def test_a_run_is_not_resumed_on_other_data(capsys, folder):
    generator = np.random.default_rng(4)
    x, y = generator.random((30, 2)), np.arange(30) % 2
    np.savez(folder / "mine.npz", x=x, y=y)
    words = settings({"data.name": '"file"', "data.file": '"mine.npz"'})
    run(["train", *words, "--out", "run.h5"])
    capsys.readouterr()
    before = (folder / "run.h5").read_bytes()
    np.savez(folder / "mine.npz", x=x + 1e-3 * generator.random((30, 2)), y=y)
    line = refused(["train", "--resume", "run.h5"], capsys, folder)
    assert "run.h5: trained on other data" in line
    assert (folder / "run.h5").read_bytes() == before


MNIST = {"data.name": '"mnist"', "data.cache": '"cache"', "network.layers": "[1568, 6, 10]"}


def test_a_missing_extra_says_what_to_install(capsys, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    line = refused(["train", *settings(MNIST)], capsys, folder)
    assert 'python -m pip install "hilep[vision]"' in line


def test_a_download_that_fails(capsys, folder, monkeypatch):
    class Unreachable:
        def __init__(self, **_):
            raise URLError("no network")

    torchvision, datasets = ModuleType("torchvision"), ModuleType("torchvision.datasets")
    torchvision.datasets, datasets.MNIST = datasets, Unreachable
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    line = refused(["train", *settings(MNIST)], capsys, folder)
    assert "cannot download" in line
    assert "no network" in line


@pytest.mark.parametrize(
    "words",
    [
        ["train", *settings({"training.updates": "0"})],
        ["train", *settings({"network.current_limit_a": "1e-9"})],
        ["train", "--resume", "nowhere.h5"],
        ["train", "--foo"],
        ["foo"],
    ],
    ids=str,
)
def test_one_line_from_a_process_of_its_own(words, folder):
    status, out, err = ended(words, folder)
    assert (status, out) == (2, "")
    assert err.startswith("hilep: ")
    assert err.count("\n") == 1
    assert list(folder.iterdir()) == []
    assert str(ROOT) not in err
