"""Laws of the data sets that need no download, and of every data set's splits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilep.config import DataSection
from hilep.data import NAMES, Dataset, Split, load
from hilep.errors import ConfigError, DataError

DIVIDED = ("digits", "iris", "wine")
SHAPES = {"digits": (1797, 64, 10), "iris": (150, 4, 3), "wine": (178, 13, 3)}


def splits(data: Dataset) -> tuple[Split, Split, Split]:
    return data.train, data.validation, data.test


def rows(*parts: Split) -> list[tuple[object, ...]]:
    """Samples with their labels, as a sorted list, duplicates included."""
    return sorted(
        (*row, label)
        for part in parts
        for row, label in zip(part.samples.tolist(), part.labels.tolist(), strict=True)
    )


def message(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", DIVIDED)
def test_the_data_have_their_published_size(name: str) -> None:
    data = load(DataSection(name=name))
    samples, features, classes = SHAPES[name]
    assert sum(len(part) for part in splits(data)) == samples
    assert data.features == features
    assert data.n_inputs == 2 * features
    assert data.n_outputs == len(data.classes) == classes
    assert data.image_shape == ((8, 8) if name == "digits" else None)


def test_splits_are_disjoint_and_complete() -> None:
    from sklearn.datasets import load_digits

    data = load(DataSection())
    bunch = load_digits()
    whole = sorted(
        (*row, label)
        for row, label in zip(bunch.data.astype(int).tolist(), bunch.target.tolist(), strict=True)
    )
    # Every digit of this data is drawn differently, so equal multisets mean disjoint splits.
    assert len(set(whole)) == len(whole)
    assert rows(*splits(data)) == whole


@pytest.mark.parametrize("name", DIVIDED)
@pytest.mark.parametrize("seed", [0, 1, 2**70])
def test_every_split_has_each_class_in_proportion(name: str, seed: int) -> None:
    data = load(DataSection(name=name, seed=seed))
    whole = np.concatenate([part.labels for part in splits(data)])
    share = np.bincount(whole) / len(whole)
    for part in splits(data):
        counts = np.bincount(part.labels, minlength=data.n_outputs)
        # The test set and then the rest are divided to within one sample of proportion.
        assert np.all(np.abs(counts - share * len(part)) <= 2)


def test_fractions_are_taken_one_after_the_other() -> None:
    data = load(DataSection(name="iris", test_fraction=0.2, validation_fraction=0.25))
    assert [len(part) for part in splits(data)] == [90, 30, 30]


@pytest.mark.parametrize("name", NAMES[:4])
def test_the_same_section_gives_the_same_data(name: str) -> None:
    one, two = load(DataSection(name=name)), load(DataSection(name=name))
    assert one.fingerprint == two.fingerprint
    for a, b in zip(splits(one), splits(two), strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)
        np.testing.assert_array_equal(a.labels, b.labels)


@pytest.mark.parametrize("name", DIVIDED)
def test_another_seed_divides_otherwise(name: str) -> None:
    one, two = load(DataSection(name=name)), load(DataSection(name=name, seed=1))
    assert one.fingerprint != two.fingerprint
    assert rows(one.test) != rows(two.test)


def test_the_fingerprint_sees_one_sample_and_one_label() -> None:
    data = load(DataSection())
    samples, labels = data.test.samples.copy(), data.test.labels.copy()
    samples[3, 5] += 1
    labels[3] = (labels[3] + 1) % 10
    for changed in (replace(data.test, samples=samples), replace(data.test, labels=labels)):
        assert replace(data, test=changed).fingerprint != data.fingerprint


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.5])
def test_the_test_set_does_not_depend_on_the_validation_fraction(fraction: float) -> None:
    usual = load(DataSection())
    other = load(DataSection(validation_fraction=fraction))
    np.testing.assert_array_equal(usual.test.samples, other.test.samples)
    np.testing.assert_array_equal(usual.test.labels, other.test.labels)


def test_no_validation_is_an_empty_split_that_still_answers() -> None:
    data = load(DataSection(validation_fraction=0.0))
    nothing = np.empty(0, dtype=np.int64)
    assert len(data.validation) == 0
    assert data.validation.volts(nothing).shape == (0, data.n_inputs)
    assert data.validation.targets(nothing).shape == (0, data.n_outputs)


def test_xor_is_the_same_four_cases_everywhere() -> None:
    data = load(DataSection(name="xor", gamma_v=3.0, doubled=False))
    for part in splits(data):
        volts = part.volts(np.arange(4))
        np.testing.assert_array_equal(volts, [[0, 0], [0, 3], [3, 0], [3, 3]])
        np.testing.assert_array_equal(part.labels, (volts[:, 0] != volts[:, 1]).astype(int))
    assert (data.n_inputs, data.n_outputs) == (2, 2)


def test_layers_that_fit_pass_and_others_name_what_would() -> None:
    data = load(DataSection())
    data.check_layers([128, 30, 10])
    for layers in ([100, 10], [128, 9], [127, 5, 10]):
        with pytest.raises(ConfigError) as error:
            data.check_layers(layers)
        assert message(error) == (
            "network.layers: data 'digits' has 128 inputs and 10 outputs (64 features, doubled), "
            f"got {layers[0]} and {layers[-1]}"
        )
    with pytest.raises(ConfigError, match=r"64 inputs and 10 outputs \(64 features, not doubled\)"):
        load(DataSection(doubled=False)).check_layers([128, 10])


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(DataError) as error:
        load(DataSection(name="digit"))
    assert all(name in message(error) for name in (*NAMES, "'digit'"))


def test_a_fraction_that_leaves_a_class_out_is_refused() -> None:
    with pytest.raises(DataError) as error:
        load(DataSection(name="iris", validation_fraction=0.01))
    assert message(error).startswith("data.validation_fraction = 0.01: 120 samples")
    with pytest.raises(DataError, match=r"^data\.test_fraction = 0\.999"):
        load(DataSection(name="iris", test_fraction=0.999))


def test_a_file_is_not_ignored() -> None:
    with pytest.raises(DataError, match=r"^data\.file: only data\.name = 'file' reads one"):
        load(DataSection(file="own.npz"))


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"downsample": 3}, "expected a divisor of 'digits''s 8 x 8 pixels, got 3"),
        ({"downsample": 16}, "expected a divisor of 'digits''s 8 x 8 pixels, got 16"),
        ({"name": "iris", "downsample": 2}, "'iris' has no images, expected 1, got 2"),
        ({"name": "xor", "downsample": 2}, "'xor' has no images, expected 1, got 2"),
    ],
)
def test_a_down_sampling_that_does_not_fit_is_refused(
    section: dict[str, object], expected: str
) -> None:
    with pytest.raises(DataError) as error:
        load(DataSection.model_validate(section))
    assert message(error) == f"data.downsample: {expected}"
