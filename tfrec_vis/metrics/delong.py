"""DeLong's test of the difference between two AUCs on the same rows."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfrec_vis.metrics._inputs import as_labels, as_scores, block_starts


class DeLong(TypedDict):
    """What ``delong`` returns."""

    difference: float
    ci95: list[float]
    p_value: float
    auc_a: float
    auc_b: float


def delong(labels: ArrayLike, scores_a: ArrayLike, scores_b: ArrayLike) -> DeLong:
    """Compare the AUCs of two models on the same rows by DeLong's test.

    With m clicked rows i and n un-clicked rows j, the structural components of one model are

        V_i = mean_j ([s_i > s_j] + [s_i = s_j] / 2)
        W_j = mean_i ([s_i > s_j] + [s_i = s_j] / 2)

    AUC = mean V = mean W, and the difference d = AUC(a) - AUC(b) has the variance

        var_i(V_i(a) - V_i(b)) / m + var_j(W_j(a) - W_j(b)) / n        (unbiased variances)

    from which follow d +- 1.96 sd and p = P(|N(0, 1)| >= |d| / sd). Computed by sorting,
    O(n log n), the components in integers.

    The test takes rows for independent. Rows of one user are not, so its intervals are too short
    on logs: ``paired_bootstrap`` over users is what to decide by.

    Args:
        labels: [n], 0 or 1.
        scores_a: [n], finite scores of model a.
        scores_b: [n], finite scores of model b.

    Returns:
        {"difference", "ci95": [low, high], "p_value", "auc_a", "auc_b"}; NaN where undefined:
        all of them without both classes, interval and p with fewer than two rows of a class.

    Raises:
        ValueError: on shapes that differ, labels other than 0 and 1, or non-finite scores.

    Example:
        >>> result = delong([1, 0, 1, 0, 1, 0], [6, 1, 5, 2, 4, 3], [6, 1, 2, 5, 4, 3])
        >>> round(result["difference"], 4), round(result["p_value"], 4)
        (0.3333, 0.2207)

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 1988; by ranks: Sun and Xu, IEEE Signal
    Processing Letters 2014.
    """
    y = as_labels(labels)
    both = as_scores(scores_a, len(y), "scores_a"), as_scores(scores_b, len(y), "scores_b")
    undefined = float("nan")
    result: DeLong = {
        "difference": undefined,
        "ci95": [undefined, undefined],
        "p_value": undefined,
        "auc_a": undefined,
        "auc_b": undefined,
    }
    positives = int(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return result
    a, b = (_doubled_wins(y, scores) for scores in both)
    pairs = 2 * positives * negatives
    result["auc_a"] = int(a[y == 1].sum()) / pairs
    result["auc_b"] = int(b[y == 1].sum()) / pairs
    gain = a - b
    difference = result["difference"] = int(gain[y == 1].sum()) / pairs
    if positives < 2 or negatives < 2:
        return result
    deviation = math.sqrt(
        np.var(gain[y == 1] / (2 * negatives), ddof=1) / positives
        + np.var(gain[y == 0] / (2 * positives), ddof=1) / negatives
    )
    reach = NormalDist().inv_cdf(0.975) * deviation
    result["ci95"] = [difference - reach, difference + reach]
    if difference == 0:
        result["p_value"] = 1.0
    else:
        ratio = abs(difference) / deviation if deviation else math.inf
        result["p_value"] = math.erfc(ratio / math.sqrt(2))
    return result


def _doubled_wins(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Twice the pairs that are in the right order of each row: 2 n V or 2 m W, int64 [rows]."""
    order = np.argsort(scores)
    starts = block_starts(scores[order])
    sizes = np.diff(starts, append=len(order))
    clicked = labels[order]
    positive = np.add.reduceat(clicked, starts)
    negative = sizes - positive
    of_positive = 2 * np.cumsum(negative) - negative
    of_negative = 2 * positive.sum() - (2 * np.cumsum(positive) - positive)
    wins = np.empty_like(clicked)
    wins[order] = np.where(clicked, np.repeat(of_positive, sizes), np.repeat(of_negative, sizes))
    return wins
