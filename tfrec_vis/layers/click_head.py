"""The click head: how likely the reconstructed user clicks the shown item."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis._replicas import sum_over_replicas


@keras.saving.register_keras_serializable(package="tfrec_vis")
class ClickHead(keras.layers.Layer):
    """Logit of a click from a reconstruction and the shown item it rebuilds.

        x = w^T norm(ReLU(W [Rec ; Emb] + b)) + c

    Args:
        hidden: width of W.
        normalization: "layer", or "batch" as in the released code. Batch statistics are those of
            the valid rows, of all replicas under ``tf.distribute``; a batch without a valid row
            leaves the moving ones as they are. Keras computes them as E[x^2] - E[x]^2: in float32
            the variance of columns whose mean is a thousand times their spread is lost, so the
            embeddings should be centred (``PretrainingModel.start_from`` begins that way).

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> head = tv.layers.ClickHead(hidden=16)
        >>> head(tf.ones([3, 8]), tf.ones([3, 8]), tf.constant([True, True, False])).shape.as_list()
        [3]

    Source: COURIER's released code (with batch normalisation); the paper does not name it.
    """

    def __init__(self, hidden: int = 1024, normalization: str = "layer", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if hidden < 1:
            raise ValueError(f"expected hidden of at least 1, got {hidden}")
        if normalization not in ("layer", "batch"):
            raise ValueError(
                f'expected normalization to be "layer" or "batch", got {normalization!r}'
            )
        self.hidden = hidden
        self.normalization = normalization

    def build(self, reconstruction_shape: tf.TensorShape) -> None:
        """Creates the two dense layers and the normalisation."""
        policy = self.dtype_policy
        self.dense = keras.layers.Dense(self.hidden, "relu", name="dense", dtype=policy)
        self.dense.build(tf.TensorShape([None, 2 * reconstruction_shape[-1]]))
        if self.normalization == "batch":
            self.norm = keras.layers.BatchNormalization(
                synchronized=True, name="norm", dtype=policy
            )
        else:
            self.norm = keras.layers.LayerNormalization(name="norm", dtype=policy)
        self.norm.build(tf.TensorShape([None, self.hidden]))
        self.output_layer = keras.layers.Dense(1, name="logit", dtype=policy)
        self.output_layer.build(tf.TensorShape([None, self.hidden]))
        super().build(reconstruction_shape)

    def call(
        self,
        reconstruction: tf.Tensor,
        shown_embedding: tf.Tensor,
        valid: tf.Tensor,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Computes the logits.

        Args:
            reconstruction: [n, d].
            shown_embedding: [n, d].
            valid: [n], true where there is an item. Padding has no influence whatever it holds.
            training: whether batch statistics are taken and gathered ("batch").

        Returns:
            [n] in the layer's compute dtype; 0 where not valid.
        """
        valid = tf.cast(valid, tf.bool)
        pair = tf.concat([reconstruction, tf.cast(shown_embedding, reconstruction.dtype)], axis=-1)
        pair = tf.where(valid[:, tf.newaxis], pair, tf.zeros_like(pair))
        hidden = self.dense(pair)
        if self.normalization == "batch":
            if training is not None and training is not False:
                # Statistics of no rows at all would be zeros.
                count = sum_over_replicas(tf.reduce_sum(tf.cast(valid, tf.int64)))
                training = tf.cast(training, tf.bool) & (count > 0)
            # A row of padding: Keras would not move the statistics of a replica without rows.
            padded, mask = tf.pad(hidden, [[0, 1], [0, 0]]), tf.pad(valid, [[0, 1]])
            hidden = self.norm(padded, training=training, mask=mask)[:-1]
        else:
            hidden = self.norm(hidden)
        logits = self.output_layer(hidden)[:, 0]
        return tf.where(valid, logits, tf.zeros_like(logits))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "hidden": self.hidden,
            "normalization": self.normalization,
        }
