"""A temperature that is trained with the model."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable(package="tfrec_vis")
class LearnedTemperature(keras.layers.Layer):
    """The temperature of a contrast as a trained scalar.

        tau = exp(w),   w >= log(minimum)

    w is the weight ``log_temperature``. Keras optimizers put it back to the bound after a step
    that went below (as a constraint of the weight, so that its gradient goes on). Leave it out
    of weight decay: ``optimizer.exclude_from_weight_decay(var_names=["log_temperature"])``.

    Args:
        initial: tau at the beginning.
        minimum: the lowest tau, above 0.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> tau = tv.layers.LearnedTemperature(initial=0.1)
        >>> loss = tv.losses.ClickSequenceContrast()
        >>> value = loss(tf.eye(2), tf.eye(2), tf.ones([2]), tf.range(2), temperature=tau())
        >>> round(float(tau()), 6), round(float(value), 6)
        (0.1, 4.5e-05)

    Source: CLIP (arXiv 2103.00020), section 2.5, whose bound is 0.01.
    """

    def __init__(self, initial: float = 0.05, minimum: float = 0.01, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 < minimum <= initial:
            raise ValueError(
                f"expected 0 < minimum <= initial, got minimum={minimum}, initial={initial}"
            )
        self.initial = initial
        self.minimum = minimum
        self.log_temperature = self.add_weight(
            name="log_temperature",
            shape=[],
            initializer=keras.initializers.Constant(math.log(initial)),
            constraint=lambda w: tf.maximum(w, tf.constant(math.log(minimum), w.dtype)),
            dtype=self.variable_dtype,
            experimental_autocast=False,
        )
        self.built = True

    def __call__(self) -> tf.Tensor:
        """Gives tau, a scalar of the weight's dtype (float32 under mixed precision)."""
        return tf.exp(self.log_temperature)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "initial": self.initial, "minimum": self.minimum}
