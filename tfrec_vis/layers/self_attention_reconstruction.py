"""The ablation of the reconstruction that predicts blindly: self-attention over the clicks."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.layers.intention_reconstruction import IntentionReconstruction
from tfrec_vis.layers.reconstruction import newest_of


@keras.saving.register_keras_serializable(package="tfrec_vis")
class SelfAttentionReconstruction(IntentionReconstruction):
    """Predicts the next item from the clicks alone, by self-attention.

    ``IntentionReconstruction`` (its formula, weights and arguments) with the newest valid click
    in the place of the query: the history attends to itself, and what stands at the newest
    click's position is the prediction. It is the same for every shown item; the query gives
    nothing but the number of these. There is no positional encoding, so that the two differ in
    what asks, not in what the older clicks' order tells.

    Args:
        num_heads: attention heads; must divide d.
        project_values: whether values and output are projected (W_V, W_O).

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> layer = tv.layers.SelfAttentionReconstruction(num_heads=2)
        >>> rec = layer(tf.random.normal([2, 5, 8]), tf.ones([2, 3, 8]), tf.ones([2, 3], tf.bool))
        >>> rec.shape.as_list(), float(tf.reduce_max(tf.abs(rec - rec[:, :1])))
        ([2, 5, 8], 0.0)

    Source: ablation of COURIER (arXiv 2306.05001), where it did worse.
    """

    def _reconstruct(
        self, query: tf.Tensor, history: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        newest = tf.cast(newest_of(mask), history.dtype)
        asks = tf.einsum("bc,bcd->bd", newest, history)[:, tf.newaxis]
        result, scores = super()._reconstruct(asks, history, mask)
        shown = tf.shape(query)[1]
        return tf.repeat(result, shown, axis=1), tf.repeat(scores, shown, axis=2)
