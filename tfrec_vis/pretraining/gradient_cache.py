"""Gradient caching: a large batch through an encoder that holds a small part at once."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

Encode = Callable[..., tf.Tensor]


def encode_in_parts(
    encode: Encode,
    pictures: tf.Tensor,
    part: int | tf.Tensor,
    width: int,
    training: bool = True,
) -> tf.Tensor:
    """Encodes pictures part by part, keeping no activations.

    Args:
        encode: called as ``encode(pictures, training=...)``, gives [n, d].
        pictures: [n, ...].
        part: pictures at once; the last part may be smaller.
        width: d.
        training: passed on.

    Returns:
        [n, d]
    """
    count = tf.shape(pictures)[0]

    def body(start: tf.Tensor, done: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        encoded = encode(pictures[start : start + part], training=training)
        return start + part, tf.concat([done, encoded], axis=0)

    _, embeddings = tf.while_loop(
        lambda start, done: start < count,
        body,
        [tf.constant(0), tf.zeros([0, width])],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, width])],
        parallel_iterations=1,
    )
    return embeddings


def gradients_in_parts(
    encode: Encode,
    pictures: tf.Tensor,
    part: int | tf.Tensor,
    variables: list[tf.Variable],
    outer: tf.Tensor,
) -> list[tf.Tensor]:
    """Gradients of a loss with respect to the encoder's variables, part by part.

    Args:
        encode: as in ``encode_in_parts``, called with ``training=True``.
        pictures: [n, ...].
        part: pictures at once.
        variables: with respect to which.
        outer: [n, d], the loss's gradient with respect to the embeddings.

    Returns:
        One dense gradient per variable: sum over parts of outer_part^T d encode(part) / d var.
    """
    count = tf.shape(pictures)[0]

    def body(start: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            encoded = encode(pictures[start : start + part], training=True)
        gradients = tape.gradient(
            encoded,
            variables,
            output_gradients=outer[start : start + part],
            unconnected_gradients="zero",
        )
        added = [s + tf.convert_to_tensor(g) for s, g in zip(sums, gradients, strict=True)]
        return (start + part, *added)

    zeros = [tf.zeros_like(v) for v in variables]
    _, *sums = tf.while_loop(
        lambda start, *_: start < count,
        body,
        [tf.constant(0), *zeros],
        parallel_iterations=1,
    )
    return list(sums)
