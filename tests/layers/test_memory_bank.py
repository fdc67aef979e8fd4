from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.layers import MemoryBank

WIDTH = 3


def pushes(seed, sizes):
    rng = np.random.default_rng(seed)
    for n in sizes:
        yield (
            rng.normal(size=(n, WIDTH)).astype(np.float32),
            rng.integers(0, 99, n).astype(np.int32),
            rng.random(n) < 0.7,
        )


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("size", [1, 4, 11])
def test_equals_a_list(size, in_graph):
    bank = MemoryBank(size, WIDTH)
    push = bank.push
    if in_graph:
        specs = [tf.TensorSpec([None, WIDTH]), tf.TensorSpec([None], tf.int32)]
        signature = [*specs, tf.TensorSpec([None], tf.bool)]
        push = tf.function(bank.push, autograph=False, input_signature=signature)
    kept = []
    for embedding, items, valid in pushes(0, [2, 0, 3, 1, 30, 5, 2]):
        push(embedding, items, valid)
        for row in range(len(items)):
            if valid[row]:
                kept.insert(0, (embedding[row], items[row]))
        del kept[size:]
        found, found_items, found_valid = bank.read()
        assert found.shape == (size, WIDTH) and found_items.dtype == tf.int64
        np.testing.assert_array_equal(found_valid, np.arange(size) < len(kept))
        for place, (row, item) in enumerate(kept):
            np.testing.assert_array_equal(found[place], row)
            assert found_items[place] == item
    assert len(kept) == size


def test_what_was_read_before_a_push_stays():
    bank = MemoryBank(2, WIDTH)
    bank.push(np.ones([2, WIDTH]), [1, 2], [True, True])

    @tf.function(autograph=False)
    def read_then_push():
        before = bank.read()
        bank.push(tf.zeros([2, WIDTH]), [3, 4], [True, True])
        return before

    embedding, items, _ = read_then_push()
    np.testing.assert_array_equal(items, [2, 1])
    np.testing.assert_array_equal(embedding, np.ones([2, WIDTH]))
    np.testing.assert_array_equal(bank.read()[1], [4, 3])


def test_no_gradient_goes_through():
    bank, x = MemoryBank(2, WIDTH), tf.Variable(tf.ones([2, WIDTH]))
    with tf.GradientTape() as tape:
        bank.push(x, [1, 2], [True, True])
        total = tf.reduce_sum(bank.read()[0])
    assert total == 6.0 and tape.gradient(total, x) is None
    assert not bank.trainable_weights and len(bank.non_trainable_weights) == 3


def test_wrong_size_is_named():
    with pytest.raises(ValueError, match="size and width of at least 1, got 0 and 3"):
        MemoryBank(0, WIDTH)
