"""Page views for pre-training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data.batch_plan import plan_batches
from tfrec_vis.data.images import decode_letterboxed_batch
from tfrec_vis.data.items import Items, read_items
from tfrec_vis.data.manifest import padded, read_columns, read_manifest
from tfrec_vis.data.records import page_record


@dataclass(frozen=True)
class Pages:
    """Page views as columns; lists are padded to the longest the manifest allows.

    Attributes:
        user_id, page_id: bytes object [pages].
        timestamp: int64 [pages], seconds.
        history: int32 [pages, page_history], item_index, newest first, 0 none.
        shown: int32 [pages, max_shown], item_index, 0 none.
        clicked: int32 [pages, max_shown], 1 or 0 (0 for padding).
    """

    user_id: np.ndarray
    page_id: np.ndarray
    timestamp: np.ndarray
    history: np.ndarray
    shown: np.ndarray
    clicked: np.ndarray

    def __len__(self) -> int:
        return len(self.timestamp)


def read_pages(prepared: str | Path, split: str = "pretrain") -> Pages:
    """Reads all page views of a split into memory (about 100 bytes a page)."""
    settings = read_manifest(prepared)["settings"]
    columns = read_columns(prepared, f"pages-{split}-*.tfrecord", page_record())
    return Pages(
        user_id=columns["user_id"],
        page_id=columns["page_id"],
        timestamp=columns["timestamp"],
        history=padded(columns["history"], settings["page_history"]),
        shown=padded(columns["shown"], settings["max_shown"]),
        clicked=padded(columns["clicked"], settings["max_shown"]),
    )


def pages(
    prepared: str | Path,
    split: str = "pretrain",
    batch_size: int = 64,
    image_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    flip: bool = False,
    first_epoch: int = 0,
    first_batch: int = 0,
) -> tf.data.Dataset:
    """Batches of page views with their distinct pictures.

    Every iteration over the dataset is one epoch, shuffled anew (``seed``, epoch number);
    ``repeat()`` goes on to the next epochs. The order is a pure function of the arguments.

    Args:
        prepared: folder that ``prepare`` wrote.
        split: ``"pretrain"``.
        batch_size: pages a batch, at most one of a user where the data allow.
        image_size: side of the letterboxed pictures; default: the manifest's.
        shuffle: False keeps the order of the log.
        seed: of the shuffle and of ``flip``.
        flip: mirror each picture of a batch left to right with probability 1/2.
        first_epoch: number of the first epoch.
        first_batch: batches of the first epoch to leave out (resuming).

    Returns:
        Batches of b pages with u distinct pictures: image uint8 [u, h, w, 3], item_index
        int32 [u]; history [b, 5] and shown [b, 5], int32 positions into image, -1 none;
        history_item_index, shown_item_index, clicked int32 [b, 5]; user_id, page_id string
        [b]; timestamp int64 [b].
    """
    table = read_pages(prepared, split)
    catalogue = read_items(prepared)
    size = image_size or read_manifest(prepared)["settings"]["image_size"]
    batches = batch_count(len(table), batch_size)
    epoch = first_epoch

    def planned() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        nonlocal epoch
        this, skip = epoch, first_batch if epoch == first_epoch else 0
        epoch += 1
        plan = plan_batches(table.user_id, batch_size, seed if shuffle else None, this)
        for number, rows in enumerate(plan[skip:], start=skip):
            yield rows.astype(np.int32), np.array([seed, this * batches + number], np.int32)

    specs = (tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32))
    dataset = tf.data.Dataset.from_generator(planned, output_signature=specs)
    build = _Batch(table, catalogue, size, flip)
    dataset = dataset.map(build, num_parallel_calls=2, deterministic=True).prefetch(2)
    if not first_batch:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches))
    return dataset


def batch_count(pages: int, batch_size: int) -> int:
    """Batches of an epoch."""
    return -(-pages // batch_size)


class _Batch:
    """Builds the tensors of one batch from page numbers, within tf.data."""

    def __init__(self, table: Pages, catalogue: Items, image_size: int, flip: bool) -> None:
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
        self.flip = flip

    def __call__(self, rows: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = {name: tf.gather(column, rows) for name, column in self.columns.items()}
        clicks = self.columns["history_item_index"].shape[1]
        both = tf.concat([batch["history_item_index"], batch["shown_item_index"]], axis=1)
        present = both > 0
        item_index, position = tf.unique(tf.boolean_mask(both, present))
        where = tf.cast(tf.where(present), tf.int32)
        position = tf.scatter_nd(where, position + 1, tf.shape(both)) - 1
        image = decode_letterboxed_batch(tf.gather(self.images, item_index), self.image_size)
        if self.flip:
            chance = tf.random.stateless_uniform([tf.shape(image)[0], 1, 1, 1], seed)
            image = tf.where(chance < 0.5, image[:, :, ::-1], image)
        return {
            **batch,
            "image": image,
            "item_index": item_index,
            "history": position[:, :clicks],
            "shown": position[:, clicks:],
        }
