from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from feature_oracles import attended, random_weights

from tfrec_vis.ranking import ClusterIdFeature

ROWS, CLICKS, CLUSTERS, UNITS = 8, 5, 4, 3


def inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row 0 without clicks, 1 full, 2 with a target, 3 with all clicks but one in no cluster."""
    random = np.random.default_rng(0)
    target, history = random.integers(0, CLUSTERS, ROWS), random.integers(-1, 4, [ROWS, CLICKS])
    mask = random.random([ROWS, CLICKS]) < 0.6
    mask[0], mask[1], mask[3] = False, True, True
    target[2], history[3, 1:], history[3, 0] = -1, -1, target[3]
    history[2, 0], mask[2, 0] = -1, True  # none is no cluster to share
    return target, history, mask


@pytest.fixture
def layer() -> ClusterIdFeature:
    layer = ClusterIdFeature(CLUSTERS, UNITS, dtype="float64")
    layer.build(tf.TensorShape([None]))
    random_weights(layer)
    return layer


def by_loop(layer: ClusterIdFeature, target: np.ndarray, history: np.ndarray, mask: np.ndarray):
    table, rows = [*layer.embedding.numpy(), np.zeros(UNITS)], []  # -1 is the last
    for c, clicks, there in zip(target, history, mask, strict=True):
        valid = there & (clicks != -1)
        pictured = valid & (c != -1)
        interest = attended(
            layer.attention, table[c], np.array([table[k] for k in clicks]), pictured
        )
        known = [k for k, v in zip(clicks, valid, strict=True) if v]
        share = known.count(c) / len(known) if known else 0.0
        rows.append(np.concatenate([table[c], interest, [share]]))
    return np.array(rows)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_equals_a_loop(layer: ClusterIdFeature, dtype: type) -> None:
    target, history, mask = inputs()
    expected = by_loop(layer, target, history, mask)
    out = layer(target.astype(dtype), history.astype(dtype), mask)
    np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-12)
    assert set(expected[:, -1]) > {0.0, 1.0}


def test_what_has_no_cluster_gives_zeros(layer: ClusterIdFeature) -> None:
    out = layer(*inputs()).numpy()
    assert not out[0, UNITS:].any()
    assert inputs()[2][2].any() and not out[2].any() and out[3, -1] == 1


def test_the_embedding_of_other_clusters_has_no_gradient(layer: ClusterIdFeature) -> None:
    with tf.GradientTape() as tape:
        out = layer(np.array([1, -1]), np.array([[2, -1], [-1, 2]]), np.array([[1, 1], [0, 0]]))
        loss = tf.reduce_sum(out**2)
    gradient = tf.convert_to_tensor(tape.gradient(loss, layer.embedding)).numpy()
    assert gradient[[1, 2]].all() and not gradient[[0, 3]].any()


def test_no_clusters_are_refused() -> None:
    with pytest.raises(ValueError, match="expected clusters of at least 1, got 0"):
        ClusterIdFeature(0)
