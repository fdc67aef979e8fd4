"""Mean binary cross-entropy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfrec_vis.metrics._inputs import as_labels, as_scores, as_weights


def log_loss(
    labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Compute the mean negative log-likelihood of the labels, in nats.

        -sum_i w_i (y_i log p_i + (1 - y_i) log(1 - p_i)) / sum_i w_i

    with p clipped to [eps, 1 - eps] of float64.

    Args:
        labels: [n], 0 or 1.
        probabilities: [n], predicted probability of a click, in [0, 1].
        weights: [n], non-negative row weights; all equal when left out.

    Returns:
        A non-negative float; NaN without rows (or weight).

    Raises:
        ValueError: on shapes that differ, bad labels, probabilities outside [0, 1], or negative
            weights.

    Example:
        >>> round(log_loss([1, 0], [0.5, 0.25]), 4)
        0.4904
    """
    y = as_labels(labels)
    p = as_probabilities(probabilities, len(y))
    w = np.ones(len(y)) if weights is None else as_weights(weights, len(y))
    if not w.sum():
        return float("nan")
    eps = np.finfo(np.float64).eps
    p = np.clip(p, eps, 1 - eps)
    return float(np.average(-np.where(y == 1, np.log(p), np.log1p(-p)), weights=w))


def as_probabilities(probabilities: ArrayLike, rows: int) -> NDArray[np.float64]:
    """Return probabilities of shape [rows] as float64; outside [0, 1] is a ValueError."""
    p = as_scores(probabilities, rows, "probabilities")
    if ((p < 0) | (p > 1)).any():
        raise ValueError("expected probabilities in [0, 1]; apply the sigmoid to logits first")
    return p
