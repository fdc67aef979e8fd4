"""How evenly items are spread over clusters."""

from __future__ import annotations

from typing import Any

import numpy as np


def cluster_balance(cluster_id: np.ndarray, clusters: int) -> dict[str, Any]:
    """Summarises the sizes of clusters.

        evenness = H / log k,   perplexity = exp(H),   H = -sum_j p_j log p_j,   p_j = n_j / n

    A perplexity of 200 with 500 clusters says that items are as spread out as over 200 clusters
    of equal size. ``evenness`` is 1 for equal sizes and 0 where one cluster has everything; with
    k = 1 it is 1.

    Args:
        cluster_id: int [n], 0 to k - 1, n at least 1.
        clusters: k.

    Returns:
        {"clusters": k, "smallest", "median", "largest": sizes, "empty": clusters without item,
        "largest_share", "evenness", "perplexity"}.

    Example:
        >>> import numpy as np
        >>> balance = cluster_balance(np.array([0, 0, 1, 1]), 3)
        >>> balance["largest"], balance["empty"], round(balance["perplexity"], 6)
        (2, 1, 2.0)
    """
    sizes = np.bincount(cluster_id, minlength=clusters)
    share = sizes[sizes > 0] / sizes.sum()
    entropy = float(-np.sum(share * np.log(share)))
    return {
        "clusters": clusters,
        "smallest": int(sizes.min()),
        "median": float(np.median(sizes)),
        "largest": int(sizes.max()),
        "empty": int(np.sum(sizes == 0)),
        "largest_share": float(share.max()),
        "evenness": entropy / np.log(clusters) if clusters > 1 else 1.0,
        "perplexity": float(np.exp(entropy)),
    }
