"""Numeric inputs at one scale."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

_LEAST = 1e-6
"""A deviation below this is that of a constant."""
_BOUND = 10.0


@keras.saving.register_keras_serializable(package="tfrec_vis")
class Standardize(keras.layers.Layer):
    """Columns at mean 0 and standard deviation 1 of the rows it was fitted to, within bounds.

        out = min(max((x - mean) / deviation, -10), 10);   0 for a column that was constant

    The bound is for what was rare in those rows: a flag that one row in 100,000 lacks would lie at
    -316 there, and cross layers multiply.

    Log counts and days differ in scale; as they are, the largest decide what a network learns
    first, and how far a run gets depends on its initial weights. Columns that may be noise are
    better left at a small scale: at deviation 1 a network fits itself to them.
    (keras.layers.Normalization keeps its moments as constants of a traced graph; these are
    variables, so one traced model can be fitted again.)

    Args:
        width: number of columns.
    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # halves are rounded afterwards
        self.width = width
        options = {"shape": [width], "trainable": False, "experimental_autocast": False}
        self.mean = self.add_weight(name="mean", initializer="zeros", **options)
        self.deviation = self.add_weight(name="deviation", initializer="ones", **options)

    def fit_to(self, values: tf.Tensor) -> None:
        """Takes mean and deviation from values [rows, width]; no row changes nothing."""
        if not len(values):
            return
        mean, variance = tf.nn.moments(tf.cast(values, tf.float64), axes=[0])
        self.mean.assign(tf.cast(mean, self.mean.dtype))
        self.deviation.assign(tf.cast(tf.sqrt(variance), self.deviation.dtype))

    def call(self, values: tf.Tensor) -> tf.Tensor:
        """Standardizes [n, width]."""
        mean, deviation = tf.convert_to_tensor(self.mean), tf.convert_to_tensor(self.deviation)
        constant = deviation < _LEAST
        scaled = (tf.cast(values, mean.dtype) - mean) / tf.where(constant, 1.0, deviation)
        bounded = tf.where(constant, 0.0, tf.clip_by_value(scaled, -_BOUND, _BOUND))
        return tf.cast(bounded, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "width": self.width}
