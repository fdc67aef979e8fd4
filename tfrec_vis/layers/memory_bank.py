"""Embeddings of earlier batches, as further negatives."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis._replicas import gather_replicas


@keras.saving.register_keras_serializable(package="tfrec_vis")
class MemoryBank(keras.layers.Layer):
    """First in, first out: the last ``size`` embeddings that were pushed, with their items.

    What is stored is detached: reading gives values, no gradient. The content is part of the
    layer's weights (not trained), so it is saved with a model that holds the bank. Embeddings
    are stored as they come, in the variable dtype (float32 under mixed precision).

    Under ``tf.distribute`` the rows of all replicas are gathered before they are stored, so that
    every replica's bank is the same; all of them have to push, outside ``tf.cond`` and
    ``tf.while_loop``.

    Args:
        size: rows that are kept.
        width: d.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> bank = tv.layers.MemoryBank(size=3, width=2)
        >>> bank.push(tf.eye(2), tf.constant([5, 6]), tf.constant([True, True]))
        >>> embedding, item_index, valid = bank.read()
        >>> item_index[valid].numpy().tolist()
        [6, 5]
        >>> loss = tv.losses.ClickSequenceContrast()
        >>> float(loss(tf.eye(2), tf.eye(2), [1, 1], [5, 6], bank=bank.read())) < 1e-6
        True

    Source: MoCo (arXiv 1911.05722); with COURIER's losses as in MAKE (arXiv 2407.19467).
    """

    def __init__(self, size: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if size < 1 or width < 1:
            raise ValueError(f"expected size and width of at least 1, got {size} and {width}")
        self.size = size
        self.width = width
        self.embedding = self._weight("embedding", [size, width], self.variable_dtype)
        self.item_index = self._weight("item_index", [size], "int64")
        self.filled = self._weight("filled", [], "int64")
        self.built = True

    def _weight(self, name: str, shape: list[int], dtype: str) -> tf.Variable:
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            trainable=False,
            experimental_autocast=False,
        )

    def read(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Gives the content, newest first.

        Returns:
            embedding [size, width], item_index int64 [size], valid bool [size]; the places that
            were not filled yet come last and are not valid.
        """
        valid = tf.range(self.size, dtype=tf.int64) < self.filled
        return tf.identity(self.embedding), tf.identity(self.item_index), valid

    def push(self, embedding: tf.Tensor, item_index: tf.Tensor, valid: tf.Tensor) -> None:
        """Stores rows; later ones count as newer, and the oldest make room.

        Args:
            embedding: [n, width], any n.
            item_index: int [n].
            valid: [n], true for the rows to store.
        """
        embedding = tf.stop_gradient(tf.cast(embedding, self.variable_dtype))
        embedding, item_index, valid, _ = gather_replicas(
            embedding, tf.cast(item_index, tf.int64), tf.cast(valid, tf.bool)
        )
        rows = tf.reverse(tf.where(valid)[:, 0], [0])[: self.size]
        kept = self.size - tf.shape(rows)[0]
        for variable, new in ((self.embedding, embedding), (self.item_index, item_index)):
            joined = tf.concat([tf.gather(new, rows), variable[:kept]], axis=0)
            variable.assign(tf.ensure_shape(joined, variable.shape))
        count = self.filled + tf.shape(rows, out_type=tf.int64)[0]
        self.filled.assign(tf.minimum(count, self.size))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "size": self.size, "width": self.width}
