"""K-means clusters of embeddings (faiss)."""

from __future__ import annotations

import numpy as np

from tfrec_vis.errors import InputError

_POINTS_PER_CENTROID = 1024
"""Vectors that a centroid is fitted on, on average, at most: bounds memory and time."""


def training_sample(rows: np.ndarray, clusters: int, seed: int = 0) -> np.ndarray:
    """The rows that k-means is fitted on: all, or of very many a random part, in their order.

    Args:
        rows: int [n].
        clusters: k.
        seed: of the choice.

    Returns:
        int [min(n, 1024 k)].
    """
    most = clusters * _POINTS_PER_CENTROID
    if len(rows) <= most:
        return rows
    chosen = np.random.default_rng(seed).choice(len(rows), most, replace=False)
    return rows[np.sort(chosen)]


def fit_centroids(
    vectors: np.ndarray, clusters: int, seed: int = 0, setting: str = "embed.clusters"
) -> np.ndarray:
    """Fits k-means centroids by Euclidean distance.

    Args:
        vectors: float32 [n, d].
        clusters: k, at most n.
        seed: of the initial centroids.
        setting: what the user calls ``clusters``.

    Returns:
        float32 [k, d].

    Raises:
        InputError: fewer vectors than clusters.
    """
    import faiss

    if len(vectors) < clusters:
        raise InputError(
            f"{setting}: {clusters} clusters need as many items, only {len(vectors)} were "
            f"seen before the second cut; lower {setting}"
        )
    kmeans = faiss.Kmeans(
        vectors.shape[1],
        clusters,
        niter=25,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=10**9,
    )
    kmeans.train(np.ascontiguousarray(vectors, np.float32))
    return np.array(kmeans.centroids, np.float32)


def assign_clusters(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The nearest centroid of each vector by Euclidean distance: int32 [n]."""
    import faiss

    index = faiss.IndexFlatL2(centroids.shape[1])
    index.add(np.ascontiguousarray(centroids, np.float32))
    _, nearest = index.search(np.ascontiguousarray(vectors, np.float32), 1)
    return nearest[:, 0].astype(np.int32)
