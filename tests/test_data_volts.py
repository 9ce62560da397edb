"""Laws of the way from samples to volts and from labels to targets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilep.config import DataSection
from hilep.data import load
from hilep.data.volts import block_mean, target_table, unit_range, volts_per_unit
from hilep.errors import ConfigError, DataError

NAMES = ("digits", "iris", "wine", "xor")


@pytest.mark.parametrize("name", NAMES)
def test_doubled_inputs_sum_to_zero_and_begin_with_the_plain_ones(name: str) -> None:
    doubled, plain = load(DataSection(name=name)), load(DataSection(name=name, doubled=False))
    which = np.array([3, 0, 0, 2])
    volts = doubled.train.volts(which)
    half = plain.n_inputs
    assert volts.shape == (4, 2 * half) == (4, doubled.n_inputs)
    np.testing.assert_array_equal(volts[:, :half] + volts[:, half:], 0)
    np.testing.assert_array_equal(volts[:, :half], plain.train.volts(which))
    assert volts[:, :half].any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("doubled", [True, False])
def test_volts_are_new_contiguous_single_precision(name: str, doubled: bool) -> None:
    train = load(DataSection(name=name, doubled=doubled)).train
    which = np.array([1, 2])
    volts = train.volts(which)
    assert volts.dtype == np.float32
    assert volts.flags.c_contiguous
    kept = volts.copy()
    volts[:] = np.nan
    np.testing.assert_array_equal(train.volts(which), kept)


def test_targets_are_one_hot_at_the_two_levels() -> None:
    train = load(DataSection(target_v=0.25, target_off_v=-0.5)).train
    which = np.arange(40)
    targets = train.targets(which)
    assert targets.dtype == np.float64
    assert targets.shape == (40, 10)
    np.testing.assert_array_equal(targets.argmax(axis=1), train.labels[which])
    np.testing.assert_array_equal(np.sort(targets, axis=1), [[-0.5] * 9 + [0.25]] * 40)
    targets[:] = 7
    assert not (train.targets(which) == 7).any()


def test_targets_need_two_levels() -> None:
    with pytest.raises(ConfigError, match=r"^data\.target_v, target_off_v: .* got 1\.0 twice$"):
        target_table(3, 1.0, 1.0)


def test_digits_are_sixteenths_of_gamma() -> None:
    from sklearn.datasets import load_digits

    train = load(DataSection(gamma_v=32.0, doubled=False)).train
    assert train.samples.dtype == np.uint8
    volts = train.volts(np.arange(len(train)))
    wanted = {tuple(row) for row in (load_digits().data * 2).tolist()}
    assert {tuple(row) for row in volts.tolist()} <= wanted
    assert volts.max() == 32


@given(
    gamma_v=st.floats(1e-6, 1e6),
    full_scale=st.sampled_from([1.0, 16.0, 255.0]),
)
def test_full_scale_is_gamma_and_never_above_it(gamma_v: float, full_scale: float) -> None:
    full = volts_per_unit(gamma_v, full_scale) * np.float32(full_scale)
    assert full <= np.float32(gamma_v)
    assert full == pytest.approx(gamma_v, rel=3e-7)


@pytest.mark.parametrize("gamma_v", [1e39, 1e-37, 1e-300])
def test_volts_that_single_precision_does_not_hold_are_refused(gamma_v: float) -> None:
    with pytest.raises(ConfigError, match=r"^data\.gamma_v: expected between .* got 1e"):
        load(DataSection(gamma_v=gamma_v))


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_each_training_feature_spans_zero_to_gamma(name: str) -> None:
    train = load(DataSection(name=name, gamma_v=5.0, doubled=False)).train
    volts = train.volts(np.arange(len(train)))
    np.testing.assert_array_equal(volts.min(axis=0), 0)
    np.testing.assert_array_equal(volts.max(axis=0), 5)


def test_the_range_is_a_straight_line_of_the_training_samples_alone() -> None:
    generator = np.random.default_rng(1)
    train = generator.normal(size=(20, 3)) * [1, 1e-6, 1e6]
    test = train[:5] * 3 - 1
    scaled, scaled_test = unit_range(train, (test,), together=False)
    low, high = train.min(axis=0), train.max(axis=0)
    np.testing.assert_allclose(scaled, (train - low) / (high - low), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scaled_test, (test - low) / (high - low), rtol=1e-6, atol=1e-6)
    assert scaled_test.min() < 0
    (again, _) = unit_range(train, (test * 100,), together=False)
    np.testing.assert_array_equal(again, scaled)


def test_pixels_share_one_range() -> None:
    train = np.array([[[1.0, 2.0], [3.0, 5.0]]])
    (scaled,) = unit_range(train, (), together=True)
    np.testing.assert_array_equal(scaled, [[[0, 0.25], [0.5, 1]]])


def test_a_feature_without_range_is_zero_everywhere() -> None:
    train = np.array([[7.0, 0.0], [7.0, 1.0]])
    scaled, other = unit_range(train, (np.array([[1e9, 2.0]]),), together=False)
    np.testing.assert_array_equal(scaled, [[0, 0], [0, 1]])
    np.testing.assert_array_equal(other, [[0, 2]])


@pytest.mark.parametrize(
    ("train", "other"),
    [([[-1e308], [1e308]], [[0.0]]), ([[0.0], [1e-200]], [[1.0]])],
)
def test_a_range_beyond_single_precision_is_refused(
    train: list[list[float]], other: list[list[float]]
) -> None:
    with pytest.raises(DataError, match="too large for float32"):
        unit_range(np.array(train), (np.array(other),), together=False)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_down_sampling_is_the_mean_of_each_block(k: int, dtype: type[np.generic]) -> None:
    images = np.random.default_rng(2).integers(0, 256, size=(3, 6, 12)).astype(dtype)
    means = block_mean(images, k, full_scale=255.0)
    assert means.shape == (3, 6 // k, 12 // k)
    for image in range(3):
        for row in range(6 // k):
            for column in range(12 // k):
                block = images[image, row * k : (row + 1) * k, column * k : (column + 1) * k]
                wanted = sum(float(pixel) for pixel in block.flat) / (k * k) / 255
                assert means[image, row, column] == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def test_down_sampled_digits_are_block_means_of_the_same_samples() -> None:
    fine = load(DataSection(doubled=False))
    coarse = load(DataSection(doubled=False, downsample=4))
    assert coarse.image_shape == (2, 2)
    assert coarse.n_inputs == 4
    assert coarse.train.samples.dtype == np.float32
    which = np.arange(50)
    blocks = fine.test.volts(which).reshape(50, 2, 4, 2, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(coarse.test.volts(which), blocks.reshape(50, 4), rtol=1e-5)
    np.testing.assert_array_equal(coarse.test.labels, fine.test.labels)
