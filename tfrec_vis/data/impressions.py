"""Impressions for ranking."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data.batch_plan import plan_rows
from tfrec_vis.data.batches import numbered_batches
from tfrec_vis.data.manifest import read_manifest
from tfrec_vis.data.records import impression_record
from tfrec_vis.data.shards import OnDamage, padded, read_columns


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
        skipped: names of damaged shards that were left out.
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
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.timestamp)

    def take(self, rows: np.ndarray) -> Impressions:
        """The rows that a mask or an index selects."""
        columns = {n: v[rows] for n, v in vars(self).items() if isinstance(v, np.ndarray)}
        context = {n: v[rows] for n, v in self.context.items()}
        return Impressions(**columns, context=context, skipped=self.skipped)


def read_impressions(
    prepared: str | Path, split: str, history: int = 50, on_damage: OnDamage = "raise"
) -> Impressions:
    """Reads all impressions of a split: "train", "validation" or "test".

    Args:
        prepared: folder that ``prepare`` wrote.
        split: the split's name.
        history: clicks kept of each history, the newest ones.
        on_damage: ``"raise"``, or ``"skip"``: damaged shards are left out with a warning.

    Raises:
        PreparedDataError: not prepared data, or damaged: names the shard, the record, the mend.
    """
    manifest = read_manifest(prepared)
    names = manifest["context_features"]
    spec = impression_record(names)
    expected = manifest["splits"][split]["rows"]
    columns = read_columns(prepared, f"impressions-{split}", spec, expected, on_damage)

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
        skipped=columns.skipped,
    )
    return rows.take(np.lexsort((rows.item_index, rows.page_id, rows.user_id, rows.timestamp)))


def impressions(
    prepared: str | Path,
    split: str = "train",
    batch_size: int = 1024,
    history: int = 50,
    shuffle: bool = True,
    seed: int = 0,
    first_epoch: int = 0,
    first_batch: int = 0,
    epochs: int | None = None,
    input_context: tf.distribute.InputContext | None = None,
    on_damage: OnDamage = "raise",
) -> tf.data.Dataset:
    """Batches of impressions, for a ranker of one's own.

    Args:
        prepared: folder that ``prepare`` wrote.
        split: "train", "validation" or "test".
        batch_size: rows a batch; over workers, of all of them together.
        history: clicks kept of each history.
        shuffle: shuffle all rows, anew in every epoch; False keeps the order of time.
        seed: of the shuffle.
        first_epoch, first_batch, epochs, input_context, on_damage: as for ``pages``.

    Returns:
        Batches ({user_id, page_id string [n], item_index int32 [n], timestamp int64 [n],
        history int32 [n, history], in_pretraining, item_seen_in_training bool [n], context
        features string [n]}, clicked int32 [n]).

    Raises:
        PreparedDataError: not prepared data, or damaged.
    """
    rows = read_impressions(prepared, split, history, on_damage)
    columns = {n: v for n, v in vars(rows).items() if isinstance(v, np.ndarray)} | rows.context
    clicked = tf.constant(columns.pop("clicked"))
    features = {
        n: tf.constant(list(v), tf.string) if v.dtype == object else tf.constant(v)
        for n, v in columns.items()
    }
    dataset = numbered_batches(
        plan_rows(np.arange(len(rows)), batch_size, seed if shuffle else None),
        -(-len(rows) // batch_size),
        first_epoch,
        first_batch,
        epochs,
        input_context,
    )

    def batch(chosen: tf.Tensor, number: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        taken = {name: tf.gather(column, chosen) for name, column in features.items()}
        return taken, tf.gather(clicked, chosen)

    return dataset.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)
