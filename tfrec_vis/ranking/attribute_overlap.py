"""How much a target's attributes are those of the user's history."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

SUMMARIES = 4


def rarity(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """How rare each item's attribute values are among the items seen: -log of their share.

        r_ia = -log((1 + items seen with item i's value of a) / (1 + items seen))

    A value that tells nothing, 0, has rarity 0.

    Args:
        values: int [items, attributes], numbers of the values; 0 is none.
        seen: int [n], the items to count, each once.

    Returns:
        float32 [items, attributes]

    Example:
        >>> rarity(np.array([[0], [1], [1], [2]]), np.array([1, 2, 3])).round(2)[:, 0]
        array([0.  , 0.29, 0.29, 0.69], dtype=float32)
    """
    rare = np.zeros(values.shape, np.float32)
    for a, column in enumerate(values.T):
        count = np.bincount(column[seen], minlength=int(column.max()) + 1)
        share = (1 + count[column]) / (1 + len(seen))
        rare[:, a] = np.where(column > 0, -np.log(share), 0.0)
    return rare


def attribute_overlap(
    target: tf.Tensor, history: tf.Tensor, history_mask: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Shares of the history that have the target's attribute values, and their overlap with it.

        share_a = mean over clicks l of [t_a = h_la],
        s_l = sum_a w_a [t_a = h_la] / sum_a w_a,
        out = [share_1 ... share_A ; mean s ; max s ; mean of the 3 highest s ;
               mean of s weighted by 1 / l]

    with l = 1 for the newest click. What no item has (0) equals nothing. An empty history gives
    zeros.

    Args:
        target: int [n, A], attribute values.
        history: int [n, clicks, A], newest first.
        history_mask: bool [n, clicks].
        weights: float32 [n, A], of the target's values, such as their ``rarity``.

    Returns:
        float32 [n, A + 4]

    Example:
        >>> target, history = tf.constant([[7, 2]]), tf.constant([[[7, 1], [7, 2]]])
        >>> mask, rare = tf.constant([[True, True]]), tf.constant([[3.0, 1.0]])
        >>> attribute_overlap(target, history, mask, rare)[0, :4].numpy()
        array([1.   , 0.5  , 0.875, 1.   ], dtype=float32)
    """
    mask = tf.cast(history_mask, tf.float32)
    same = (history == target[:, tf.newaxis]) & (history > 0) & history_mask[..., tf.newaxis]
    same = tf.cast(same, tf.float32)
    clicks = tf.reduce_sum(mask, axis=1, keepdims=True)
    share = tf.math.divide_no_nan(tf.reduce_sum(same, axis=1), clicks)
    scaled = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=1, keepdims=True))
    overlap = tf.einsum("nla,na->nl", same, scaled)
    top = tf.nn.top_k(overlap, k=tf.minimum(3, tf.shape(overlap)[1])).values
    newest = mask / tf.range(1.0, tf.cast(tf.shape(mask)[1], tf.float32) + 1.0)
    summaries = [
        _mean(overlap, clicks),
        tf.maximum(tf.reduce_max(overlap, axis=1, keepdims=True), 0.0),
        _mean(top, tf.minimum(clicks, 3.0)),
        _mean(overlap * newest, tf.reduce_sum(newest, axis=1, keepdims=True)),
    ]
    return tf.concat([share, *summaries], axis=1)


def _mean(values: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    return tf.math.divide_no_nan(tf.reduce_sum(values, axis=1, keepdims=True), total)
