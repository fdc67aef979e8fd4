"""Gradient caching: a large batch through an encoder that holds a small part at once."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

_ROUNDING = 1e-2
_REFUSAL = (
    "expected an encoder whose random numbers can be drawn again, got one with {}: with "
    "micro_batch every picture is encoded twice; draw from layers of Keras (BaseRandomLayer) or "
    "stateless operations, or set micro_batch=None"
)
Encode = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(first picture, the one after the last) -> their embeddings [p, ...]."""

_DRAWS = {
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "RandomGammaV2",
    "RandomPoissonV2",
    "RandomShuffle",
    "RandomStandardNormal",
    "RandomUniform",
    "RandomUniformInt",
    "TruncatedNormal",
}
"""Operations whose state is in a kernel: what they drew cannot be drawn again."""


def encode_in_parts(
    encode: Encode, count: tf.Tensor, part: int | tf.Tensor, shape: list[int]
) -> tf.Tensor:
    """Encodes pictures part by part, keeping no activations.

    Args:
        encode: gives the embeddings of pictures start to end.
        count: n, of the pictures.
        part: pictures at once; the last part may be smaller.
        shape: of one embedding.

    Returns:
        float32 [n, *shape]
    """

    def body(start: tf.Tensor, done: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        end = tf.minimum(start + part, count)
        return end, tf.concat([done, encode(start, end)], axis=0)

    _, embeddings = tf.while_loop(
        lambda start, done: start < count,
        body,
        [tf.constant(0), tf.zeros([0, *shape])],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, *shape])],
        parallel_iterations=1,
    )
    return embeddings


def gradients_in_parts(
    encode: Encode,
    count: tf.Tensor,
    part: int | tf.Tensor,
    variables: list[tf.Variable],
    outer: tf.Tensor,
    first: tf.Tensor | None = None,
) -> list[tf.Tensor]:
    """Gradients of a loss with respect to the encoder's variables, part by part.

    Args:
        encode: as in ``encode_in_parts``; has to give the same embeddings again.
        count: n, of the pictures.
        part: pictures at once.
        variables: with respect to which.
        outer: [n, ...], the loss's gradient with respect to the embeddings.
        first: [n, ...], the embeddings that ``outer`` is of, to compare with in eager mode.

    Returns:
        One dense gradient per variable: sum over parts of outer_part^T d encode(part) / d var.

    Raises:
        ValueError: the encoder draws random numbers that cannot be drawn again.
    """

    def body(start: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        end = tf.minimum(start + part, count)
        with tf.GradientTape() as tape:
            encoded = encode(start, end)
        if not tf.executing_eagerly():
            _check_draws(tf.compat.v1.get_default_graph())
        elif first is not None:
            _check_same(first[start:end], encoded)
        gradients = tape.gradient(
            encoded, variables, output_gradients=outer[start:end], unconnected_gradients="zero"
        )
        added = [s + tf.convert_to_tensor(g) for s, g in zip(sums, gradients, strict=True)]
        return (end, *added)

    zeros = [tf.zeros(v.shape, v.dtype) for v in variables]
    _, *sums = tf.while_loop(
        lambda start, *_: start < count,
        body,
        [tf.constant(0), *zeros],
        parallel_iterations=1,
    )
    return list(sums)


def _check_draws(graph: tf.Graph) -> None:
    """Looks for draws in a graph and in the functions it calls (loops, branches, tf.function)."""
    definition = graph.as_graph_def()
    nodes = [definition.node, *(function.node_def for function in definition.library.function)]
    if found := sorted({node.op for part in nodes for node in part} & _DRAWS):
        raise ValueError(_REFUSAL.format(", ".join(found)))


def _check_same(first: tf.Tensor, second: tf.Tensor) -> None:
    """Compares both passes where there is no graph to look at; rounding may differ."""
    if tf.norm(second - first) > _ROUNDING * tf.norm(first):
        raise ValueError(_REFUSAL.format("other embeddings in the second pass"))
