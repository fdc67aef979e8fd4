"""Normalised discounted cumulative gain."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tfrec_vis.metrics._inputs import as_labels, as_scores, block_starts, dense_ranks, group_codes


def ndcg(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, k: int = 10) -> float:
    """Compute NDCG@k, the mean over the groups that hold a positive.

        DCG@k = sum_{rank r < k} label_r / log2(r + 2),     NDCG@k = DCG@k / max DCG@k

    Rows of one group with equal scores share the mean gain of their ranks, as scikit-learn's
    ``ndcg_score`` does: the value does not depend on the order of the rows.

    Args:
        labels: [n], 0 or 1.
        scores: [n], finite numbers; only their order within a group matters.
        groups: [n], group ids (page views, say) of any dtype.
        k: how many of the first ranks count.

    Returns:
        A float in [0, 1]; NaN where no group holds a positive.

    Raises:
        ValueError: on shapes that differ, bad labels or scores, or k below 1.

    Source: Järvelin and Kekäläinen, TOIS 2002; ties: McSherry and Najork, ECIR 2008.
    """
    if k < 1:
        raise ValueError(f"expected k of at least 1, got {k}")
    y = as_labels(labels)
    s = as_scores(scores, len(y))
    codes, count = group_codes(groups, len(y))
    if not y.any():
        return float("nan")
    ranks = dense_ranks(-s)
    width = int(ranks.max()) + 1
    keys = np.sort((codes * width + ranks) * 2 + y)
    blocks = keys >> 1
    starts = block_starts(blocks)
    sizes = np.diff(starts, append=len(keys))
    group = blocks[starts] // width

    rows = np.bincount(codes, minlength=count)
    first_row = np.cumsum(rows) - rows
    start = starts - first_row[group]  # rank of the block's first row within its group
    gains = np.concatenate(([0.0], np.cumsum(1 / np.log2(np.arange(k) + 2))))
    shared = gains[np.minimum(start + sizes, k)] - gains[np.minimum(start, k)]
    positive = np.add.reduceat(keys & 1, starts)
    dcg = np.bincount(group, weights=positive / sizes * shared, minlength=count)
    positives = np.bincount(codes, weights=y, minlength=count).astype(np.int64)
    held = positives > 0
    return float(np.mean(dcg[held] / gains[np.minimum(positives[held], k)]))
