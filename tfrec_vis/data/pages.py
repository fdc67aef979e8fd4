"""Page views for pre-training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data.augment import Augment, augmentation
from tfrec_vis.data.batch_plan import plan_batches, plan_in_windows
from tfrec_vis.data.batches import Plan, numbered_batches, parts_of
from tfrec_vis.data.embedded_pictures import EmbeddedPictures
from tfrec_vis.data.images import decode_letterboxed_batch
from tfrec_vis.data.items import Items, read_items
from tfrec_vis.data.manifest import PreparedDataError, read_manifest
from tfrec_vis.data.page_pictures import augmented_png, in_blocks, mirrored
from tfrec_vis.data.page_table import Pages, read_pages, without_missing
from tfrec_vis.data.shards import OnDamage

WINDOW_BLOCKS = 16
WINDOW_BATCHES = 4
"""Pages that carry their pictures are shuffled within so many blocks, or batches if larger."""
DECODE_AHEAD = 1024
"""Pictures of a batch that are decoded before they are asked for, by default."""


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
    decode_ahead: int | None = DECODE_AHEAD,
    titles: bool = False,
    since: int | None = None,
    before: int | None = None,
) -> tf.data.Dataset:
    """Batches of page views with their distinct pictures.

    The order is a pure function of the arguments. Every iteration over the dataset is one epoch,
    shuffled anew (``seed``, epoch number); ``repeat()`` goes on to the next epochs. With
    ``epochs`` one iteration goes through all of them, and its iterator can be saved in a
    ``tf.train.Checkpoint``.

    Pictures are taken from the catalogue, which is read into memory; or, where
    ``prepare.image_join`` was ``embedded``, from the pages themselves, of which some blocks are
    in memory. These are shuffled as a whole, and pages within a window of 16 blocks (or of 4
    batches, if that is more).

    Where a batch (a replica's part of it) can hold more than ``decode_ahead`` pictures, that is
    where both pages x (clicks of the history + shown items) and the number of items are more, it
    carries their bytes, which the models of ``pretraining`` decode part by part; else it carries
    the pixels. Pixels are the same either way: mirrored as ``flip`` says; with ``augment``
    they are changed here, 256 at a time, and handed on as PNG.

    Args:
        prepared: folder that ``prepare`` wrote.
        split: ``"pretrain"``.
        batch_size: pages in a batch, at most one of a user where the data (``embedded``: those
            of a window) allow; over workers, of all of them together.
        image_size: side of the letterboxed pictures; default: the manifest's.
        shuffle: False keeps the order of the records in the shards.
        seed: of the shuffle, of ``flip`` and of an ``augment`` that takes one.
        flip: mirror each picture of a batch left to right with probability 1/2.
        augment: ``"crop_and_color"`` (keras-cv), or a callable, such as a keras-cv layer, that
            is given the distinct pictures uint8 [u, h, w, 3], at most 256 at once (and a seed of
            the batch and of its 256, int32 [2], if it has a parameter ``seed``).
        first_epoch: number of the first epoch.
        first_batch: batches of the first epoch to leave out (resuming).
        epochs: how many epochs one iteration goes through; default: one, the next.
        input_context: of ``tf.distribute``: this worker's part of every batch.
        on_damage: ``"raise"``, or ``"skip"``: damaged shards are left out with a warning, and
            items that were in them are taken out of histories and pages.
        decode_ahead: pictures of a batch up to which it carries pixels; None: always.
        titles: whether batches have the titles of their distinct items.
        since: leaves out the pages with an earlier timestamp.
        before: leaves out the pages with this timestamp or a later one.

    Returns:
        Batches of b pages with u distinct pictures: image uint8 [u, h, w, 3], item_index
        int32 [u]; history [b, 5] and shown [b, 5], int32 positions into image, -1 none;
        history_item_index, shown_item_index, clicked int32 [b, 5]; user_id, page_id string
        [b]; timestamp int64 [b]; with ``titles`` title string [u], empty for none. Large batches
        have in place of image: image_bytes string [u], flip bool [u] (mirror the picture when it
        is decoded), and blank uint8 [1, h, w, 3], whose shape is the pictures'.
        ``decode_pictures`` makes pixels of them.

    Raises:
        PreparedDataError: not prepared data, or damaged: names the shard, the record, the mend.
    """
    table = read_pages(prepared, split, on_damage)
    settings = read_manifest(prepared)["settings"]
    order = seed if shuffle else None
    if settings.get("image_join") == "embedded":
        kept = _kept(table, since, before)
        plan, pictures = _embedded(prepared, split, table, kept, batch_size, order)
    else:
        catalogue = read_items(prepared, on_damage)
        if catalogue.skipped:
            table = without_missing(table, catalogue)
        kept = _kept(table, since, before)
        plan, pictures = _lookup(catalogue, table, kept, batch_size, order)
    dataset = numbered_batches(
        plan, batch_count(len(kept), batch_size), first_epoch, first_batch, epochs, input_context
    )
    build = _Batch(table, pictures, image_size or settings["image_size"], seed, flip, augment)
    if titles:
        build.title = tf.constant(list(read_items(prepared, on_damage, pictures=False).title))
    # One after the other, so that the pictures of no more than one window are in memory.
    dataset = dataset.map(build.columns)
    rows = -(-batch_size // parts_of(input_context)[1])
    most = rows * (table.history.shape[1] + table.shown.shape[1])
    most = min(most, max(table.history.max(initial=0), table.shown.max(initial=0)))
    if decode_ahead is not None and most > decode_ahead:
        # Not ahead: bytes are read quickly, and those of a second batch would be in memory.
        return dataset.map(build.encoded)
    return dataset.map(build.decoded, num_parallel_calls=2, deterministic=True).prefetch(2)


def batch_count(pages: int, batch_size: int) -> int:
    """Batches of an epoch."""
    return -(-pages // batch_size)


Pictures = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Rows [b] and item_index [u] -> JPEG string [u]."""


def _kept(table: Pages, since: int | None, before: int | None) -> np.ndarray:
    """The rows of the pages that are not left out."""
    kept = np.ones(len(table), bool)
    if since is not None:
        kept &= table.timestamp >= since
    if before is not None:
        kept &= table.timestamp < before
    return np.flatnonzero(kept)


def _lookup(
    catalogue: Items, table: Pages, kept: np.ndarray, batch_size: int, seed: int | None
) -> tuple[Plan, Pictures]:
    needed = np.zeros(len(catalogue), bool)
    needed[table.history[kept]] = needed[table.shown[kept]] = True
    images = tf.constant(list(np.where(needed, catalogue.image, b"")), tf.string)

    def plan(epoch: int) -> list[np.ndarray]:
        return [kept[i] for i in plan_batches(table.user_id[kept], batch_size, seed, epoch)]

    return plan, lambda rows, item_index: tf.gather(images, item_index)


def _embedded(
    prepared: str | Path,
    split: str,
    table: Pages,
    kept: np.ndarray,
    batch_size: int,
    seed: int | None,
) -> tuple[Plan, Pictures]:
    size = read_manifest(prepared)["settings"]["block_pages"]
    window = max(WINDOW_BLOCKS * size, WINDOW_BATCHES * batch_size)
    paths = [
        path
        for path in sorted(Path(prepared).glob(f"pages-{split}-*.tfrecord"))
        if path.name not in table.skipped
    ]
    # A window begins and ends within a block.
    pictures = EmbeddedPictures(paths, size, window + 2 * size)
    if len(pictures.block) != len(table):
        raise PreparedDataError(
            f"{prepared}: pages-{split}-*.tfrecord changed while they were read"
        )
    _, user = np.unique(table.user_id[kept], return_inverse=True)
    # Blocks are numbered without gaps where some are left out.
    _, block = np.unique(pictures.block[kept], return_inverse=True)

    def plan(epoch: int) -> list[np.ndarray]:
        return [kept[i] for i in plan_in_windows(user, block, batch_size, window, seed, epoch)]

    def read(rows: tf.Tensor, item_index: tf.Tensor) -> tf.Tensor:
        found = tf.numpy_function(pictures, [rows, item_index], tf.string, stateful=False)
        return tf.ensure_shape(found, [None])

    return plan, read


class _Batch:
    """Builds the tensors of one batch from page numbers, within tf.data, in two steps."""

    def __init__(
        self,
        table: Pages,
        pictures: Pictures,
        image_size: int,
        seed: int,
        flip: bool,
        augment: str | Augment | None,
    ) -> None:
        self.table = {
            "user_id": tf.constant(list(table.user_id), tf.string),
            "page_id": tf.constant(list(table.page_id), tf.string),
            "timestamp": tf.constant(table.timestamp, tf.int64),
            "history_item_index": tf.constant(table.history),
            "shown_item_index": tf.constant(table.shown),
            "clicked": tf.constant(table.clicked),
        }
        self.pictures = pictures
        self.title: tf.Tensor | None = None
        self.image_size = image_size
        self.seed = seed
        self.flip = flip
        self.augment = None if augment is None else augmentation(augment, image_size)

    def columns(
        self, rows: tf.Tensor, number: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        """All but the pixels; the JPEG of each distinct picture, and the batch's number."""
        batch = {name: tf.gather(column, rows) for name, column in self.table.items()}
        clicks = self.table["history_item_index"].shape[1]
        both = tf.concat([batch["history_item_index"], batch["shown_item_index"]], axis=1)
        present = both > 0
        item_index, position = tf.unique(tf.boolean_mask(both, present))
        where = tf.cast(tf.where(present), tf.int32)
        position = tf.scatter_nd(where, position + 1, tf.shape(both)) - 1
        batch |= {
            "item_index": item_index,
            "history": position[:, :clicks],
            "shown": position[:, clicks:],
        }
        if self.title is not None:
            batch["title"] = tf.gather(self.title, item_index)
        return batch, self.pictures(rows, item_index), number

    def decoded(
        self, batch: dict[str, tf.Tensor], jpeg: tf.Tensor, number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The batch with its pictures."""
        image = decode_letterboxed_batch(jpeg, self.image_size, jpeg=True)
        if self.flip:
            image = mirrored(image, self._flip(jpeg, number))
        if self.augment is not None:
            image = in_blocks(image, tf.stack([self.seed, number]), self.augment)
        return {**batch, "image": image}

    def encoded(
        self, batch: dict[str, tf.Tensor], jpeg: tf.Tensor, number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The batch with the bytes of its pictures."""
        blank = tf.fill([1, self.image_size, self.image_size, 3], tf.constant(255, tf.uint8))
        flip = self._flip(jpeg, number)
        if self.augment is not None:
            batch = {**batch, "image_bytes": jpeg, "flip": flip, "blank": blank}
            seed = tf.stack([self.seed, number])
            jpeg, flip = augmented_png(batch, seed, self.augment), tf.zeros_like(flip)
        return {**batch, "image_bytes": jpeg, "flip": flip, "blank": blank}

    def _flip(self, jpeg: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        if not self.flip:
            return tf.zeros(tf.shape(jpeg), tf.bool)
        seed = tf.stack([self.seed, number])
        return tf.random.stateless_uniform([tf.shape(jpeg)[0], 1, 1, 1], seed)[:, 0, 0, 0] < 0.5
