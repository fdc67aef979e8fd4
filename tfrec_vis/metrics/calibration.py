"""How far predicted probabilities are from click rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tfrec_vis.metrics._inputs import as_labels, block_starts
from tfrec_vis.metrics.log_loss import as_probabilities


def expected_calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 15
) -> float:
    """Compute the expected calibration error over bins of equal count.

        ECE = sum_b n_b / n |mean label of b - mean probability of b|

    Rows are sorted by probability and cut into `bins` runs whose sizes differ by at most one.
    Rows of equal probability count with their mean label, so that the value does not depend on
    the order of the rows where a cut falls among them.

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
    if bins < 1:
        raise ValueError(f"expected bins of at least 1, got {bins}")
    y = as_labels(labels)
    p = as_probabilities(probabilities, len(y))
    if not len(y):
        return float("nan")
    order = np.argsort(p)
    p = p[order]
    starts = block_starts(p)
    sizes = np.diff(starts, append=len(p))
    rate = np.repeat(np.add.reduceat(y[order], starts) / sizes, sizes)
    gaps = [abs(part.sum()) for part in np.array_split(rate - p, min(bins, len(p)))]
    return float(sum(gaps) / len(p))
