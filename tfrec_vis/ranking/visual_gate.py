"""How much of a visual feature a category lets through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable(package="tfrec_vis")
class VisualGate(keras.layers.Layer):
    """A trained gate in [0, 1] for each category, before a visual feature.

        out = sigmoid(g[category]) * feature;   0 where the category is switched off

    Gates start at 1/2. A category whose gate goes to 0 has no use for the feature: switch it off,
    its rows then get zeros. The next layer can take up what all gates have in common, so compare
    categories rather than a gate with 1.

    Args:
        categories: number of categories; numbers are below it.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> gate = tv.ranking.VisualGate(categories=3)
        >>> gate.set_off([2])
        >>> gate(tf.ones([2, 2]), tf.constant([1, 2])).numpy().tolist()
        [[0.5, 0.5], [0.0, 0.0]]
        >>> gate.values().tolist()
        [0.5, 0.5, 0.0]

    Source: COURIER (arXiv 2306.05001), the diagnostic gate and zero filling.
    """

    def __init__(self, categories: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if categories < 1:
            raise ValueError(f"expected categories of at least 1, got {categories}")
        self.categories = categories
        with tf.name_scope(self.name):
            self.gate = self.add_weight(name="gate", shape=[categories], initializer="zeros")
            self.on = self.add_weight(
                name="on", shape=[categories], initializer="ones", trainable=False
            )

    def call(self, feature: tf.Tensor, category: tf.Tensor) -> tf.Tensor:
        """Gates a batch.

        Args:
            feature: [n, width].
            category: int [n], of the target items.

        Returns:
            [n, width]
        """
        gate = tf.sigmoid(tf.gather(self.gate, category)) * tf.gather(self.on, category)
        return feature * gate[:, tf.newaxis]

    def set_off(self, categories: Iterable[int]) -> None:
        """Switches these categories off and all others on.

        Raises:
            ValueError: a number that is no category's.
        """
        on, off = np.ones(self.categories, np.float32), np.array([*categories], np.int64)
        if off.size and not 0 <= off.min() <= off.max() < self.categories:
            raise ValueError(
                f"expected categories of 0 to {self.categories - 1}, got {off.tolist()}"
            )
        on[off] = 0
        self.on.assign(on)

    def values(self) -> np.ndarray:
        """The gates, float [categories]; 0 where switched off."""
        return tf.sigmoid(self.gate).numpy() * self.on.numpy()

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "categories": self.categories}
