"""SimCLR: what a picture is, told from other pictures."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.losses import ClickSequenceContrast
from tfrec_vis.pretraining.model import Batch
from tfrec_vis.pretraining.two_views import TwoViews, dense_norm


@keras.saving.register_keras_serializable(package="tfrec_vis")
class SimCLR(TwoViews):
    """Pre-trains an image encoder by recognising two views of a picture among all others.

        loss = -1/(2u) sum_i log softmax_{j != i}(cos(z_i, z_j) / tau)[j = the other view of i]

    (NT-Xent), z = g(Emb(view)), over the 2u views of a batch's u distinct pictures; g is a
    dense layer of ``hidden``, batch norm, ReLU, a dense layer of ``projection``. The embedding
    is what is used, g is left behind.

    Args:
        encoder, embedding_dim, micro_batch, seed: as for ``TwoViews``.
        temperature: tau.
        chunk_size: anchors whose similarities the loss holds at once; None: all.
        hidden, projection: widths of g.

    Source: SimCLR (arXiv 2002.05709); tau as for COURIER's baseline (arXiv 2306.05001).
    """

    def __init__(
        self,
        encoder: keras.Model,
        embedding_dim: int = 256,
        micro_batch: int | None = None,
        seed: int = 0,
        temperature: float = 0.2,
        chunk_size: int | None = None,
        hidden: int = 512,
        projection: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, embedding_dim, micro_batch, seed, **kwargs)
        self.temperature, self.chunk_size = temperature, chunk_size
        self.hidden, self.projection = hidden, projection
        self.projector = keras.Sequential(
            [*dense_norm(hidden, relu=True), keras.layers.Dense(projection, dtype="float32")],
            name="projector",
        )
        self.projector.build([None, embedding_dim])
        # InfoNCE whose row i has its positive in row i: any rows, not those of clicks alone.
        self.contrast = ClickSequenceContrast(temperature, chunk_size=chunk_size)
        self.build(tf.TensorShape([None, None, None, 3]))

    def measure(self, embeddings: tf.Tensor, batch: Batch, training: bool) -> Batch:
        """NT-Xent: a view is no candidate for itself, being of the same item."""
        views = self.projector(embeddings, training=training)
        others = tf.concat(tf.split(views, 2)[::-1], axis=0)
        item = tf.tile(batch["item_index"], [2])
        return {"loss": self.contrast(others, views, tf.ones_like(item), item)}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "chunk_size": self.chunk_size,
            "hidden": self.hidden,
            "projection": self.projection,
        }
