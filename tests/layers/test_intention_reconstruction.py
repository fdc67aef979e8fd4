from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.layers import IntentionReconstruction


def inputs(batch=3, shown=4, clicks=5, width=8, seed=0):
    """Random queries, histories and masks; the last user has no click."""
    rng = np.random.default_rng(seed)
    query = rng.normal(size=(batch, shown, width))
    history = rng.normal(size=(batch, clicks, width))
    mask = rng.random((batch, clicks)) < 0.6
    mask[0, :2] = True
    if batch > 1:
        mask[-1] = False
    return query, history, mask


def layer_with_random_biases(width, dtype="float64", **config):
    layer = IntentionReconstruction(dtype=dtype, **config)
    layer(tf.zeros([1, 1, width], dtype), tf.zeros([1, 1, width], dtype), tf.ones([1, 1], tf.bool))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def by_loop(layer, query, history, mask):
    """Head by head, query by query, click by click, in float64."""

    def project(x, name):
        dense = getattr(layer, f"{name}_projection")
        return x @ dense.kernel.numpy() + dense.bias.numpy()

    batch, shown, width = query.shape
    size = width // layer.num_heads
    result = np.zeros(query.shape)
    scores = np.zeros((batch, layer.num_heads, shown, history.shape[1]))
    for b in range(batch):
        valid = np.flatnonzero(mask[b])
        if not len(valid):
            continue
        for s in range(shown):
            heads = []
            for h in range(layer.num_heads):
                part = slice(h * size, (h + 1) * size)
                q = project(query[b, s], "query")[part]
                logits = [q @ project(history[b, c], "key")[part] / np.sqrt(size) for c in valid]
                weights = np.exp(logits) / np.sum(np.exp(logits))
                scores[b, h, s, valid] = weights
                if layer.project_values:
                    values = [project(history[b, c], "value")[part] for c in valid]
                else:
                    values = [history[b, c] for c in valid]
                heads.append(sum(w * v for w, v in zip(weights, values, strict=True)))
            if layer.project_values:
                result[b, s] = project(np.concatenate(heads), "output")
            else:
                result[b, s] = np.mean(heads, axis=0)
    return result, scores


@pytest.mark.parametrize("project_values", [True, False])
@pytest.mark.parametrize("num_heads", [1, 2, 4])
def test_equals_a_loop(num_heads, project_values):
    query, history, mask = inputs()
    layer = layer_with_random_biases(8, num_heads=num_heads, project_values=project_values)
    result, scores = layer(query, history, mask, return_attention_scores=True)
    expected, expected_scores = by_loop(layer, query, history, mask)
    np.testing.assert_allclose(result, expected, atol=1e-10)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-12)
    assert len(layer.weights) == (8 if project_values else 4)
    np.testing.assert_array_equal(layer(query, history, mask), result)


@pytest.mark.parametrize("project_values", [True, False])
def test_padding_has_no_influence(project_values):
    query, history, mask = inputs()
    layer = layer_with_random_biases(8, num_heads=2, project_values=project_values)

    def result_and_gradients(padding):
        filled = tf.constant(np.where(mask[..., None], history, padding))
        with tf.GradientTape() as tape:
            tape.watch(filled)
            result = layer(query, filled, mask)
            total = tf.reduce_sum(result**2)
        return result, tape.gradient(total, [filled, *layer.trainable_variables])

    result, gradients = result_and_gradients(0.0)
    for padding in (1e30, np.nan, np.inf):
        other, other_gradients = result_and_gradients(padding)
        np.testing.assert_array_equal(other, result)
        for one, two in zip(gradients, other_gradients, strict=True):
            np.testing.assert_array_equal(one, two)
    assert np.all(gradients[0].numpy()[~mask] == 0)
    longer = np.concatenate([history, np.full((3, 2, 8), 7.0)], axis=1)
    longer_mask = np.concatenate([mask, np.zeros((3, 2), bool)], axis=1)
    np.testing.assert_allclose(layer(query, longer, longer_mask), result, atol=1e-12)


@pytest.mark.parametrize("project_values", [True, False])
def test_zeros_without_clicks(project_values):
    query, history, mask = inputs()
    layer = layer_with_random_biases(8, num_heads=2, project_values=project_values)
    result, scores = layer(query, history, mask, return_attention_scores=True)
    assert np.all(result.numpy()[-1] == 0) and np.all(scores.numpy()[-1] == 0)
    assert np.any(result.numpy()[0] != 0)


def test_order_of_clicks_does_not_matter():
    query, history, mask = inputs()
    layer = layer_with_random_biases(8, num_heads=2)
    order = [3, 0, 4, 1, 2]
    shuffled = layer(query, history[:, order], mask[:, order])
    np.testing.assert_allclose(shuffled, layer(query, history, mask), atol=1e-12)


def test_identity_values_stay_in_the_convex_hull():
    query, history, mask = inputs(shown=6, width=8, seed=2)
    layer = layer_with_random_biases(8, num_heads=4, project_values=False)
    result, scores = layer(query, history, mask, return_attention_scores=True)
    weights = scores.numpy().mean(axis=1)
    any_click = mask.any(axis=1)
    assert weights.min() >= 0
    np.testing.assert_allclose(
        weights.sum(-1), np.broadcast_to(any_click[:, None], weights.shape[:2]), atol=1e-12
    )
    for b in np.flatnonzero(any_click):
        clicked = history[b, mask[b]]
        assert np.all(result[b] >= clicked.min(axis=0) - 1e-12)
        assert np.all(result[b] <= clicked.max(axis=0) + 1e-12)


@pytest.mark.parametrize("shape", [(0, 4, 5), (1, 4, 5), (2, 0, 5), (2, 4, 0), (2, 4, 1)])
def test_small_and_empty_shapes(shape):
    batch, shown, clicks = shape
    layer = IntentionReconstruction(num_heads=2)
    result, scores = layer(
        tf.ones([batch, shown, 8]),
        tf.ones([batch, clicks, 8]),
        tf.ones([batch, clicks], tf.bool),
        return_attention_scores=True,
    )
    assert result.shape == (batch, shown, 8) and scores.shape == (batch, 2, shown, clicks)
    assert np.isfinite(result).all()


def test_config_round_trip():
    layer = IntentionReconstruction(num_heads=2, project_values=False, name="rec")
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is IntentionReconstruction and again.name == "rec"
    assert again.num_heads == 2 and again.project_values is False


def test_within_a_saved_model(tmp_path):
    query, history = keras.Input([4, 8]), keras.Input([5, 8])
    mask = keras.Input([5], dtype="bool")
    result = IntentionReconstruction(num_heads=2)(query, history, mask)
    model = keras.Model([query, history, mask], result)
    values = [x.astype(np.float32) if x.dtype != bool else x for x in inputs()]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(values), again(values))


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("query", (2, 8), r"expected query of rank 3 \[batch, shown, d\], got rank 2"),
        ("history", (8,), r"expected history of rank 3 \[batch, clicks, d\], got rank 1"),
        ("history_mask", (2, 5, 1), r"expected history_mask of rank 2 .* got rank 3"),
        ("history_mask", (2, 4), r"expected history_mask of shape \(2, 5\) .*got \(2, 4\)"),
    ],
)
def test_wrong_shape_is_named(name, wrong, message):
    arguments = {
        "query": tf.ones([2, 4, 8]),
        "history": tf.ones([2, 5, 8]),
        "history_mask": tf.ones([2, 5]),
    }
    with pytest.raises(ValueError, match=message):
        IntentionReconstruction(num_heads=2)(**{**arguments, name: tf.ones(wrong)})


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="num_heads=3 divides, got 8"):
        IntentionReconstruction(num_heads=3)(
            tf.ones([1, 1, 8]), tf.ones([1, 1, 8]), tf.ones([1, 1])
        )
    with pytest.raises(ValueError, match="num_heads of at least 1"):
        IntentionReconstruction(num_heads=0)


@pytest.mark.parametrize("project_values", [True, False])
@pytest.mark.parametrize(
    ("policy", "dtype", "error"),
    [("mixed_float16", tf.float16, 0.01), ("mixed_bfloat16", tf.bfloat16, 0.08)],
)
def test_mixed_precision(policy, dtype, error, project_values):
    query, history, mask = inputs(seed=3)
    history = np.where(mask[..., None], history, np.nan)
    exact = IntentionReconstruction(2, project_values, dtype="float64")
    expected = exact(query, history, mask)
    layer = IntentionReconstruction(2, project_values, dtype=policy)
    layer.build(tf.TensorShape([None, None, 8]))
    layer.set_weights(exact.get_weights())
    result, scores = layer(
        tf.cast(query, dtype), tf.cast(history, dtype), mask, return_attention_scores=True
    )
    assert result.dtype == dtype and scores.dtype == tf.float32
    assert all(w.dtype == tf.float32 for w in layer.weights)
    np.testing.assert_allclose(tf.cast(result, tf.float64), expected, atol=error)
    assert np.all(tf.cast(result, tf.float32).numpy()[-1] == 0)
