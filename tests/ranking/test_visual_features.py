from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ranking_cases import ITEMS, WIDTH, toy_vectors

from tfrec_vis.ranking import ProjectedVector, SimScore


def sim_score_by_loop(target: np.ndarray, history: np.ndarray, mask: np.ndarray) -> np.ndarray:
    rows = []
    for q, clicks, valid in zip(target, history, mask, strict=True):
        known = sorted((float(q @ k) for k in clicks[valid]), reverse=True)
        fill = np.mean(known) if known else 0.0  # padding says nothing of its own
        scores = [float(q @ k) if v else fill for k, v in zip(clicks, valid, strict=True)]
        summaries = [np.mean(known), known[0], np.mean(known[:3])] if known else [0.0, 0.0, 0.0]
        rows.append([*scores, *summaries])
    return np.array(rows)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_sim_score_equals_a_loop(length: int) -> None:
    random = np.random.default_rng(0)
    vectors = toy_vectors()
    item = random.integers(1, ITEMS + 1, 12)
    history = random.integers(0, ITEMS + 1, [12, length])
    history[0], history[1] = 0, ITEMS
    if length > 1:
        history[2], history[2, 0] = 0, 4  # fewer than three clicks
    target, clicks, mask = vectors[item], vectors[history], history > 0
    expected = sim_score_by_loop(target, clicks, mask)
    np.testing.assert_allclose(SimScore()(target, clicks, mask), expected, rtol=1e-5, atol=1e-6)


def test_sim_score_of_clicks_that_are_all_opposite_is_not_lifted_to_zero() -> None:
    target = np.array([[1.0, 0.0]], np.float32)
    clicks = np.array([[[-1.0, 0.0], [-0.6, 0.8], [0.0, 0.0]]], np.float32)
    scores = SimScore()(target, clicks, np.array([[True, True, False]]))
    np.testing.assert_allclose(scores, [[-1.0, -0.6, -0.8, -0.8, -0.6, -0.8]], rtol=1e-6)


def test_sim_score_of_an_empty_history_and_of_padding() -> None:
    vectors = toy_vectors()
    item, history = np.array([1, 2]), np.array([[0, 0, 0], [5, 0, 0]])
    mask = history > 0
    scores = SimScore()(vectors[item], vectors[history], mask).numpy()
    np.testing.assert_array_equal(scores[0], 0.0)
    dirty = np.where(mask[..., None], vectors[history], 7.0).astype(np.float32)
    np.testing.assert_array_equal(SimScore()(vectors[item], dirty, mask), scores)


@pytest.mark.parametrize("shape", [(7,), (3, 4), (0,)])
def test_projected_vector_is_an_affine_map_of_the_table(shape: tuple[int, ...]) -> None:
    layer = ProjectedVector(5, ITEMS + 1, WIDTH)
    layer.set_table(toy_vectors())
    layer.projection.bias.assign(tf.random.normal([5]))
    item = np.random.default_rng(1).integers(0, ITEMS + 1, shape)
    kernel, bias = layer.projection.kernel.numpy(), layer.projection.bias.numpy()
    expected = np.empty([*shape, 5])
    for place in np.ndindex(*shape):
        expected[place] = toy_vectors()[item[place]] @ kernel + bias
    np.testing.assert_allclose(layer(item), expected, rtol=1e-5, atol=1e-6)


def test_projected_vector_trains_the_projection_alone() -> None:
    layer = ProjectedVector(5, ITEMS + 1, WIDTH)
    layer.set_table(toy_vectors())
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.array([1, 1, 2])))
    gradient = tape.gradient(loss, layer.projection.kernel).numpy()
    expected = toy_vectors()[[1, 1, 2]].sum(axis=0)
    np.testing.assert_allclose(gradient, np.tile(expected[:, None], 5), rtol=1e-5)
    assert layer.table.ref() not in {v.ref() for v in layer.trainable_variables}


def test_configuration_round_trip() -> None:
    layer = ProjectedVector(5, 9, 2)
    again = ProjectedVector.from_config(layer.get_config())
    assert (again.units, again.items, again.dim) == (5, 9, 2)
