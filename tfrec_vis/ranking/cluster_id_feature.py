"""Cluster ids of item embeddings as a feature."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.ranking.target_attention import TargetAttention


@keras.saving.register_keras_serializable(package="tfrec_vis")
class ClusterIdFeature(keras.layers.Layer):
    """Clusters of the target and of the clicks, embedded like any other id.

        out = [E(c_target) ; TargetAttention(E(c_target), E(c_1) ... E(c_L)) ; share]

    with share = (valid clicks in the target's cluster) / (valid clicks with a cluster). An item
    without a cluster (-1) gives zeros wholly, and such clicks get no attention.

    Args:
        clusters: number of clusters; ids are below it.
        units: width of the embedding E.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> feature = tv.ranking.ClusterIdFeature(clusters=10, units=4)
        >>> target, history = tf.constant([7]), tf.constant([[7, 2, -1, 0]])
        >>> out = feature(target, history, tf.constant([[True, True, True, False]]))
        >>> out.shape.as_list(), float(out[0, -1])
        ([1, 9], 0.5)

    Source: COURIER (arXiv 2306.05001), ClusterID; the share is ours.
    """

    def __init__(self, clusters: int, units: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if clusters < 1:
            raise ValueError(f"expected clusters of at least 1, got {clusters}")
        self.clusters, self.units = clusters, units

    def build(self, target_shape: tf.TensorShape) -> None:
        """Creates embedding and attention."""
        self.embedding = self.add_weight(
            name="embedding",
            shape=[self.clusters, self.units],
            initializer=keras.initializers.RandomNormal(stddev=0.05),
        )
        self.attention = TargetAttention(name="attention", dtype=self.dtype_policy)
        with tf.name_scope("attention"):
            self.attention.build(tf.TensorShape([None, self.units]))
        super().build(target_shape)

    def call(self, target: tf.Tensor, history: tf.Tensor, history_mask: tf.Tensor) -> tf.Tensor:
        """Embeds and pools a batch.

        Args:
            target: int [n], cluster ids; -1: none.
            history: int [n, clicks], cluster ids; -1: none.
            history_mask: bool [n, clicks].

        Returns:
            [n, 2 * units + 1]
        """
        mask = tf.cast(history_mask, tf.bool) & (history >= 0)
        embedded = self._embed(target)
        both = mask & (target >= 0)[:, tf.newaxis]
        interest = self.attention(embedded, self._embed(history), both)
        same = mask & (history == target[:, tf.newaxis])
        share = tf.math.divide_no_nan(
            tf.math.count_nonzero(same, axis=1, dtype=tf.float64),
            tf.math.count_nonzero(mask, axis=1, dtype=tf.float64),
        )
        share = tf.cast(share, embedded.dtype)
        return tf.concat([embedded, interest, share[:, tf.newaxis]], axis=1)

    def _embed(self, cluster: tf.Tensor) -> tf.Tensor:
        rows = tf.gather(self.embedding, tf.maximum(cluster, 0))
        return rows * tf.cast(cluster >= 0, rows.dtype)[..., tf.newaxis]

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "clusters": self.clusters, "units": self.units}
