"""Semantic ids: residual quantisation by k-means."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec_vis.embeddings.kmeans import assign_clusters, fit_centroids

_SLICE = 65_536
"""Vectors copied at once."""


def fit_codebooks(vectors: np.ndarray, levels: int, codes: int, seed: int = 0) -> np.ndarray:
    """Fits one k-means after the other, each on what the ones before leave over.

        r_1 = v,   r_(l+1) = r_l - c_l(s_l),   s_l = argmin_j |r_l - c_l(j)|

    Args:
        vectors: float32 [n, d].
        levels: l.
        codes: entries of each codebook, at most n.
        seed: of the initial entries.

    Returns:
        The codebooks, float32 [levels, codes, d].

    Raises:
        InputError: fewer vectors than codes.

    Source: residual quantisation, as TIGER's semantic ids (arXiv 2305.05065), by k-means in
    place of an autoencoder.
    """
    residual, codebooks = np.array(vectors, np.float32), []
    for level in range(levels):
        book = fit_centroids(residual, codes, seed + level, "embed.semantic_codes")
        residual -= book[assign_clusters(residual, book)]
        codebooks.append(book)
    return np.stack(codebooks)


def assign_codes(vectors: np.ndarray, codebooks: np.ndarray) -> np.ndarray:
    """The semantic id of each vector.

    Args:
        vectors: float32 [n, d].
        codebooks: float32 [levels, codes, d].

    Returns:
        int32 [n, levels], the coarsest first.

    Example:
        >>> import numpy as np
        >>> codebooks = np.array([[[0.0], [10.0]], [[-1.0], [1.0]]], np.float32)
        >>> assign_codes(np.array([[0.8], [9.5]], np.float32), codebooks).tolist()
        [[0, 1], [1, 0]]
    """
    codes = np.empty([len(vectors), len(codebooks)], np.int32)
    for start in range(0, len(vectors), _SLICE):
        residual = np.array(vectors[start : start + _SLICE], np.float32)
        for level, book in enumerate(codebooks):
            code = assign_clusters(residual, book)
            codes[start : start + _SLICE, level] = code
            residual -= book[code]
    return codes


def describe_codes(
    codes: np.ndarray, codebooks: np.ndarray, vectors: np.ndarray, rows: np.ndarray
) -> dict[str, Any]:
    """How well semantic ids tell items apart, and how much of the vectors they keep.

    Args:
        codes: int [n, levels].
        codebooks: float32 [levels, codes, d].
        vectors: float32 [m, d], a sample of the vectors.
        rows: int [m], the rows of ``codes`` that are theirs.

    Returns:
        {"levels", "codes", "distinct": different ids, "collisions": items that share theirs with
        another, "most_shared": items of the commonest id, "error": by level, mean squared
        distance to the sum of the entries up to it, over mean squared length}.
    """
    counts = np.unique(codes, axis=0, return_counts=True)[1]
    residual, errors = vectors.astype(np.float64), []
    total = max(float(np.sum(residual**2)), 1e-12)
    for level, book in enumerate(codebooks):
        residual -= book[codes[rows, level]]
        errors.append(float(np.sum(residual**2)) / total)
    return {
        "levels": codebooks.shape[0],
        "codes": codebooks.shape[1],
        "distinct": len(counts),
        "collisions": int(counts[counts > 1].sum()),
        "most_shared": int(counts.max()),
        "error": errors,
    }
