"""K-means clusters of embeddings (faiss)."""

from __future__ import annotations

import numpy as np

from tfrec_vis.errors import InputError


def fit_centroids(vectors: np.ndarray, clusters: int, seed: int = 0) -> np.ndarray:
    """Fits k-means centroids by Euclidean distance.

    Args:
        vectors: float32 [n, d].
        clusters: k, at most n.
        seed: of the initial centroids.

    Returns:
        float32 [k, d].

    Raises:
        InputError: fewer vectors than clusters.
    """
    import faiss

    if len(vectors) < clusters:
        raise InputError(
            f"embed.clusters: {clusters} clusters need as many items, only {len(vectors)} were "
            "seen before the second cut; lower embed.clusters"
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
