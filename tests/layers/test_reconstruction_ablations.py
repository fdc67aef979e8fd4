from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.layers import (
    IntentionReconstruction,
    MeanReconstruction,
    NearestReconstruction,
    SelfAttentionReconstruction,
)


def inputs(batch=4, shown=3, clicks=5, width=8, seed=0):
    """Random queries, histories and masks, not always newest first; the last user has no click."""
    rng = np.random.default_rng(seed)
    query = rng.normal(size=(batch, shown, width))
    history = rng.normal(size=(batch, clicks, width))
    mask = rng.random((batch, clicks)) < 0.6
    mask[0] = [False, True, True, False, True]
    mask[-1] = False
    return query, history, mask


def new(kind, **options):
    if kind is SelfAttentionReconstruction:
        options = {"num_heads": 2, **options}
    return kind(dtype="float64", **options)


KINDS = [MeanReconstruction, NearestReconstruction, SelfAttentionReconstruction]
each_kind = pytest.mark.parametrize("kind", KINDS)


def test_mean_equals_a_loop():
    query, history, mask = inputs()
    result, scores = new(MeanReconstruction)(query, history, mask, return_attention_scores=True)
    assert scores.shape == (4, 1, 3, 5)
    for b, s in np.ndindex(4, 3):
        clicked = history[b][mask[b]]
        expected = clicked.mean(axis=0) if len(clicked) else np.zeros(8)
        np.testing.assert_allclose(result[b, s], expected, atol=1e-12)
        share = mask[b] / max(mask[b].sum(), 1)
        np.testing.assert_allclose(scores[b, 0, s], share, atol=1e-12)


def test_nearest_equals_a_loop():
    query, history, mask = inputs()
    result, scores = new(NearestReconstruction)(query, history, mask, return_attention_scores=True)
    chosen = set()
    for b, s in np.ndindex(4, 3):
        cosines = {
            c: query[b, s] @ history[b, c] / np.linalg.norm(history[b, c])
            for c in np.flatnonzero(mask[b])
        }
        expected, place = np.zeros(8), np.zeros(5)
        if cosines:
            best = max(cosines, key=cosines.get)
            expected, place[best] = history[b, best], 1
            chosen.add(best)
        np.testing.assert_array_equal(result[b, s], expected)
        np.testing.assert_array_equal(scores[b, 0, s], place)
    assert len(chosen) > 1


def test_nearest_takes_the_newest_of_equals():
    history = np.array([[[9.0, 0], [1, 0], [2, 0], [0, 1], [1, 0]]])
    mask = np.array([[False, True, True, True, True]])
    layer = new(NearestReconstruction)
    result, scores = layer(np.array([[[5.0, 0]]]), history, mask, return_attention_scores=True)
    np.testing.assert_array_equal(scores[0, 0, 0], [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(result[0, 0], [1, 0])


def test_gradient_of_nearest_goes_to_the_chosen_click():
    query, history, mask = map(tf.constant, inputs())
    layer = new(NearestReconstruction)
    with tf.GradientTape() as tape:
        tape.watch([query, history])
        result, scores = layer(query, history, mask, return_attention_scores=True)
        total = tf.reduce_sum(result)
    by_query, by_history = tape.gradient(total, [query, history])
    assert by_query is None
    times = tf.reduce_sum(scores[:, 0], axis=1)  # how often each click was chosen
    np.testing.assert_array_equal(by_history, np.repeat(times.numpy()[..., None], 8, axis=2))


@pytest.mark.parametrize("project_values", [True, False])
def test_self_attention_asks_with_the_newest_click(project_values):
    query, history, mask = inputs()
    layer = new(SelfAttentionReconstruction, project_values=project_values)
    layer.build(tf.TensorShape([None, None, 8]))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    result, scores = layer(query, history, mask, return_attention_scores=True)
    cross = IntentionReconstruction(2, project_values, dtype="float64")
    cross.build(tf.TensorShape([None, None, 8]))
    cross.set_weights(layer.get_weights())
    for b in range(4):
        valid = np.flatnonzero(mask[b])
        if not len(valid):
            assert not result[b].numpy().any() and not scores[b].numpy().any()
            continue
        # The whole self-attention over the valid clicks; the newest one's position counts.
        clicks = history[b][valid][None]
        every, weights = cross(clicks, clicks, np.ones((1, len(valid)), bool), True)
        for s in range(3):
            np.testing.assert_allclose(result[b, s], every[0, 0], atol=1e-12)
            np.testing.assert_allclose(
                scores[b, :, s].numpy()[:, valid], weights[0, :, 0], atol=1e-12
            )


@pytest.mark.parametrize("kind", [MeanReconstruction, SelfAttentionReconstruction])
def test_the_query_is_not_used(kind):
    query, history, mask = inputs()
    layer = new(kind)
    one = layer(query, history, mask)
    np.testing.assert_array_equal(layer(-7 * query + 1, history, mask), one)
    np.testing.assert_array_equal(one[:, 1:], np.repeat(one[:, :1], 2, axis=1))


@each_kind
def test_padding_has_no_influence(kind):
    query, history, mask = inputs()
    layer = new(kind)

    def result_and_gradient(padding):
        filled = tf.constant(np.where(mask[..., None], history, padding))
        with tf.GradientTape() as tape:
            tape.watch(filled)
            result = layer(query, filled, mask)
            total = tf.reduce_sum(result**2)
        return result.numpy(), tape.gradient(total, filled).numpy()

    result, gradient = result_and_gradient(0.0)
    assert np.all(gradient[~mask] == 0) and np.any(gradient[mask] != 0)
    assert np.all(result[-1] == 0) and np.any(result[0] != 0)
    for padding in (1e30, np.nan, np.inf):
        other = result_and_gradient(padding)
        np.testing.assert_array_equal(other[0], result)
        np.testing.assert_array_equal(other[1], gradient)


@each_kind
@pytest.mark.parametrize("shape", [(0, 4, 5), (1, 4, 5), (2, 0, 5), (2, 4, 0), (2, 4, 1)])
def test_small_and_empty_shapes(kind, shape):
    batch, shown, clicks = shape
    result, scores = new(kind)(
        tf.ones([batch, shown, 8]),
        tf.ones([batch, clicks, 8]),
        tf.ones([batch, clicks], tf.bool),
        return_attention_scores=True,
    )
    assert result.shape == (batch, shown, 8)
    assert scores.shape[0] == batch and scores.shape[2:] == (shown, clicks)
    assert np.isfinite(result).all()


@each_kind
def test_wrong_rank_is_named(kind):
    with pytest.raises(ValueError, match=r"expected history of rank 3 \[batch, clicks, d\]"):
        new(kind)(tf.ones([2, 4, 8]), tf.ones([2, 8]), tf.ones([2, 5]))
