from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from contrast_oracle import gradient_by_differences
from sklearn.metrics import log_loss

from tfrec_vis.losses import ClickCrossEntropy


def rows(n=12, seed=0):
    rng = np.random.default_rng(seed)
    valid = rng.random(n) < 0.7
    clicked = np.where(valid, rng.integers(0, 2, n), -1)
    return 3 * rng.normal(size=n), clicked, valid


def by_loop(logits, clicked, valid):
    total, count = 0.0, 0
    for x, y, v in zip(logits, clicked, valid, strict=True):
        if v:
            share = 1 / (1 + math.exp(-x))
            total -= math.log(share if y == 1 else 1 - share)
            count += 1
    return total / count if count else 0.0


@pytest.mark.parametrize("seed", range(3))
def test_equals_a_loop_and_scikit_learn(seed):
    logits, clicked, valid = rows(seed=seed)
    expected = by_loop(logits, clicked, valid)
    exact = ClickCrossEntropy()(logits, clicked, valid)
    assert exact.dtype == tf.float64
    np.testing.assert_allclose(exact, expected, atol=1e-9)
    np.testing.assert_allclose(
        exact, log_loss(clicked[valid], 1 / (1 + np.exp(-logits[valid]))), rtol=1e-9
    )
    single = ClickCrossEntropy()(logits.astype(np.float32), clicked, valid)
    np.testing.assert_allclose(single, expected, rtol=2e-5)


def test_gradient_equals_finite_differences():
    logits, clicked, valid = rows()
    watched = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        value = ClickCrossEntropy()(watched, clicked, valid)
    expected = gradient_by_differences(lambda x: by_loop(x, clicked, valid), logits)
    np.testing.assert_allclose(tape.gradient(value, watched), expected, atol=1e-8)


def test_padding_has_no_influence():
    logits, clicked, valid = rows()
    watched = tf.constant(np.where(valid, logits, np.nan))
    with tf.GradientTape() as tape:
        tape.watch(watched)
        value = ClickCrossEntropy()(watched, clicked, valid)
    np.testing.assert_allclose(value, by_loop(logits, clicked, valid), rtol=1e-9)
    gradient = tape.gradient(value, watched).numpy()
    assert np.isfinite(gradient).all() and np.all(gradient[~valid] == 0)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_padding_alone_gives_zero(n):
    assert ClickCrossEntropy()(tf.ones([n]), tf.ones([n]), tf.zeros([n])) == 0.0


def test_far_logits_stay_finite():
    value = ClickCrossEntropy()(tf.constant([1e4, -1e4], tf.float16), [0, 1], [1, 1])
    assert value.dtype == tf.float32 and abs(float(value) - 1e4) < 10
