"""AUC within groups."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike

from tfrec_vis.metrics._inputs import as_labels, as_scores, block_starts, dense_ranks, group_codes


class LeftOut(TypedDict):
    """What ``gauc`` leaves out."""

    groups: int
    rows: int


def gauc(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> float:
    """Compute the grouped AUC: the AUC within each group, averaged with the rows as weights.

        GAUC = sum_g n_g AUC_g / sum_g n_g        over groups g with both classes

    Groups of one class have no AUC and are left out, of the weights too (``gauc_left_out`` counts
    them).

    Args:
        labels: [n], 0 or 1.
        scores: [n], finite numbers; only their order within a group matters.
        groups: [n], group ids (users, say) of any dtype.

    Returns:
        A float in [0, 1]; NaN where no group has both classes.

    Raises:
        ValueError: on shapes that differ, labels other than 0 and 1, or non-finite scores.

    Source: PAPER "Downstream"; Zhu et al., "Optimized Cost per Click", KDD 2017.
    """
    y = as_labels(labels)
    s = as_scores(scores, len(y))
    codes, count = group_codes(groups, len(y))
    if not len(y):
        return float("nan")
    ranks = dense_ranks(s)
    width = int(ranks.max()) + 1
    keys = np.sort((codes * width + ranks) * 2 + y)  # one sort: group, then score, label kept
    blocks = keys >> 1
    starts = block_starts(blocks)
    positive = np.add.reduceat(keys & 1, starts)
    negative = np.diff(starts, append=len(keys)) - positive
    group = blocks[starts] // width

    positives = _sums(group, positive, count)
    negatives = _sums(group, negative, count)
    before_group = np.cumsum(negatives) - negatives
    twice_below = 2 * (np.cumsum(negative) - before_group[group]) - negative
    twice_concordant = _sums(group, positive * twice_below, count)
    both = (positives > 0) & (negatives > 0)
    if not both.any():
        return float("nan")
    area = twice_concordant[both] / (2 * positives[both] * negatives[both])
    return float(np.average(area, weights=(positives + negatives)[both]))


def gauc_left_out(labels: ArrayLike, groups: ArrayLike) -> LeftOut:
    """Count the groups that have no AUC, being of one class, and their rows.

    Args:
        labels: [n], 0 or 1.
        groups: [n], group ids of any dtype.

    Returns:
        {"groups", "rows"}: how many ``gauc`` leaves out.

    Raises:
        ValueError: on shapes that differ, or labels other than 0 and 1.

    Example:
        >>> gauc_left_out([1, 0, 0, 0, 1], ["a", "a", "b", "b", "c"])
        {'groups': 2, 'rows': 3}
    """
    y = as_labels(labels)
    codes, count = group_codes(groups, len(y))
    rows = np.bincount(codes, minlength=count)
    clicked = np.bincount(codes, weights=y, minlength=count)
    out = (rows > 0) & ((clicked == 0) | (clicked == rows))
    return {"groups": int(out.sum()), "rows": int(rows[out].sum())}


def _sums(group: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    return np.rint(np.bincount(group, weights=values, minlength=count)).astype(np.int64)
