"""Checks and sorting shared by the metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_labels(labels: ArrayLike) -> NDArray[np.int64]:
    """Return 0/1 labels of shape [n] as int64; anything else is a ValueError."""
    array = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"expected labels of shape [n], got shape {array.shape}")
    if not (array.dtype == bool or np.issubdtype(array.dtype, np.number)):
        raise ValueError(f"expected labels that are 0 or 1, got dtype {array.dtype}")
    if array.dtype != bool and not np.all((array == 0) | (array == 1)):
        raise ValueError("expected labels that are 0 or 1, got other values")
    return array.astype(np.int64)


def as_scores(scores: ArrayLike, rows: int, name: str = "scores") -> NDArray[np.float64]:
    """Return finite scores of shape [rows] as float64; anything else is a ValueError."""
    array = np.asarray(scores, dtype=np.float64)
    if array.shape != (rows,):
        raise ValueError(f"expected {name} of shape ({rows},) as the labels, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"expected finite {name}, got {np.sum(~np.isfinite(array))} NaN or inf")
    return array


def as_weights(weights: ArrayLike, rows: int) -> NDArray[np.float64]:
    """Return non-negative weights of shape [rows] as float64; anything else is a ValueError."""
    array = as_scores(weights, rows, "weights")
    if (array < 0).any():
        raise ValueError("expected non-negative weights")
    return array


def group_codes(groups: ArrayLike, rows: int) -> tuple[NDArray[np.int64], int]:
    """Number the groups 0..g-1.

    Args:
        groups: [rows], group ids of any dtype.
        rows: expected length.

    Returns:
        codes [rows] int64 and the number of codes g. Some codes may have no row.
    """
    array = np.asarray(groups)
    if array.shape != (rows,):
        raise ValueError(f"expected groups of shape ({rows},) as the labels, got {array.shape}")
    if rows == 0:
        return np.zeros(0, np.int64), 0
    if np.issubdtype(array.dtype, np.integer):
        low, high = int(array.min()), int(array.max())
        if high - low < 4 * rows:  # dense ids need no sorting
            if np.issubdtype(array.dtype, np.unsignedinteger):
                return (array - array.dtype.type(low)).astype(np.int64), high - low + 1
            return array.astype(np.int64) - low, high - low + 1
        values, codes = np.unique(array, return_inverse=True)
        return codes.astype(np.int64), len(values)
    if array.dtype.kind in "OUS":
        seen: dict[object, int] = {}
        codes = np.fromiter((seen.setdefault(g, len(seen)) for g in array.tolist()), np.int64, rows)
        return codes, len(seen)
    values, codes = np.unique(array, return_inverse=True)
    return codes.astype(np.int64), len(values)


def dense_ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rank of each value, 0 for the smallest, equal values sharing one rank."""
    order = np.argsort(values)
    ordered = values[order]
    steps = np.empty(len(values), np.int64)
    steps[:1] = 0
    np.cumsum(ordered[1:] != ordered[:-1], out=steps[1:])
    ranks = np.empty_like(steps)
    ranks[order] = steps
    return ranks


def block_starts(ordered: NDArray) -> NDArray[np.int64]:
    """Return the first position of every run of equal values in a sorted, non-empty array."""
    return np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
