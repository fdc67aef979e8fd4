from __future__ import annotations

import itertools

import numpy as np
import pytest

from tfrec_vis.evaluation.embedding_map import map_positions, sample_items, spread_on_grid


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def groups() -> tuple[np.ndarray, np.ndarray]:
    """60 vectors around 3 directions, and which."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1, 2], 20)
    return unit(np.eye(8)[label] + 0.1 * rng.normal(size=[60, 8])).astype(np.float32), label


@pytest.mark.parametrize(("count", "method"), [(60, "t-SNE"), (30, "PCA")])
def test_alike_vectors_are_near_each_other(groups, count: int, method: str) -> None:
    vectors, label = groups[0][::-1][:count], groups[1][::-1][:count]
    positions, used = map_positions(vectors)
    assert used == method and positions.shape == (count, 2)
    assert positions.min(axis=0) == pytest.approx([0, 0])
    assert positions.max(axis=0) == pytest.approx([1, 1])
    distances = np.linalg.norm(positions[:, None] - positions, axis=2) + np.eye(count) * 9
    assert (label[distances.argmin(axis=1)] == label).all()
    again, _ = map_positions(vectors)
    np.testing.assert_array_equal(positions, again)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "vectors", [np.ones([1, 4]), np.ones([3, 4]), np.eye(2), np.arange(5.0)[:, None]]
)
def test_few_or_equal_vectors(vectors: np.ndarray) -> None:
    positions, method = map_positions(vectors)
    assert method == "PCA" and np.isfinite(positions).all()
    assert positions.shape == (len(vectors), 2)
    assert positions.min() >= 0 and positions.max() <= 1


def test_many_equal_vectors() -> None:
    assert not map_positions(np.full([55, 4], 0.3))[0].any()


def test_no_two_share_a_place_and_all_move_as_little_as_can_be() -> None:
    positions = np.random.default_rng(1).random([4, 2])
    placed = spread_on_grid(positions, 3)
    assert len({tuple(one) for one in placed}) == 4
    assert set(np.unique(placed)) <= {0, 0.5, 1}
    grid = [np.array(one) for one in itertools.product([0, 0.5, 1], repeat=2)]
    least = min(
        np.square(positions - np.array(chosen)).sum() for chosen in itertools.permutations(grid, 4)
    )
    assert np.square(positions - placed).sum() == pytest.approx(least)
    assert len({tuple(one) for one in spread_on_grid(np.zeros([9, 2]), 3)}) == 9
    assert spread_on_grid(np.zeros([1, 2]), 1).tolist() == [[0, 0]]
    with pytest.raises(ValueError, match="expected at most 4 points, got 5"):
        spread_on_grid(np.zeros([5, 2]), 2)


def test_sample_is_of_so_many_clusters_and_leaves_out_items_without_a_picture() -> None:
    rng = np.random.default_rng(0)
    clusters = rng.integers(0, 100, 1001).astype(np.int32)
    vectors = rng.normal(size=[1001, 4]).astype(np.float32)
    vectors[[0, 5, 9]] = 0
    clusters[[0, 5, 7]] = -1
    items = sample_items(vectors, clusters, count=120, groups=20)
    assert len(np.unique(clusters[items])) == 20 and (np.diff(items) > 0).all()
    assert len(items) == 120 and not {0, 5, 7, 9} & set(items.tolist())
    np.testing.assert_array_equal(items, sample_items(vectors, clusters, count=120, groups=20))
    everything = sample_items(vectors, clusters % 10, count=2000, groups=20)
    np.testing.assert_array_equal(everything, np.setdiff1d(np.arange(1001), [0, 5, 9]))
    unknown = sample_items(vectors, None, count=50)
    assert len(unknown) == 50 and not {0, 5, 9} & set(unknown.tolist())
    assert len(sample_items(np.zeros([4, 2]), None)) == 0
