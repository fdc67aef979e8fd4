"""Alarms of a collapsing embedding, within the training step."""

from __future__ import annotations

import math

import tensorflow as tf

_HIGHEST_COSINE = 0.9
_LOWEST_RANK = 2.0
_LOWEST_SHARE = 0.02
_ROWS = 2048


def collapse_alarm(mean_pairwise_cosine: float, effective_rank: float, dim: int) -> str | None:
    """What is wrong with an embedding that is collapsing, in one line; None if nothing is.

    The mean pairwise cosine of item vectors was found to be 0.02 in a healthy embedding and 0.97
    in a collapsed one. Beyond 0.9, nine tenths of every vector (of its squared length) are what
    all have in common; healthy trainings come near it in between, and centring takes it off.
    An effective rank below 2 is less than two directions; where d is large, so is one below 2 %
    of d (in embeddings of fewer than 4 dimensions: below d / 2). Of a batch, the rank is at most
    the number of its pictures.

    Args:
        mean_pairwise_cosine, effective_rank: of the embeddings of a batch.
        dim: d.

    Example:
        >>> collapse_alarm(0.02, 60.0, dim=256)
        >>> collapse_alarm(0.97, 60.0, dim=256)
        'the embedding collapses: mean pairwise cosine 0.970 (healthy near 0, alarm above 0.9)'

    Source: an independent study of COURIER's setting (0.02 healthy, 0.97 collapsed); Roy and
    Vetterli, The effective rank (EUSIPCO 2007).
    """
    if math.isnan(mean_pairwise_cosine) or math.isnan(effective_rank):
        return "the embedding is not a number (NaN): the training has diverged"
    if mean_pairwise_cosine > _HIGHEST_COSINE:
        return (
            f"the embedding collapses: mean pairwise cosine {mean_pairwise_cosine:.3f} "
            f"(healthy near 0, alarm above {_HIGHEST_COSINE:g})"
        )
    lowest = max(min(_LOWEST_RANK, dim / 2), _LOWEST_SHARE * dim)
    if effective_rank < lowest:
        return (
            f"the embedding collapses: effective rank {effective_rank:.1f} of {dim} dimensions "
            f"(alarm below {lowest:.1f})"
        )
    return None


def mean_pairwise_cosine(embeddings: tf.Tensor) -> tf.Tensor:
    """Mean cosine over all pairs of distinct rows of [n, d]; 1 is collapse, near 0 is healthy.

    (|sum_i e_i|^2 - n) / (n (n - 1)) for unit rows e_i.
    """
    unit = tf.nn.l2_normalize(tf.cast(embeddings, tf.float32), axis=-1)
    count = tf.cast(tf.shape(unit)[0], tf.float32)
    total = tf.reduce_sum(tf.square(tf.reduce_sum(unit, axis=0)))
    return tf.math.divide_no_nan(total - count, count * (count - 1))


def effective_rank(embeddings: tf.Tensor) -> tf.Tensor:
    """exp(entropy of the normalised singular values) of [n, d]; 1 is collapse.

    Source: Roy and Vetterli, The effective rank (EUSIPCO 2007).
    """
    # In float32 the square root turns rounding errors of a collapsed embedding into rank.
    embeddings = tf.convert_to_tensor(embeddings)
    count, width = tf.unstack(tf.shape(embeddings))

    def add(start: tf.Tensor, gram: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows = tf.cast(embeddings[start : start + _ROWS], tf.float64)
        unit = tf.nn.l2_normalize(rows, axis=-1)
        return start + _ROWS, gram + tf.matmul(unit, unit, transpose_a=True)

    # Row block by row block: a large batch as a whole takes much memory in float64.
    gram = tf.zeros(tf.stack([width, width]), tf.float64)
    _, gram = tf.while_loop(
        lambda start, _: start < count, add, [tf.constant(0), gram], parallel_iterations=1
    )
    eigenvalues = tf.linalg.eigvalsh(gram)
    singular = tf.sqrt(tf.maximum(eigenvalues, 0.0))
    share = tf.math.divide_no_nan(singular, tf.reduce_sum(singular))
    return tf.cast(tf.exp(-tf.reduce_sum(tf.math.xlogy(share, share))), tf.float32)


def attention_entropy(scores: tf.Tensor, history_mask: tf.Tensor) -> tf.Tensor:
    """Mean entropy of attention weights, over log(number of clicks): 1 even, 0 on one click.

    Args:
        scores: [batch, heads, shown, clicks].
        history_mask: bool [batch, clicks]; users with fewer than two clicks do not count.
    """
    clicks = tf.reduce_sum(tf.cast(history_mask, tf.float32), axis=1)
    entropy = -tf.reduce_sum(tf.math.xlogy(scores, scores), axis=-1)
    entropy = tf.cast(tf.reduce_mean(entropy, axis=[1, 2]), tf.float32)
    counted = tf.cast(clicks >= 2, tf.float32)
    relative = tf.math.divide_no_nan(entropy, tf.math.log(tf.maximum(clicks, 1.0))) * counted
    return tf.math.divide_no_nan(tf.reduce_sum(relative), tf.reduce_sum(counted))
