"""Semantic ids of item embeddings as a feature."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.ranking.target_attention import TargetAttention


@keras.saving.register_keras_serializable(package="tfrec_vis")
class SemanticIdFeature(keras.layers.Layer):
    """Semantic ids of the target and of the clicks: codes of residual quantisation, embedded.

        E(s) = E_1(s_1) + ... + E_K(s_K)
        out  = [E(s_target) ; TargetAttention(E(s_target), E(s_1) ... E(s_L)) ; share_1 ... share_K]

    with share_k = (valid clicks whose first k codes are the target's) / (valid clicks that have a
    semantic id): the shares of shorter prefixes compare coarsely, of longer ones finely. An item
    without a semantic id (-1) gives zeros wholly, and such clicks get no attention.

    Args:
        levels: K, codes in an id, the coarsest first.
        codes: number of codes of each level; codes are below it.
        units: width of the embeddings E_k.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> feature = tv.ranking.SemanticIdFeature(levels=2, codes=16, units=4)
        >>> target, history = tf.constant([[7, 3]]), tf.constant([[[7, 3], [7, 5]]])
        >>> out = feature(target, history, tf.constant([[True, True]]))
        >>> out.shape.as_list(), out[0, -2:].numpy().tolist()
        ([1, 10], [1.0, 0.5])

    Source: semantic ids in place of ClusterID, as in QARM and SaviorRec; ``tv.embeddings`` makes
    them (``EmbedSettings(semantic_levels=3)``).
    """

    def __init__(self, levels: int, codes: int, units: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if levels < 1 or codes < 1:
            raise ValueError(
                f"expected levels and codes of at least 1, got levels={levels}, codes={codes}"
            )
        self.levels, self.codes, self.units = levels, codes, units

    def build(self, target_shape: tf.TensorShape) -> None:
        """Creates embeddings and attention."""
        self.embedding = self.add_weight(
            name="embedding",
            shape=[self.levels * self.codes, self.units],
            initializer=keras.initializers.RandomNormal(stddev=0.05),
        )
        self.attention = TargetAttention(name="attention", dtype=self.dtype_policy)
        with tf.name_scope("attention"):
            self.attention.build(tf.TensorShape([None, self.units]))
        super().build(target_shape)

    def call(self, target: tf.Tensor, history: tf.Tensor, history_mask: tf.Tensor) -> tf.Tensor:
        """Embeds and pools a batch.

        Args:
            target: int [n, levels]; -1: none.
            history: int [n, clicks, levels]; -1: none.
            history_mask: bool [n, clicks].

        Returns:
            [n, 2 * units + levels]
        """
        mask = tf.cast(history_mask, tf.bool) & (history[..., 0] >= 0)
        embedded = self._embed(target)
        both = mask & (target[:, :1] >= 0)
        interest = self.attention(embedded, self._embed(history), both)
        differing = tf.cast(history != target[:, tf.newaxis], tf.int32)
        same = (tf.cumsum(differing, axis=-1) == 0) & mask[..., tf.newaxis]  # [n, clicks, levels]
        share = tf.math.divide_no_nan(
            tf.math.count_nonzero(same, axis=1, dtype=tf.float64),
            tf.math.count_nonzero(mask, axis=1, keepdims=True, dtype=tf.float64),
        )
        return tf.concat([embedded, interest, tf.cast(share, embedded.dtype)], axis=1)

    def _embed(self, codes: tf.Tensor) -> tf.Tensor:
        place = tf.maximum(codes, 0) + self.codes * tf.range(self.levels, dtype=codes.dtype)
        rows = tf.reduce_sum(tf.gather(self.embedding, place), axis=-2)
        return rows * tf.cast(codes[..., :1] >= 0, rows.dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        config = {"levels": self.levels, "codes": self.codes, "units": self.units}
        return {**super().get_config(), **config}
