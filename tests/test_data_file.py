"""A user's own .npz file: what it may hold, and one line for everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilep.config import DataSection
from hilep.data import Dataset, load
from hilep.errors import DataError

SAMPLES = 60
Y = np.arange(SAMPLES) % 3
X = np.random.default_rng(3).normal(size=(SAMPLES, 5))
X_TEST = np.random.default_rng(4).normal(size=(6, 5))
Y_TEST = np.array([0, 1, 2, 0, 1, 1])
MISSING = object()


def stored(path: Path, **arrays: Any) -> Path:
    file = path / "own.npz"
    np.savez(file, **{name: array for name, array in arrays.items() if array is not MISSING})
    return file


def own(file: Path, **keys: Any) -> Dataset:
    return load(DataSection(name="file", file=str(file), **keys))


def refused(file: Path, **keys: Any) -> str:
    with pytest.raises(DataError) as error:
        own(file, **keys)
    text = str(error.value)
    assert text
    assert "\n" not in text
    return text


def test_a_table_is_divided_and_scaled(tmp_path: Path) -> None:
    data = own(stored(tmp_path, x=X, y=Y))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [43, 5, 12]
    assert (data.n_inputs, data.n_outputs, data.image_shape) == (10, 3, None)
    assert data.train.samples.dtype == np.float32
    assert (data.train.samples.min(), data.train.samples.max()) == (0, 1)


def test_its_own_test_set_is_kept_whole_and_in_order(tmp_path: Path) -> None:
    file = stored(tmp_path, x=X, y=Y, x_test=X_TEST, y_test=Y_TEST)
    for fraction in (0.1, 0.9):
        data = own(file, test_fraction=fraction, validation_fraction=0.0)
        np.testing.assert_array_equal(data.test.labels, Y_TEST)
        assert len(data.train) == SAMPLES
        low, high = X.min(axis=0), X.max(axis=0)
        np.testing.assert_allclose(
            data.test.samples, (X_TEST - low) / (high - low), rtol=1e-5, atol=1e-6
        )


def test_training_volts_do_not_see_the_test_set(tmp_path: Path) -> None:
    which = np.arange(20)
    usual = own(stored(tmp_path, x=X, y=Y, x_test=X_TEST, y_test=Y_TEST))
    volts = usual.train.volts(which)
    other = own(stored(tmp_path, x=X, y=Y, x_test=X_TEST * 1000, y_test=Y_TEST))
    np.testing.assert_array_equal(other.train.volts(which), volts)
    assert np.abs(other.test.samples).max() > 100
    assert usual.fingerprint != other.fingerprint


def test_images_of_bytes_stay_bytes(tmp_path: Path) -> None:
    images = np.random.default_rng(5).integers(0, 256, size=(SAMPLES, 4, 6), dtype=np.uint8)
    file = stored(tmp_path, x=images, y=Y, x_test=images[:6], y_test=Y[:6])
    data = own(file, doubled=False, gamma_v=255.0)
    assert (data.image_shape, data.n_inputs) == ((4, 6), 24)
    assert data.train.samples.dtype == np.uint8
    np.testing.assert_allclose(data.test.volts(np.arange(6)), images[:6].reshape(6, 24), rtol=1e-6)
    assert own(file, downsample=2).image_shape == (2, 3)
    assert "4 x 6 pixels, got 3" in refused(file, downsample=3)


def test_images_of_numbers_have_one_range(tmp_path: Path) -> None:
    images = np.random.default_rng(6).normal(size=(SAMPLES, 4, 4)).astype(np.float32)
    data = own(stored(tmp_path, x=images, y=Y), downsample=2)
    assert (data.train.samples.min(), data.train.samples.max()) == (0, 1)
    assert data.train.samples.max(axis=0).min() < 1


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"x": MISSING}, "no array 'x', expected x and y, found y"),
        ({"y": MISSING}, "no array 'y', expected x and y, found x"),
        ({"X_test": X}, "unknown arrays X_test, expected x, y, x_test and y_test"),
        ({"x": X[:, 0]}, "x: expected (n, features) or (n, height, width), got (60,)"),
        ({"x": X[:, :, None, None]}, "x: expected (n, features) or"),
        ({"x": X * 1j}, "x: expected real numbers, got type complex128"),
        ({"x": X.astype(str)}, "x: expected real numbers, got type <U"),
        ({"x": X[:, :0]}, "x: no values, its shape is (60, 0)"),
        ({"x": X.astype(object)}, "an array cannot be read: Object arrays cannot be loaded"),
        ({"y": Y.astype(object)}, "an array cannot be read: Object arrays cannot be loaded"),
        ({"y": Y.astype(float)}, "y: expected integer labels, got type float64"),
        ({"y": Y > 0}, "y: expected integer labels, got type bool"),
        ({"y": Y[:, None]}, "y: expected shape (n,), got (60, 1)"),
        ({"y": Y[:-1]}, "y: expected 60 labels, one per sample, got 59"),
        ({"y": Y - 1}, "y[0] is -1, expected labels from 0 up"),
        ({"y": Y * 0}, "y: expected at least 2 classes, got 1"),
        ({"y": Y * 2}, "no sample has label 1 but one has 4"),
        ({"y": Y.astype(np.uint64) + 2**63}, "label 9223372036854775810 is too large"),
        ({"x_test": X_TEST}, "x_test is alone, expected both x_test and y_test"),
        ({"y_test": Y_TEST}, "y_test is alone"),
        ({"x_test": X_TEST[:, 1:], "y_test": Y_TEST}, "x_test: expected samples of shape (5,)"),
        ({"x_test": X_TEST, "y_test": Y_TEST + 1}, "y_test: expected labels 0 to 2 as in y, got 3"),
        ({"x_test": X_TEST[:0], "y_test": Y_TEST[:0]}, "x_test: no values"),
        (
            {"x_test": np.ones((6, 5), dtype=np.uint8), "y_test": Y_TEST},
            "x_test: expected the type of x, float64, got uint8",
        ),
    ],
)
def test_each_wrong_array_is_one_line(
    tmp_path: Path, changed: dict[str, Any], expected: str
) -> None:
    file = stored(tmp_path, **({"x": X, "y": Y} | changed))
    text = refused(file)
    assert text.startswith(str(file))
    assert expected in text


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_found(tmp_path: Path, bad: float) -> None:
    x = X.copy()
    x[7, 2] = bad
    assert f"x: entry (7, 2) is {bad}, expected finite" in refused(stored(tmp_path, x=x, y=Y))


def test_a_class_of_one_sample_cannot_be_divided(tmp_path: Path) -> None:
    y = np.zeros(SAMPLES, dtype=np.int64)
    y[0] = 1
    assert refused(stored(tmp_path, x=X, y=y)).startswith("data.test_fraction = 0.2: 60 samples")


def test_a_file_that_is_not_there_or_not_given(tmp_path: Path) -> None:
    file = tmp_path / "none.npz"
    assert refused(file).startswith(f"data.file: {file} cannot be read: ")
    assert refused(tmp_path).startswith(f"data.file: {tmp_path} cannot be read: ")
    with pytest.raises(DataError, match=r"^data\.file: expected the path of an \.npz file"):
        load(DataSection(name="file"))


@pytest.mark.parametrize("content", [b"", b"x,y\n1,2\n", b"\x93NUMPY\x01\x00"])
def test_another_kind_of_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "own.npz"
    file.write_bytes(content)
    assert refused(file) == f"{file}: not an .npz archive, or a truncated one"


def test_every_truncation_and_damage_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "own.npz"
    np.savez_compressed(file, x=X, y=Y)
    whole = file.read_bytes()
    for length in range(0, len(whole), 97):
        file.write_bytes(whole[:length])
        refused(file)
    # Behind the headers of the archive's first member: caught by its checksum.
    for place in range(200, 1000, 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        assert "an array cannot be read" in refused(file)
