"""The COURIER model."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.layers import IntentionReconstruction, gather_positions
from tfrec_vis.losses import ClickSequenceContrast, PageViewContrast
from tfrec_vis.pretraining.diagnostics import (
    attention_entropy,
    effective_rank,
    mean_pairwise_cosine,
)
from tfrec_vis.pretraining.gradient_cache import encode_in_parts, gradients_in_parts

# The steps are graph code as they stand; without do_not_convert AutoGraph would go through all
# of tf_keras underneath them, which takes far longer than tracing.
Batch = dict[str, tf.Tensor]
_MEASURES = (
    "loss",
    "page_view_contrast",
    "click_sequence_contrast",
    "mean_pairwise_cosine",
    "effective_rank",
    "attention_entropy",
)


@keras.saving.register_keras_serializable(package="tfrec_vis")
class Courier(keras.Model):
    """Pre-trains an image encoder by rebuilding clicked items from the user's click history.

        loss = L_PV + L_UCS,   Emb = Dense(encoder(picture))

    (``losses.PageViewContrast``, ``losses.ClickSequenceContrast``), over batches of
    ``data.pages``. Each distinct picture of a batch is encoded once. With ``micro_batch`` the
    encoder holds that many pictures at once: the embeddings are computed first without keeping
    activations, the loss gives their gradients, and a second pass brings these to the weights;
    the gradient is the same. There is no projection head: the space that is contrasted is the
    space that is used.

    As a Keras model: ``fit`` and ``evaluate`` take batches of pages, a call and ``predict``
    take pictures [n, h, w, 3] and give embeddings [n, embedding_dim], not normalised.

    Args:
        encoder: pictures [n, h, w, 3] in 0..255 -> features [n, k], e.g. ``encoders.get(...)``.
        embedding_dim: d.
        num_heads: heads of the reconstruction.
        project_values: whether the reconstruction projects values and output.
        temperature: tau of both losses.
        micro_batch: pictures encoded at once in training; None: all of the batch.

    Source: COURIER (arXiv 2306.05001); gradient caching: Gao et al. (arXiv 2101.06983).
    """

    def __init__(
        self,
        encoder: keras.Model,
        embedding_dim: int = 256,
        num_heads: int = 4,
        project_values: bool = True,
        temperature: float = 0.05,
        micro_batch: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.embedding_dim = embedding_dim
        self.num_heads = num_heads
        self.project_values = project_values
        self.temperature = temperature
        self.micro_batch = micro_batch
        # Embeddings stay float32 under mixed precision: they are small and are compared.
        self.output_layer = keras.layers.Dense(embedding_dim, name="embedding", dtype="float32")
        self.output_layer.build(encoder.output_shape)
        self.reconstruction = IntentionReconstruction(
            num_heads, project_values, name="reconstruction", dtype="float32"
        )
        self.reconstruction.build(tf.TensorShape([None, None, embedding_dim]))
        self.page_view_contrast = PageViewContrast(temperature)
        self.click_sequence_contrast = ClickSequenceContrast(temperature)
        self._means = {name: keras.metrics.Mean(name=name) for name in _MEASURES}
        self.build(tf.TensorShape([None, None, None, 3]))

    def start_from(self, features: np.ndarray) -> None:
        """Starts the output layer as the principal components of the encoder's features.

            W = V / s,   b = -mean(F) W,   s^2 = the mean of |(F - mean(F)) V|^2

        with V the first d right singular vectors of F - mean(F). The embeddings then begin
        centred, of length about 1, with the geometry of the trained encoder, and attention
        begins even. From a random layer over uncentred features (their mean cosine is far above
        0) the quickest way down for the contrast is to collapse.

        Args:
            features: float32 [n, k], the encoder's features of a sample of items.

        Raises:
            ValueError: n or k is smaller than d.
        """
        if min(features.shape) < self.embedding_dim:
            raise ValueError(
                f"expected features of at least {self.embedding_dim} items and columns for "
                f"embedding_dim={self.embedding_dim}, got {features.shape}"
            )
        mean = features.mean(axis=0)
        components = np.linalg.svd(features - mean, full_matrices=False)[2][: self.embedding_dim]
        # The sign of a component is arbitrary: make its largest entry positive.
        largest = np.abs(components).argmax(axis=1)
        components *= np.sign(components[np.arange(len(components)), largest])[:, None]
        components /= np.sqrt(np.square((features - mean) @ components.T).sum(axis=1).mean())
        self.output_layer.set_weights([components.T, -components @ mean])

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The losses and the collapse alarms."""
        return list(self._means.values())

    def call(self, pictures: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Embeds pictures [n, h, w, 3] in 0..255 -> float32 [n, embedding_dim]."""
        return self.output_layer(self.encoder(pictures, training=training))

    @tf.autograph.experimental.do_not_convert
    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One optimizer step on a batch of pages."""
        pictures = batch["image"]
        scaled = getattr(self.optimizer, "get_scaled_loss", lambda value: value)
        head = self.reconstruction.trainable_variables
        body = self.encoder.trainable_variables + self.output_layer.trainable_variables
        if self.micro_batch is None:
            with tf.GradientTape() as tape:
                embeddings = self(pictures, training=True)
                measures = self._measure(embeddings, batch)
                loss = scaled(measures["loss"])
            gradients = tape.gradient(loss, body + head)
        else:
            embeddings = encode_in_parts(self, pictures, self.micro_batch, self.embedding_dim)
            with tf.GradientTape() as tape:
                tape.watch(embeddings)
                measures = self._measure(embeddings, batch)
                loss = scaled(measures["loss"])
            outer, *head_gradients = tape.gradient(
                loss, [embeddings, *head], unconnected_gradients="zero"
            )
            gradients = gradients_in_parts(self, pictures, self.micro_batch, body, outer)
            gradients += head_gradients
        if hasattr(self.optimizer, "get_unscaled_gradients"):
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        self.optimizer.apply_gradients(zip(gradients, body + head, strict=True))
        return self._update(measures)

    @tf.autograph.experimental.do_not_convert
    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Losses and alarms of a batch of pages."""
        part = self.micro_batch or tf.shape(batch["image"])[0]
        embeddings = encode_in_parts(self, batch["image"], part, self.embedding_dim, training=False)
        return self._update(self._measure(embeddings, batch))

    @tf.autograph.experimental.do_not_convert
    def predict_step(self, pictures: tf.Tensor) -> tf.Tensor:
        """Embeddings of a batch of pictures."""
        return super().predict_step(pictures)

    def _measure(self, embeddings: tf.Tensor, batch: Batch) -> dict[str, tf.Tensor]:
        """The losses and alarms, by the names of ``_MEASURES``."""
        history, shown = batch["history"], batch["shown"]
        history_mask = history >= 0
        history_embedding = gather_positions(embeddings, history)
        shown_embedding = gather_positions(embeddings, shown)
        reconstruction, scores = self.reconstruction(
            shown_embedding, history_embedding, history_mask, return_attention_scores=True
        )
        has_history = tf.reduce_any(history_mask, axis=1, keepdims=True)
        clicked = tf.where(has_history, batch["clicked"], 0)
        page_view = self.page_view_contrast(
            tf.reshape(shown_embedding, [-1, self.embedding_dim]),
            tf.reshape(reconstruction, [-1, self.embedding_dim]),
            tf.reshape(clicked, [-1]),
            tf.reshape(shown >= 0, [-1]),
            tf.reshape(batch["shown_item_index"], [-1]),
        )

        newest_item = batch["history_item_index"][:, :1]
        older_mask = history_mask[:, 1:] & (batch["history_item_index"][:, 1:] != newest_item)
        rebuilt = self.reconstruction(
            history_embedding[:, :1], history_embedding[:, 1:], older_mask
        )
        click_sequence = self.click_sequence_contrast(
            history_embedding[:, 0],
            rebuilt[:, 0],
            history_mask[:, 0] & tf.reduce_any(older_mask, axis=1),
            newest_item[:, 0],
        )
        detached = tf.stop_gradient(embeddings)
        return {
            "loss": page_view + click_sequence,
            "page_view_contrast": page_view,
            "click_sequence_contrast": click_sequence,
            "mean_pairwise_cosine": mean_pairwise_cosine(detached),
            "effective_rank": effective_rank(detached),
            "attention_entropy": attention_entropy(tf.stop_gradient(scores), history_mask),
        }

    def _update(self, measures: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        for name, mean in self._means.items():
            mean.update_state(measures[name])
        return {name: mean.result() for name, mean in self._means.items()}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "embedding_dim": self.embedding_dim,
            "num_heads": self.num_heads,
            "project_values": self.project_values,
            "temperature": self.temperature,
            "micro_batch": self.micro_batch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Courier:
        """The model that ``get_config`` describes, with new weights."""
        encoder = keras.saving.deserialize_keras_object(config["encoder"], custom_objects)
        return cls(**{**config, "encoder": encoder})
