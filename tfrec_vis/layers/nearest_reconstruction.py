"""The ablation of the reconstruction that takes one click: the nearest."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.layers.reconstruction import Reconstruction, newest_of


@keras.saving.register_keras_serializable(package="tfrec_vis")
class NearestReconstruction(Reconstruction):
    """Rebuilds each shown item as the click most similar to it.

        Rec = C_c*,   c* = argmax_{valid c} cos(Q, C_c)

    Of equally near clicks the newest is taken. The gradient goes to the chosen click alone, none
    to the query (its choice has no slope). An ablation of ``IntentionReconstruction`` with its
    arguments and shapes, one head, no weights.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> layer = tv.layers.NearestReconstruction()
        >>> history = tf.constant([[[2.0, 0.0], [0.0, 4.0], [9.0, 9.0]]])
        >>> query = tf.constant([[[0.1, 1.0], [1.0, 0.1]]])
        >>> layer(query, history, tf.constant([[True, True, False]])).numpy().tolist()
        [[[0.0, 4.0], [2.0, 0.0]]]

    Source: ablation of COURIER (arXiv 2306.05001): one to one in place of many to one.
    """

    def _reconstruct(
        self, query: tf.Tensor, history: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        exact = tf.float64 if history.dtype == tf.float64 else tf.float32
        queries = tf.nn.l2_normalize(tf.cast(tf.stop_gradient(query), exact), axis=-1)
        clicks = tf.nn.l2_normalize(tf.cast(tf.stop_gradient(history), exact), axis=-1)
        cosines = tf.einsum("bsd,bcd->bsc", queries, clicks)
        cosines = tf.where(mask[:, tf.newaxis, :], cosines, exact.min)
        best = tf.reduce_max(cosines, axis=-1, keepdims=True)
        weights = tf.cast(newest_of((cosines == best) & mask[:, tf.newaxis, :]), exact)
        result = tf.einsum("bsc,bcd->bsd", tf.cast(weights, history.dtype), history)
        return result, weights[:, tf.newaxis]
