"""Impressions for ranking."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data.manifest import padded, read_columns, read_manifest
from tfrec_vis.data.records import impression_record


@dataclass(frozen=True)
class Impressions:
    """Shown items as columns, in the order of time.

    Attributes:
        user_id, page_id: str object [rows].
        item_index: int32 [rows].
        clicked: int32 [rows].
        timestamp: int64 [rows], seconds.
        history: int32 [rows, history], item_index, newest first, 0 none.
        in_pretraining, item_seen_in_training: bool [rows].
        context: declared context features by name, str object [rows].
    """

    user_id: np.ndarray
    page_id: np.ndarray
    item_index: np.ndarray
    clicked: np.ndarray
    timestamp: np.ndarray
    history: np.ndarray
    in_pretraining: np.ndarray
    item_seen_in_training: np.ndarray
    context: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.timestamp)

    def take(self, rows: np.ndarray) -> Impressions:
        """The rows that a mask or an index selects."""
        columns = {n: v[rows] for n, v in vars(self).items() if n != "context"}
        return Impressions(**columns, context={n: v[rows] for n, v in self.context.items()})


def read_impressions(prepared: str | Path, split: str, history: int = 50) -> Impressions:
    """Reads all impressions of a split: "train", "validation" or "test".

    Args:
        prepared: folder that ``prepare`` wrote.
        split: the split's name.
        history: clicks kept of each history, the newest ones.
    """
    names = read_manifest(prepared)["context_features"]
    spec = impression_record(names)
    columns = read_columns(prepared, f"impressions-{split}-*.tfrecord", spec)

    def text(name: str) -> np.ndarray:
        return np.array([v.decode() for v in columns[name]], dtype=object)

    rows = Impressions(
        user_id=text("user_id"),
        page_id=text("page_id"),
        item_index=columns["item_index"].astype(np.int32),
        clicked=columns["clicked"].astype(np.int32),
        timestamp=columns["timestamp"],
        history=padded(columns["history"], history),
        in_pretraining=columns["in_pretraining"].astype(bool),
        item_seen_in_training=columns["item_seen_in_training"].astype(bool),
        context={name: text(name) for name in names},
    )
    return rows.take(np.lexsort((rows.item_index, rows.page_id, rows.user_id, rows.timestamp)))


def impressions(
    prepared: str | Path,
    split: str = "train",
    batch_size: int = 1024,
    history: int = 50,
    shuffle: bool = True,
    seed: int = 0,
) -> tf.data.Dataset:
    """Batches of impressions, for a ranker of one's own.

    Args:
        prepared: folder that ``prepare`` wrote.
        split: "train", "validation" or "test".
        batch_size: rows a batch.
        history: clicks kept of each history.
        shuffle: shuffle all rows, anew in every epoch.
        seed: of the shuffle.

    Returns:
        Batches ({user_id, page_id string [n], item_index int32 [n], timestamp int64 [n],
        history int32 [n, history], in_pretraining, item_seen_in_training bool [n], context
        features string [n]}, clicked int32 [n]).
    """
    rows = read_impressions(prepared, split, history)
    columns = {
        n: v for n, v in {**vars(rows), **rows.context}.items() if n not in ("context", "clicked")
    }
    features = {n: v.astype(str) if v.dtype == object else v for n, v in columns.items()}
    dataset = tf.data.Dataset.from_tensor_slices((features, rows.clicked))
    if shuffle:
        dataset = dataset.shuffle(len(rows), seed=seed)
    return dataset.batch(batch_size).prefetch(2)
