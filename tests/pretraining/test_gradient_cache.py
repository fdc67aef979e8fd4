"""Gradient caching: bytes, random layers, loss scaling."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tiny_encoder import tiny_encoder

from tfrec_vis.data import pages
from tfrec_vis.pretraining import Courier
from tfrec_vis.pretraining.replay import Replay

WIDTH = 6
PAGES = dict(batch_size=24, flip=True)


@pytest.fixture(scope="module")
def batch(prepared_shop):
    return next(iter(pages(prepared_shop, **PAGES)))


@pytest.fixture(scope="module")
def bytes_batch(prepared_shop):
    return next(iter(pages(prepared_shop, decode_ahead=8, **PAGES)))


def courier(encoder, optimizer=None, **config):
    model = Courier(encoder, embedding_dim=WIDTH, num_heads=2, **config)
    model.compile(optimizer=optimizer or keras.optimizers.SGD(1.0))
    return model


def seeded(build=tiny_encoder, **config):
    keras.utils.set_random_seed(3)
    return courier(build(), **config)


def weights(model):
    """All trained weights in one row, in float64."""
    return np.concatenate([v.numpy().ravel().astype(float) for v in model.trainable_variables])


def step(model, batch):
    """The gradient (at rate 1), and what the step gives."""
    before = weights(model)
    measures = tf.function(model.train_step, autograph=False)(batch)
    return before - weights(model), {name: float(v) for name, v in measures.items()}


def assert_close(one, two, relative=1e-5):
    assert np.linalg.norm(two) > 0.1
    assert np.linalg.norm(one - two) < relative * np.linalg.norm(two)


def test_a_micro_batch_without_pictures_is_refused():
    with pytest.raises(ValueError, match="expected micro_batch of at least 1, or None, got 0"):
        seeded(micro_batch=0)


@pytest.mark.parametrize("micro_batch", [None, 7])
def test_bytes_give_the_gradient_of_pixels(batch, bytes_batch, micro_batch):
    expected, losses = step(seeded(), batch)
    found, of_bytes = step(seeded(micro_batch=micro_batch), bytes_batch)
    assert_close(found, expected)
    assert of_bytes == pytest.approx(losses, rel=1e-5)
    tested = seeded(micro_batch=micro_batch).test_step(bytes_batch)
    assert float(tested["loss"]) == pytest.approx(losses["loss"], rel=1e-5)


def test_chunks_give_the_gradient_of_the_whole(batch):
    expected, losses = step(seeded(), batch)
    found, chunked = step(seeded(micro_batch=9, chunk_size=10), batch)
    assert_close(found, expected)
    assert chunked == pytest.approx(losses, rel=1e-5)


class Masks(keras.layers.Layer):
    """Dropout by masks that are given: row i of the batch is multiplied by mask i."""

    def __init__(self, masks):
        super().__init__()
        self.masks = masks

    def call(self, x):
        return x * self.masks[: tf.shape(x)[0]]


def with_layer(layer):
    pictures = keras.Input([None, None, 3])
    features = tiny_encoder()(pictures)
    return keras.Model(pictures, keras.layers.Dense(WIDTH)(layer(features)))


def test_dropout_draws_the_same_masks_twice(batch):
    """The cached gradient is that of an uncached run with the masks that were drawn."""
    part, count = 7, len(batch["item_index"])
    model = seeded(lambda: with_layer(keras.layers.Dropout(0.5)), micro_batch=part)
    dropout = next(one for one in model.encoder.layers if isinstance(one, keras.layers.Dropout))
    states = model._replay.keep()
    drawn = [
        dropout(tf.ones([min(part, count - first), 8]), training=True).numpy()
        for first in range(0, count, part)
    ]
    masks = np.concatenate(drawn)
    assert set(np.unique(masks)) == {0.0, 2.0} and len(np.unique(masks, axis=0)) > count / 3
    model._replay.put_back(states)

    plain = seeded(lambda: with_layer(Masks(tf.constant(masks))))
    for one, two in zip(plain.trainable_variables, model.trainable_variables, strict=True):
        one.assign(two)
    found, losses = step(model, batch)
    expected, of_masks = step(plain, batch)
    assert_close(found, expected)
    assert losses == pytest.approx(of_masks, rel=1e-5)
    # The next step draws others.
    again, _ = step(model, batch)
    assert np.linalg.norm(again - found) > 0.01 * np.linalg.norm(found)


def test_a_second_pass_with_other_masks_is_another_gradient(batch):
    """What is not put back shows: the comparison above can fail."""
    build = lambda: with_layer(keras.layers.Dropout(0.5))  # noqa: E731
    right, wrong = seeded(build, micro_batch=7), seeded(build, micro_batch=7)
    wrong._replay.put_back = lambda states: None
    expected, _ = step(right, batch)
    found, _ = step(wrong, batch)
    assert np.linalg.norm(found - expected) > 0.01 * np.linalg.norm(expected)


def test_random_layers_are_found_wherever_they_are():
    import keras_cv

    inner = keras.Sequential([keras.layers.Dropout(0.1), keras.layers.GaussianNoise(1.0)])
    pictures = keras.Input([None, None, 3])
    flipped = keras_cv.layers.RandomFlip()(pictures)
    path = keras_cv.layers.DropPath(0.5)
    encoder = keras.Model(pictures, path(inner(tiny_encoder()(flipped))))
    replay = Replay(encoder)
    assert len(replay.generators) == 3
    states = replay.keep()
    first = [encoder(tf.ones([9, 16, 16, 3]), training=True).numpy() for _ in range(2)]
    replay.put_back(states)
    again = [encoder(tf.ones([9, 16, 16, 3]), training=True).numpy() for _ in range(2)]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(*first)


def noise(x):
    return x + tf.random.normal(tf.shape(x))


DRAWS = {
    "straight": noise,
    "map_fn": lambda x: tf.map_fn(noise, x),
    "cond": lambda x: tf.cond(tf.shape(x)[0] > 0, lambda: noise(x), lambda: x),
    "function": tf.function(noise, autograph=False),
}


@pytest.mark.parametrize("where", DRAWS)
def test_numbers_that_cannot_be_drawn_again_are_refused(batch, where):
    model = courier(with_layer(keras.layers.Lambda(DRAWS[where])), micro_batch=7)
    with pytest.raises(ValueError, match="drawn again, got one with RandomStandardNormal: with"):
        step(model, batch)


def test_encoded_once_any_numbers_may_be_drawn(batch):
    step(courier(with_layer(keras.layers.Lambda(noise))), batch)


def test_in_eager_mode_both_passes_are_compared(batch):
    model = courier(with_layer(keras.layers.Lambda(noise)), micro_batch=7)
    with pytest.raises(ValueError, match="got one with other embeddings in the second pass: with"):
        model.train_step(batch)
    courier(with_layer(keras.layers.Dropout(0.5)), micro_batch=7).train_step(batch)


def test_states_of_random_layers_are_kept_in_checkpoints(batch, tmp_path):
    build = lambda: with_layer(keras.layers.Dropout(0.5))  # noqa: E731
    model = seeded(build, micro_batch=7)
    path = tf.train.Checkpoint(model=model).save(tmp_path / "state")
    first, _ = step(model, batch)
    other = courier(build(), micro_batch=7)
    tf.train.Checkpoint(model=other).restore(path)
    again, _ = step(other, batch)
    np.testing.assert_array_equal(first, again)
    model.save(tmp_path / "model.keras")
    keras.models.load_model(tmp_path / "model.keras")


def mixed(policy, **config):
    keras.mixed_precision.set_global_policy(policy)
    try:
        return seeded(**config)
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(
    ("policy", "tolerance"), [("mixed_float16", 0.02), ("mixed_bfloat16", 0.1)]
)
def test_the_mixed_step_is_close_to_the_exact_one(batch, policy, tolerance):
    expected, losses = step(seeded(), batch)
    inner = keras.optimizers.SGD(1.0)
    scaled = policy == "mixed_float16"
    if scaled:
        inner = keras.mixed_precision.LossScaleOptimizer(inner, initial_scale=64)
    model = mixed(policy, micro_batch=7, optimizer=inner)
    assert model.encoder.layers[-1].compute_dtype == policy.removeprefix("mixed_")
    found, measures = step(model, batch)
    assert_close(found, expected, tolerance)
    assert measures["loss"] == pytest.approx(losses["loss"], rel=tolerance)
    assert all(v.dtype == tf.float32 for v in model.trainable_variables)


class Infinite(keras.layers.Layer):
    """Passes on, and makes the gradient of parts of fewer than 7 pictures infinite while on."""

    def build(self, shape):
        self.on = self.add_weight("on", shape=[], initializer="ones", trainable=False)

    def call(self, x):
        on = self.on

        @tf.custom_gradient
        def passed(x):
            return tf.identity(x), lambda g: tf.where(
                (tf.shape(g)[0] < 7) & (on > 0), g * np.inf, g
            )

        return passed(x)


def test_an_overflow_in_one_part_skips_the_step_and_halves_the_scale(batch):
    count = len(batch["item_index"])
    layer = Infinite(dtype="float32")
    optimizer = keras.mixed_precision.LossScaleOptimizer(
        keras.optimizers.SGD(1.0), initial_scale=1024, dynamic_growth_steps=2
    )
    model = seeded(lambda: with_layer(layer), optimizer=optimizer, micro_batch=8)
    assert 0 < count % 8 < 7  # the last part
    run = tf.function(model.train_step, autograph=False)
    before = weights(model)
    assert np.isfinite(float(run(batch)["loss"]))
    np.testing.assert_array_equal(weights(model), before)
    assert float(optimizer.loss_scale) == 512
    layer.on.assign(0)
    run(batch)
    assert np.isfinite(weights(model)).all() and np.linalg.norm(weights(model) - before) > 0.1
    assert float(optimizer.loss_scale) == 512
    run(batch)
    assert float(optimizer.loss_scale) == 1024
