"""What the bodies of rankers have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras as keras


class Body(keras.layers.Layer):
    """Base of the bodies: a dictionary of embedded inputs -> the vector under the logit.

    All take

        target: [n, attributes, d], the shown item's embedded attributes.
        history: [n, clicks, attributes, d], those of each click.
        history_mask: bool [n, clicks], true where there is a click.
        fields: [n, others, d], other embedded ids: the user, the context.
        dense: [n, w], numbers; visual features come last.
    """

    def build(self, input_shape: Mapping[str, Any]) -> None:
        """Creates the weights for inputs of these shapes; n and clicks may be None."""
        shapes = {name: tf.TensorShape(shape) for name, shape in input_shape.items()}
        self.call(
            {
                name: tf.zeros(
                    [1 if size is None else size for size in shape],
                    tf.bool if name == "history_mask" else self.compute_dtype,
                )
                for name, shape in shapes.items()
            }
        )
        super().build(input_shape)
