"""Diagnostics of collapsed embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def mean_pairwise_cosine(embeddings: ArrayLike) -> float:
    """Compute the mean cosine over all pairs of different rows, exactly and in O(n d).

        (|sum_i u_i|^2 - sum_i |u_i|^2) / (n (n - 1)),     u_i = e_i / |e_i|

    About 0.02 is healthy, towards 1 collapsed (PAPER, "What came after"). A zero row has
    cosine 0 with every other.

    Args:
        embeddings: [n, d], finite, any scale.

    Returns:
        A float in [-1, 1]; NaN with fewer than two rows.

    Raises:
        ValueError: if the array is not [n, d] or not finite.
    """
    e = _as_matrix(embeddings)
    n = len(e)
    if n < 2:
        return float("nan")
    norms = np.linalg.norm(e, axis=1, keepdims=True)
    unit = np.divide(e, norms, out=np.zeros_like(e), where=norms > 0)
    total = unit.sum(axis=0)
    return float((total @ total - np.sum(unit * unit)) / (n * (n - 1)))


def effective_rank(embeddings: ArrayLike) -> float:
    """Compute the effective rank: exp of the entropy of the normalised singular values.

        exp(-sum_k p_k log p_k),     p_k = sigma_k / sum_l sigma_l

    1 where all rows point one way, min(n, d) where every direction is used equally. The rows
    are taken as they are: neither centred nor normalised.

    Args:
        embeddings: [n, d], finite.

    Returns:
        A float in [1, min(n, d)]; NaN for an empty or all-zero matrix.

    Raises:
        ValueError: if the array is not [n, d] or not finite.

    Source: Roy and Vetterli, EUSIPCO 2007.
    """
    e = _as_matrix(embeddings)
    if not e.any():
        return float("nan")
    sigma = np.linalg.svd(e, compute_uv=False)
    p = sigma[sigma > 0] / sigma.sum()
    return float(np.exp(-np.sum(p * np.log(p))))


def _as_matrix(embeddings: ArrayLike) -> NDArray[np.float64]:
    e = np.asarray(embeddings, dtype=np.float64)
    if e.ndim != 2:
        raise ValueError(f"expected embeddings of shape [n, d], got shape {e.shape}")
    if not np.isfinite(e).all():
        raise ValueError("expected finite embeddings, got NaN or inf")
    return e
