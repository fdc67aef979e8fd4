"""An embedding in the plane."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

_FEW = 50
"""Below so many items t-SNE has no neighbourhoods to keep."""


def sample_items(
    vectors: np.ndarray, clusters: np.ndarray | None, count: int = 360, groups: int = 30
) -> np.ndarray:
    """Draw items for a map, seeded.

    Where there are more clusters than `groups`, so many are drawn, large ones more often, and
    items from these alone: in a sample of everything hardly two items would share a cluster.

    Args:
        vectors: float [items + 1, d]; items whose vector is 0 have no picture and are left out.
        clusters: int [items + 1], -1 for none; None: unknown.
        count: how many items at most.
        groups: how many clusters at most.

    Returns:
        item_index int64 [at most count], ascending.
    """
    random = np.random.default_rng(0)
    shown = np.flatnonzero(np.any(vectors != 0, axis=1))
    if clusters is not None and (clusters[shown] >= 0).any():
        shown = shown[clusters[shown] >= 0]
        names, sizes = np.unique(clusters[shown], return_counts=True)
        if len(names) > groups:
            names = random.choice(names, groups, replace=False, p=sizes / sizes.sum())
            shown = shown[np.isin(clusters[shown], names)]
    return np.sort(random.permutation(shown)[:count])


def map_positions(vectors: np.ndarray) -> tuple[np.ndarray, str]:
    """Lay vectors out in the plane, alike ones near each other; the same every time.

    Args:
        vectors: float [n, d], L2-normalised, n at least 1.

    Returns:
        (float64 [n, 2] in 0 to 1, "t-SNE" or "PCA" where there are few).
    """
    vectors = np.asarray(vectors, np.float64)
    if not np.ptp(vectors, axis=0).any():
        return np.zeros([len(vectors), 2]), "PCA"
    vectors = np.pad(vectors, [(0, 0), (0, max(2 - vectors.shape[1], 0))])
    if len(vectors) < _FEW:
        method = "PCA"
        flat = PCA(2, svd_solver="full").fit_transform(vectors)
    else:
        method = "t-SNE"
        # PCA's start and the exact gradient: nothing in it is drawn, threads change nothing.
        flat = TSNE(
            perplexity=min(30, (len(vectors) - 1) / 3),
            init="pca",
            method="exact",
            random_state=0,
        ).fit_transform(vectors)
    low, high = flat.min(axis=0), flat.max(axis=0)
    return (flat - low) / np.where(high > low, high - low, 1), method


def spread_on_grid(positions: np.ndarray, places: int) -> np.ndarray:
    """Move each point to a place of its own on a grid, as near as can be for all together.

    Args:
        positions: float [n, 2] in 0 to 1.
        places: how many places a side of the grid has; n at most places^2.

    Returns:
        float64 [n, 2] in 0 to 1: the places' upper left corners times places / (places - 1).

    Raises:
        ValueError: more points than places.
    """
    if len(positions) > places**2:
        raise ValueError(f"expected at most {places**2} points, got {len(positions)}")
    steps = np.arange(places) / max(places - 1, 1)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    distances = np.square(positions[:, None] - grid).sum(axis=2)
    rows, columns = linear_sum_assignment(distances)
    placed = np.empty([len(positions), 2])
    placed[rows] = grid[columns]
    return placed
