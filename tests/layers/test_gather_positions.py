from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec_vis.layers import gather_positions


def test_equals_a_loop():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(6, 3)).astype(np.float32)
    positions = rng.integers(-1, 6, (4, 5)).astype(np.int32)
    gathered = gather_positions(table, positions).numpy()
    assert gathered.shape == (4, 5, 3)
    for place in np.ndindex(4, 5):
        at = positions[place]
        expected = np.zeros(3) if at < 0 else table[at]
        np.testing.assert_array_equal(gathered[place], expected)
    assert (positions < 0).any()


def test_gradients_add_up_where_a_row_is_shown_twice():
    table = tf.ones([3, 2])
    positions = tf.constant([[0, 0, -1], [2, 0, -1]])
    weight = tf.constant([[1.0, 10.0, 100.0], [1000.0, 5.0, 7.0]])
    with tf.GradientTape() as tape:
        tape.watch(table)
        total = tf.reduce_sum(gather_positions(table, positions) * weight[..., tf.newaxis])
    gradient = tf.convert_to_tensor(tape.gradient(total, table)).numpy()
    np.testing.assert_array_equal(gradient, [[16.0] * 2, [0.0] * 2, [1000.0] * 2])


def test_an_empty_table_gives_zeros():
    gathered = gather_positions(tf.zeros([0, 4]), tf.fill([2, 3], -1))
    np.testing.assert_array_equal(gathered, np.zeros((2, 3, 4)))
    assert gather_positions(tf.ones([2, 4]), tf.zeros([0, 3], tf.int32)).shape == (0, 3, 4)


def test_keeps_the_dtype():
    for dtype in (tf.float16, tf.bfloat16, tf.float64):
        assert gather_positions(tf.ones([2, 4], dtype), tf.constant([[0, -1]])).dtype == dtype
