from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from tfrec_vis.embeddings import cluster_balance


def test_equals_a_loop():
    cluster_id = np.random.default_rng(0).zipf(1.4, 500).clip(0, 39).astype(np.int32)
    sizes = [sum(int(c) == k for c in cluster_id) for k in range(50)]
    balance = cluster_balance(cluster_id, 50)
    assert balance["clusters"] == 50
    assert (balance["smallest"], balance["largest"]) == (0, max(sizes))
    assert balance["median"] == sorted(sizes)[24] / 2 + sorted(sizes)[25] / 2
    assert balance["empty"] == sizes.count(0) >= 11
    assert balance["largest_share"] == pytest.approx(max(sizes) / 500)
    assert balance["evenness"] == pytest.approx(entropy(sizes, base=50))
    assert balance["perplexity"] == pytest.approx(np.exp(entropy(sizes)))


@pytest.mark.parametrize(
    "cluster_id, clusters, evenness, perplexity, empty",
    [
        ([0, 1, 2, 3], 4, 1, 4, 0),
        ([2, 2, 2], 4, 0, 1, 3),
        ([0], 1, 1, 1, 0),
        ([0, 0, 1, 1], 4, 0.5, 2, 2),
    ],
)
def test_even_and_not(cluster_id, clusters, evenness, perplexity, empty):
    balance = cluster_balance(np.array(cluster_id, np.int32), clusters)
    assert balance["evenness"] == pytest.approx(evenness)
    assert balance["perplexity"] == pytest.approx(perplexity)
    assert balance["empty"] == empty
