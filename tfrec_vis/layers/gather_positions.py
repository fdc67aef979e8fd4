"""Rows of a table by position, where -1 means none."""

from __future__ import annotations

import tensorflow as tf


def gather_positions(embeddings: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Gathers the embeddings of a batch's distinct pictures to the places that show them.

    Args:
        embeddings: [u, d], one row per distinct picture.
        positions: int [..., s], rows of ``embeddings``; -1 is padding.

    Returns:
        [..., s, d]; padding is zeros, and passes no gradient.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> tv.layers.gather_positions(tf.constant([[5.0], [7.0]]), [1, -1, 0]).numpy().tolist()
        [[7.0], [0.0], [5.0]]
    """
    positions = tf.convert_to_tensor(positions)
    # A zero row in front takes the padding, also where u is 0.
    padded = tf.pad(embeddings, [[1, 0], [0, 0]])
    return tf.gather(padded, positions + 1)
