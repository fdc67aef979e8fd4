"""DLRM's body: dot products of all embedded fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras

from tfrec_vis.ranking.body import Body
from tfrec_vis.ranking.pooling import mean_of_history


@keras.saving.register_keras_serializable(package="tfrec_vis")
class Dlrm(Body):
    """Dot products between target, history, user, context and the embedded numbers.

        v = MLP_bottom(dense) in R^d,
        F = [target's attributes ; history's mean of each attribute ; fields ; v],
        out = MLP([v ; <F_i, F_j> for i > j])

    Args:
        bottom: widths of the dense layers (ReLU) below v.
        units: widths of the dense layers (ReLU) above the products.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> inputs = {
        ...     "target": tf.ones([2, 3, 8]),
        ...     "history": tf.ones([2, 5, 3, 8]),
        ...     "history_mask": tf.ones([2, 5], tf.bool),
        ...     "fields": tf.ones([2, 1, 8]),
        ...     "dense": tf.ones([2, 4]),
        ... }
        >>> tv.ranking.Dlrm()(inputs).shape
        TensorShape([2, 32])

    Source: Naumov et al., DLRM (arXiv 1906.00091),
        tfrs.layers.feature_interaction.DotInteraction.
    """

    def __init__(
        self, bottom: Sequence[int] = (32,), units: Sequence[int] = (64, 32), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.bottom, self.units = tuple(bottom), tuple(units)
        self.bottom_layers = [
            keras.layers.Dense(u, "relu", dtype=self.dtype_policy) for u in self.bottom
        ]
        # Without the zeros (skip_gather=False) TFRS looks for the products by tf.where on their
        # dtype, which halves do not have on a CPU.
        self.interaction = tfrs.layers.feature_interaction.DotInteraction(
            skip_gather=True, dtype=self.dtype_policy
        )
        self.dense_layers = [
            keras.layers.Dense(u, "relu", dtype=self.dtype_policy) for u in self.units
        ]

    def build(self, input_shape: Mapping[str, Any]) -> None:
        """Creates the weights for inputs of these shapes; n and clicks may be None."""
        # The numbers get the width of an embedding.
        width = tf.TensorShape(input_shape["target"])[-1]
        self.bottom_layers.append(keras.layers.Dense(width, dtype=self.dtype_policy))
        super().build(input_shape)

    def call(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The vector under the logit.

        Args:
            inputs: by name
                target: [n, attributes, d], the shown item's embedded attributes.
                history: [n, clicks, attributes, d], those of each click.
                history_mask: bool [n, clicks], true where there is a click.
                fields: [n, others, d], other embedded ids: the user, the context.
                dense: [n, w], numbers; visual features come last.

        Returns:
            [n, units[-1]]
        """
        bottom = inputs["dense"]
        for layer in self.bottom_layers:
            bottom = layer(bottom)
        pooled = mean_of_history(inputs["history"], inputs["history_mask"])
        embedded = [inputs["target"], pooled, inputs["fields"]]
        vectors = tf.concat([*embedded, bottom[:, tf.newaxis]], axis=1)
        x = tf.concat([bottom, self.interaction(tf.unstack(vectors, axis=1))], axis=1)
        for layer in self.dense_layers:
            x = layer(x)
        return x

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "bottom": self.bottom, "units": self.units}
