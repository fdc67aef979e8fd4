"""SimSiam: what a picture is, without other pictures."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.pretraining.model import Batch
from tfrec_vis.pretraining.two_views import TwoViews, dense_norm


@keras.saving.register_keras_serializable(package="tfrec_vis")
class SimSiam(TwoViews):
    """Pre-trains an image encoder by predicting one view of a picture from the other.

        loss = -1/(2u) sum_i (cos(h(z_i), stop(z'_i)) + cos(h(z'_i), stop(z_i)))

    with z = g(Emb(view)), z' that of the other view, over a batch's u distinct pictures. No
    gradient goes through stop. g is three dense layers of ``hidden``, each under batch norm,
    ReLU between them; h is a dense layer of ``bottleneck``, batch norm, ReLU, and a dense layer
    of ``hidden``. The embedding is what is used, g and h are left behind.

    Args:
        encoder, embedding_dim, micro_batch, seed: as for ``TwoViews``.
        hidden, bottleneck: widths of g and h (2048 and 512 in the paper).

    Source: SimSiam (arXiv 2011.10566).
    """

    def __init__(
        self,
        encoder: keras.Model,
        embedding_dim: int = 256,
        micro_batch: int | None = None,
        seed: int = 0,
        hidden: int = 512,
        bottleneck: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, embedding_dim, micro_batch, seed, **kwargs)
        self.hidden, self.bottleneck = hidden, bottleneck
        self.projector = keras.Sequential(
            [layer for relu in (True, True, False) for layer in dense_norm(hidden, relu)],
            name="projector",
        )
        self.projector.build([None, embedding_dim])
        self.predictor = keras.Sequential(
            [*dense_norm(bottleneck, relu=True), keras.layers.Dense(hidden, dtype="float32")],
            name="predictor",
        )
        self.predictor.build([None, hidden])
        self.build(tf.TensorShape([None, None, None, 3]))

    def measure(self, embeddings: tf.Tensor, batch: Batch, training: bool) -> Batch:
        """The negative cosine of predictions; each of the two passes takes one view of all."""
        first, second = tf.split(embeddings, 2)
        first = self.projector(first, training=training)
        second = self.projector(second, training=training)
        total = sum(
            tf.reduce_sum(_cosine(self.predictor(a, training=training), tf.stop_gradient(b)))
            for a, b in ((first, second), (second, first))
        )
        count = tf.cast(tf.shape(embeddings)[0], tf.float32)
        return {"loss": tf.math.divide_no_nan(-total, count)}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "hidden": self.hidden, "bottleneck": self.bottleneck}


def _cosine(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.nn.l2_normalize(a, -1) * tf.nn.l2_normalize(b, -1), axis=-1)
