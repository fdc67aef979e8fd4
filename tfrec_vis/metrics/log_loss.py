"""Mean binary cross-entropy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfrec_vis.metrics._inputs import as_labels, as_scores


def log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Compute the mean negative log-likelihood of the labels, in nats.

        -mean(y log p + (1 - y) log(1 - p)),     p clipped to [eps, 1 - eps] of float64

    Args:
        labels: [n], 0 or 1.
        probabilities: [n], predicted probability of a click, in [0, 1].

    Returns:
        A non-negative float; NaN without rows.

    Raises:
        ValueError: on shapes that differ, bad labels, or probabilities outside [0, 1].
    """
    y = as_labels(labels)
    p = as_probabilities(probabilities, len(y))
    if not len(y):
        return float("nan")
    eps = np.finfo(np.float64).eps
    p = np.clip(p, eps, 1 - eps)
    return float(-np.mean(np.where(y == 1, np.log(p), np.log1p(-p))))


def as_probabilities(probabilities: ArrayLike, rows: int) -> NDArray[np.float64]:
    """Return probabilities of shape [rows] as float64; outside [0, 1] is a ValueError."""
    p = as_scores(probabilities, rows, "probabilities")
    if ((p < 0) | (p > 1)).any():
        raise ValueError("expected probabilities in [0, 1]; apply the sigmoid to logits first")
    return p
