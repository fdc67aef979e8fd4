"""Item embeddings as features of a ranking model."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

TOP = 3


@keras.saving.register_keras_serializable(package="tfrec_vis")
class SimScore(keras.layers.Layer):
    """Cosine of the target with each history item, and summaries of them.

        s_l = e_target . e_l,   out = [s_1 ... s_L ; mean ; max ; mean of the 3 highest]

    over the valid clicks; items without a vector score 0. Padded slots hold the mean (0 without
    any click): zeros there would tell the ranker how long the history is, which is no visual
    feature. Embeddings are expected to be L2-normalised.

    Source: COURIER (arXiv 2306.05001), SimScore; the summaries are ours.
    """

    def call(self, target: tf.Tensor, history: tf.Tensor, history_mask: tf.Tensor) -> tf.Tensor:
        """Scores a batch.

        Args:
            target: [n, d], L2-normalised.
            history: [n, clicks, d], L2-normalised, newest first.
            history_mask: bool [n, clicks].

        Returns:
            [n, clicks + 3]
        """
        scores = tf.einsum("nd,nld->nl", target, history)
        mask = tf.cast(history_mask, scores.dtype)
        scores *= mask
        clicks = tf.reduce_sum(mask, axis=1)
        low = tf.where(history_mask, scores, -2.0)
        top = tf.nn.top_k(low, k=min(TOP, history_mask.shape[1])).values
        inside = tf.cast(top >= -1.5, scores.dtype)
        mean = tf.math.divide_no_nan(tf.reduce_sum(scores, axis=1), clicks)
        highest = tf.where(clicks > 0, tf.reduce_max(low, axis=1), 0.0)
        top_mean = tf.math.divide_no_nan(
            tf.reduce_sum(top * inside, axis=1), tf.reduce_sum(inside, axis=1)
        )
        scores = tf.where(history_mask, scores, mean[:, tf.newaxis])
        return tf.concat([scores, tf.stack([mean, highest, top_mean], axis=1)], axis=1)


@keras.saving.register_keras_serializable(package="tfrec_vis")
class ProjectedVector(keras.layers.Layer):
    """Item embeddings, projected, for the target and each history item.

        out = W e + b

    Every distinct item of a batch is projected once.

    Args:
        units: width of the projection.
        items: rows of the table, with row 0 for "no item"; fill it with ``set_table``.
        dim: d of the embeddings.
    """

    def __init__(self, units: int, items: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.items, self.dim = units, items, dim
        self.table = self.add_weight(
            name="table", shape=[items, dim], initializer="zeros", trainable=False
        )
        self.projection = keras.layers.Dense(units, name="projection")
        self.projection.build(tf.TensorShape([None, dim]))

    def set_table(self, embeddings: Any) -> None:
        """Fills the table: [items, dim]."""
        self.table.assign(embeddings)

    def call(self, item_index: tf.Tensor) -> tf.Tensor:
        """Projects the vectors of int [...] items -> [..., units]."""
        distinct, position = tf.unique(tf.reshape(item_index, [-1]))
        projected = self.projection(tf.gather(self.table, distinct))
        shape = tf.concat([tf.shape(item_index), [self.units]], axis=0)
        return tf.reshape(tf.gather(projected, position), shape)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "items": self.items,
            "dim": self.dim,
        }
