"""Attention of a target item over the user's history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable(package="tfrec_vis")
class TargetAttention(keras.layers.Layer):
    """The interest of a user in a target: history items weighted by a small network.

        a_l = MLP([q ; k_l ; q - k_l ; q * k_l]),   out = sum_l softmax_l(a_l) k_l

    with q the target and k_l the history items; padding gets no weight, an empty history gives
    zeros. (DIN leaves out the softmax; with it the result does not grow with the history.)

    Args:
        units: widths of the network's hidden layers (ReLU).

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> attention = tv.ranking.TargetAttention(units=(16,))
        >>> attention(tf.ones([3, 8]), tf.ones([3, 5, 8]), tf.ones([3, 5], tf.bool)).shape.as_list()
        [3, 8]

    Source: Zhou et al., Deep Interest Network (arXiv 1706.06978).
    """

    def __init__(self, units: Sequence[int] = (32,), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = tuple(units)

    def build(self, target_shape: tf.TensorShape) -> None:
        """Creates the network for targets [n, d]."""
        width = 4 * target_shape[-1]
        self.network = []
        for i, units in enumerate([*self.units, 1]):
            layer = keras.layers.Dense(
                units,
                activation="relu" if i < len(self.units) else None,
                name=f"score_{i}",
                dtype=self.dtype_policy,
            )
            with tf.name_scope(layer.name):
                layer.build(tf.TensorShape([None, None, width]))
            self.network.append(layer)
            width = units
        super().build(target_shape)

    def call(self, target: tf.Tensor, history: tf.Tensor, history_mask: tf.Tensor) -> tf.Tensor:
        """Pools the history.

        Args:
            target: [n, d].
            history: [n, clicks, d].
            history_mask: bool [n, clicks].

        Returns:
            [n, d]
        """
        # W [q ; k ; q - k ; q * k] without the four copies of every click.
        first, *rest = self.network
        kernel = tf.cast(first.kernel, history.dtype)
        of_target, of_click, of_difference, of_product = tf.split(kernel, 4)
        scores = tf.tensordot(history, of_click - of_difference, 1)
        scores += tf.tensordot(target[:, tf.newaxis] * history, of_product, 1)
        at_target = tf.matmul(target, of_target + of_difference) + tf.cast(first.bias, kernel.dtype)
        scores = first.activation(scores + at_target[:, tf.newaxis])
        for layer in rest:
            scores = layer(scores)
        scores = tf.where(history_mask, scores[..., 0], scores.dtype.min)
        weights = tf.nn.softmax(scores) * tf.cast(history_mask, scores.dtype)
        return tf.einsum("nl,nld->nd", weights, history)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "units": self.units}
