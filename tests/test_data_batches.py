"""Laws of the order in which samples are visited."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilep.config import DataSection
from hilep.data import Batches, load, order
from hilep.errors import DataError

LENGTHS = st.integers(1, 30)
SIZES = st.integers(1, 70)
SEEDS = st.integers(0, 2**70)


@given(length=LENGTHS, size=SIZES, seed=SEEDS, epochs=st.integers(1, 4))
def test_every_epoch_visits_each_sample_once(
    length: int, size: int, seed: int, epochs: int
) -> None:
    batches = Batches(range(length), size, seed)
    updates = -(-epochs * length // size)
    visited = np.concatenate([batches.indices(update) for update in range(updates)])
    whole = visited[: epochs * length].reshape(epochs, length)
    np.testing.assert_array_equal(np.sort(whole, axis=1), [list(range(length))] * epochs)


@given(length=LENGTHS, size=SIZES, seed=SEEDS, updates=st.lists(st.integers(0, 10**9), max_size=8))
def test_an_update_has_the_same_samples_whatever_came_before(
    length: int, size: int, seed: int, updates: list[int]
) -> None:
    used = Batches(range(length), size, seed)
    for update in [*updates, *reversed(updates)]:
        fresh = Batches(range(length), size, seed).indices(update)
        assert fresh.shape == (size,)
        assert fresh.dtype == np.int64
        np.testing.assert_array_equal(used.indices(update), fresh)


def test_batches_are_the_orders_end_to_end() -> None:
    batches = Batches(range(7), 3, seed=5)
    ends = np.concatenate([order(7, 5, epoch) for epoch in range(3)])
    np.testing.assert_array_equal(np.concatenate([batches.indices(u) for u in range(7)]), ends)


def test_a_batch_may_be_longer_than_the_split() -> None:
    xor = load(DataSection(name="xor")).train
    which = Batches(xor, 8, seed=0).indices(12)
    np.testing.assert_array_equal(np.bincount(which), [2, 2, 2, 2])
    assert xor.volts(which).shape == (8, 4)


def test_orders_differ_between_epochs_and_between_seeds() -> None:
    orders = {tuple(order(50, seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_a_caller_cannot_disturb_later_batches() -> None:
    which = Batches(range(9), 3, seed=0).indices(0)
    with pytest.raises(ValueError, match="read-only"):
        which[0] = 1


@pytest.mark.parametrize(("length", "size"), [(0, 4), (5, 0)])
def test_nothing_to_draw_is_refused(length: int, size: int) -> None:
    with pytest.raises(DataError, match="expected"):
        Batches(range(length), size, seed=0)
