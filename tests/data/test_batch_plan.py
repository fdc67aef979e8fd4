from __future__ import annotations

import numpy as np
import pytest

from tfrec_vis.data import plan_batches
from tfrec_vis.data.batch_plan import plan_in_windows


def random_users(pages, users, seed):
    return np.random.default_rng(seed).integers(0, users, pages)


@pytest.mark.parametrize("seed", [None, 0, 7])
@pytest.mark.parametrize(("pages", "users", "size"), [(1, 1, 4), (100, 30, 8), (97, 5, 10)])
def test_every_page_exactly_once(pages, users, size, seed):
    plan = plan_batches(random_users(pages, users, 1), size, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(plan)), np.arange(pages))
    sizes = [len(batch) for batch in plan]
    assert len(plan) == -(-pages // size)
    assert max(sizes) <= size and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_a_users_pages_are_spread(seed):
    user = random_users(200, 60, seed)
    plan = plan_batches(user, 16, seed)
    of_user = np.bincount(user)
    assert of_user.max() < len(plan)
    for batch in plan:
        assert len(np.unique(user[batch])) == len(batch)


def test_a_user_with_more_pages_than_batches_is_spread_evenly():
    user = np.array([5] * 11 + list(range(10, 19)))
    plan = plan_batches(user, 5, seed=3)
    assert sorted((user[batch] == 5).sum() for batch in plan) == [2, 3, 3, 3]


def test_is_a_pure_function():
    user = random_users(120, 40, 0)

    def plan(*arguments):
        return np.concatenate(plan_batches(user, 10, *arguments)).tolist()

    first = plan(0, 0)
    np.random.seed(5)
    assert plan(0, 0) == first
    assert plan(0, 1) != first and plan(1, 0) != first
    assert plan(None) == list(range(120)) == plan(None, 3)


def test_users_of_any_type():
    numbers = random_users(50, 20, 0)
    names = np.array([f"u{n:03d}".encode() for n in numbers], dtype=object)
    for one, two in zip(plan_batches(numbers, 8, 0), plan_batches(names, 8, 0), strict=True):
        np.testing.assert_array_equal(one, two)


def test_no_pages():
    assert plan_batches(np.empty(0, object), 8, 0) == []


def blocks_of(pages, size):
    return np.arange(pages) // size


@pytest.mark.parametrize("seed", [None, 0, 7])
@pytest.mark.parametrize(
    ("pages", "size", "window"),
    [(1, 4, 8), (100, 8, 24), (97, 10, 45), (130, 64, 64), (50, 64, 500), (63, 1, 10)],
)
def test_windows_have_every_page_exactly_once(pages, size, window, seed):
    plan = plan_in_windows(random_users(pages, 20, 1), blocks_of(pages, 7), size, window, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(plan)), np.arange(pages))
    sizes = [len(batch) for batch in plan]
    assert len(plan) == -(-pages // size)
    assert max(sizes) <= size and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_a_window_takes_few_blocks_and_spreads_users(seed):
    pages, size, block_size = 1_000, 16, 25
    window, together = 10, 9  # 63 batches in seven windows, none of them small
    block = blocks_of(pages, block_size)
    user = np.arange(pages) % 200  # 5 pages each, 8 blocks apart
    plan = plan_in_windows(user, block, size, window * size, seed)
    full = 0
    blocks_before, seen = set(), []
    for first in range(0, len(plan), together):
        group = plan[first : first + together]
        blocks = np.unique(block[np.concatenate(group)])
        assert len(blocks) <= together * size // block_size + 2
        assert len(blocks_before & set(blocks)) <= 1  # the one in which a window ends
        blocks_before = set(blocks)
        seen.append(sorted(blocks))
        for batch in group:
            assert len(np.unique(user[batch])) == len(batch)
            full += len(np.unique(block[batch])) > len(blocks) / 2
    assert full > 0.9 * len(plan)  # pages of a block are not in one batch
    assert sum(seen, []) != sorted(sum(seen, []))  # blocks are shuffled


def test_windows_are_a_pure_function():
    user, block = random_users(120, 40, 0), blocks_of(120, 10)

    def plan(*arguments):
        return np.concatenate(plan_in_windows(user, block, 10, 30, *arguments)).tolist()

    first = plan(0, 0)
    np.random.seed(5)
    assert plan(0, 0) == first
    assert plan(0, 1) != first and plan(1, 0) != first
    assert plan(None) == list(range(120))
    assert plan_in_windows(user[:0], block[:0], 8, 30, 0) == []
