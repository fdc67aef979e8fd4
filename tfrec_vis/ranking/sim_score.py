"""Cosines of a target with the user's clicks, one by one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

TOP = 3


def cosines(target: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
    """Inner products of unit vectors, [n, d] and [n, clicks, d] -> [n, clicks].

    Halves are multiplied and given in float32: a tenth of a percent moves a cosine to another bin.
    """
    target, history = tf.convert_to_tensor(target), tf.convert_to_tensor(history)
    if target.dtype != tf.float64:
        target, history = tf.cast(target, tf.float32), tf.cast(history, tf.float32)
    return tf.einsum("nd,nld->nl", target, tf.cast(history, target.dtype))


@keras.saving.register_keras_serializable(package="tfrec_vis")
class SimScore(keras.layers.Layer):
    """Cosine of the target with each history item, and summaries of them.

        s_l = e_target . e_l,   out = [s_1 ... s_L ; mean ; max ; mean of the 3 highest]

    over the valid clicks; items without a vector score 0. Padded slots hold the mean (0 without
    any click): zeros there would tell the ranker how long the history is, which is no visual
    feature. Embeddings are expected to be L2-normalised.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> target = tf.constant([[1.0, 0.0]])
        >>> history = tf.constant([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])
        >>> mask = tf.constant([[True, True, False]])
        >>> tv.ranking.SimScore()(target, history, mask).numpy().tolist()
        [[1.0, 0.0, 0.5, 0.5, 1.0, 0.5]]

    Source: COURIER (arXiv 2306.05001), SimScore; the summaries are ours.
    """

    def __init__(self, **kwargs: Any) -> None:
        # Halves are rounded after the cosines, not before.
        super().__init__(autocast=False, **kwargs)

    def call(self, target: tf.Tensor, history: tf.Tensor, history_mask: tf.Tensor) -> tf.Tensor:
        """Scores a batch.

        Args:
            target: [n, d], L2-normalised.
            history: [n, clicks, d], L2-normalised, newest first.
            history_mask: bool [n, clicks].

        Returns:
            [n, clicks + 3]
        """
        return self.from_scores(cosines(target, history), history_mask)

    def from_scores(self, scores: Any, history_mask: Any) -> tf.Tensor:
        """The same from cosines that are there already.

        Args:
            scores: float [n, clicks].
            history_mask: bool [n, clicks].

        Returns:
            [n, clicks + 3]
        """
        scores, history_mask = tf.convert_to_tensor(scores), tf.cast(history_mask, tf.bool)
        mask = tf.cast(history_mask, scores.dtype)
        scores = tf.where(history_mask, scores, tf.zeros_like(scores))
        clicks = tf.reduce_sum(mask, axis=1)
        low = tf.where(history_mask, scores, tf.constant(-2.0, scores.dtype))
        top = tf.nn.top_k(low, k=tf.minimum(TOP, tf.shape(low)[1])).values
        inside = tf.cast(top >= -1.5, scores.dtype)
        mean = tf.math.divide_no_nan(tf.reduce_sum(scores, axis=1), clicks)
        highest = tf.where(clicks > 0, tf.reduce_max(low, axis=1), tf.zeros_like(mean))
        top_mean = tf.math.divide_no_nan(
            tf.reduce_sum(top * inside, axis=1), tf.reduce_sum(inside, axis=1)
        )
        scores = tf.where(history_mask, scores, mean[:, tf.newaxis])
        out = tf.concat([scores, tf.stack([mean, highest, top_mean], axis=1)], axis=1)
        return tf.cast(out, self.compute_dtype)
