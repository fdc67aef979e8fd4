from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tfrec_vis import encoders
from tfrec_vis.encoders.swin import swin
from tfrec_vis.encoders.swin_block import SwinBlock
from tfrec_vis.pretraining.gradient_cache import gradients_in_parts

rng = np.random.default_rng(0)
PICTURES = rng.integers(0, 256, (5, 33, 24, 3)).astype(np.float32)
OUTER = rng.normal(size=(5, 8)).astype(np.float32)


def pair(policy="float32"):
    """The same small Swin, keeping its activations and computing them again."""
    keras.mixed_precision.set_global_policy(policy)
    try:
        keeping = swin("keeping", 8, (2,), (2,), 4)
        again = swin("again", 8, (2,), (2,), 4, gradient_checkpointing=True)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    again.set_weights(keeping.get_weights())
    return keeping, again


@pytest.fixture(scope="module")
def models():
    return pair()


def at_once(model, pictures, outer):
    with tf.GradientTape() as tape:
        features = model(pictures, training=True)
    return tape.gradient(features, model.trainable_variables, output_gradients=outer)


def in_parts(model, pictures, outer):
    """As in training: the encoder in a while loop, twice."""
    encode = lambda start, end: model(pictures[start:end], training=True)  # noqa: E731
    count = tf.shape(pictures)[0]
    return gradients_in_parts(encode, count, 2, model.trainable_variables, outer)


def assert_close(found, expected):
    for one, two in zip(found, expected, strict=True):
        one, two = tf.convert_to_tensor(one), tf.convert_to_tensor(two)
        assert np.abs(two).max() > 0
        np.testing.assert_allclose(one, two, atol=1e-5, rtol=1e-5)


def test_same_gradients_eagerly(models):
    expected, found = (at_once(model, PICTURES, OUTER) for model in models)
    assert_close(found, expected)


def test_same_gradients_in_a_graph_and_its_loop(models):
    expected = at_once(models[0], PICTURES, OUTER)
    step = tf.function(lambda x, o: in_parts(models[1], x, o), autograph=False)
    assert_close(step(PICTURES, OUTER), expected)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_same_gradients_in_mixed_precision(policy):
    expected, found = (at_once(model, PICTURES, OUTER) for model in pair(policy))
    assert_close(found, expected)


def test_frozen_weights_and_no_pictures(models):
    for model in models:
        model.get_layer("stage_0_block_0").trainable = False
    try:
        expected, found = (at_once(model, PICTURES, OUTER) for model in models)
        assert len(found) == len(models[0].trainable_variables)
        assert_close(found, expected)
        nothing = at_once(models[1], PICTURES[:0], OUTER[:0])
        assert not any(np.any(tf.convert_to_tensor(gradient)) for gradient in nothing)
    finally:
        for model in models:
            model.get_layer("stage_0_block_0").trainable = True


def test_blocks_run_again_in_training_alone(models, monkeypatch):
    calls = []
    run = SwinBlock._block
    monkeypatch.setattr(
        SwinBlock, "_block", lambda self, x: calls.append(self.name) or run(self, x)
    )
    at_once(models[0], PICTURES, OUTER)
    assert len(calls) == len(set(calls)) == 2
    calls.clear()
    at_once(models[1], PICTURES, OUTER)
    assert len(calls) == 2 * len(set(calls)) == 4
    calls.clear()
    models[1](PICTURES, training=False)
    assert len(calls) == 2


def test_saved_and_loaded(models, tmp_path):
    _, model = models
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("stage_0_block_1").gradient_checkpointing is True
    assert_close(at_once(again, PICTURES, OUTER), at_once(model, PICTURES, OUTER))
    # Weights files do not depend on it.
    model.save_weights(tmp_path / "model.weights.h5")
    models[0].load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(models[0](PICTURES), model(PICTURES), atol=1e-6)

    serve = tf.function(
        lambda pictures: model(pictures, training=False),
        input_signature=[tf.TensorSpec([None, None, None, 3])],
        autograph=False,
    )
    module = tf.Module()
    module.weights, module.serve = model.variables, serve
    tf.saved_model.save(module, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(loaded.serve(PICTURES), model(PICTURES), atol=1e-6)


def test_the_registry_passes_it_on():
    model = encoders.get("swin_micro", gradient_checkpointing=True)
    blocks = [layer for layer in model.layers if isinstance(layer, SwinBlock)]
    assert len(blocks) == 6 and all(block.gradient_checkpointing for block in blocks)


_MEMORY = """
import resource, sys
import tfrec_vis as tv, tensorflow as tf
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
model = tv.encoders.get("swin_micro", gradient_checkpointing=sys.argv[1] == "True")
@tf.function(autograph=False)
def step(pictures):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(pictures, training=True) ** 2)
    return tape.gradient(loss, model.trainable_variables)
pictures = tf.random.stateless_uniform([64, 96, 96, 3], [0, 0], 0, 255)
step(pictures[:1])
before = peak()
step(pictures)
print(peak() - before)
"""


@pytest.mark.slow
def test_takes_less_memory():
    """Peak of a training step on 64 pictures, over that of a step on one."""
    peaks = []
    for checkpointing in (False, True):
        command = [sys.executable, "-c", _MEMORY, str(checkpointing)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout))
    print(f"{peaks[0]:.0f} MB with all activations, {peaks[1]:.0f} MB with checkpoints")
    assert 0 < peaks[1] < 0.7 * peaks[0]
