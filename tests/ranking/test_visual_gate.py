from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.ranking import VisualGate

FEATURE = np.random.default_rng(0).normal(size=[6, 3]).astype(np.float32)
CATEGORY = np.array([0, 1, 1, 2, 3, 3])


def gate_of(*values: float) -> VisualGate:
    gate = VisualGate(4)
    gate.gate.assign(values)
    return gate


def test_equals_a_loop() -> None:
    values = [-2.0, 0.0, 0.5, 3.0]
    gate = gate_of(*values)
    gate.set_off([2])
    expected = np.zeros([6, 3])
    for n, category in enumerate(CATEGORY):
        if category != 2:
            expected[n] = FEATURE[n] / (1 + np.exp(-values[category]))
    np.testing.assert_allclose(gate(FEATURE, CATEGORY), expected, rtol=1e-6)


def test_values_are_those_of_the_call() -> None:
    gate = gate_of(-40.0, 0.0, 1.0, 40.0)
    gate.set_off([1])
    through = gate(np.ones([4, 1], np.float32), np.arange(4)).numpy()[:, 0]
    np.testing.assert_array_equal(gate.values(), through)
    assert through.min() >= 0 and through.max() <= 1 and through[1] == 0


def test_what_is_off_is_replaced_and_not_trained() -> None:
    gate = gate_of(0.0, 0.0, 0.0, 0.0)
    gate.set_off([0, 1])
    gate.set_off([3])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(gate(FEATURE, CATEGORY) ** 2)
    gradient = tf.convert_to_tensor(tape.gradient(loss, gate.gate)).numpy()
    assert gradient[:3].all() and gradient[3] == 0
    gate.set_off([])
    np.testing.assert_array_equal(gate.values(), 0.5)


def test_training_closes_the_gate_of_a_category_where_the_feature_is_noise() -> None:
    random = np.random.default_rng(1)
    feature = random.normal(size=[400, 1]).astype(np.float32)
    category = random.integers(0, 2, 400)
    wanted = np.where(category == 0, feature[:, 0], 0)
    gate = VisualGate(2)
    optimizer = tf.keras.optimizers.Adam(0.2)
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((gate(feature, category)[:, 0] - wanted) ** 2)
        optimizer.apply_gradients([(tape.gradient(loss, gate.gate), gate.gate)])
    useful, useless = gate.values()
    assert useful > 0.9 and useless < 0.1


@pytest.mark.parametrize("off", [[4], [-1], [0, 7]])
def test_unknown_categories_are_refused(off: list[int]) -> None:
    with pytest.raises(ValueError, match="expected categories of 0 to 3, got"):
        VisualGate(4).set_off(off)
