"""Intention retrieval: does a reconstruction find the item that was clicked?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.pretraining.reconstruct import reconstruct

CUTOFFS = (1, 10)
_SCORES = 1 << 24
"""Scores held at once."""


def intention_retrieval(model: keras.Model, pages: tf.data.Dataset) -> dict[str, float]:
    """Ranks clicked items by the reconstruction from the user's history.

    Each clicked item j of a page with a history is an anchor. All candidates i are ordered by
    cos(Emb_i, Rec_j); the rank of j is

        rank_j = 1 + |{i != j : not cos(Emb_i, Rec_j) < cos(Emb_j, Rec_j)}|

    so ties (and NaN) count against the model: one that embeds all pictures alike finds nothing.
    ``recall@k`` is the share of the anchors with rank <= k, ``mrr`` the mean of 1 / rank, both
    over two sets of candidates: all distinct items shown on any of the pages, without those of
    the anchor's own history (which the reconstruction is made of); and, named ``page_...``, the
    items of the anchor's page. An item is one candidate however often it was shown, and no item
    is its own false negative.

    How items are rebuilt by models that only embed: ``reconstruct``. COURIER's reconstruction sees
    the item that is asked for, as in the loss, a mean does not: the values follow a training, they
    do not rank methods. Every distinct item is encoded once.

    Args:
        model: pictures [n, h, w, 3] -> embeddings [n, d], such as one of this package's methods.
        pages: batches of ``data.pages`` with pixels (``decode_ahead=None`` where batches are
            large), one epoch, unshuffled and unaugmented.

    Returns:
        recall@1, recall@10, mrr, page_recall@1, page_recall@10, page_mrr; NaN without anchors.
    """
    return _Retrieval(model).measure(pages)


class IntentionRetrieval(keras.callbacks.Callback):
    """Adds ``intention_retrieval`` of held-out pages to the logs of every epoch.

    With the prefix ``val_``, so that ``EarlyStopping(monitor="val_mrr", mode="max")``,
    ``ModelCheckpoint`` and their like, later in the list of callbacks, can watch it.

    Args:
        pages: as for ``intention_retrieval``, e.g. ``data.pages(..., since=cut, shuffle=False)``
            with ``holdout_cut``.
    """

    def __init__(self, pages: tf.data.Dataset) -> None:
        super().__init__()
        self.pages = pages

    def set_model(self, model: keras.Model) -> None:
        """Keeps the graph over epochs."""
        super().set_model(model)
        self._retrieval = _Retrieval(model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures."""
        measures = self._retrieval.measure(self.pages)
        if logs is not None:
            logs.update({f"val_{name}": value for name, value in measures.items()})


class _Retrieval:
    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.embed = embedder(model)

    def measure(self, pages: tf.data.Dataset) -> dict[str, float]:
        items, embeddings, history, shown, clicked = self._read(pages)
        anchors = (clicked == 1) & (shown > 0) & (history > 0).any(axis=1, keepdims=True)
        places = np.argwhere(anchors)
        if not len(places):
            names = [f"recall@{k}" for k in CUTOFFS] + ["mrr"]
            return {prefix + name: float("nan") for prefix in ("", "page_") for name in names}
        unit = _unit(embeddings)
        pool = np.unique(shown[shown > 0])
        candidates = unit[np.searchsorted(items, pool)]
        in_pool, in_page = [], []
        step = max(_SCORES // len(pool), 1)
        for first in range(0, len(places), step):
            page, slot = places[first : first + step].T
            target, clicks = shown[page, slot], history[page]
            rebuilt = self._rebuilt(items, embeddings, target, clicks)
            scores = rebuilt @ candidates.T
            # Neither clicks of the history nor the target itself.
            own = np.concatenate([clicks, target[:, None]], axis=1)
            where = np.searchsorted(pool, own)
            there = pool[np.minimum(where, len(pool) - 1)] == own
            others = np.ones_like(scores, bool)
            others[np.nonzero(there)[0], where[there]] = False
            score = scores[np.arange(len(page)), where[:, -1]]
            in_pool.append(1 + (others & ~(scores < score[:, None])).sum(axis=1))
            beside = shown[page]
            scores = scores[np.arange(len(page))[:, None], np.searchsorted(pool, beside)]
            others = (beside > 0) & (beside != target[:, None])
            in_page.append(1 + (others & ~(scores < score[:, None])).sum(axis=1))
        return _measures(np.concatenate(in_pool), "") | _measures(np.concatenate(in_page), "page_")

    def _read(self, pages: tf.data.Dataset) -> tuple[np.ndarray, ...]:
        """Items [n] in order, their embeddings [n, d], history, shown and clicked of all pages."""
        found: dict[int, np.ndarray] = {}
        columns: dict[str, list[np.ndarray]] = {
            name: [] for name in ("history_item_index", "shown_item_index", "clicked")
        }
        for batch in pages:
            item_index = batch["item_index"].numpy()
            new = np.array([item not in found for item in item_index.tolist()], bool)
            if new.any():
                embedded = self.embed(batch["image"][new])
                found.update(zip(item_index[new].tolist(), embedded, strict=True))
            for name, values in columns.items():
                values.append(batch[name].numpy())
        items = np.array(sorted(found), np.int64)
        embeddings = np.array([found[item] for item in items.tolist()])
        if not items.size:
            return (items, embeddings, *(np.zeros([0, 1], np.int64) for _ in columns))
        return (items, embeddings, *(np.concatenate(values) for values in columns.values()))

    def _rebuilt(
        self, items: np.ndarray, embeddings: np.ndarray, target: np.ndarray, clicks: np.ndarray
    ) -> np.ndarray:
        """Unit reconstructions [n, d] of target items [n] from clicks [n, clicks]."""
        query = embeddings[np.searchsorted(items, target)][:, None]
        # Padding is whatever row: it is masked.
        history = embeddings[np.minimum(np.searchsorted(items, clicks), len(items) - 1)]
        rebuilt, _ = reconstruct(
            self.model, tf.constant(query), tf.constant(history), tf.constant(clicks > 0)
        )
        return _unit(rebuilt[:, 0].numpy())


def embedder(model: keras.Model) -> Callable[[tf.Tensor], np.ndarray]:
    """Pictures uint8 [n, h, w, 3] -> float32 [n, d], ``micro_batch`` at once, in one graph."""
    part = getattr(model, "micro_batch", None)
    graph = tf.function(
        lambda pictures: model(pictures, training=False),
        autograph=False,
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )

    def embed(pictures: tf.Tensor) -> np.ndarray:
        # Called itself, it would warn of retracing where models follow one another.
        traced = graph.get_concrete_function()
        step = part or len(pictures)
        parts = [pictures[i : i + step] for i in range(0, len(pictures), step)]
        return np.concatenate([traced(tf.convert_to_tensor(one)).numpy() for one in parts]).astype(
            np.float32
        )

    return embed


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length == 0, 1, length)


def _measures(rank: np.ndarray, prefix: str) -> dict[str, float]:
    recall = {f"{prefix}recall@{k}": float((rank <= k).mean()) for k in CUTOFFS}
    return {**recall, f"{prefix}mrr": float((1 / rank).mean())}
