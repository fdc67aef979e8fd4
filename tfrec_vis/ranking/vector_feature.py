"""Item embeddings themselves as a feature."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.ranking.target_attention import TargetAttention


@keras.saving.register_keras_serializable(package="tfrec_vis")
class VectorFeature(keras.layers.Layer):
    """The target's embedding and the user's interest among the embeddings, both projected.

        p = W e,   out = [p_target ; TargetAttention(p_target, p_1 ... p_L)]

    An item without a picture (a vector of zeros) gives zeros wholly; such clicks get no attention.
    A history without any picture gives zeros in its part.

    Args:
        units: width of the projection.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> feature = tv.ranking.VectorFeature(units=4)
        >>> feature(tf.ones([3, 16]), tf.ones([3, 5, 16]), tf.ones([3, 5], tf.bool)).shape.as_list()
        [3, 8]

    Source: COURIER (arXiv 2306.05001), Vector; the attention is DIN's (arXiv 1706.06978).
    """

    def __init__(self, units: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, target_shape: tf.TensorShape) -> None:
        """Creates projection and attention for targets [n, d]."""
        policy = self.dtype_policy
        self.projection = keras.layers.Dense(
            self.units, use_bias=False, name="projection", dtype=policy
        )
        self.attention = TargetAttention(name="attention", dtype=policy)
        with tf.name_scope("projection"):
            self.projection.build(tf.TensorShape([None, target_shape[-1]]))
        with tf.name_scope("attention"):
            self.attention.build(tf.TensorShape([None, self.units]))
        super().build(target_shape)

    def call(self, target: tf.Tensor, history: tf.Tensor, history_mask: tf.Tensor) -> tf.Tensor:
        """Projects and pools a batch.

        Args:
            target: [n, d].
            history: [n, clicks, d].
            history_mask: bool [n, clicks].

        Returns:
            [n, 2 * units]
        """
        pictured = tf.reduce_any(history != 0, -1) & tf.reduce_any(target != 0, -1)[:, tf.newaxis]
        mask = tf.cast(history_mask, tf.bool) & pictured
        return self.from_projected(self.projection(target), self.projection(history), mask)

    def from_projected(self, target: tf.Tensor, history: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """The same from what ``projection`` gave, where items are projected once for many rows.

        Args:
            target: [n, units].
            history: [n, clicks, units].
            mask: bool [n, clicks]: true where there is a click and both it and the target have a
                picture.

        Returns:
            [n, 2 * units]
        """
        return tf.concat([target, self.attention(target, history, mask)], axis=1)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "units": self.units}
