"""What ranker bodies do to embedded fields."""

from __future__ import annotations

import tensorflow as tf


def mean_of_history(history: tf.Tensor, history_mask: tf.Tensor) -> tf.Tensor:
    """Mean over the valid clicks, zeros without any: [n, clicks, a, d] -> [n, a, d].

    Args:
        history: [n, clicks, a, d].
        history_mask: bool [n, clicks].
    """
    mask = tf.cast(history_mask, history.dtype)
    total = tf.einsum("nl,nlad->nad", mask, history)
    clicks = tf.reduce_sum(mask, axis=1)[:, tf.newaxis, tf.newaxis]
    return tf.math.divide_no_nan(total, clicks)


def merge_last(values: tf.Tensor) -> tf.Tensor:
    """[..., a, d] -> [..., a * d]; a and d are known."""
    width = values.shape[-2] * values.shape[-1]
    merged = tf.reshape(values, tf.concat([tf.shape(values)[:-2], [width]], axis=0))
    return tf.ensure_shape(merged, [*values.shape[:-2], width])
