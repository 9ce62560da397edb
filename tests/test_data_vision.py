"""MNIST and its relatives: the real files where they are, and every failure as one line."""

from __future__ import annotations

import os
import shutil
import sys
import types
import urllib.request
import zlib
from gzip import BadGzipFile
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import URLError

import numpy as np
import pytest

from hilep.config import DataSection
from hilep.data import Dataset, load
from hilep.data.vision import CLASS_NAMES, cache_folder
from hilep.errors import DataError, HilepError, MissingExtraError

FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def refused(cache: Path, kind: type[HilepError] = DataError, name: str = "mnist") -> str:
    with pytest.raises(kind) as error:
        load(DataSection(name=name, cache=str(cache)))
    text = str(error.value)
    assert text
    assert "\n" not in text
    return text


# A stand-in for torchvision shows what is made of its answers where it is not installed.


class Tensor:
    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array

    def numpy(self) -> np.ndarray[Any, Any]:
        return self.array


def stand_in(
    monkeypatch: pytest.MonkeyPatch, failure: Exception | None = None, label: int = 0
) -> None:
    class MNIST:
        classes = tuple("abcdefghij")

        def __init__(self, root: str, train: bool, download: bool) -> None:
            assert download
            print("Downloading")
            if failure is not None:
                raise failure
            n = 200 if train else 50
            generator = np.random.default_rng(n)
            self.data = Tensor(generator.integers(0, 256, (n, 28, 28), dtype=np.uint8))
            self.targets = Tensor(np.arange(n) % 10 + label)

    module = types.ModuleType("torchvision")
    module.datasets = types.SimpleNamespace(MNIST=MNIST)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", module)


def test_the_official_test_set_is_the_test_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(monkeypatch)
    data = load(DataSection(name="mnist", cache=str(tmp_path), test_fraction=0.7))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [180, 20, 50]
    wanted = np.random.default_rng(50).integers(0, 256, (50, 784), dtype=np.uint8)
    np.testing.assert_array_equal(data.test.samples, wanted)
    assert data.train.samples.dtype == np.uint8
    assert (data.n_inputs, data.n_outputs, data.image_shape) == (1568, 10, (28, 28))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (URLError("no route to host"), "cannot download into {folder}: <urlopen error no route"),
        (ConnectionResetError(104, "reset"), "cannot download into {folder}: [Errno 104] reset"),
        (TimeoutError(), "cannot download into {folder}: TimeoutError"),
        (RuntimeError("Error downloading a.gz:\nTried b"), "cannot download into {folder}: Error"),
        (BadGzipFile("Not a gzipped file"), "a file in {folder} is damaged, delete that folder"),
        (EOFError("ended early"), "a file in {folder} is damaged"),
        (zlib.error("Error -3"), "a file in {folder} is damaged"),
        (AssertionError(), "a file in {folder} is damaged, delete that folder: AssertionError"),
        (RuntimeError("shape is invalid"), "a file in {folder} is damaged"),
    ],
)
def test_each_failure_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: Exception, expected: str
) -> None:
    stand_in(monkeypatch, failure)
    text = refused(tmp_path)
    assert text.startswith("data.name = 'mnist': ")
    assert expected.format(folder=tmp_path / "MNIST" / "raw") in text


@pytest.mark.parametrize("failure", [PermissionError(13, "Denied"), OSError(28, "Disk full")])
def test_a_cache_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: OSError
) -> None:
    stand_in(monkeypatch, failure)
    expected = f"data.cache: cannot use the folder {tmp_path}: {failure.strerror}"
    assert refused(tmp_path) == expected


def test_labels_beyond_the_classes_are_damage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in(monkeypatch, label=1)
    assert refused(tmp_path).endswith("labels from 1 to 10")


@pytest.mark.parametrize("name", sorted(CLASS_NAMES))
def test_without_torchvision_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    text = refused(tmp_path, MissingExtraError, name)
    assert text.startswith(f"data.name = {name!r} needs an extra: ")
    assert "hilep[vision]" in text


def test_the_cache_is_the_key_then_the_environment_then_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HILEP_DATA", str(tmp_path / "environment"))
    assert cache_folder(str(tmp_path / "key")) == tmp_path / "key"
    assert cache_folder(None) == tmp_path / "environment"
    monkeypatch.delenv("HILEP_DATA")
    assert "hilep" in cache_folder(None).parts
    assert cache_folder(None).is_absolute()


# From here on torchvision itself.


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real torchvision, cut off from the network."""
    pytest.importorskip("torchvision", reason="needs torchvision: install hilep[vision]")

    def unreachable(*_args: object, **_keys: object) -> NoReturn:
        raise URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)


def real(name: str, to: Path) -> Path:
    """Copy the official archives of one data set to a folder that torchvision may unpack in."""
    folder = os.environ.get("HILEP_TEST_DATA")
    if not folder:
        pytest.skip("HILEP_TEST_DATA is not set: the folder with MNIST/raw/*.gz and the others")
    archives = Path(folder) / CLASS_NAMES[name] / "raw"
    raw = to / CLASS_NAMES[name] / "raw"
    raw.mkdir(parents=True)
    for file in FILES:
        archive = archives / f"{file}-ubyte.gz"
        if not archive.is_file():
            pytest.skip(f"HILEP_TEST_DATA has no {archive}")
        shutil.copyfile(archive, raw / archive.name)
    return raw


def unpacked(to: Path, samples: int = 40) -> Path:
    """Write small files in the IDX format, as torchvision unpacks them."""
    raw = to / "MNIST" / "raw"
    raw.mkdir(parents=True)
    labels = (np.arange(samples) % 10).astype(np.uint8)
    images = np.repeat(labels, 784)
    for file in FILES:
        shape = (samples, 28, 28) if "images" in file else (samples,)
        head = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
        body = images if "images" in file else labels
        (raw / f"{file}-ubyte").write_bytes(head + body.tobytes())
    return raw


@pytest.mark.vision
@pytest.mark.parametrize("name", sorted(CLASS_NAMES))
def test_the_real_data_load_with_their_published_size(
    torchvision: None, tmp_path: Path, name: str
) -> None:
    real(name, tmp_path)
    data: Dataset = load(DataSection(name=name, cache=str(tmp_path), gamma_v=500.0))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [54000, 6000, 10000]
    assert data.train.samples.dtype == np.uint8
    whole = np.concatenate([data.train.labels, data.validation.labels])
    if name == "mnist":
        # The published counts of MNIST's training digits.
        published = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
        np.testing.assert_array_equal(np.bincount(whole), published)
    else:
        np.testing.assert_array_equal(np.bincount(whole), [6000] * 10)
    volts = data.test.volts(np.arange(100))
    assert volts.shape == (100, 1568)
    assert (volts.min(), volts.max()) == (-500, 500)


@pytest.mark.vision
def test_unpacked_files_need_no_network(torchvision: None, tmp_path: Path) -> None:
    unpacked(tmp_path)
    data = load(DataSection(name="mnist", cache=str(tmp_path), validation_fraction=0.25))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [30, 10, 40]
    np.testing.assert_array_equal(data.test.samples[:, 0], data.test.labels)


@pytest.mark.vision
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("length", [0, 3, 9, 30])
def test_a_truncated_file_is_damage(
    torchvision: None, tmp_path: Path, file: str, length: int
) -> None:
    raw = unpacked(tmp_path)
    path = raw / f"{file}-ubyte"
    path.write_bytes(path.read_bytes()[:length])
    assert f"a file in {raw} is damaged, delete that folder: " in refused(tmp_path)


@pytest.mark.vision
def test_without_a_network_the_download_is_what_failed(torchvision: None, tmp_path: Path) -> None:
    text = refused(tmp_path)
    assert text.startswith("data.name = 'mnist': cannot download into ")
    assert "no route to host" in text


@pytest.mark.vision
def test_a_damaged_archive_is_fetched_again(torchvision: None, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8b truncated")
    assert "cannot download" in refused(tmp_path)


@pytest.mark.vision
def test_a_cache_inside_a_file_is_named(torchvision: None, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    expected = f"data.cache: cannot use the folder {blocked / 'cache'}: "
    assert refused(blocked / "cache").startswith(expected)
