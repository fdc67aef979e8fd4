"""Predicted probabilities against click rates, bin by bin."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfrec_vis.metrics._inputs import as_labels, block_starts
from tfrec_vis.metrics.log_loss import as_probabilities


def reliability(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 15
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute the points of a reliability plot over bins of equal count.

    Rows are sorted by probability and cut into `bins` runs whose sizes differ by at most one.
    Rows of equal probability count with their mean label, so that the values do not depend on
    the order of the rows where a cut falls among them. The bins are those of
    ``expected_calibration_error``:

        ECE = sum_b count_b |clicked_b - predicted_b| / n

    Args:
        labels: [n], 0 or 1.
        probabilities: [n], predicted probability of a click, in [0, 1].
        bins: number of bins; with fewer rows, one row a bin.

    Returns:
        count int64, predicted (mean probability) and clicked (click rate) float64, each
        [min(bins, n)], in ascending order of probability.

    Raises:
        ValueError: on shapes that differ, bad labels or probabilities, or bins below 1.

    Example:
        >>> count, predicted, clicked = reliability([0, 0, 0, 1], [0.1, 0.2, 0.5, 0.5], bins=2)
        >>> count, clicked
        (array([2, 2]), array([0. , 0.5]))

    Source: Niculescu-Mizil and Caruana, ICML 2005 (equal-count variant: Nguyen and O'Connor,
    EMNLP 2015).
    """
    if bins < 1:
        raise ValueError(f"expected bins of at least 1, got {bins}")
    y = as_labels(labels)
    p = as_probabilities(probabilities, len(y))
    rows = len(y)
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    order = np.argsort(p)
    p = p[order]
    starts = block_starts(p)
    sizes = np.diff(starts, append=rows)
    rate = np.repeat(np.add.reduceat(y[order], starts) / sizes, sizes)
    parts = min(bins, rows)
    count = np.full(parts, rows // parts)
    count[: rows % parts] += 1
    first = np.cumsum(count) - count
    return count, np.add.reduceat(p, first) / count, np.add.reduceat(rate, first) / count
