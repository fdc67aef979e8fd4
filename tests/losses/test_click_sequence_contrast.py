from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from contrast_oracle import contrast_by_loop, gradient_by_differences

from tfrec_vis.losses import ClickSequenceContrast


def random_users(b, seed, width=6, items=None):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(b, width)),
        rng.normal(size=(b, width)),
        rng.random(b) < 0.7,
        rng.integers(0, items or b, b).astype(np.int64),
    )


def by_loop(rows, temperature=0.05):
    newest, rebuilt, valid, item_index = rows
    return contrast_by_loop(newest, rebuilt, valid, valid, item_index, temperature)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("temperature", [0.05, 0.7])
def test_equals_a_loop(seed, temperature):
    rows = random_users(b=4 + 6 * seed, seed=seed, items=8)
    expected = by_loop(rows, temperature)
    assert expected > 0
    loss = ClickSequenceContrast(temperature)
    exact = loss(*rows)
    assert exact.dtype == tf.float64
    np.testing.assert_allclose(exact, expected, rtol=1e-6, atol=1e-6)
    single = loss(rows[0].astype(np.float32), rows[1].astype(np.float32), *rows[2:])
    assert single.dtype == tf.float32
    np.testing.assert_allclose(single, expected, rtol=2e-5, atol=2e-5)


def test_default_temperature_divides():
    rows = random_users(10, seed=0)
    np.testing.assert_allclose(ClickSequenceContrast()(*rows), by_loop(rows, 0.05), rtol=1e-9)
    config = keras.saving.serialize_keras_object(ClickSequenceContrast(0.2))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is ClickSequenceContrast and again.temperature == 0.2


def loss_and_gradients(rows):
    newest, rebuilt, *rest = (tf.constant(x) for x in rows)
    with tf.GradientTape() as tape:
        tape.watch([newest, rebuilt])
        loss = ClickSequenceContrast()(newest, rebuilt, *rest)
    return loss, *tape.gradient(loss, [newest, rebuilt])


@pytest.mark.parametrize("b", [0, 1, 5])
def test_no_valid_user_gives_zero_and_finite_gradients(b):
    newest, rebuilt, valid, items = random_users(b, seed=1)
    rebuilt[:] = 0  # nobody has older clicks
    valid[:] = False
    loss, *gradients = loss_and_gradients((newest, rebuilt, valid, items))
    assert loss == 0.0
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, np.zeros_like(newest))


def test_one_user_has_nothing_to_tell_apart():
    rows = np.ones((1, 3)), np.ones((1, 3)), np.array([True]), np.array([1])
    assert loss_and_gradients(rows)[0] == 0.0


def test_users_without_older_clicks_take_no_part():
    rows = random_users(10, seed=2)
    valid = rows[2]
    assert 2 < valid.sum() < 10
    loss, by_newest, by_rebuilt = loss_and_gradients(rows)
    alone = ClickSequenceContrast()(*(x[valid] for x in rows))
    np.testing.assert_allclose(loss, alone, rtol=1e-12)
    np.testing.assert_array_equal(by_newest.numpy()[~valid], 0)
    np.testing.assert_array_equal(by_rebuilt.numpy()[~valid], 0)


def test_users_of_the_same_newest_item_are_not_contrasted():
    newest, rebuilt, _, _ = random_users(3, seed=3)
    valid, items = np.ones(3, bool), np.array([5, 5, 8])
    loss = ClickSequenceContrast()
    # Each of the first two meets only the third; the third meets both.
    first = contrast_by_loop(newest, rebuilt, [1, 0, 0], [1, 0, 1], [0, 1, 2], 0.05)
    second = contrast_by_loop(newest, rebuilt, [0, 1, 0], [0, 1, 1], [0, 1, 2], 0.05)
    third = contrast_by_loop(newest, rebuilt, [0, 0, 1], [1, 1, 1], [0, 1, 2], 0.05)
    expected = (first + second + third) / 3
    np.testing.assert_allclose(loss(newest, rebuilt, valid, items), expected, rtol=1e-9)
    all_equal = loss(newest, rebuilt, valid, np.array([5, 5, 5]))
    np.testing.assert_allclose(all_equal, 0.0, atol=1e-12)


def test_gradients_equal_finite_differences():
    rows = random_users(8, seed=4, width=3, items=5)
    _, by_newest, by_rebuilt = loss_and_gradients(rows)
    expected = gradient_by_differences(lambda x: by_loop((x, *rows[1:])), rows[0])
    np.testing.assert_allclose(by_newest, expected, atol=1e-5)
    expected = gradient_by_differences(lambda x: by_loop((rows[0], x, *rows[2:])), rows[1])
    np.testing.assert_allclose(by_rebuilt, expected, atol=1e-5)
    assert np.abs(by_newest).max() > 0.1 and np.abs(by_rebuilt).max() > 0.1


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    newest, rebuilt, valid, items = random_users(600, seed=5, width=128)
    half = [tf.cast(20 * x, dtype) for x in (newest, rebuilt)]
    exact = [tf.cast(x, tf.float64) for x in half]
    loss = ClickSequenceContrast()(*half, valid, items)
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, ClickSequenceContrast()(*exact, valid, items), rtol=2e-5)
