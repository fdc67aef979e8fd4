from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.layers import LearnedTemperature


def test_begins_at_the_initial_value():
    layer = LearnedTemperature(0.07)
    np.testing.assert_allclose(layer(), 0.07, rtol=1e-6)
    (weight,) = layer.trainable_weights
    np.testing.assert_allclose(weight, np.log(0.07), rtol=1e-6)
    exact = LearnedTemperature(0.07, dtype="float64")()
    assert exact.dtype == tf.float64 and abs(float(exact) - 0.07) < 1e-12


def test_gradient_is_that_of_the_exponential():
    layer = LearnedTemperature(0.2)
    with tf.GradientTape() as tape:
        value = layer() ** 2
    # d tau^2 / d log tau = 2 tau^2
    np.testing.assert_allclose(
        tape.gradient(value, layer.trainable_weights)[0], 2 * 0.2**2, rtol=1e-5
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_stops_at_the_minimum_and_comes_back(optimizer):
    layer = LearnedTemperature(0.05, minimum=0.02)
    optimizer = keras.optimizers.get(optimizer)
    optimizer.learning_rate = 1.0
    weights = layer.trainable_weights
    for _ in range(5):
        optimizer.apply_gradients([(tf.constant(1.0), weights[0])])
        np.testing.assert_allclose(layer(), 0.02, rtol=1e-5)
    with tf.GradientTape() as tape:
        value = layer()
    assert tape.gradient(value, weights)[0] > 0  # not stuck
    for _ in range(20):
        optimizer.apply_gradients([(tf.constant(-1.0), weights[0])])
    assert layer() > 0.03


def test_weight_decay_can_leave_it_out():
    layer = LearnedTemperature(0.05)
    for excluded in (False, True):
        optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.1)
        if excluded:
            optimizer.exclude_from_weight_decay(var_names=["log_temperature"])
        layer.set_weights([np.float32(np.log(0.05))])
        optimizer.apply_gradients([(tf.constant(0.0), layer.trainable_weights[0])])
        assert (abs(float(layer()) - 0.05) < 1e-6) is excluded


def test_wrong_bounds_are_named():
    with pytest.raises(ValueError, match="0 < minimum <= initial, got minimum=0.1, initial=0.05"):
        LearnedTemperature(0.05, minimum=0.1)
    with pytest.raises(ValueError, match="0 < minimum"):
        LearnedTemperature(0.05, minimum=0)
