"""The ablation of the reconstruction that knows no query: the mean click."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.layers.reconstruction import Reconstruction


@keras.saving.register_keras_serializable(package="tfrec_vis")
class MeanReconstruction(Reconstruction):
    """Rebuilds every shown item as the mean of the user's valid clicks.

        Rec = 1/|V| sum_{c in V} C_c

    with V the valid clicks; the query has no influence. An ablation of
    ``IntentionReconstruction`` with its arguments and shapes, one head, no weights.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> layer = tv.layers.MeanReconstruction()
        >>> history = tf.constant([[[2.0, 0.0], [0.0, 4.0], [9.0, 9.0]]])
        >>> layer(tf.ones([1, 1, 2]), history, tf.constant([[True, True, False]])).numpy().tolist()
        [[[1.0, 2.0]]]

    Source: ablation of COURIER (arXiv 2306.05001): no reconstruction of the single item.
    """

    def _reconstruct(
        self, query: tf.Tensor, history: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        valid = tf.cast(mask, tf.float64 if history.dtype == tf.float64 else tf.float32)
        weights = tf.math.divide_no_nan(valid, tf.reduce_sum(valid, axis=1, keepdims=True))
        weights = tf.repeat(weights[:, tf.newaxis], tf.shape(query)[1], axis=1)
        result = tf.einsum("bsc,bcd->bsd", tf.cast(weights, history.dtype), history)
        return result, weights[:, tf.newaxis]
