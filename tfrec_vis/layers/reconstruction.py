"""What the reconstructions share: arguments, their checks, and the mask."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras


class Reconstruction(keras.layers.Layer):
    """Base of the layers that rebuild shown items' embeddings from a user's clicks.

    A subclass says ``_reconstruct``. All are called alike and can take each other's place.
    """

    def call(
        self,
        query: tf.Tensor,
        history: tf.Tensor,
        history_mask: tf.Tensor,
        return_attention_scores: bool = False,
    ) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        """Reconstructs the queries.

        Args:
            query: [batch, shown, d], embeddings of the shown items.
            history: [batch, clicks, d], embeddings of the clicked items, newest first.
            history_mask: bool [batch, clicks], True where there is a click. Padding has no
                influence whatever it holds.
            return_attention_scores: also return the attention weights.

        Returns:
            [batch, shown, d], zeros where the user has no valid click; with
            ``return_attention_scores`` also [batch, heads, shown, clicks].

        Raises:
            ValueError: a rank is wrong, or the mask is not of the history's shape.
        """
        # Keras converts and casts the first argument only.
        query, history_mask = tf.convert_to_tensor(query), tf.convert_to_tensor(history_mask)
        history = tf.cast(history, query.dtype)
        for name, tensor, rank, axes in (
            ("query", query, 3, "[batch, shown, d]"),
            ("history", history, 3, "[batch, clicks, d]"),
            ("history_mask", history_mask, 2, "[batch, clicks]"),
        ):
            if tensor.shape.rank not in (None, rank):
                raise ValueError(
                    f"expected {name} of rank {rank} {axes}, "
                    f"got rank {tensor.shape.rank} (shape {tuple(tensor.shape)})"
                )
        if not history_mask.shape.is_compatible_with(history.shape[:2]):
            raise ValueError(
                f"expected history_mask of shape {tuple(history.shape[:2])} [batch, clicks], as "
                f"history has, got {tuple(history_mask.shape)}"
            )
        mask = tf.cast(history_mask, tf.bool)
        history = tf.where(mask[..., tf.newaxis], history, tf.zeros_like(history))
        result, scores = self._reconstruct(query, history, mask)
        return (result, scores) if return_attention_scores else result

    def _reconstruct(
        self, query: tf.Tensor, history: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Rebuilds the queries; also gives the weights [batch, heads, shown, clicks].

        Args:
            query: [batch, shown, d].
            history: [batch, clicks, d], zeros where there is no click.
            mask: bool [batch, clicks]. Without any click both results are zeros.
        """
        raise NotImplementedError


def newest_of(candidates: tf.Tensor) -> tf.Tensor:
    """The first True of the last axis alone; bool of the same shape."""
    return candidates & (tf.cumsum(tf.cast(candidates, tf.int32), axis=-1) == 1)
