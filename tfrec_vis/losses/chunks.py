"""A sum over anchors, a chunk of them at a time, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Rows = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def sum_over_chunks(
    total_loss: Callable[[tf.Tensor, Rows, tf.Tensor, tf.Tensor], tf.Tensor],
    anchors: tf.Tensor,
    rows: Rows,
    candidates: tf.Tensor,
    temperature: tf.Tensor,
    chunk_size: int,
) -> tf.Tensor:
    """``total_loss(anchors, rows, candidates, temperature)``, holding few anchors at once.

    The backward pass computes each chunk again, so that what a chunk holds is let go before the
    next. Rows that do not count are left out. Gradients flow to anchors, candidates and
    temperature, of first order only.

    Args:
        total_loss: gives a scalar, a sum over anchors.
        anchors: [n, d].
        rows: int [n] the anchor's positive, a row of ``candidates``; int [n] its item; bool [n]
            whether it counts.
        candidates: [m, d].
        temperature: scalar.
        chunk_size: anchors at once.

    Returns:
        Scalar.
    """
    places = tf.where(rows[2])
    count = tf.shape(places)[0]
    chunks = (count + chunk_size - 1) // chunk_size
    missing = chunks * chunk_size - count

    def split(x: tf.Tensor) -> tf.Tensor:
        """[chunks, chunk_size, ...] of what counts; zeros, which count not, fill up the last."""
        padded = tf.pad(tf.gather_nd(x, places), [[0, missing], *[[0, 0]] * (x.shape.rank - 1)])
        return tf.reshape(padded, tf.concat([[chunks, chunk_size], tf.shape(x)[1:]], axis=0))

    split_rows = tuple(split(x) for x in rows)

    def loop(body: Callable[..., Any], start: list[Any]) -> list[Any]:
        _, *result = tf.while_loop(
            lambda i, *_: i < chunks,
            lambda i, *state: (i + 1, *body(i, *state)),
            [tf.constant(0), *start],
            parallel_iterations=1,
        )
        return list(result)

    @tf.custom_gradient
    def total(anchors: tf.Tensor, candidates: tf.Tensor, temperature: tf.Tensor) -> Any:
        split_anchors = split(anchors)

        def chunk(i: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
            return split_anchors[i], tuple(x[i] for x in split_rows)

        def add(i: tf.Tensor, value: tf.Tensor) -> tuple[tf.Tensor]:
            some, their_rows = chunk(i)
            return (value + total_loss(some, their_rows, candidates, temperature),)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            def add_gradients(
                i: tf.Tensor, of_anchors: tf.TensorArray, *sums: tf.Tensor
            ) -> tuple[Any, ...]:
                some, their_rows = chunk(i)
                with tf.GradientTape() as tape:
                    tape.watch([some, candidates, temperature])
                    value = total_loss(some, their_rows, candidates, temperature)
                mine, *shared = tape.gradient(value, [some, candidates, temperature])
                added = [s + g for s, g in zip(sums, shared, strict=True)]
                return (of_anchors.write(i, mine), *added)

            empty = tf.TensorArray(
                anchors.dtype, chunks, element_shape=[chunk_size, anchors.shape[-1]]
            )
            of_anchors, of_candidates, of_temperature = loop(
                add_gradients, [empty, tf.zeros_like(candidates), tf.zeros_like(temperature)]
            )
            joined = tf.reshape(of_anchors.stack(), [-1, anchors.shape[-1]])[:count]
            joined = tf.scatter_nd(places, joined, tf.shape(anchors, tf.int64))
            return upstream * joined, upstream * of_candidates, upstream * of_temperature

        (value,) = loop(add, [tf.zeros([], anchors.dtype)])
        return value, gradient

    return total(anchors, candidates, temperature)
