"""What a model makes of a few pages, in TensorBoard."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.pretraining.picture_grid import Tile, picture_grid
from tfrec_vis.pretraining.reconstruct import reconstruct
from tfrec_vis.pretraining.retrieval import embedder

ROWS = 6


class Examples(keras.callbacks.Callback):
    """Similarity histograms, and pictures of histories with what they reconstruct.

    Of a few pages, at the end of each epoch and now and then within:

    - histogram ``anchor_positive_cosine``: cos(Emb_j, Rec_j) of the clicked items j;
    - histogram ``anchor_negative_cosine``: cos(Emb_i, Rec_j) of the other shown items i;
    - image ``intention``: a row for each page: the clicks of the history with their weights
      (attention, averaged over heads), the clicked item, and the item nearest to its
      reconstruction among those on the pages (framed red where it is another one), with the
      cosines of both.

    Args:
        writer: of TensorBoard.
        batch: a batch of ``data.pages`` with at least one clicked item that has a history.
        seconds: time between two looks within an epoch.
    """

    def __init__(
        self,
        writer: tf.summary.SummaryWriter,
        batch: dict[str, np.ndarray],
        seconds: float = 300.0,
    ) -> None:
        super().__init__()
        self._writer = writer
        self._batch = batch
        self._seconds = seconds
        self._looked = time.monotonic()

    def set_model(self, model: keras.Model) -> None:
        """Keeps the graph over epochs."""
        super().set_model(model)
        self._embed = embedder(model)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks when it is time."""
        if time.monotonic() - self._looked >= self._seconds:
            self._look()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks."""
        self._look()

    def _look(self) -> None:
        positive, negative, grid = look(self.model, self._embed(self._batch["image"]), self._batch)
        with self._writer.as_default(int(self.model.optimizer.iterations.numpy())):
            tf.summary.histogram("anchor_positive_cosine", positive)
            tf.summary.histogram("anchor_negative_cosine", negative)
            tf.summary.image("intention", grid[np.newaxis])
        self._writer.flush()
        self._looked = time.monotonic()


def look(
    model: keras.Model, embeddings: np.ndarray, batch: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosines of anchors to their positives [a] and negatives [m], and the grid of pictures."""
    history, shown = batch["history"], batch["shown"]
    mask = history >= 0
    rebuilt, weights = reconstruct(
        model,
        tf.constant(embeddings[np.maximum(shown, 0)]),
        tf.constant(embeddings[np.maximum(history, 0)]),
        tf.constant(mask),
    )
    page, slot = np.nonzero((batch["clicked"] == 1) & (shown >= 0) & mask.any(axis=1)[:, None])
    target = shown[page, slot]
    unit = tf.math.l2_normalize(embeddings, axis=-1).numpy()
    cosine = tf.math.l2_normalize(rebuilt.numpy()[page, slot], axis=-1).numpy() @ unit.T
    candidates = np.unique(shown[shown >= 0])
    others = np.zeros_like(cosine, bool)
    others[:, candidates] = True
    others[np.arange(len(target)), target] = False
    positive = cosine[np.arange(len(target)), target]

    rows: list[list[Tile | None]] = []
    for anchor in np.unique(page, return_index=True)[1][:ROWS]:
        clicks, weight = history[page[anchor]], weights.numpy()[page[anchor], slot[anchor]]
        # As in intention retrieval, the history itself is no candidate.
        found = np.setdiff1d(candidates, clicks)
        nearest = found[np.argmax(cosine[anchor, found])]
        row: list[Tile | None] = [
            (batch["image"][click], f"weight {share:.2f}", False) if click >= 0 else None
            for click, share in zip(clicks, weight, strict=True)
        ]
        row.append((batch["image"][target[anchor]], f"clicked {positive[anchor]:.2f}", False))
        wrong = bool(nearest != target[anchor])
        row.append((batch["image"][nearest], f"nearest {cosine[anchor, nearest]:.2f}", wrong))
        rows.append(row)
    return positive, cosine[others], picture_grid(rows)
