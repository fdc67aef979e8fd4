"""Supervised pre-training: click prediction, end to end."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.layers import ClickHead, MeanReconstruction, gather_positions
from tfrec_vis.losses import ClickCrossEntropy
from tfrec_vis.pretraining.model import Batch, PretrainingModel

KIND = "cosine"


@keras.saving.register_keras_serializable(package="tfrec_vis")
class Supervised(PretrainingModel):
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
        self.cross_entropy = ClickCrossEntropy()
        self.bias = self.add_weight(name="click_bias", shape=[], initializer="zeros")
        self.scale = self.add_weight(
            name="click_scale", shape=[], initializer=keras.initializers.Constant(5.0)
        )
        if KIND == "mlp":
            self.click_head = ClickHead(hidden, name="click_head", dtype="float32")
            self.click_head.build(tf.TensorShape([None, (3 * embedding_dim + 2) // 2]))
        self.build(tf.TensorShape([None, None, None, 3]))

    def measure(self, embeddings: tf.Tensor, batch: Batch, training: bool) -> Batch:
        history, shown = batch["history"], batch["shown"]
        unit = tf.nn.l2_normalize(embeddings, axis=-1)
        item = gather_positions(unit, shown)
        user = self.pooling(item, gather_positions(unit, history), history >= 0)
        valid = tf.reshape(shown >= 0, [-1])
        item, user = (tf.reshape(x, [-1, self.embedding_dim]) for x in (item, user))
        cos = tf.reduce_sum(user * item, axis=-1, keepdims=True)
        logits = self.bias + self.scale * cos[:, 0] if KIND in ("cosine", "both") else self.bias
        if KIND == "mlp":
            pair = tf.concat([user, item], -1)
            more = tf.concat([user * item, cos], -1)
            x = tf.concat([pair, more, tf.zeros_like(cos)], -1) if self.embedding_dim % 2 == 0 else tf.concat([pair, more], -1)
            a, b = tf.split(x, 2, -1)
            logits = self.bias + self.click_head(a, b, valid, training=training)
        return {"loss": self.cross_entropy(logits, tf.reshape(batch["clicked"], [-1]), valid)}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden}
