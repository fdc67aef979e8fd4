"""Area under the ROC curve, exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfrec_vis.metrics._inputs import as_labels, as_scores, as_weights, block_starts


def auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Compute the exact AUC.

    The probability that a clicked row scores above an un-clicked one, ties counting half:

        AUC = sum_{i in P, j in N} w_i w_j ([s_i > s_j] + [s_i = s_j] / 2) / (w(P) w(N))

    computed by sorting, O(n log n), in integers where there are no weights.

    Args:
        labels: [n], 0 or 1.
        scores: [n], finite numbers of any scale.
        weights: [n], non-negative row weights; all equal when left out.

    Returns:
        A float in [0, 1]; NaN where either class is absent (or has no weight).

    Raises:
        ValueError: on shapes that differ, labels other than 0 and 1, or non-finite scores.

    Example:
        >>> auc([1, 0, 1, 0], [0.9, 0.1, 0.4, 0.4])
        0.875
    """
    y = as_labels(labels)
    s = as_scores(scores, len(y))
    positive: NDArray = y
    negative: NDArray = 1 - y
    if weights is not None:
        w = as_weights(weights, len(y))
        positive, negative = w * positive, w * negative
    total = float(positive.sum()) * float(negative.sum())
    if total == 0:
        return float("nan")
    order = np.argsort(s)
    starts = block_starts(s[order])
    positive = np.add.reduceat(positive[order], starts)
    negative = np.add.reduceat(negative[order], starts)
    twice_below = 2 * np.cumsum(negative) - negative
    return float(np.dot(positive, twice_below)) / (2 * total)
