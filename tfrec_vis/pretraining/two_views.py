"""What SimCLR and SimSiam share: two random views of every picture."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.pretraining.model import Batch, PretrainingModel
from tfrec_vis.pretraining.views import random_views


class TwoViews(PretrainingModel):
    """Base of the methods that contrast a picture with itself: clicks have no say.

    Each distinct picture of a batch is encoded in two views (``random_views``). They are a
    function of ``seed``, of the number of steps done (in evaluation: none) and of
    ``micro_batch``.

    Args:
        encoder, embedding_dim, micro_batch: as for ``PretrainingModel``.
        seed: of the views.
    """

    views = 2

    def __init__(
        self,
        encoder: keras.Model,
        embedding_dim: int = 256,
        micro_batch: int | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, embedding_dim, micro_batch, **kwargs)
        self.seed = seed
        self._view = random_views()

    def pictures(self, batch: Batch, training: bool) -> tf.Tensor:
        """First views, then second views: uint8 [2 p, h, w, 3]."""
        step = tf.cast(self.optimizer.iterations, tf.int32) if training else 0
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([self.seed, 0])
        for number in (step, replica, batch.get("start", 0)):
            seed = tf.random.experimental.stateless_fold_in(seed, number)
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        return tf.concat([self._view(batch["image"], one) for one in seeds], axis=0)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "seed": self.seed}


def dense_norm(width: int, relu: bool) -> list[keras.layers.Layer]:
    """A dense layer under batch normalisation, as the heads are built of."""
    layers = [
        keras.layers.Dense(width, use_bias=False, dtype="float32"),
        keras.layers.BatchNormalization(dtype="float32"),
    ]
    return [*layers, keras.layers.ReLU(dtype="float32")] if relu else layers
