from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from contrast_oracle import contrast_by_loop, gradient_by_differences

from tfrec_vis.losses import PageViewContrast


def random_rows(n, seed, width=6, items=None, dtype=np.float64):
    """Embedding, reconstruction, clicked, valid and item_index; padding clicks never count."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(n, width)).astype(dtype),
        rng.normal(size=(n, width)).astype(dtype),
        rng.integers(0, 2, n).astype(np.int32),
        rng.random(n) < 0.8,
        rng.integers(0, items or n, n).astype(np.int32),
    )


def by_loop(rows, temperature=0.05):
    embedding, reconstruction, clicked, valid, item_index = rows
    is_anchor = [c == 1 and v for c, v in zip(clicked, valid, strict=True)]
    return contrast_by_loop(embedding, reconstruction, is_anchor, valid, item_index, temperature)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("temperature", [0.05, 0.7])
def test_equals_a_loop(seed, temperature):
    # Few item numbers: some rows hold equal items, clicked or not.
    rows = random_rows(n=5 + 7 * seed, seed=seed, items=9)
    expected = by_loop(rows, temperature)
    loss = PageViewContrast(temperature)
    assert expected > 0
    exact = loss(*rows)
    assert exact.dtype == tf.float64
    np.testing.assert_allclose(exact, expected, rtol=1e-6, atol=1e-6)
    single = loss(rows[0].astype(np.float32), rows[1].astype(np.float32), *rows[2:])
    assert single.dtype == tf.float32
    np.testing.assert_allclose(single, expected, rtol=2e-5, atol=2e-5)


def test_default_temperature():
    rows = random_rows(12, seed=0)
    np.testing.assert_allclose(PageViewContrast()(*rows), by_loop(rows, 0.05), rtol=1e-9)
    config = keras.saving.serialize_keras_object(PageViewContrast(0.3))
    assert keras.saving.deserialize_keras_object(config).temperature == 0.3
    with pytest.raises(ValueError, match="temperature above 0, got 0"):
        PageViewContrast(0)


def loss_and_gradients(rows):
    embedding, reconstruction, *rest = (tf.constant(x) for x in rows)
    with tf.GradientTape() as tape:
        tape.watch([embedding, reconstruction])
        loss = PageViewContrast()(embedding, reconstruction, *rest)
    return loss, *tape.gradient(loss, [embedding, reconstruction])


@pytest.mark.parametrize("n", [0, 1, 8])
@pytest.mark.parametrize("why", ["not clicked", "not valid"])
def test_no_click_gives_zero_and_finite_gradients(n, why):
    embedding, reconstruction, clicked, valid, items = random_rows(n, seed=1, dtype=np.float32)
    reconstruction[:] = 0  # pages without history
    clicked[:], valid[:] = (0, True) if why == "not clicked" else (1, False)
    loss, *gradients = loss_and_gradients((embedding, reconstruction, clicked, valid, items))
    assert loss == 0.0
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, np.zeros_like(embedding))


def test_one_row_has_nothing_to_tell_apart():
    loss, *gradients = loss_and_gradients(
        (np.ones((1, 3)), np.ones((1, 3)), np.array([1]), np.array([True]), np.array([4]))
    )
    assert loss == 0.0
    np.testing.assert_allclose(gradients, np.zeros((2, 1, 3)), atol=1e-12)


def test_gradients_equal_finite_differences():
    rows = random_rows(9, seed=4, width=3, items=6)
    _, by_embedding, by_reconstruction = loss_and_gradients(rows)

    def of_embedding(x):
        return by_loop((x, *rows[1:]))

    def of_reconstruction(x):
        return by_loop((rows[0], x, *rows[2:]))

    expected = gradient_by_differences(of_embedding, rows[0])
    np.testing.assert_allclose(by_embedding, expected, atol=1e-5)
    expected = gradient_by_differences(of_reconstruction, rows[1])
    np.testing.assert_allclose(by_reconstruction, expected, atol=1e-5)
    assert np.abs(by_embedding).max() > 0.1 and np.abs(by_reconstruction).max() > 0.1


def test_equal_items_and_padding_carry_no_mass():
    rng = np.random.default_rng(5)
    embedding, reconstruction = rng.normal(size=(2, 6, 4))
    clicked = np.array([1, 0, 0, 0, 0, 0])
    valid = np.array([True, True, True, True, False, True])
    items = np.array([7, 7, 2, 3, 9, 7])  # rows 1 and 5 hold the anchor's item, 4 is padding
    rows = embedding, reconstruction, clicked, valid, items
    loss, by_embedding, _ = loss_and_gradients(rows)
    np.testing.assert_array_equal(by_embedding.numpy()[[1, 4, 5]], 0)
    assert np.all(np.abs(by_embedding.numpy()[[0, 2, 3]]).max(axis=1) > 0)
    changed = embedding.copy()
    changed[[1, 4, 5]] = reconstruction[0]  # as near to the anchor as can be
    np.testing.assert_array_equal(loss_and_gradients((changed, *rows[1:]))[0], loss)
    fewer = [0, 2, 3]
    np.testing.assert_allclose(loss, by_loop([x[fewer] for x in rows]), rtol=1e-9)


def test_unclicked_items_are_candidates():
    embedding, reconstruction = np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]])
    loss = PageViewContrast(temperature=1.0)
    value = loss(embedding, reconstruction, np.array([1, 0]), np.ones(2), np.arange(2))
    np.testing.assert_allclose(value, np.log(1 + np.e), rtol=1e-6)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    # A thousand rows of 256 columns: sums of squares and logits far beyond what halves resolve.
    rows = random_rows(1000, seed=6, width=256, dtype=np.float32)
    half = [tf.cast(30 * x, dtype) for x in rows[:2]]
    exact = [tf.cast(x, tf.float64) for x in half]
    loss = PageViewContrast()(*half, *rows[2:])
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, PageViewContrast()(*exact, *rows[2:]), rtol=2e-5)
    with tf.GradientTape() as tape:
        tape.watch(half)
        loss = PageViewContrast()(*half, *rows[2:])
    for gradient in tape.gradient(loss, half):
        assert gradient.dtype == dtype
        assert np.isfinite(tf.cast(gradient, tf.float32)).all()
