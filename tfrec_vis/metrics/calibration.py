"""How far predicted probabilities are from click rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tfrec_vis.metrics.reliability import reliability


def expected_calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 15
) -> float:
    """Compute the expected calibration error over bins of equal count.

        ECE = sum_b n_b / n |mean label of b - mean probability of b|

    over the bins of ``reliability``: rows are sorted by probability and cut into `bins` runs whose
    sizes differ by at most one; rows of equal probability count with their mean label.

    Args:
        labels: [n], 0 or 1.
        probabilities: [n], predicted probability of a click, in [0, 1].
        bins: number of bins; with fewer rows, one row a bin.

    Returns:
        A float in [0, 1]; NaN without rows.

    Raises:
        ValueError: on shapes that differ, bad labels or probabilities, or bins below 1.

    Source: Naeini et al., AAAI 2015 (equal-count variant: Nguyen and O'Connor, EMNLP 2015).
    """
    count, predicted, clicked = reliability(labels, probabilities, bins)
    if not len(count):
        return float("nan")
    return float(np.dot(count, np.abs(clicked - predicted)) / count.sum())
