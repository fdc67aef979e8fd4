from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.layers import ClickHead

WIDTH, HIDDEN = 4, 6


def rows(n=9, seed=0):
    rng = np.random.default_rng(seed)
    rebuilt, shown = rng.normal(size=(2, n, WIDTH))
    return rebuilt, shown, rng.random(n) < 0.7


def head_with_random_weights(normalization):
    head = ClickHead(HIDDEN, normalization, dtype="float64")
    head.build(tf.TensorShape([None, WIDTH]))
    rng = np.random.default_rng(1)
    head.set_weights([rng.uniform(0.2, 1.0, w.shape) for w in head.get_weights()])
    return head


def by_loop(head, rebuilt, shown, valid, training):
    """Row by row; statistics of "batch" are those of the valid rows in training."""
    kernel, bias = (w.numpy() for w in head.dense.weights)
    out, out_bias = (w.numpy() for w in head.output_layer.weights)
    pairs = np.concatenate([rebuilt, shown], axis=1)
    hidden = np.array([np.maximum(pair @ kernel + bias, 0) for pair in pairs])
    norm = head.norm
    mean, variance = hidden[valid].mean(axis=0), hidden[valid].var(axis=0)
    logits = np.zeros(len(valid))
    for i in np.flatnonzero(valid):
        if head.normalization == "layer":
            mean, variance = hidden[i].mean(), hidden[i].var()
        elif not training:
            mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
        scaled = (hidden[i] - mean) / np.sqrt(variance + norm.epsilon)
        logits[i] = (scaled * norm.gamma.numpy() + norm.beta.numpy()) @ out[:, 0] + out_bias[0]
    return logits, hidden


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("normalization", ["layer", "batch"])
def test_equals_a_loop(normalization, training):
    head, (rebuilt, shown, valid) = head_with_random_weights(normalization), rows()
    expected, _ = by_loop(head, rebuilt, shown, valid, training)
    logits = head(rebuilt, shown, valid, training=training)
    np.testing.assert_allclose(logits, expected, atol=1e-8)
    assert np.all(logits.numpy()[~valid] == 0) and (~valid).any()


@pytest.mark.parametrize("normalization", ["layer", "batch"])
def test_padding_has_no_influence(normalization):
    results = []
    for padding in (0.0, 1e6, np.nan):
        head, (rebuilt, shown, valid) = head_with_random_weights(normalization), rows()
        rebuilt, shown = (np.where(valid[:, None], x, padding) for x in (rebuilt, shown))
        with tf.GradientTape() as tape:
            logits = head(rebuilt, shown, valid, training=True)
            total = tf.reduce_sum(logits**2)
        gradients = tape.gradient(total, head.trainable_variables)
        results.append([logits, *gradients, *head.get_weights()])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_moving_statistics_are_those_of_valid_rows():
    head, (rebuilt, shown, valid) = head_with_random_weights("batch"), rows()
    before = head.norm.moving_mean.numpy(), head.norm.moving_variance.numpy()
    _, hidden = by_loop(head, rebuilt, shown, valid, True)
    head(rebuilt, shown, valid, training=True)
    momentum = head.norm.momentum
    for moving, was, now in zip(
        (head.norm.moving_mean, head.norm.moving_variance),
        before,
        (hidden[valid].mean(axis=0), hidden[valid].var(axis=0)),
        strict=True,
    ):
        np.testing.assert_allclose(moving, momentum * was + (1 - momentum) * now, atol=1e-8)


@pytest.mark.parametrize("n", [0, 1, 9])
def test_padding_alone_leaves_moving_statistics(n):
    head, (rebuilt, shown, valid) = head_with_random_weights("batch"), rows(n)
    before = head.get_weights()
    step = tf.function(lambda *x: head(*x, training=True), autograph=False)
    for call in (step, lambda *x: head(*x, training=True)):
        np.testing.assert_array_equal(call(rebuilt, shown, np.zeros_like(valid)), np.zeros(n))
        for one, two in zip(before, head.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)


def test_trains_as_part_of_a_model():
    """Keras passes `training` on by itself: fit moves the statistics, predict does not."""
    import tf_keras as keras

    rebuilt, shown, valid = (x.astype(np.float32) for x in rows(8))
    inputs = [keras.Input([WIDTH]), keras.Input([WIDTH]), keras.Input([])]
    head = ClickHead(HIDDEN, "batch")
    model = keras.Model(inputs, head(*inputs))
    model.compile("sgd", "mse")
    before = head.norm.moving_mean.numpy()
    model.predict([rebuilt, shown, valid], verbose=0)
    np.testing.assert_array_equal(head.norm.moving_mean, before)
    model.train_on_batch([rebuilt, shown, valid], np.ones(8))
    assert np.abs(head.norm.moving_mean.numpy() - before).max() > 1e-4


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match='normalization to be "layer" or "batch", got \'none\''):
        ClickHead(normalization="none")
    with pytest.raises(ValueError, match="hidden of at least 1, got 0"):
        ClickHead(hidden=0)
