"""A history as clients send it, brought to the form the ranker was trained on."""

from __future__ import annotations

import tensorflow as tf


def compact_history(history: tf.Tensor, target: tf.Tensor, length: int) -> tf.Tensor:
    """Keeps of each history what ``prepare`` would have kept.

    Distinct items other than the target, each at its newest place, moved up over the gaps, the
    newest ``length`` of them.

    Args:
        history: int32 [n, L], newest first; 0 is padding or an unknown item, anywhere.
        target: int32 [n].
        length: clicks that the ranker reads.

    Returns:
        int32 [n, length], newest first, 0 at the end.
    """
    same = history[:, :, tf.newaxis] == history[:, tf.newaxis, :]
    place = tf.range(tf.shape(history)[1])
    newer = place[tf.newaxis, :] < place[:, tf.newaxis]
    repeated = tf.reduce_any(same & newer, axis=2)
    kept = (history > 0) & (history != target[:, tf.newaxis]) & ~repeated
    compact = tf.ragged.boolean_mask(history, kept).to_tensor(0, shape=[None, length])
    return tf.ensure_shape(compact, [None, length])
