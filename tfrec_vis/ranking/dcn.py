"""DCN-v2's body: cross layers beside dense layers, over a mean-pooled history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras

from tfrec_vis.ranking.body import Body
from tfrec_vis.ranking.pooling import mean_of_history, merge_last


@keras.saving.register_keras_serializable(package="tfrec_vis")
class Dcn(Body):
    """Cross layers and dense layers in parallel, over all inputs and the history's mean.

        x_0 = [target ; mean of the history ; fields ; dense],
        x_{k+1} = x_0 * (W_k x_k + b_k) + x_k,   out = [x_c ; MLP(x_0)]

    Args:
        cross: number c of cross layers.
        units: widths of the dense layers (ReLU).

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> inputs = {
        ...     "target": tf.ones([2, 3, 8]),
        ...     "history": tf.ones([2, 5, 3, 8]),
        ...     "history_mask": tf.ones([2, 5], tf.bool),
        ...     "fields": tf.ones([2, 1, 8]),
        ...     "dense": tf.ones([2, 4]),
        ... }
        >>> tv.ranking.Dcn()(inputs).shape
        TensorShape([2, 92])

    Source: Wang et al., DCN V2 (arXiv 2008.13535), tfrs.layers.dcn.Cross.
    """

    def __init__(self, cross: int = 2, units: Sequence[int] = (64, 32), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cross, self.units = cross, tuple(units)
        self.cross_layers = [tfrs.layers.dcn.Cross(dtype=self.dtype_policy) for _ in range(cross)]
        self.dense_layers = [
            keras.layers.Dense(u, "relu", dtype=self.dtype_policy) for u in self.units
        ]

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
            [n, width of x_0 + units[-1]]
        """
        pooled = mean_of_history(inputs["history"], inputs["history_mask"])
        embedded = map(merge_last, (inputs["target"], pooled, inputs["fields"]))
        x = deep = first = tf.concat([*embedded, inputs["dense"]], axis=1)
        for layer in self.cross_layers:
            x = layer(first, x)
        for layer in self.dense_layers:
            deep = layer(deep)
        # Visual features stay last, as in every kernel's inputs.
        return tf.concat([deep, x], axis=1)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "cross": self.cross, "units": self.units}
