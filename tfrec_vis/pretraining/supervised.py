"""Supervised pre-training: click prediction, end to end."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.layers import ClickHead, MeanReconstruction, gather_positions
from tfrec_vis.losses import ClickCrossEntropy
from tfrec_vis.pretraining.model import Batch, PretrainingModel


@keras.saving.register_keras_serializable(package="tfrec_vis")
class Supervised(PretrainingModel):
    """Pre-trains an image encoder by predicting clicks, end to end.

        loss = BCE(clicked, MLP([mean of the history's Emb ; Emb])),   Emb = Dense(encoder(picture))

    (``layers.ClickHead``, ``losses.ClickCrossEntropy``) over all shown items; a page without
    history has zeros in the history's place. The embedding is what is used.

    Args:
        encoder, embedding_dim, micro_batch: as for ``PretrainingModel``.
        hidden: width of the MLP.

    Source: the supervised baseline of COURIER (arXiv 2306.05001).
    """

    def __init__(
        self,
        encoder: keras.Model,
        embedding_dim: int = 256,
        micro_batch: int | None = None,
        hidden: int = 1024,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, embedding_dim, micro_batch, **kwargs)
        self.hidden = hidden
        self.pooling = MeanReconstruction(dtype="float32")
        self.click_head = ClickHead(hidden, name="click_head", dtype="float32")
        self.click_head.build(tf.TensorShape([None, embedding_dim]))
        self.cross_entropy = ClickCrossEntropy()
        self.build(tf.TensorShape([None, None, None, 3]))

    def measure(self, embeddings: tf.Tensor, batch: Batch, training: bool) -> Batch:
        """The cross-entropy."""
        history, shown = batch["history"], batch["shown"]
        shown_embedding = gather_positions(embeddings, shown)
        pooled = self.pooling(shown_embedding, gather_positions(embeddings, history), history >= 0)
        valid = tf.reshape(shown >= 0, [-1])
        logits = self.click_head(
            tf.reshape(pooled, [-1, self.embedding_dim]),
            tf.reshape(shown_embedding, [-1, self.embedding_dim]),
            valid,
            training=training,
        )
        return {"loss": self.cross_entropy(logits, tf.reshape(batch["clicked"], [-1]), valid)}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "hidden": self.hidden}
