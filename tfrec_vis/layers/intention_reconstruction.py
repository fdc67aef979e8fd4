"""Many-to-one reconstruction of an item's embedding from a user's click history."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.layers.reconstruction import Reconstruction


@keras.saving.register_keras_serializable(package="tfrec_vis")
class IntentionReconstruction(Reconstruction):
    """Rebuilds each shown item's embedding from the clicks, by cross-attention.

    Every query attends to the user's valid clicks, head by head, and is replaced by the
    attended clicks:

        A_h = softmax_clicks((Q W_Q,h + b_Q,h) (C W_K,h + b_K,h)^T / sqrt(d_h))
        Rec = concat_h(A_h (C W_V,h + b_V,h)) W_O + b_O      project_values=True
        Rec = mean_h(A_h) C                                  project_values=False

    with Q = ``query``, C = ``history``, d_h = d / ``num_heads``. There is no positional
    encoding, residual, normalisation or feed-forward part. The result is not normalised (the
    losses do that). With identity values it stays in the convex hull of the history.

    Args:
        num_heads: attention heads; must divide d.
        project_values: whether values and output are projected (W_V, W_O).

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> layer = tv.layers.IntentionReconstruction(num_heads=2)
        >>> mask = tf.constant([[True, True, False], [False, False, False]])
        >>> rec = layer(tf.ones([2, 5, 8]), tf.ones([2, 3, 8]), mask)
        >>> rec.shape.as_list(), float(tf.reduce_max(tf.abs(rec[1])))
        ([2, 5, 8], 0.0)

    Source: COURIER (arXiv 2306.05001), user intention reconstruction.
    """

    def __init__(self, num_heads: int = 4, project_values: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_heads < 1:
            raise ValueError(f"expected num_heads of at least 1, got {num_heads}")
        self.num_heads = num_heads
        self.project_values = project_values

    def build(self, query_shape: tf.TensorShape) -> None:
        """Creates W_Q, W_K and, with ``project_values``, W_V and W_O, all [d, d] with biases."""
        width = query_shape[-1]
        if width is None or width % self.num_heads:
            raise ValueError(
                f"expected an embedding width that num_heads={self.num_heads} divides, got {width}"
            )

        def dense(name: str) -> keras.layers.Dense:
            layer = keras.layers.Dense(width, name=name, dtype=self.dtype_policy)
            layer.build(tf.TensorShape([None, width]))
            return layer

        self.query_projection = dense("query")
        self.key_projection = dense("key")
        if self.project_values:
            self.value_projection = dense("value")
            self.output_projection = dense("output")
        super().build(query_shape)

    def _reconstruct(
        self, query: tf.Tensor, history: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        scores = self._attention(query, history, mask)
        if self.project_values:
            values = self._split_heads(self.value_projection(history))
            heads = tf.einsum("bhsc,bchk->bshk", tf.cast(scores, values.dtype), values)
            merged = tf.reshape(heads, tf.concat([tf.shape(heads)[:2], [query.shape[-1]]], axis=0))
            result = self.output_projection(merged)
            any_click = tf.reduce_any(mask, axis=1)[:, tf.newaxis, tf.newaxis]
            result = tf.where(any_click, result, tf.zeros_like(result))
        else:
            weights = tf.reduce_mean(scores, axis=1)
            result = tf.einsum("bsc,bcd->bsd", tf.cast(weights, history.dtype), history)
        return result, scores

    def _attention(self, query: tf.Tensor, history: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Weights [batch, heads, shown, clicks]; rows without a click are zeros."""
        queries = self._split_heads(self.query_projection(query))
        keys = self._split_heads(self.key_projection(history))
        logits = tf.einsum("bshk,bchk->bhsc", queries, keys)
        if logits.dtype != tf.float64:
            logits = tf.cast(logits, tf.float32)
        logits /= tf.sqrt(tf.cast(keys.shape[-1], logits.dtype))
        mask = mask[:, tf.newaxis, tf.newaxis, :]
        weights = tf.nn.softmax(tf.where(mask, logits, logits.dtype.min), axis=-1)
        return tf.where(mask, weights, tf.zeros_like(weights))

    def _split_heads(self, x: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(x)
        return tf.reshape(x, [shape[0], shape[1], self.num_heads, x.shape[-1] // self.num_heads])

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "project_values": self.project_values,
        }
