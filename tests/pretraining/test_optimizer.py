from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.pretraining import PretrainSettings
from tfrec_vis.pretraining.optimizer import Adam, build_optimizer

START = [np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([0.3, -0.7])]
GRADIENTS = [
    [np.array([[3.0, 0.1], [-2.0, 0.4]]) * scale, np.array([1.0, -0.2]) * scale]
    for scale in (1.0, 0.01, -2.0)
]


def by_loops(rate, decoupled, l2, clip):
    """Adam in float64, as in the papers (Keras's place of epsilon)."""
    weights = [w.copy() for w in START]
    m, v = [0 * w for w in weights], [0 * w for w in weights]
    norms = []
    for t, gradients in enumerate(GRADIENTS, start=1):
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
        norms.append(norm)
        for i, gradient in enumerate(gradients):
            if clip is not None:
                gradient = gradient * min(1, clip / norm)
            gradient = gradient + l2 * weights[i]
            m[i] = 0.9 * m[i] + 0.1 * gradient
            v[i] = 0.999 * v[i] + 0.001 * gradient**2
            alpha = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            weights[i] = weights[i] * (1 - rate * decoupled)
            weights[i] = weights[i] - alpha * m[i] / (np.sqrt(v[i]) + 1e-7)
    return weights, norms


@pytest.mark.parametrize("kind", ["decoupled", "coupled"])
@pytest.mark.parametrize("clip", [None, 0.5, 100.0])
def test_steps_equal_loops(kind, clip):
    settings = PretrainSettings(
        learning_rate=0.1,
        schedule="constant",
        weight_decay=0.3,
        weight_decay_kind=kind,
        clip_norm=clip,
    )
    optimizer = build_optimizer(settings, 10)
    variables = [tf.Variable(w, dtype=tf.float32) for w in START]
    decay = (0.3, 0.0) if kind == "decoupled" else (0.0, 0.3)
    weights, norms = by_loops(0.1, *decay, clip)
    for gradients, norm in zip(GRADIENTS, norms, strict=True):
        pairs = [(tf.constant(g, tf.float32), v) for g, v in zip(gradients, variables, strict=True)]
        optimizer.apply_gradients(pairs)
        assert float(optimizer.gradient_norm) == pytest.approx(norm, rel=1e-6)
    for variable, weight in zip(variables, weights, strict=True):
        np.testing.assert_allclose(variable, weight, rtol=2e-5)


def test_equals_keras_adamw_bit_for_bit():
    """Defaults train as before."""
    results = []
    for optimizer in (
        build_optimizer(PretrainSettings(), 40),
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                3e-5 / 2, 38, warmup_target=3e-5, warmup_steps=2
            ),
            weight_decay=1e-6,
        ),
    ):
        variables = [tf.Variable(w, dtype=tf.float32) for w in START]
        for gradients in GRADIENTS * 3:
            optimizer.apply_gradients(
                [(tf.constant(g, tf.float32), v) for g, v in zip(gradients, variables, strict=True)]
            )
        results.append([v.numpy() for v in variables])
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_sparse_gradients_and_their_decay():
    """Rows that a batch does not hold shrink, too, when the decay is coupled."""
    table = tf.Variable(np.ones([3, 2]), dtype=tf.float32)
    rows = tf.IndexedSlices(tf.constant([[1.0, 2.0]]), tf.constant([1]), tf.constant([3, 2]))
    Adam(0.1, l2=0.5).apply_gradients([(rows, table)])
    assert (table.numpy() < 0.95).all()


def test_the_head_has_a_rate_of_its_own():
    """Each variable goes as in a training at its rate; decoupled decay stays the common one."""
    settings = PretrainSettings(learning_rate=0.02, weight_decay=0.0)
    rates = (0.02, 0.5)
    alone = []
    for start, rate, place in zip(START, rates, (0, 1), strict=True):
        variable = tf.Variable(start, dtype=tf.float32)
        optimizer = build_optimizer(replace(settings, learning_rate=rate), 4)
        for gradients in GRADIENTS:
            optimizer.apply_gradients([(tf.constant(gradients[place], tf.float32), variable)])
        alone.append(variable.numpy())
    body, head = (tf.Variable(start, dtype=tf.float32) for start in START)
    optimizer = build_optimizer(replace(settings, head_learning_rate=0.5), 4, [head])

    @tf.function(autograph=False)
    def step(one, two):
        optimizer.apply_gradients([(one, body), (two, head)])

    for gradients in GRADIENTS:
        step(*(tf.constant(g, tf.float32) for g in gradients))
    np.testing.assert_array_equal(body, alone[0])
    np.testing.assert_allclose(head, alone[1], rtol=1e-5)
    assert np.abs(head - START[1]).max() > 0.3
    shown = keras.backend.get_value(optimizer.learning_rate)
    assert shown <= 0.02 and keras.optimizers.serialize(optimizer)


def test_over_replicas_the_rate_is_the_heads():
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        body, head = tf.Variable([1.0]), tf.Variable([1.0])
        settings = PretrainSettings(
            learning_rate=0.01, schedule="constant", weight_decay=0.0, head_learning_rate=0.1
        )
        optimizer = build_optimizer(settings, 1, [head])
        optimizer.build([body, head])

    @tf.function(autograph=False)
    def step():
        one = tf.constant([2.0])
        strategy.run(lambda: optimizer.apply_gradients([(one, body), (one, head)]))

    step()
    moved = [1 - float(v.numpy()[0]) for v in (body, head)]
    assert moved == pytest.approx([0.01, 0.1], rel=1e-4)


@pytest.mark.parametrize("kind", ["decoupled", "coupled"])
def test_a_learned_temperature_does_not_decay(kind):
    settings = PretrainSettings(
        learning_rate=0.1, schedule="constant", weight_decay=0.5, weight_decay_kind=kind
    )
    moved = []
    for name in ("log_temperature", "kernel"):
        variable = tf.Variable([-2.0], name=name)
        build_optimizer(settings, 1).apply_gradients([(tf.constant([0.0]), variable)])
        moved.append(float(variable[0]) != -2.0)
    assert moved == [False, True]


def test_over_replicas_the_norm_is_of_the_sum():
    # A strategy of one device: the way gradients go is the same.
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        optimizer = Adam(0.1, global_clipnorm=1.0)
        variable = tf.Variable([3.0, 4.0])
        optimizer.build([variable])

    @tf.function(autograph=False)
    def step():
        strategy.run(lambda: optimizer.apply_gradients([(tf.constant([3.0, 4.0]), variable)]))

    step()
    assert float(optimizer.gradient_norm.numpy()) == pytest.approx(5)


def test_round_trip():
    made = Adam(0.1, weight_decay=0.2, l2=0.3, global_clipnorm=2.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert type(again) is Adam
    assert (again.weight_decay, again.l2, again.global_clipnorm) == (0.2, 0.3, 2.0)


def test_loss_scaling_wraps_it():
    optimizer = keras.mixed_precision.LossScaleOptimizer(Adam(0.1))
    variable = tf.Variable([1.0])
    optimizer.build([variable])
    optimizer.apply_gradients([(tf.constant([np.inf]), variable)])
    assert variable.numpy() == [1.0]  # the step is left out
    optimizer.apply_gradients([(tf.constant([2.0]), variable)])
    assert variable.numpy() < 1 and float(optimizer.inner_optimizer.gradient_norm) == 2
