"""DIN's body: target attention over the history, cross and dense layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras

from tfrec_vis.ranking.body import Body
from tfrec_vis.ranking.pooling import merge_last
from tfrec_vis.ranking.target_attention import TargetAttention


@keras.saving.register_keras_serializable(package="tfrec_vis")
class Din(Body):
    """A history weighted by the target, beside all other inputs, through cross and dense layers.

        x_0 = [target ; attention(target, history) ; fields ; dense],
        x_{k+1} = x_0 * (W_k x_k + b_k) + x_k,   out = MLP(x_c)

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
        >>> tv.ranking.Din()(inputs).shape
        TensorShape([2, 32])

    Sources: DIN (arXiv 1706.06978); DCN-v2 (arXiv 2008.13535), tfrs.layers.dcn.Cross.
    """

    def __init__(self, cross: int = 2, units: Sequence[int] = (64, 32), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cross, self.units = cross, tuple(units)
        self.attention = TargetAttention(dtype=self.dtype_policy)
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
            [n, units[-1]]
        """
        target, history = merge_last(inputs["target"]), merge_last(inputs["history"])
        interest = self.attention(target, history, inputs["history_mask"])
        fields = merge_last(inputs["fields"])
        x = first = tf.concat([target, interest, fields, inputs["dense"]], axis=1)
        for layer in self.cross_layers:
            x = layer(first, x)
        for layer in self.dense_layers:
            x = layer(x)
        return x

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "cross": self.cross, "units": self.units}
