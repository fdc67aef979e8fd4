from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis import metrics
from tfrec_vis.pretraining.diagnostics import (
    attention_entropy,
    effective_rank,
    mean_pairwise_cosine,
)


@pytest.mark.parametrize("shape", [(40, 8), (6, 30), (2, 2)])
@pytest.mark.parametrize("offset", [0.0, 4.0])
def test_equal_the_exact_metrics(shape, offset):
    embeddings = np.random.default_rng(0).normal(size=shape) + offset
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    tensor = tf.constant(embeddings, tf.float32)
    exact = metrics.mean_pairwise_cosine(embeddings)
    assert float(mean_pairwise_cosine(tensor)) == pytest.approx(exact, abs=1e-5)
    # The step's rank is that of normalised rows.
    assert float(effective_rank(tensor)) == pytest.approx(metrics.effective_rank(unit), rel=1e-3)


def test_a_collapsed_embedding_raises_the_alarm():
    one_direction = np.outer(np.linspace(1, 3, 500), np.ones(64)).astype(np.float32)
    assert float(mean_pairwise_cosine(one_direction)) == pytest.approx(1.0, abs=1e-4)
    assert float(effective_rank(one_direction)) == pytest.approx(1.0, abs=0.01)
    every_direction = np.eye(32, dtype=np.float32)
    assert float(mean_pairwise_cosine(every_direction)) == pytest.approx(0.0, abs=1e-6)
    assert float(effective_rank(every_direction)) == pytest.approx(32.0, rel=1e-5)


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows_are_finite(n):
    assert float(mean_pairwise_cosine(tf.ones([n, 4]))) == 0.0
    assert float(effective_rank(tf.ones([n, 4]))) == pytest.approx(1.0)


def test_attention_entropy_extremes():
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)
    even = (mask / mask.sum(axis=1, keepdims=True))[:, None, None, :] * np.ones((2, 3, 5, 1))
    assert float(attention_entropy(even, mask)) == pytest.approx(1.0)
    peaked = np.zeros((2, 3, 5, 4))
    peaked[..., 0] = 1
    assert float(attention_entropy(peaked, mask)) == 0.0


def test_attention_entropy_leaves_out_users_with_fewer_than_two_clicks():
    mask = np.array([[1, 1], [1, 0], [0, 0]], bool)
    scores = np.array([[0.25, 0.75], [1, 0], [0, 0]])[:, None, None, :]
    expected = -(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))
    assert float(attention_entropy(scores, mask)) == pytest.approx(expected)
    assert float(attention_entropy(scores[1:], mask[1:])) == 0.0
