"""Supervised pre-training: click prediction, end to end."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.layers import MeanReconstruction, gather_positions
from tfrec_vis.losses import ClickCrossEntropy
from tfrec_vis.pretraining.model import Batch, PretrainingModel

_SCALE = 5.0
"""Of the logit at the beginning: from not alike to alike, a few times the odds."""


@keras.saving.register_keras_serializable(package="tfrec_vis")
class Supervised(PretrainingModel):
    """Pre-trains an image encoder by predicting clicks, end to end.

        loss = BCE(clicked, a <mean_c e_c, e> + b),   e = Emb / |Emb|,
        Emb = Dense(encoder(picture))

    (``losses.ClickCrossEntropy``) over all shown items, with c the clicks of the history and a, b
    trained along: how much more likely a click is on what looks like the history. A page without
    history has b alone. (An MLP on [mean of the history ; Emb] has to find this product by
    itself; on little data it learns the click rate, and the embedding collapses.)

    Args:
        encoder, embedding_dim, micro_batch: as for ``PretrainingModel``.
        click_rate: share of the shown items that are clicked; b begins at its log odds.

    Source: the supervised baseline of COURIER (arXiv 2306.05001), which does not name its head.
    """

    def __init__(
        self,
        encoder: keras.Model,
        embedding_dim: int = 256,
        micro_batch: int | None = None,
        click_rate: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, embedding_dim, micro_batch, **kwargs)
        if not 0 < click_rate < 1:
            raise ValueError(f"expected click_rate between 0 and 1, got {click_rate}")
        self.click_rate = click_rate
        self.pooling = MeanReconstruction(dtype="float32")
        self.cross_entropy = ClickCrossEntropy()
        odds = math.log(click_rate / (1 - click_rate))
        self.scale, self.bias = (
            self.add_weight(
                name=name,
                shape=[],
                dtype=tf.float32,
                initializer=keras.initializers.Constant(value),
                experimental_autocast=False,
            )
            for name, value in (("click_scale", _SCALE), ("click_bias", odds))
        )
        self.build(tf.TensorShape([None, None, None, 3]))

    def measure(self, embeddings: tf.Tensor, batch: Batch, training: bool) -> Batch:
        """The cross-entropy."""
        history, shown = batch["history"], batch["shown"]
        unit = tf.nn.l2_normalize(embeddings, axis=-1)
        item = gather_positions(unit, shown)
        user = self.pooling(item, gather_positions(unit, history), history >= 0)
        logits = self.scale * tf.reduce_sum(user * item, axis=-1) + self.bias
        logits, clicked, valid = (
            tf.reshape(x, [-1]) for x in (logits, batch["clicked"], shown >= 0)
        )
        return {"loss": self.cross_entropy(logits, clicked, valid)}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "click_rate": self.click_rate}
