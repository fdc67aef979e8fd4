"""The COURIER model."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.layers import IntentionReconstruction, gather_positions
from tfrec_vis.losses import ClickSequenceContrast, PageViewContrast
from tfrec_vis.pretraining.diagnostics import attention_entropy
from tfrec_vis.pretraining.model import Batch, PretrainingModel


@keras.saving.register_keras_serializable(package="tfrec_vis")
class Courier(PretrainingModel):
    """Pre-trains an image encoder by rebuilding clicked items from the user's click history.

        loss = L_PV + L_UCS,   Emb = Dense(encoder(picture))

    (``losses.PageViewContrast``, ``losses.ClickSequenceContrast``), over batches of
    ``data.pages``. There is no projection head: the space that is contrasted is the space that
    is used. How a batch is encoded: ``PretrainingModel``.

    Args:
        encoder: pictures [n, h, w, 3] in 0..255 -> features [n, k], e.g. ``encoders.get(...)``.
        embedding_dim: d.
        num_heads: heads of the reconstruction.
        project_values: whether the reconstruction projects values and output.
        temperature: tau of both losses.
        micro_batch: pictures encoded at once in training; None: all of the batch.

    Source: COURIER (arXiv 2306.05001).
    """

    measures = ("loss", "page_view_contrast", "click_sequence_contrast", "attention_entropy")

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
        super().__init__(encoder, embedding_dim, micro_batch, **kwargs)
        self.num_heads = num_heads
        self.project_values = project_values
        self.temperature = temperature
        self.reconstruction = IntentionReconstruction(
            num_heads, project_values, name="reconstruction", dtype="float32"
        )
        self.reconstruction.build(tf.TensorShape([None, None, embedding_dim]))
        self.page_view_contrast = PageViewContrast(temperature)
        self.click_sequence_contrast = ClickSequenceContrast(temperature)
        self.build(tf.TensorShape([None, None, None, 3]))

    def measure(self, embeddings: tf.Tensor, batch: Batch, training: bool) -> Batch:
        """The losses, and the entropy of the attention."""
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
        return {
            "loss": page_view + click_sequence,
            "page_view_contrast": page_view,
            "click_sequence_contrast": click_sequence,
            "attention_entropy": attention_entropy(tf.stop_gradient(scores), history_mask),
        }

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "project_values": self.project_values,
            "temperature": self.temperature,
        }
