"""What the contrastive losses share: one formula, one set of masks."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class Contrast:
    """Base of the contrastive losses (InfoNCE over the batch, one direction).

        loss = -1/|A| sum_{a in A} log softmax_{c in C(a)}(cos(anchor_a, candidate_c) / tau)[c = a]

    The candidates C(a) are all valid rows but those that hold the same item as row a (they are
    not a's negatives: the same product clicked by two users). An empty A gives 0.

    Args:
        temperature: tau, above 0.
    """

    def __init__(self, temperature: float = 0.05) -> None:
        if temperature <= 0:
            raise ValueError(f"expected a temperature above 0, got {temperature}")
        self.temperature = temperature

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"temperature": self.temperature}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Contrast:
        """The loss that ``get_config`` describes."""
        return cls(**config)

    def _info_nce(
        self,
        candidates: tf.Tensor,
        anchors: tf.Tensor,
        is_anchor: tf.Tensor,
        is_candidate: tf.Tensor,
        item_index: tf.Tensor,
    ) -> tf.Tensor:
        """Loss of ``anchors`` [n, d] against ``candidates`` [n, d]; row i is i's positive."""
        candidates = _at_least_float32(candidates)
        anchors = tf.cast(_at_least_float32(anchors), candidates.dtype)
        candidates = tf.nn.l2_normalize(candidates, axis=-1)
        anchors = tf.nn.l2_normalize(anchors, axis=-1)
        logits = tf.matmul(anchors, candidates, transpose_b=True) / self.temperature

        own = tf.eye(tf.shape(logits)[0], dtype=tf.bool)
        same_item = item_index[:, tf.newaxis] == item_index[tf.newaxis, :]
        allowed = own | (is_candidate[tf.newaxis, :] & ~same_item)
        logits = tf.where(allowed, logits, logits.dtype.min)

        loss = tf.reduce_logsumexp(logits, axis=1) - tf.linalg.diag_part(logits)
        loss = tf.where(is_anchor, loss, tf.zeros_like(loss))
        count = tf.reduce_sum(tf.cast(is_anchor, loss.dtype))
        return tf.math.divide_no_nan(tf.reduce_sum(loss), count)


def _at_least_float32(x: tf.Tensor) -> tf.Tensor:
    x = tf.convert_to_tensor(x)
    return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)
