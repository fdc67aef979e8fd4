from __future__ import annotations

import numpy as np
import tensorflow as tf
from ranking_cases import toy_inputs, toy_tables

from tfrec_vis.ranking import Ranker, Standardize


def test_gives_mean_0_and_deviation_1() -> None:
    values = np.random.default_rng(0).normal([3.0, -40.0], [0.1, 20.0], (500, 2)).astype("f")
    layer = Standardize(2)
    layer.fit_to(tf.constant(values))
    out = layer(tf.constant(values)).numpy()
    np.testing.assert_allclose(
        out, (values - values.mean(axis=0)) / values.std(axis=0), atol=1e-4, rtol=1e-4
    )


def test_constant_column_is_0_whatever_comes_later() -> None:
    layer = Standardize(2)
    layer.fit_to(tf.constant([[7.0, 1.0], [7.0, 3.0]]))
    np.testing.assert_allclose(layer(tf.constant([[9.0, 2.0]])).numpy(), [[0.0, 0.0]])


def test_what_was_rare_stays_within_bounds() -> None:
    layer = Standardize(1)
    layer.fit_to(tf.constant([[1.0]] * 9_999 + [[0.0]]))  # alone it would give -100
    np.testing.assert_allclose(layer(tf.constant([[0.0], [1.0]])).numpy(), [[-10.0], [0.01]], 1e-3)


def test_no_row_changes_nothing() -> None:
    layer = Standardize(2)
    layer.fit_to(tf.zeros([0, 2]))
    np.testing.assert_allclose(layer(tf.constant([[9.0, 2.0]])).numpy(), [[9.0, 2.0]])


def test_fitted_again_in_a_traced_graph() -> None:
    layer = Standardize(1)
    traced = tf.function(layer, autograph=False)
    value = tf.constant([[4.0]])
    assert traced(value).numpy() == [[4.0]]
    layer.fit_to(tf.constant([[1.0], [3.0]]))
    np.testing.assert_allclose(traced(value).numpy(), [[2.0]])


def test_a_ranker_takes_the_scale_of_its_training_rows() -> None:
    ranker = Ranker(toy_tables())
    numbers = ranker.numbers(toy_inputs(200))
    ranker.fit_scale(numbers)
    scaled = ranker.standardize(numbers[:, -ranker.standardize.width :]).numpy()
    varied = scaled.std(axis=0) > 0
    assert varied.any()
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=0)[varied], 1, atol=1e-3)
    assert len(ranker.learned()) == len(ranker.trainable_variables) + 2
