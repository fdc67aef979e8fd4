"""Page views for pre-training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data.augment import Augment, augmentation
from tfrec_vis.data.batch_plan import plan_batches
from tfrec_vis.data.batches import numbered_batches
from tfrec_vis.data.images import decode_letterboxed_batch
from tfrec_vis.data.items import Items, read_items
from tfrec_vis.data.manifest import read_manifest
from tfrec_vis.data.records import page_record
from tfrec_vis.data.shards import OnDamage, padded, read_columns


@dataclass(frozen=True)
class Pages:
    """Page views as columns; lists are padded to the longest the manifest allows.

    Attributes:
        user_id, page_id: bytes object [pages].
        timestamp: int64 [pages], seconds.
        history: int32 [pages, page_history], item_index, newest first, 0 none.
        shown: int32 [pages, max_shown], item_index, 0 none.
        clicked: int32 [pages, max_shown], 1 or 0 (0 for padding).
        skipped: names of damaged shards that were left out.
    """

    user_id: np.ndarray
    page_id: np.ndarray
    timestamp: np.ndarray
    history: np.ndarray
    shown: np.ndarray
    clicked: np.ndarray
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.timestamp)


def read_pages(
    prepared: str | Path, split: str = "pretrain", on_damage: OnDamage = "raise"
) -> Pages:
    """Reads all page views of a split into memory (about 100 bytes a page).

    Args:
        prepared: folder that ``prepare`` wrote.
        split: ``"pretrain"``.
        on_damage: ``"raise"``, or ``"skip"``: damaged shards are left out with a warning.

    Raises:
        PreparedDataError: not prepared data, or damaged: names the shard, the record, the mend.
    """
    manifest = read_manifest(prepared)
    records = manifest["splits"][split]["records"]
    columns = read_columns(prepared, f"pages-{split}", page_record(), records, on_damage)
    settings = manifest["settings"]
    return Pages(
        user_id=columns["user_id"],
        page_id=columns["page_id"],
        timestamp=columns["timestamp"],
        history=padded(columns["history"], settings["page_history"]),
        shown=padded(columns["shown"], settings["max_shown"]),
        clicked=padded(columns["clicked"], settings["max_shown"]),
        skipped=columns.skipped,
    )


def pages(
    prepared: str | Path,
    split: str = "pretrain",
    batch_size: int = 64,
    image_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    flip: bool = False,
    augment: str | Augment | None = None,
    first_epoch: int = 0,
    first_batch: int = 0,
    epochs: int | None = None,
    input_context: tf.distribute.InputContext | None = None,
    on_damage: OnDamage = "raise",
) -> tf.data.Dataset:
    """Batches of page views with their distinct pictures.

    The order is a pure function of the arguments. Every iteration over the dataset is one epoch,
    shuffled anew (``seed``, epoch number); ``repeat()`` goes on to the next epochs. With
    ``epochs`` one iteration goes through all of them, and its iterator can be saved in a
    ``tf.train.Checkpoint``.

    Args:
        prepared: folder that ``prepare`` wrote.
        split: ``"pretrain"``.
        batch_size: pages in a batch, at most one of a user where the data allow; over workers,
            of all of them together.
        image_size: side of the letterboxed pictures; default: the manifest's.
        shuffle: False keeps the order of the records in the shards.
        seed: of the shuffle, of ``flip`` and of an ``augment`` that takes one.
        flip: mirror each picture of a batch left to right with probability 1/2.
        augment: ``"crop_and_color"`` (keras-cv), or a callable, such as a keras-cv layer, that
            is given the distinct pictures uint8 [u, h, w, 3] (and the batch's seed, int32 [2],
            if it has a parameter ``seed``).
        first_epoch: number of the first epoch.
        first_batch: batches of the first epoch to leave out (resuming).
        epochs: how many epochs one iteration goes through; default: one, the next.
        input_context: of ``tf.distribute``: this worker's part of every batch.
        on_damage: ``"raise"``, or ``"skip"``: damaged shards are left out with a warning, and
            items that were in them are taken out of histories and pages.

    Returns:
        Batches of b pages with u distinct pictures: image uint8 [u, h, w, 3], item_index
        int32 [u]; history [b, 5] and shown [b, 5], int32 positions into image, -1 none;
        history_item_index, shown_item_index, clicked int32 [b, 5]; user_id, page_id string
        [b]; timestamp int64 [b].

    Raises:
        PreparedDataError: not prepared data, or damaged: names the shard, the record, the mend.
    """
    table = read_pages(prepared, split, on_damage)
    catalogue = read_items(prepared, on_damage)
    if catalogue.skipped:
        table = _without_missing(table, catalogue)
    size = image_size or read_manifest(prepared)["settings"]["image_size"]

    def plan(epoch: int) -> list[np.ndarray]:
        return plan_batches(table.user_id, batch_size, seed if shuffle else None, epoch)

    dataset = numbered_batches(
        plan, batch_count(len(table), batch_size), first_epoch, first_batch, epochs, input_context
    )
    build = _Batch(table, catalogue, size, seed, flip, augment)
    return dataset.map(build, num_parallel_calls=2, deterministic=True).prefetch(2)


def batch_count(pages: int, batch_size: int) -> int:
    """Batches of an epoch."""
    return -(-pages // batch_size)


def _without_missing(table: Pages, catalogue: Items) -> Pages:
    """The pages without items that have no picture; those after them move up."""
    there = catalogue.item_id != ""

    def compacted(items: np.ndarray, values: np.ndarray) -> np.ndarray:
        kept = there[items]
        order = np.argsort(~kept, axis=1, kind="stable")
        return np.take_along_axis(np.where(kept, values, 0), order, axis=1)

    return replace(
        table,
        history=compacted(table.history, table.history),
        shown=compacted(table.shown, table.shown),
        clicked=compacted(table.shown, table.clicked),
    )


class _Batch:
    """Builds the tensors of one batch from page numbers, within tf.data."""

    def __init__(
        self,
        table: Pages,
        catalogue: Items,
        image_size: int,
        seed: int,
        flip: bool,
        augment: str | Augment | None,
    ) -> None:
        self.columns = {
            "user_id": tf.constant(list(table.user_id), tf.string),
            "page_id": tf.constant(list(table.page_id), tf.string),
            "timestamp": tf.constant(table.timestamp, tf.int64),
            "history_item_index": tf.constant(table.history),
            "shown_item_index": tf.constant(table.shown),
            "clicked": tf.constant(table.clicked),
        }
        self.images = tf.constant(list(catalogue.image), tf.string)
        self.image_size = image_size
        self.seed = seed
        self.flip = flip
        self.augment = None if augment is None else augmentation(augment, image_size)

    def __call__(self, rows: tf.Tensor, number: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = {name: tf.gather(column, rows) for name, column in self.columns.items()}
        clicks = self.columns["history_item_index"].shape[1]
        both = tf.concat([batch["history_item_index"], batch["shown_item_index"]], axis=1)
        present = both > 0
        item_index, position = tf.unique(tf.boolean_mask(both, present))
        where = tf.cast(tf.where(present), tf.int32)
        position = tf.scatter_nd(where, position + 1, tf.shape(both)) - 1
        image = decode_letterboxed_batch(
            tf.gather(self.images, item_index), self.image_size, jpeg=True
        )
        seed = tf.stack([self.seed, number])
        if self.flip:
            chance = tf.random.stateless_uniform([tf.shape(image)[0], 1, 1, 1], seed)
            image = tf.where(chance < 0.5, image[:, :, ::-1], image)
        if self.augment is not None:
            image = self.augment(image, seed)
        return {
            **batch,
            "image": image,
            "item_index": item_index,
            "history": position[:, :clicks],
            "shown": position[:, clicks:],
        }
