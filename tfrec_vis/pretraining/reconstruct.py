"""The reconstruction of shown items from a history, by any pre-training model."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras


def reconstruct(
    model: keras.Model, shown: tf.Tensor, history: tf.Tensor, history_mask: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Rebuilds shown items from histories, and says what each click had in it.

    By the model's own ``reconstruction`` (COURIER), or, where the model only embeds (or rebuilds
    what is behind a projection head, not the embedding itself), as the mean of the history's
    unit vectors, so that every method can be measured in the same way:

        Rec = sum_c a_c e_c / |e_c|,   a_c = 1 / number of clicks

    Args:
        model: a pre-training model.
        shown: [pages, shown, d], embeddings.
        history: [pages, clicks, d], embeddings.
        history_mask: bool [pages, clicks], True where there is a click.

    Returns:
        The reconstruction [pages, shown, d] and the weights [pages, shown, clicks], averaged over
        heads; zeros where there is no click.
    """
    layer = getattr(model, "reconstruction", None)
    if layer is not None and not getattr(model, "projection_head", False):
        rebuilt, scores = layer(shown, history, history_mask, return_attention_scores=True)
        return rebuilt, tf.reduce_mean(scores, axis=1)
    mask = tf.cast(history_mask, history.dtype)
    weights = tf.math.divide_no_nan(mask, tf.reduce_sum(mask, axis=1, keepdims=True))
    weights = tf.repeat(weights[:, tf.newaxis], tf.shape(shown)[1], axis=1)
    return tf.einsum("bsc,bcd->bsd", weights, tf.nn.l2_normalize(history, axis=-1)), weights
