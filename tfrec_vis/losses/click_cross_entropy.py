"""The cross-entropy of the click head."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis._replicas import sum_over_replicas
from tfrec_vis.losses.contrast import at_least_float32


@keras.saving.register_keras_serializable(package="tfrec_vis")
class ClickCrossEntropy:
    """Binary cross-entropy of clicks, the mean over the items that are not padding.

        L_BCE = -1/|V| sum_{i in V} (y_i log sigmoid(x_i) + (1 - y_i) log(1 - sigmoid(x_i)))

    with logits x, V the valid rows and y_i = 1 where row i was clicked.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> loss = tv.losses.ClickCrossEntropy()
        >>> round(float(loss(tf.zeros([3]), tf.constant([1, 0, -1]), [True, True, False])), 6)
        0.693147

    Source: COURIER's released code; the paper does not name this loss.
    """

    def __call__(
        self,
        logits: tf.Tensor,
        clicked: tf.Tensor,
        valid: tf.Tensor,
        *,
        across_replicas: bool = True,
    ) -> tf.Tensor:
        """Computes the loss.

        Args:
            logits: [n], of ``layers.ClickHead``.
            clicked: [n], 1 where clicked.
            valid: [n], true where there is an item (not padding).
            across_replicas: in a replica of a ``tf.distribute`` strategy, return its share: its
                sum divided by the number of all replicas' valid rows. The shares add up to the
                loss of one device with the joint batch.

        Returns:
            Scalar, float32 (float64 for float64 input); 0 where no row is valid.
        """
        logits, valid = at_least_float32(logits), tf.cast(valid, tf.bool)
        labels = tf.cast(tf.cast(clicked, tf.int32) == 1, logits.dtype)
        logits = tf.where(valid, logits, tf.zeros_like(logits))
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
        losses = tf.where(valid, losses, tf.zeros_like(losses))
        count = tf.reduce_sum(tf.cast(valid, logits.dtype))
        if across_replicas:
            count = sum_over_replicas(count)
        return tf.math.divide_no_nan(tf.reduce_sum(losses), count)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments: none."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ClickCrossEntropy:
        """The loss that ``get_config`` describes."""
        return cls(**config)
