"""The COURIER model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis import layers
from tfrec_vis.losses import ClickCrossEntropy
from tfrec_vis.pretraining.contrasts import Contrasts
from tfrec_vis.pretraining.diagnostics import attention_entropy
from tfrec_vis.pretraining.model import Batch, PretrainingModel
from tfrec_vis.pretraining.names import RECONSTRUCTIONS, contradiction


@keras.saving.register_keras_serializable(package="tfrec_vis")
class Courier(PretrainingModel):
    """Pre-trains an image encoder by rebuilding clicked items from the user's click history.

        loss = w_PV L_PV + w_UCS L_UCS + w_BCE L_BCE,   Emb = Dense(encoder(picture))

    (``losses.PageViewContrast``, ``losses.ClickSequenceContrast``, ``losses.ClickCrossEntropy``
    of ``layers.ClickHead``), over batches of ``data.pages``. There is no projection head unless
    asked for: the space that is contrasted is the space that is used. How a batch is encoded:
    ``PretrainingModel``.

    Args:
        encoder: pictures [n, h, w, 3] in 0..255 -> features [n, k], e.g. ``encoders.get(...)``.
        embedding_dim: d.
        num_heads: heads of the reconstruction.
        project_values: whether the reconstruction projects values and output.
        temperature: tau of both contrasts.
        micro_batch: pictures encoded at once in training; None: all of the batch.
        chunk_size: anchors whose similarities the contrasts hold at once; None: all.
        reconstruction: "attention" (``layers.IntentionReconstruction``), "self_attention",
            "nearest" or "mean".
        page_view_weight, click_sequence_weight, click_head_weight: of the losses; a loss of
            weight 0 is not computed.
        candidates: what the page-view contrast chooses from: "all" shown items, "clicked" ones
            alone, or beside the positive "unclicked" ones alone. "none": both contrasts give
            way to the mean of (1 - cos(Emb, Rec)) / tau, which nothing keeps from collapsing.
        learned_temperature: whether tau is trained, from ``temperature`` on.
        memory_bank: shown items of earlier batches that are further candidates.
        item_counts: shape [items + 1, 2] of ``set_item_counts``, for the logQ correction; None:
            no correction.
        projection_head: whether the losses see Dense(ReLU(Dense(Emb))) in the place of Emb.
        click_head_norm: "layer" or "batch", in the click head.
        released: behaviour of the released code to reproduce, names of ``names.RELEASED``.

    Raises:
        ValueError: an unknown name, or options that exclude each other.

    Source: COURIER (arXiv 2306.05001).
    """

    def __init__(
        self,
        encoder: keras.Model,
        embedding_dim: int = 256,
        num_heads: int = 4,
        project_values: bool = True,
        temperature: float = 0.05,
        micro_batch: int | None = None,
        chunk_size: int | None = None,
        *,
        reconstruction: str = "attention",
        page_view_weight: float = 1.0,
        click_sequence_weight: float = 1.0,
        click_head_weight: float = 0.0,
        candidates: str = "all",
        learned_temperature: bool = False,
        memory_bank: int = 0,
        item_counts: Sequence[int] | None = None,
        projection_head: bool = False,
        click_head_norm: str = "layer",
        released: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        if message := contradiction(
            candidates, learned_temperature, memory_bank, item_counts is not None, released
        ):
            raise ValueError(message)
        weights = (page_view_weight, click_sequence_weight, click_head_weight)
        names = ("page_view_contrast", "click_sequence_contrast", "click_cross_entropy")
        self.measures = (
            "loss",
            *(name for name, weight in zip(names, weights, strict=True) if weight),
            "attention_entropy",
        )
        super().__init__(encoder, embedding_dim, micro_batch, **kwargs)
        self.loss_weights = dict(zip(names, weights, strict=True))
        self.num_heads, self.project_values = num_heads, project_values
        self.temperature, self.learned_temperature = temperature, learned_temperature
        self.kind, self.candidates, self.memory_bank = reconstruction, candidates, memory_bank
        self.item_counts = None if item_counts is None else tuple(item_counts)
        self.projection_head, self.click_head_norm = projection_head, click_head_norm
        self.released = tuple(released)
        self.reconstruction = _reconstruction(reconstruction, num_heads, project_values)
        self.reconstruction.build(tf.TensorShape([None, None, embedding_dim]))
        self.chunk_size = chunk_size
        self.contrasts = Contrasts(temperature, candidates, self.released, chunk_size)
        if learned_temperature:
            self.tau = layers.LearnedTemperature(temperature, min(temperature, 0.01))
        if memory_bank:
            self.bank = layers.MemoryBank(memory_bank, embedding_dim, name="bank", dtype="float32")
        if item_counts is not None:
            self.log_q = self.add_weight(
                name="log_q", shape=item_counts, dtype=tf.float32, trainable=False
            )
        if projection_head:
            self.projection = keras.Sequential(
                [
                    keras.layers.Dense(embedding_dim, activation="relu", dtype="float32"),
                    keras.layers.Dense(embedding_dim, dtype="float32"),
                ],
                name="projection",
            )
            self.projection.build([None, embedding_dim])
        if click_head_weight:
            self.click_head = layers.ClickHead(
                normalization=click_head_norm, name="click_head", dtype="float32"
            )
            self.click_head.build(tf.TensorShape([None, embedding_dim]))
            self.cross_entropy = ClickCrossEntropy()
        self.build(tf.TensorShape([None, None, None, 3]))

    def set_item_counts(self, counts: np.ndarray) -> None:
        """Sets what the logQ correction takes off: log of counts over their sum.

        Args:
            counts: [items + 1, 2], how often each ``item_index`` is shown, and how often it is
                the newest click of a page's history.
        """
        counts = np.maximum(np.asarray(counts, np.float64), 1e-3)
        self.log_q.assign(np.log(counts / counts.sum(axis=0)))

    def measure(self, embeddings: tf.Tensor, batch: Batch, training: bool) -> Batch:
        """The losses, and the entropy of the attention."""
        if self.projection_head:
            embeddings = self.projection(embeddings)
        history_mask = batch["history"] >= 0
        attended = (
            tf.ones_like(history_mask) if "history_padding" in self.released else history_mask
        )
        history = layers.gather_positions(embeddings, batch["history"])
        shown = layers.gather_positions(embeddings, batch["shown"])
        rebuilt, scores = self.reconstruction(
            shown, history, attended, return_attention_scores=True
        )
        clicked = batch["clicked"] == 1
        is_anchor = clicked & tf.reduce_any(attended, axis=1, keepdims=True)
        valid = tf.reshape(batch["shown"] >= 0, [-1])
        rows = {
            "embedding": tf.reshape(shown, [-1, self.embedding_dim]),
            "reconstruction": tf.reshape(rebuilt, [-1, self.embedding_dim]),
            "item_index": tf.reshape(batch["shown_item_index"], [-1]),
        }
        losses = {}
        tau = self.tau() if self.learned_temperature else None
        if self.loss_weights["page_view_contrast"]:
            losses["page_view_contrast"] = self.contrasts.page_view(
                **rows,
                clicked=tf.reshape(clicked, [-1]),
                is_anchor=tf.reshape(is_anchor, [-1]),
                valid=valid,
                temperature=tau,
                log_q=self._log_q(rows["item_index"], 0),
                bank=self._bank(),
            )
        if self.loss_weights["click_sequence_contrast"]:
            losses["click_sequence_contrast"] = self._click_sequence(batch, history, attended, tau)
        if self.loss_weights["click_cross_entropy"]:
            logits = self.click_head(
                rows["reconstruction"], rows["embedding"], valid, training=training
            )
            losses["click_cross_entropy"] = self.cross_entropy(
                logits, tf.reshape(clicked, [-1]), valid
            )
        if self.memory_bank and training:
            self.bank.push(rows["embedding"], rows["item_index"], valid)
        return {
            "loss": tf.add_n([self.loss_weights[name] * loss for name, loss in losses.items()]),
            **losses,
            "attention_entropy": attention_entropy(tf.stop_gradient(scores), history_mask),
        }

    def _click_sequence(
        self, batch: Batch, history: tf.Tensor, attended: tf.Tensor, tau: tf.Tensor | None
    ) -> tf.Tensor:
        """The contrast of the newest clicks, rebuilt from the older ones of another item."""
        item = batch["history_item_index"]
        older = attended[:, 1:]
        if "own_history" not in self.released:
            older &= item[:, 1:] != item[:, :1]
        rebuilt = self.reconstruction(history[:, :1], history[:, 1:], older)
        return self.contrasts.click_sequence(
            history[:, 0],
            rebuilt[:, 0],
            (batch["history"][:, 0] >= 0) & tf.reduce_any(older, axis=1),
            item[:, 0],
            temperature=tau,
            log_q=self._log_q(item[:, 0], 1),
        )

    def _log_q(self, item_index: tf.Tensor, column: int) -> tf.Tensor | None:
        return None if self.item_counts is None else tf.gather(self.log_q[:, column], item_index)

    def _bank(self) -> tuple[tf.Tensor, ...] | None:
        if not self.memory_bank:
            return None
        embedding, item, valid = self.bank.read()
        log_q = self._log_q(item, 0)
        return (embedding, item, valid) if log_q is None else (embedding, item, valid, log_q)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "project_values": self.project_values,
            "temperature": self.temperature,
            "chunk_size": self.chunk_size,
            "reconstruction": self.kind,
            "page_view_weight": self.loss_weights["page_view_contrast"],
            "click_sequence_weight": self.loss_weights["click_sequence_contrast"],
            "click_head_weight": self.loss_weights["click_cross_entropy"],
            "candidates": self.candidates,
            "learned_temperature": self.learned_temperature,
            "memory_bank": self.memory_bank,
            "item_counts": self.item_counts,
            "projection_head": self.projection_head,
            "click_head_norm": self.click_head_norm,
            "released": self.released,
        }


def _reconstruction(kind: str, num_heads: int, project_values: bool) -> keras.layers.Layer:
    if kind not in RECONSTRUCTIONS:
        raise ValueError(f"expected reconstruction {', '.join(RECONSTRUCTIONS)}, got {kind!r}")
    options: dict[str, Any] = {"name": "reconstruction", "dtype": "float32"}
    if kind == "mean":
        return layers.MeanReconstruction(**options)
    if kind == "nearest":
        return layers.NearestReconstruction(**options)
    if kind == "self_attention":
        return layers.SelfAttentionReconstruction(num_heads, project_values, **options)
    return layers.IntentionReconstruction(num_heads, project_values, **options)
